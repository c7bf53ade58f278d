import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { attestationResultEvidence } from '@cloister/core';
import { network } from 'hardhat';
import { type Address, concatHex, encodeAbiParameters, type Hex, hashTypedData, toHex } from 'viem';
import { defaultImageId, networkFileId, tcb, workerBinding } from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import { chainId, deployWorld, enroll, farFuture, lastRecord, signerOf, teePolicy } from '../support/world.ts';

const vectorsFile = new URL('../../../vectors/committee.json', import.meta.url);
const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withCommittee);
const teeSnp = 3;
const members = [71, 72, 73, 74].map(signerOf);
const platformId = toHex(0x5e7, { size: 32 });

const resultFields = [
  { name: 'teeType', type: 'uint8' },
  { name: 'simulated', type: 'bool' },
  { name: 'tcbStatus', type: 'uint8' },
  { name: 'tcbEvaluationDataNumber', type: 'uint32' },
  { name: 'validUntil', type: 'uint64' },
  { name: 'imageId', type: 'bytes32' },
  { name: 'configId', type: 'bytes32' },
  { name: 'platformId', type: 'bytes32' },
  { name: 'evidenceHash', type: 'bytes32' },
  { name: 'reportDataHead', type: 'bytes32' },
  { name: 'reportDataTail', type: 'bytes32' },
] as const;

async function withCommittee() {
  const world = await deployWorld(connection);
  const committee = await viem.deployContract('UnsafeScriptedCommittee', [members.map(({ address }) => address), 3n]);
  const verifier = await viem.deployContract('CommitteeResultVerifier', [
    committee.address,
    world.workers.address,
    teeSnp,
  ]);
  await world.govern(world.workers, 'setTeePolicy', [teeSnp, teePolicy(verifier.address)]);
  return { ...world, committee, snp: verifier, id: await enroll(world) };
}

type Loaded = Awaited<ReturnType<typeof withCommittee>>;

/** The result for evidence that holds, bound to the operator's worker and the newest block. */
async function resultOf({ workers, operator, publicClient }: Loaded) {
  const block = await publicClient.getBlock();
  return {
    block,
    result: {
      teeType: teeSnp,
      simulated: true,
      tcbStatus: tcb.upToDate as number,
      tcbEvaluationDataNumber: 12,
      validUntil: farFuture,
      imageId: defaultImageId,
      configId: networkFileId,
      platformId,
      evidenceHash: toHex(0xe7, { size: 32 }),
      reportDataHead: workerBinding(chainId, workers.address, operator.account.address, signerOf(1).address),
      reportDataTail: block.hash,
    },
  };
}

type Result = Awaited<ReturnType<typeof resultOf>>['result'];

function domainOf(verifyingContract: Address, onChain = chainId) {
  return { name: 'Cloister', version: '1', chainId: onChain, verifyingContract };
}

function digestOf(result: Result, registry: Address, onChain = chainId): Hex {
  const types = { AttestationResult: resultFields };
  return hashTypedData({
    domain: domainOf(registry, onChain),
    types,
    primaryType: 'AttestationResult',
    message: result,
  });
}

async function proofOver(digest: Hex, by = members.slice(0, 3)): Promise<Hex> {
  return concatHex(await Promise.all(by.map((member) => member.sign({ hash: digest }))));
}

function evidenceOf(result: Result, proof: Hex): Hex {
  return encodeAbiParameters([{ type: 'tuple', components: resultFields }, { type: 'bytes' }], [result, proof]);
}

async function registerBy(loaded: Loaded, evidence: Hex, attestedBlock: bigint) {
  const { workers, operator } = loaded;
  return workers.write.register([0n, signerOf(1).address, 1, attestedBlock, teeSnp, evidence], {
    account: operator.account,
  });
}

