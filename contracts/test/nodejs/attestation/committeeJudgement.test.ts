import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snpEvidenceDocument } from '@cloister/attestation/verify';
import {
  type AttestationResult,
  attestationResultDigest,
  attestationResultEvidence,
  snpImageId,
  tcbStatusUpToDate,
  teeTypes,
} from '@cloister/core';
import { network } from 'hardhat';
import { type Address, type Hex, hexToBytes, toHex } from 'viem';
// Members judge by the code that gatekeepers run, over a made-up manufacturer's evidence.
import { ResultRules } from '../../../../apps/gatekeeper/src/results/resultRules.ts';
import { amdRoot, makeSnpWorld, type SnpWorldOptions } from '../../../../packages/attestation/test/snp/syntheticSnp.ts';
import { now } from '../../../../packages/attestation/test/synthetic.ts';
import { deployCommitteeWorld, handOver, joinAll, proofOf } from '../../support/committeeWorld.ts';
import { networkFileId, workerBinding } from '../../support/evidence.ts';
import { refused } from '../../support/refused.ts';
import { chainId, enroll, farFuture, lastRecord, noRecipe, signerOf, teePolicy } from '../../support/world.ts';

const connection = await network.create({ override: { initialDate: new Date(now * 1000) } });
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withCommittee);
const teeType = teeTypes['sev-snp'];
const signer = signerOf(1).address;
const imageId = snpImageId(new Uint8Array(48).fill(0xa1));
const trustRoots = [{ tee: 'sev-snp' as const, spkiSha256: amdRoot.spkiSha256, simulated: true, name: 'DEV AMD' }];
const signal = AbortSignal.timeout(60_000);

/** A committee of four that any three speak for, and a registry that takes their word for SEV-SNP. */
async function withCommittee() {
  const world = await deployCommitteeWorld(connection, 4, 3);
  await joinAll(world);
  await handOver(world);
  const { committee, workers, images, govern } = world;
  const snp = await viem.deployContract('CommitteeResultVerifier', [committee.address, workers.address, teeType]);
  await govern(workers, 'setTeePolicy', [teeType, teePolicy(snp.address, { minimumTcbEvaluationDataNumber: 1 })]);
  await govern(images, 'allow', [imageId, 0n, farFuture, 'worker 1 on SEV-SNP', noRecipe]);
  return { ...world, snp, id: await enroll(world) };
}

type Loaded = Awaited<ReturnType<typeof withCommittee>>;

/** Evidence of the operator's worker, bound to this chain, registry, signer and the newest block. */
async function evidenceOf({ workers, operator, publicClient }: Loaded, options: SnpWorldOptions = {}) {
  const { hash, number } = await publicClient.getBlock();
  const binding = workerBinding(chainId, workers.address, operator.account.address, signer);
  const { report, certificates } = makeSnpWorld({
    product: 'Genoa',
    ...options,
    edit: (bytes) => {
      bytes.set(hexToBytes(binding), 0x50);
      bytes.set(hexToBytes(hash), 0x70);
      bytes.set(hexToBytes(networkFileId), 0xc0);
      options.edit?.(bytes);
    },
  });
  return { document: snpEvidenceDocument(report, certificates), attestedBlock: number };
}

/** What one member finds, as it sees the chain. */
async function judged({ publicClient }: Loaded, document: ReturnType<typeof snpEvidenceDocument>) {
  const head = await publicClient.getBlock();
  return new ResultRules({ simulated: true, trustRoots }).judge(
    document,
    {
      block: head.number,
      time: head.timestamp,
      policy: async () => ({ acceptedTcbStatuses: ['UpToDate'], minimumTcbEvaluationDataNumber: 1 }),
      blockOf: (hash) => publicClient.getBlock({ blockHash: hash }).catch(() => undefined),
    },
    signal,
  );
}

async function sealed(result: AttestationResult, registry: Address, members = [0, 1, 2]): Promise<Hex> {
  const digest = attestationResultDigest({ chainId, registry }, result);
  return attestationResultEvidence(
    result,
    await proofOf(digest, Object.fromEntries(members.map((member) => [member, member + 1]))),
  );
}

