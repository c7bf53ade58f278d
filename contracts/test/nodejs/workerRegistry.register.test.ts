import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import hre, { network } from 'hardhat';
import { concatHex, encodeAbiParameters, getAddress, type Hex, keccak256, toHex, zeroAddress, zeroHash } from 'viem';
import { defaultImageId, networkFileId, platformId, platformKey, tcb, workerBinding } from '../support/evidence.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';
import { refused } from '../support/refused.ts';
import {
  chainId,
  deployWorld,
  enroll,
  hour,
  lastRecord,
  type RegistrationChanges,
  register,
  registration,
  signerOf,
  someClaims,
  teePolicy,
  teeTdx,
} from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(withWorker);

async function withWorker() {
  const world = await deployWorld(connection);
  return { ...world, id: await enroll(world) };
}

describe('WorkerRegistry.enroll', () => {
  it('gives each operator ids counted from 0', async () => {
    const world = await load();
    const { workers, operator, otherOperator, id } = world;
    const second = await enroll(world);
    const others = await enroll(world, otherOperator);
    assert.equal(new Set([id, second, others]).size, 3);
    const expected = keccak256(
      encodeAbiParameters(
        [{ type: 'string' }, { type: 'uint256' }, { type: 'address' }, { type: 'address' }, { type: 'uint256' }],
        ['cloister/worker-id: v1', BigInt(chainId), workers.address, operator.account.address, 1n],
      ),
    );
    assert.equal(second, expected);
    assert.equal(await workers.read.enrolledCount([operator.account.address]), 2n);
    const status = await workers.read.statusOf([id]);
    assert.equal(status.state, 1);
    assert.equal(status.operator, getAddress(operator.account.address));
    const events = await workers.getEvents.WorkerEnrolled({ workerId: others }, { fromBlock: 0n });
    assert.deepEqual(events[0]?.args, {
      workerId: others,
      operator: getAddress(otherOperator.account.address),
      index: 0n,
    });
  });
});