describe('CommitteeResultVerifier', () => {
  it('registers a worker on the committee’s word, and says for ever that it was that', async () => {
    const loaded = await load();
    const { result, block } = await resultOf(loaded);
    const digest = digestOf(result, loaded.workers.address);
    assert.equal(await loaded.snp.read.resultDigest([result]), digest);
    await registerBy(loaded, evidenceOf(result, await proofOver(digest)), block.number);
    const status = await loaded.workers.read.statusOf([loaded.id]);
    assert.deepEqual([status.state, status.attestedBy, status.teeType], [2, 2, teeSnp]);
    const record = await lastRecord(loaded, loaded.id);
    assert.deepEqual([record.attestedBy, record.platformId, record.platformKey], [2, platformId, platformId]);
  });

  it('refuses what fewer than t members signed, what was changed since, and the word of others', async () => {
    const loaded = await load();
    const { result, block } = await resultOf(loaded);
    const { address } = loaded.workers;
    const digest = digestOf(result, address);
    const send = (changed: Result, proof: Hex) => registerBy(loaded, evidenceOf(changed, proof), block.number);
    const notSigned = 'CommitteeResultVerifierNotSigned';
    await refused(send(result, await proofOver(digest, members.slice(0, 2))), notSigned, [digest]);
    await refused(send(result, '0x'), notSigned);
    const [first] = members;
    if (first === undefined) throw new Error('Expected a member');
    await refused(send(result, await proofOver(digest, [first, first, first])), notSigned);
    await refused(send(result, await proofOver(digest, [1, 2, 3].map(signerOf))), notSigned);
    const changed = { ...result, imageId: toHex(1, { size: 32 }) };
    await refused(send(changed, await proofOver(digest)), notSigned, [digestOf(changed, address)]);
    await refused(send(result, await proofOver(digestOf(result, address, 1))), notSigned);
    await refused(send(result, await proofOver(digestOf(result, loaded.apps.address))), notSigned);
    await send(result, await proofOver(digest, members.slice(1)));
  });

  it('refuses other TEE types, statuses that are none, and what is no result', async () => {
    const loaded = await load();
    const { result, block } = await resultOf(loaded);
    const send = async (changed: Result) =>
      registerBy(loaded, evidenceOf(changed, await proofOver(digestOf(changed, loaded.workers.address))), block.number);
    await refused(send({ ...result, teeType: 4 }), 'CommitteeResultVerifierTeeType', [teeSnp, 4]);
    for (const tcbStatus of [0, 8, 255])
      await refused(send({ ...result, tcbStatus }), 'CommitteeResultVerifierTcbStatus', [tcbStatus]);
    await refused(send({ ...result, tcbStatus: tcb.outOfDate }), 'WorkerRegistryTcbNotAccepted', [5, 6]);
    await refused(send({ ...result, tcbStatus: tcb.revoked }), 'WorkerRegistryTcbNotAccepted', [7, 6]);
    await refused(registerBy(loaded, '0x1234', block.number), 'CommitteeResultVerifierMalformed', [2]);
  });

  it('revokes a platform on the committee’s word: its workers can be evicted, and none registers again', async () => {
    const loaded = await load();
    const { workers, snp, stranger, id } = loaded;
    const { result, block } = await resultOf(loaded);
    const proof = await proofOver(digestOf(result, workers.address));
    await registerBy(loaded, evidenceOf(result, proof), block.number);
    const record = await lastRecord(loaded, id);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);

    const digest = await snp.read.revocationDigest([platformId]);
    const types = { PlatformRevocation: [resultFields[0], { name: 'platformId', type: 'bytes32' }] } as const;
    const message = { teeType: teeSnp, platformId };
    const domain = domainOf(workers.address);
    assert.equal(digest, hashTypedData({ domain, types, primaryType: 'PlatformRevocation', message }));
    await refused(snp.write.revokePlatform([platformId, proof]), 'CommitteeResultVerifierNotSigned', [digest]);
    await snp.write.revokePlatform([platformId, await proofOver(digest)], { account: stranger.account });
    assert.equal(await snp.read.isRevoked([platformId]), true);
    const again = snp.write.revokePlatform([platformId, await proofOver(digest)]);
    await refused(again, 'CommitteeResultVerifierPlatformKnownRevoked', [platformId]);

    await workers.write.evict([id, record], { account: stranger.account });
    assert.equal((await workers.getEvents.WorkerEvicted({ workerId: id }))[0]?.args.cause, 2);
    const renewal = registerBy(loaded, evidenceOf(result, proof), block.number);
    await refused(renewal, 'WorkerRegistrySignerEvicted');
    await refused(snp.read.verify([evidenceOf(result, proof)]), 'CommitteeResultVerifierPlatformRevoked', [platformId]);
  });

  it('computes what vectors/committee.json fixes, and reads evidence as the packages write it', async () => {
    const { domain, attestationResult } = JSON.parse(readFileSync(vectorsFile, 'utf8'));
    const { committee } = await load();
    const provider = connection.provider;
    // The vectors' registry is none: any code will do there.
    await provider.request({ method: 'hardhat_setCode', params: [domain.registry, '0x00'] });
    const verifier = await viem.deployContract('CommitteeResultVerifier', [committee.address, domain.registry, 3]);
    const result: Result = { ...attestationResult.result, validUntil: BigInt(attestationResult.result.validUntil) };
    assert.equal(domain.chainId, chainId);
    assert.equal(await verifier.read.resultDigest([result]), attestationResult.digest);
    const { revocation, revocationDigest } = attestationResult;
    assert.equal(await verifier.read.revocationDigest([revocation.platformId]), revocationDigest);

    assert.equal(evidenceOf(result, attestationResult.proof), attestationResult.evidence);
    const signed = await proofOver(attestationResult.digest);
    const claims = await verifier.read.verify([attestationResultEvidence(result, signed)]);
    assert.deepEqual(
      [claims.attestedBy, claims.evidenceHash, claims.validUntil, claims.reportDataHead, claims.reportDataTail],
      [2, result.evidenceHash, result.validUntil, result.reportDataHead, result.reportDataTail],
    );
  });

  it('takes no result for another worker, another block, or one that is over', async () => {
    const loaded = await load();
    const { workers, operator, stranger } = loaded;
    const { result, block } = await resultOf(loaded);
    const sealed = async (changes: Partial<Result>) => {
      const changed = { ...result, ...changes };
      return evidenceOf(changed, await proofOver(digestOf(changed, workers.address)));
    };
    const evidence = await sealed({});
    // The operator's other key, and another operator with this very evidence.
    const otherSigner = workers.write.register([0n, signerOf(2).address, 1, block.number, teeSnp, evidence], {
      account: operator.account,
    });
    const binding = workerBinding(chainId, workers.address, operator.account.address, signerOf(2).address);
    await refused(otherSigner, 'WorkerRegistryBindingMismatch', [binding, result.reportDataHead]);
    await workers.write.enroll({ account: stranger.account });
    const otherOperator = workers.write.register([0n, signerOf(1).address, 1, block.number, teeSnp, evidence], {
      account: stranger.account,
    });
    await refused(otherOperator, 'WorkerRegistryBindingMismatch');
    await refused(registerBy(loaded, evidence, block.number - 1n), 'WorkerRegistryBlockHashMismatch');
    await refused(
      registerBy(loaded, await sealed({ validUntil: block.timestamp }), block.number),
      'WorkerRegistryEvidenceExpired',
    );
    await refused(
      registerBy(loaded, await sealed({ simulated: true, configId: toHex(9, { size: 32 }) }), block.number),
      'WorkerRegistryConfigNotAllowed',
    );

    const validUntil = block.timestamp + 1_000n;
    await registerBy(loaded, await sealed({ validUntil }), block.number);
    assert.equal((await workers.read.statusOf([loaded.id])).leaseUntil, validUntil);
  });

  it('refuses a committee or registry without code', async () => {
    const { committee, workers, stranger } = await load();
    const nobody = stranger.account.address;
    const error = 'CommitteeResultVerifierWithoutCode';
    await refused(viem.deployContract('CommitteeResultVerifier', [nobody, workers.address, 3]), error, [nobody]);
    await refused(viem.deployContract('CommitteeResultVerifier', [committee.address, nobody, 3]), error, [nobody]);
  });
});
