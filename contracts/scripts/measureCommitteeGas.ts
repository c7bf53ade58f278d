import assert from 'node:assert/strict';
import { fullEvidence } from '@cloister/attestation/onchain';
import { attestationResultDigest, attestationResultEvidence, tcbStatusUpToDate, teeTypes } from '@cloister/core';
import { encodeFunctionData, type Hex, keccak256, stringToHex, toHex } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import { deployAttestation, publish } from '../test/support/attestation.ts';
import {
  type CommitteeWorld,
  deployCommitteeWorld,
  endpoint,
  gatekeeperBinding,
  handOver,
  hpkeKeyOf,
  joinAll,
  proofOf,
} from '../test/support/committeeWorld.ts';
import { deployEpochRecords, postRecord, recordWith } from '../test/support/epochRecords.ts';
import { defaultImageId, networkFileId, workerBinding } from '../test/support/evidence.ts';
import { recordedPlatform } from '../test/support/recordedPlatform.ts';
import { chainId, enroll, hour, signerOf, teePolicy, teeTdx } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

const bonded = 10n ** 18n;

/**
 * Four gatekeepers with a bond that register and renew by TDX quotes of a known platform; the founding of their committee and
 * its next handover, each with three signatures of each side that signs; a question for their word alone; and an epoch's record with
 * three signatures. The chain's clock must stand at `recordedAt`.
 */
export async function measureCommitteeGas(
  connection: Connection,
  measureOn: (world: CommitteeWorld) => Measure,
): Promise<void> {
  const world = await deployCommitteeWorld(connection, 4, 3);
  const measure = measureOn(world);
  const register = await registrationByQuote(connection, world);
  await measure('gatekeeper-register', await register(0));
  for (const index of [1, 2, 3]) await register(index);
  await measure('committee-found-4', await handOver(world));
  // Evidence names the network's keys, so the first after the founding is another record.
  await register(0);
  await measure('gatekeeper-renew', await register(0));
  await measure('committee-handover-4', await handOver(world));
  await measure('committee-verify-t3', await askForWord(world, 3));
  await measure('register-snp-by-committee', await registrationByResult(connection, world));
  // An epoch of this clock is over; the first record writes what every later one only overwrites.
  const genesis = world.settings.genesis - BigInt(hour);
  const clock = await world.viem.deployContract('WorkerRegistry', [{ ...world.settings, genesis }]);
  const records = await deployEpochRecords(world, clock.address);
  await postRecord(records, await recordWith(world, 0n));
  await connection.provider.request({ method: 'evm_increaseTime', params: [hour] });
  await measure('epoch-post', await postRecord(records, await recordWith(world, 1n)));
}

/** A worker's first registration by SEV-SNP evidence that three of the members judged. */
async function registrationByResult(connection: Connection, world: CommitteeWorld): Promise<Hex> {
  const { committee, workers, operator, govern, publicClient } = world;
  const domain = { chainId, registry: workers.address };
  const verifier = await connection.viem.deployContract('CommitteeResultVerifier', [
    committee.address,
    workers.address,
    teeTypes['sev-snp'],
  ]);
  const policy = teePolicy(verifier.address, { minimumTcbEvaluationDataNumber: 0 });
  await govern(workers, 'setTeePolicy', [teeTypes['sev-snp'], policy]);
  await enroll(world);
  const { hash, number, timestamp } = await publicClient.getBlock();
  const { address } = signerOf(1);
  const result = {
    teeType: teeTypes['sev-snp'],
    simulated: true,
    tcbStatus: tcbStatusUpToDate,
    tcbEvaluationDataNumber: 1,
    validUntil: timestamp + 86_400n,
    imageId: defaultImageId,
    configId: networkFileId,
    platformId: toHex(0x5e7, { size: 32 }),
    evidenceHash: toHex(0xe7, { size: 32 }),
    reportDataHead: workerBinding(chainId, workers.address, operator.account.address, address),
    reportDataTail: hash,
  };
  const proof = await proofOf(attestationResultDigest(domain, result), { 0: 1, 1: 2, 2: 3 });
  const evidence = attestationResultEvidence(result, proof);
  const { account } = operator;
  return workers.write.register([0n, address, 1, number, result.teeType, evidence], { account });
}

/** A question for the word of a committee of seven, of which five sign. */
export async function measureLargerCommitteeGas(
  connection: Connection,
  measureOn: (world: CommitteeWorld) => Measure,
): Promise<void> {
  const world = await deployCommitteeWorld(connection, 7, 5);
  await joinAll(world);
  await handOver(world);
  await measureOn(world)('committee-verify-t5', await askForWord(world, 5));
}

/** Bonds all operators, lets the committee take Intel's evidence, and gives what registers one of them by a quote of now. */
async function registrationByQuote(
  connection: Connection,
  world: CommitteeWorld,
): Promise<(index: number) => Promise<Hex>> {
  const { committee, token, bond, operators, govern, publicClient } = world;
  await token.write.approve([bond.address, bonded * BigInt(operators.length)]);
  for (const { account } of operators) await bond.write.deposit([account.address, bonded]);
  await govern(committee, 'setBondRule', [bond.address, bonded]);
  const platform = recordedPlatform();
  const attestation = await deployAttestation(connection, platform.root);
  await publish(attestation, platform.collateral);
  await attestation.pckRegistry.write.registerPck([platform.certificate]);
  await govern(committee, 'setTeePolicy', [teeTdx, teePolicy(attestation.tdx.address)]);
  return async (index) => {
    const account = operators[index]?.account;
    assert(account !== undefined);
    const [signer, hpkeKey] = [signerOf(index + 1).address, hpkeKeyOf(index + 1)];
    const keysHash = await committee.read.networkKeysHash();
    const head = gatekeeperBinding(committee.address, account.address, signer, hpkeKey, keysHash);
    const { hash, number } = await publicClient.getBlock();
    const evidence = fullEvidence(platform.quoteOver(head, hash));
    return committee.write.register([signer, hpkeKey, endpoint, number, teeTdx, evidence], { account });
  };
}

/** A transaction that asks the committee whether `threshold` members signed, and does nothing else. */
async function askForWord({ committee, deployer }: CommitteeWorld, threshold: number): Promise<Hex> {
  const digest = keccak256(stringToHex('a digest'));
  const proof = await proofOf(digest, Object.fromEntries(Array.from({ length: threshold }, (_, at) => [at, at + 1])));
  assert(await committee.read.verify([digest, proof]));
  const data = encodeFunctionData({ abi: committee.abi, functionName: 'verify', args: [digest, proof] });
  return deployer.sendTransaction({ to: committee.address, data });
}