async function register({ workers, operator }: Loaded, evidence: Hex, attestedBlock: bigint, as: Address = signer) {
  return workers.write.register([0n, as, 1, attestedBlock, teeType, evidence], { account: operator.account });
}

describe('a worker on SEV-SNP', () => {
  it('registers by what three of four gatekeepers found, and says for ever that it was they', async () => {
    const world = await load();
    const { workers, id } = world;
    const { document, attestedBlock } = await evidenceOf(world);
    const result = await judged(world, document);
    await networkHelpers.mine(5);
    // Another member, some blocks later, says the same.
    assert.deepEqual(await judged(world, document), result);
    await register(world, await sealed(result, workers.address.toLowerCase() as Address, [0, 2, 3]), attestedBlock);
    const status = await workers.read.statusOf([id]);
    assert.deepEqual([status.state, status.attestedBy, status.teeType, status.simulated], [2, 2, teeType, true]);
    const record = await lastRecord(world, id);
    assert.deepEqual([record.imageId, record.configId, record.platformId], [imageId, networkFileId, result.platformId]);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
  });

  it('does not with two, with a member’s other opinion, or with a result for another registry or worker', async () => {
    const world = await load();
    const { workers, committee } = world;
    const { document, attestedBlock } = await evidenceOf(world);
    const result = await judged(world, document);
    const registry = workers.address.toLowerCase() as Address;
    const notSigned = 'CommitteeResultVerifierNotSigned';
    const of = async (evidence: Promise<Hex>, as?: Address) => register(world, await evidence, attestedBlock, as);
    await refused(of(sealed(result, registry, [0, 1])), notSigned);
    await refused(of(sealed(result, committee.address.toLowerCase() as Address)), notSigned);
    const lie = { ...result, validUntil: farFuture };
    const honest = await proofOf(attestationResultDigest({ chainId, registry }, result), { 0: 1, 1: 2, 2: 3 });
    await refused(of(Promise.resolve(attestationResultEvidence(lie, honest))), notSigned);
    await refused(of(sealed(result, registry), signerOf(2).address), 'WorkerRegistryBindingMismatch');
    await of(sealed(result, registry));
  });

  it('ends its lease with the result, and is no more accepted once newer floors are asked for', async () => {
    const world = await load();
    const { workers, snp, govern, id, stranger } = world;
    const nextUpdate = (await world.publicClient.getBlock()).timestamp + 1_000n;
    const { document, attestedBlock } = await evidenceOf(world, { crl: { nextUpdate: Number(nextUpdate) } });
    const result = await judged(world, document);
    assert.equal(result.validUntil, nextUpdate);
    assert.equal(result.tcbStatus, tcbStatusUpToDate);
    await register(world, await sealed(result, workers.address.toLowerCase() as Address), attestedBlock);
    assert.equal((await workers.read.statusOf([id])).leaseUntil, nextUpdate);
    const record = await lastRecord(world, id);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause');
    const policy = teePolicy(snp.address, { minimumTcbEvaluationDataNumber: 2 });
    await govern(workers, 'setTeePolicy', [teeType, policy]);
    await workers.write.evict([id, record], { account: stranger.account });
    assert.equal((await workers.read.statusOf([id])).state, 3);
  });

  it('gets no result with debug, or with its chip on the list', async () => {
    const world = await load();
    const debug = await evidenceOf(world, { edit: (report) => report.set([0x0b], 0x0a) });
    await assert.rejects(judged(world, debug.document), { code: 'DEBUG_REFUSED' });
    const revoked = await evidenceOf(world, { crl: { revoked: [Uint8Array.of(0)] } });
    await assert.rejects(judged(world, revoked.document), { code: 'REVOKED' });
    const elsewhere = await evidenceOf(world, {
      edit: (report) => report.set(hexToBytes(toHex(1, { size: 32 })), 0x70),
    });
    await assert.rejects(judged(world, elsewhere.document), { code: 'RESULT_BLOCK_UNKNOWN' });
  });
});