describe('WorkerRegistry.register', () => {
  it('registers on evidence that holds and records all of it', async () => {
    const world = await load();
    const { workers, operator, id, publicClient } = world;
    const attested = await publicClient.getBlock();
    const signer = signerOf(1).address;
    const args = await registration(world, id, { kinds: 0b1010 });
    await workers.write.register(args, { account: operator.account });

    const { timestamp } = await publicClient.getBlock();
    const leaseUntil = timestamp + BigInt(6 * hour);
    assert.deepEqual(await lastRecord(world, id), {
      operator: getAddress(operator.account.address),
      receiptSigner: signer,
      teeType: teeTdx,
      kinds: 0b1010,
      attestedBy: 1,
      simulated: true,
      imageId: defaultImageId,
      configId: networkFileId,
      platformId,
      platformKey,
      tcb: someClaims.tcb,
      networkKeysHash: zeroHash,
    });
    const events = await workers.getEvents.WorkerRegistered({ workerId: id });
    assert.equal(events[0]?.args.leaseUntil, leaseUntil);
    assert.equal(events[0]?.args.attestedBlock, attested.number);
    assert.equal(events[0]?.args.evidenceHash, someClaims.evidenceHash);
    const status = await workers.read.statusOf([id]);
    assert.deepEqual(
      { ...status, recordHash: undefined },
      {
        operator: getAddress(operator.account.address),
        receiptSigner: signer,
        leaseUntil,
        state: 2,
        kinds: 0b1010,
        teeType: teeTdx,
        attestedBy: 1,
        simulated: true,
        recordHash: undefined,
      },
    );
    assert.equal(await workers.read.workerOf([signer]), id);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
  });

  it('ends the lease with the collateral where that is sooner', async () => {
    const world = await load();
    const { timestamp } = await world.publicClient.getBlock();
    await register(world, world.id, { claims: { validUntil: timestamp + 600n } });
    assert.equal((await world.workers.read.statusOf([world.id])).leaseUntil, timestamp + 600n);
  });

  it('stops counting a signer the second its lease ends', async () => {
    const world = await load();
    await register(world, world.id);
    const { leaseUntil } = await world.workers.read.statusOf([world.id]);
    const signer = signerOf(1).address;
    await networkHelpers.time.increaseTo(leaseUntil - 1n);
    assert.deepEqual(await world.workers.read.isActiveSigner([signer]), [true, world.id]);
    await networkHelpers.time.increaseTo(leaseUntil);
    assert.deepEqual(await world.workers.read.isActiveSigner([signer]), [false, world.id]);
  });

  it('renews a lease under the same signer, lapsed or not', async () => {
    const world = await load();
    await register(world, world.id);
    const first = await world.workers.read.statusOf([world.id]);
    await networkHelpers.time.increase(hour);
    await register(world, world.id);
    const renewed = await world.workers.read.statusOf([world.id]);
    assert.ok(renewed.leaseUntil >= first.leaseUntil + BigInt(hour));
    assert.equal(renewed.recordHash, first.recordHash);
    const [event] = await world.workers.getEvents.WorkerRenewed({ workerId: world.id });
    assert.equal(event?.args.leaseUntil, renewed.leaseUntil);
    assert.equal(event?.args.evidenceHash, someClaims.evidenceHash);
    assert.deepEqual(await world.workers.getEvents.WorkerRegistered({ workerId: world.id }), []);
    await networkHelpers.time.increase(10 * hour);
    await register(world, world.id);
    assert.deepEqual(await world.workers.read.isActiveSigner([signerOf(1).address]), [true, world.id]);
  });

  it('records anew whatever a renewal does not leave as it was', async () => {
    const world = await load();
    await register(world, world.id);
    const changes: RegistrationChanges[] = [
      { kinds: 0b0011 },
      { claims: { platformKey: toHex(2, { size: 32 }) } },
      { claims: { platformId: toHex(2, { size: 32 }) } },
      { claims: { tcb: toHex(2, { size: 32 }) } },
      { claims: { simulated: false } },
      { claims: { attestedBy: 2 } },
    ];
    for (const change of changes) {
      await register(world, world.id, change);
      const events = await world.workers.getEvents.WorkerRegistered({ workerId: world.id });
      assert.equal(events.length, 1, JSON.stringify(change));
      const { recordHash } = await world.workers.read.statusOf([world.id]);
      await register(world, world.id);
      assert.notEqual((await world.workers.read.statusOf([world.id])).recordHash, recordHash);
    }
  });

  it('replaces the signer after a restart; the old one never comes back', async () => {
    const world = await load();
    const [first, second] = [signerOf(1).address, signerOf(2).address];
    await register(world, world.id, { signer: first });
    await register(world, world.id, { signer: second });
    assert.deepEqual(await world.workers.read.isActiveSigner([first]), [false, world.id]);
    assert.deepEqual(await world.workers.read.isActiveSigner([second]), [true, world.id]);
    await refused(register(world, world.id, { signer: first }), 'WorkerRegistrySignerUsed', [first, world.id]);
  });

  it('refuses a signer that another worker has or had', async () => {
    const world = await load();
    const otherId = await enroll(world, world.otherOperator);
    const [first, second] = [signerOf(1).address, signerOf(2).address];
    await register(world, world.id, { signer: first });
    await register(world, world.id, { signer: second });
    for (const signer of [first, second])
      await refused(register(world, otherId, { operator: world.otherOperator, signer }), 'WorkerRegistrySignerUsed', [
        signer,
        world.id,
      ]);
  });

  it('refuses a worker that the caller never enrolled, no signer and impossible kinds', async () => {
    const world = await load();
    const { operator, otherOperator } = world;
    await refused(register(world, world.id, { index: 1n }), 'WorkerRegistryNotEnrolled', [
      operator.account.address,
      1n,
    ]);
    // The id follows from the caller: nobody can name another's worker.
    await refused(register(world, world.id, { operator: otherOperator, index: 0n }), 'WorkerRegistryNotEnrolled', [
      otherOperator.account.address,
      0n,
    ]);
    await refused(register(world, world.id, { signer: zeroAddress }), 'WorkerRegistrySignerMissing', []);
    for (const kinds of [0, 16, 255])
      await refused(register(world, world.id, { kinds }), 'WorkerRegistryKindsInvalid', [kinds]);
  });

  it('refuses evidence bound to anything else', async () => {
    const world = await load();
    const other = world.stranger.account.address;
    const mismatches: RegistrationChanges[] = [
      { boundChainId: chainId + 1 },
      { boundRegistry: other },
      { boundOperator: other },
      { boundSigner: other },
      { networkKeysHash: toHex(1, { size: 32 }) },
    ];
    const expected = workerBinding(chainId, world.workers.address, world.operator.account.address, signerOf(1).address);
    for (const changes of mismatches) {
      const reported = workerBinding(
        changes.boundChainId ?? chainId,
        changes.boundRegistry ?? world.workers.address,
        changes.boundOperator ?? world.operator.account.address,
        changes.boundSigner ?? signerOf(1).address,
        changes.networkKeysHash,
      );
      const call = register(world, world.id, changes);
      await refused(call, 'WorkerRegistryBindingMismatch', [expected, reported]);
    }
  });

  it('refuses what a guest can have quoted, whatever the guest chose', async () => {
    const world = await load();
    const worker = workerBinding(chainId, world.workers.address, world.operator.account.address, signerOf(1).address);
    // x of a guest's quote: the report data that would register this worker.
    const block = await world.publicClient.getBlock();
    const x = keccak256(concatHex([worker, block.hash]));
    const words = ['string', 'uint256', 'address', 'bytes32', 'bytes32', 'bytes32'].map((type) => ({ type }));
    const [app, instance] = [toHex(1, { size: 32 }), toHex(2, { size: 32 })];
    const values = ['cloister/app: v1', BigInt(chainId), world.workers.address, app, instance, x];
    const guest = keccak256(encodeAbiParameters(words, values));
    const bound = { reportDataHead: guest, reportDataTail: zeroHash };
    await refused(register(world, world.id, { claims: bound }), 'WorkerRegistryBindingMismatch', [worker, guest]);
    // Each half alone is enough to refuse it.
    await refused(register(world, world.id, { claims: { reportDataHead: guest } }), 'WorkerRegistryBindingMismatch', [
      worker,
      guest,
    ]);
    await refused(
      register(world, world.id, { claims: { reportDataTail: zeroHash } }),
      'WorkerRegistryBlockHashMismatch',
    );
  });

  it('demands the network keys once they are known', async () => {
    const world = await load();
    const keysHash = toHex(0xbeac0, { size: 32 });
    await register(world, world.id);
    await world.govern(world.workers, 'setNetworkKeysHash', [keysHash]);
    assert.equal(
      (await world.workers.read.isActiveSigner([signerOf(1).address]))[0],
      true,
      'a zero-bound lease runs on',
    );
    await refused(register(world, world.id), 'WorkerRegistryBindingMismatch');
    await register(world, world.id, { networkKeysHash: keysHash });
    assert.equal((await lastRecord(world, world.id)).networkKeysHash, keysHash);
  });

  it('refuses a hash that is not the stated block’s', async () => {
    const world = await load();
    const block = await world.publicClient.getBlock();
    const previous = await world.publicClient.getBlock({ blockNumber: block.number - 1n });
    await refused(register(world, world.id, { blockHash: previous.hash }), 'WorkerRegistryBlockHashMismatch', [
      block.number,
      block.hash,
      previous.hash,
    ]);
    await refused(register(world, world.id, { blockHash: zeroHash }), 'WorkerRegistryBlockHashMismatch');
  });

  it('refuses a block of the present or the future', async () => {
    const world = await load();
    const [index, signer, kinds, block, teeType, evidence] = await registration(world, world.id);
    for (const ahead of [1n, 2n, 1_000_000n, 2n ** 64n - 1n - block]) {
      const call = world.workers.write.register([index, signer, kinds, block + ahead, teeType, evidence], {
        account: world.operator.account,
      });
      await refused(call, 'WorkerRegistryBlockUnknown', [block + ahead, block + 1n]);
    }
  });

  it('refuses blocks beyond the age, and those it has no hash of', async () => {
    const world = await load();
    const attestedBlock = await world.publicClient.getBlockNumber();
    await networkHelpers.mine(255);
    await register(world, world.id, { attestedBlock });
    await networkHelpers.mine(3);
    // The chain's own history contract refuses here, so the hash is unknown beyond 256 blocks.
    const next = (await world.publicClient.getBlockNumber()) + 1n;
    await refused(register(world, world.id, { attestedBlock }), 'WorkerRegistryBlockUnknown', [attestedBlock, next]);
    await networkHelpers.mine(50);
    const oldest = (await world.publicClient.getBlockNumber()) + 1n - 300n;
    await refused(register(world, world.id, { attestedBlock }), 'WorkerRegistryBlockTooOld', [attestedBlock, oldest]);
  });

  it('takes a block of the very age that is allowed, and every kind at once', async () => {
    const { settings, viem, ...world } = await load();
    const registry = await viem.deployContract('WorkerRegistry', [{ ...settings, maxAttestedBlockAge: 20 }]);
    await world.govern(registry, 'setTeePolicy', [teeTdx, teePolicy(world.verifier.address)]);
    const whole = { ...world, settings, viem, workers: registry };
    const id = await enroll(whole);
    const attestedBlock = await world.publicClient.getBlockNumber();
    await networkHelpers.mine(19);
    await register(whole, id, { attestedBlock, kinds: 0b1111 });
    const oldest = attestedBlock + 1n;
    await refused(register(whole, id, { attestedBlock }), 'WorkerRegistryBlockTooOld', [attestedBlock, oldest]);
  });

  it('records anew who comes back from retirement, with the same record', async () => {
    const world = await load();
    await register(world, world.id);
    await world.workers.write.retire([world.id], { account: world.operator.account });
    await register(world, world.id);
    assert.equal((await world.workers.getEvents.WorkerRegistered()).length, 1);
    assert.equal((await world.workers.getEvents.WorkerRenewed()).length, 0);
  });

  it('finds older hashes in the history contract of EIP-2935', async () => {
    const world = await load();
    const { address, code } = history2935Code;
    const block = await world.publicClient.getBlock();
    await networkHelpers.setCode(address, code);
    await networkHelpers.setStorageAt(address, slotOf2935(block.number), block.hash);
    await networkHelpers.mine(290);
    await register(world, world.id, { attestedBlock: block.number });
    const unwritten = block.number + 1n;
    await refused(register(world, world.id, { attestedBlock: unwritten }), 'WorkerRegistryBlockUnknown');
  });

  it('refuses a TEE type without a verifier', async () => {
    const world = await load();
    await refused(register(world, world.id, { teeType: 3 }), 'WorkerRegistryVerifierMissing', [3]);
    await world.govern(world.workers, 'setTeePolicy', [teeTdx, teePolicy(zeroAddress)]);
    await refused(register(world, world.id), 'WorkerRegistryVerifierMissing', [teeTdx]);
  });

  it('refuses evidence of another type than stated', async () => {
    const world = await load();
    await world.govern(world.workers, 'setTeePolicy', [3, teePolicy(world.verifier.address)]);
    await refused(register(world, world.id, { teeType: 3 }), 'WorkerRegistryTeeTypeMismatch', [3, teeTdx]);
  });

  it('refuses images and network files that are not allowed', async () => {
    const world = await load();
    const image = toHex(0xa1, { size: 32 });
    await refused(register(world, world.id, { claims: { imageId: image } }), 'WorkerRegistryImageNotAllowed', [image]);
    const config = toHex(0xbad, { size: 32 });
    await refused(register(world, world.id, { claims: { configId: config } }), 'WorkerRegistryConfigNotAllowed', [
      config,
    ]);
    await world.govern(world.images, 'revoke', [defaultImageId]);
    await refused(register(world, world.id), 'WorkerRegistryImageNotAllowed', [defaultImageId]);
  });

  it('refuses evidence whose collateral has ended', async () => {
    const world = await load();
    const { timestamp } = await world.publicClient.getBlock();
    await networkHelpers.time.setNextBlockTimestamp(timestamp + 100n);
    await refused(
      register(world, world.id, { claims: { validUntil: timestamp + 100n } }),
      'WorkerRegistryEvidenceExpired',
      [timestamp + 100n, timestamp + 100n],
    );
  });

  it('refuses simulated evidence for ever where the network was deployed so', async () => {
    const world = await load();
    const strict = await viem.deployContract('WorkerRegistry', [{ ...world.settings, simulatedAllowed: false }]);
    await world.govern(strict, 'setTeePolicy', [teeTdx, teePolicy(world.verifier.address)]);
    const id = await enroll(world, world.operator, strict);
    await refused(register(world, id, { registry: strict }), 'WorkerRegistrySimulatedRefused', []);
    assert.equal(await strict.read.simulatedAllowed(), false);
  });

  it('refuses debug, and takes genuine evidence where simulated is refused', async () => {
    const world = await load();
    const strict = await viem.deployContract('WorkerRegistry', [{ ...world.settings, simulatedAllowed: false }]);
    await world.govern(strict, 'setTeePolicy', [teeTdx, teePolicy(world.verifier.address)]);
    const id = await enroll(world, world.operator, strict);
    const send = (claims: NonNullable<RegistrationChanges['claims']>) =>
      register(world, id, { registry: strict, claims });
    await refused(send({ simulated: false, debug: true }), 'WorkerRegistryDebugRefused', []);
    await send({ simulated: false });
    assert.equal((await strict.read.statusOf([id])).simulated, false);
  });

  it('refuses a TCB that the policy does not accept, and verdicts by data that is too old', async () => {
    const world = await load();
    for (const tcbStatus of [0, tcb.configurationNeeded, 4, tcb.outOfDate, 6, tcb.revoked, 8, 255])
      await refused(register(world, world.id, { claims: { tcbStatus } }), 'WorkerRegistryTcbNotAccepted', [
        tcbStatus,
        0x06,
      ]);
    await refused(
      register(world, world.id, { claims: { tcbEvaluationDataNumber: 9 } }),
      'WorkerRegistryTcbEvaluationTooOld',
      [9, 10],
    );
    await register(world, world.id, { claims: { tcbStatus: tcb.swHardeningNeeded, tcbEvaluationDataNumber: 10 } });
    const tolerant = teePolicy(world.verifier.address, { acceptedTcbStatuses: 0x7e });
    await world.govern(world.workers, 'setTeePolicy', [teeTdx, tolerant]);
    await register(world, world.id, { claims: { tcbStatus: tcb.outOfDate } });
    await refused(register(world, world.id, { claims: { tcbStatus: tcb.revoked } }), 'WorkerRegistryTcbNotAccepted');
  });

  it('tells several workers of one platform apart', async () => {
    const world = await load();
    const second = await enroll(world, world.otherOperator);
    await register(world, world.id);
    await register(world, second, { operator: world.otherOperator, signer: signerOf(2).address });
    const records = [await lastRecord(world, world.id), await lastRecord(world, second)];
    assert.equal(records[0]?.platformId, records[1]?.platformId);
    assert.notEqual(records[0]?.receiptSigner, records[1]?.receiptSigner);
    assert.deepEqual(await world.workers.read.isActiveSigner([signerOf(1).address]), [true, world.id]);
    assert.deepEqual(await world.workers.read.isActiveSigner([signerOf(2).address]), [true, second]);
  });

  const skip = hre.globalOptions.coverage ? 'instrumented code costs more' : false;
  it('adds little to what the verifier costs', { skip }, async () => {
    const world = await load();
    const gasOf = async (hash: Hex) => (await world.publicClient.getTransactionReceipt({ hash })).gasUsed;
    const first = await gasOf(await register(world, world.id));
    const renewal = await gasOf(await register(world, world.id));
    assert.ok(renewal + 40_000n < first, `first registration ${first}, renewal ${renewal}`);
  });
});
