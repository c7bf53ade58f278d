import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { getAddress, toHex, zeroAddress } from 'viem';
import { defaultImageId, networkFileId, platformKey, tcb } from '../support/evidence.ts';
import { refused } from '../support/refused.ts';
import {
  deployWorld,
  enroll,
  farFuture,
  hour,
  lastRecord,
  noRecipe,
  register,
  signerOf,
  teePolicy,
  teeTdx,
} from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(withActiveWorker);
const signer = signerOf(1).address;

async function withActiveWorker() {
  const world = await deployWorld(connection);
  const id = await enroll(world);
  await register(world, id);
  return { ...world, id, record: await lastRecord(world, id) };
}

describe('WorkerRegistry.evict', () => {
  it('lets anyone end a lease whose image is no longer allowed', async () => {
    const { workers, images, stranger, publicClient, govern, id, record } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id], 'runs until somebody evicts it');
    await workers.write.evict([id, record], { account: stranger.account });

    assert.deepEqual(await workers.read.isActiveSigner([signer]), [false, id]);
    assert.equal((await workers.read.statusOf([id])).state, 3);
    assert.equal(await workers.read.evictionBlockOf([signer]), await publicClient.getBlockNumber());
    const events = await workers.getEvents.WorkerEvicted({ workerId: id });
    assert.deepEqual(events[0]?.args, {
      workerId: id,
      receiptSigner: signer,
      cause: 0,
      evictedBy: getAddress(stranger.account.address),
    });
  });

  it('ends one whose image has expired', async () => {
    const { workers, images, publicClient, govern, id, record } = await load();
    const { timestamp } = await publicClient.getBlock();
    await govern(images, 'shorten', [defaultImageId, timestamp + BigInt(hour)]);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);
    await networkHelpers.time.increaseTo(timestamp + BigInt(hour));
    await workers.write.evict([id, record]);
    assert.equal((await workers.read.statusOf([id])).state, 3);
  });

  it('ends one whose network file is no longer allowed', async () => {
    const { workers, images, govern, id, record } = await load();
    await govern(images, 'revokeConfig', [networkFileId]);
    await workers.write.evict([id, record]);
    assert.equal((await workers.getEvents.WorkerEvicted({ workerId: id }))[0]?.args.cause, 1);
  });

  it('ends one whose machine is refused, and lets none register there', async () => {
    const world = await load();
    const { workers, images, govern, id, record } = world;
    await govern(images, 'blockPlatform', [record.platformId, 'opened']);
    await workers.write.evict([id, record]);
    assert.equal((await workers.getEvents.WorkerEvicted({ workerId: id }))[0]?.args.cause, 3);
    const other = '0x00000000000000000000000000000000000000b2';
    await refused(register(world, id, { signer: other }), 'WorkerRegistryPlatformBlocked', [record.platformId]);
    await govern(images, 'unblockPlatform', [record.platformId]);
    await register(world, id, { signer: other });
    assert.deepEqual(await workers.read.isActiveSigner([other]), [true, id]);
    // A running lease is renewed, and can be evicted all the same; one that has ended is not taken up again.
    await govern(images, 'blockPlatform', [record.platformId, 'opened']);
    await register(world, id, { signer: other });
    const { leaseUntil } = await workers.read.statusOf([id]);
    const snapshot = await networkHelpers.takeSnapshot();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil);
    await refused(register(world, id, { signer: other }), 'WorkerRegistryPlatformBlocked', [record.platformId]);
    await snapshot.restore();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil - 1n);
    await register(world, id, { signer: other });
  });

  it('refuses without a cause, with another record, and twice', async () => {
    const { workers, images, govern, id, record } = await load();
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);
    const forged = { ...record, imageId: toHex(1, { size: 32 }) };
    await refused(workers.write.evict([id, forged]), 'WorkerRegistryRecordMismatch');
    await refused(workers.write.evict([toHex(1, { size: 32 }), record]), 'WorkerRegistryNoLease', [
      toHex(1, { size: 32 }),
      0,
      0,
    ]);
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.evict([id, record]);
    const { leaseUntil } = await workers.read.statusOf([id]);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoLease', [id, 3, leaseUntil]);
  });

  it('ends one whose TCB is no longer accepted under the collateral of now', async () => {
    const { workers, verifier, stranger, id, record } = await load();
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);
    const verdict = { tcbStatus: tcb.outOfDate, tcbEvaluationDataNumber: 18, validUntil: farFuture };
    await verifier.write.script([platformKey, verdict]);
    await workers.write.evict([id, record], { account: stranger.account });
    assert.equal((await workers.getEvents.WorkerEvicted({ workerId: id }))[0]?.args.cause, 2);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [false, id]);
  });

  it('finds no cause in the very data that the policy asks for', async () => {
    const { workers, verifier, govern, id, record } = await load();
    const strict = teePolicy(verifier.address, { minimumTcbEvaluationDataNumber: 17 });
    await govern(workers, 'setTeePolicy', [teeTdx, strict]);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);
  });

  it('ends one whose platform was revoked', async () => {
    const { workers, verifier, id, record } = await load();
    const verdict = { tcbStatus: tcb.revoked, tcbEvaluationDataNumber: 17, validUntil: farFuture };
    await verifier.write.script([platformKey, verdict]);
    await workers.write.evict([id, record]);
    assert.equal((await workers.read.statusOf([id])).state, 3);
  });

  it('ends one that a stricter policy no longer accepts', async () => {
    for (const stricter of [{ acceptedTcbStatuses: 0x04 }, { minimumTcbEvaluationDataNumber: 18 }]) {
      const { workers, verifier, govern, id, record } = await load();
      await govern(workers, 'setTeePolicy', [teeTdx, teePolicy(verifier.address, stricter)]);
      await workers.write.evict([id, record]);
      assert.equal((await workers.getEvents.WorkerEvicted({ workerId: id }))[0]?.args.cause, 2);
    }
  });

  it('finds no cause in collateral that has ended, nor where its type takes no registrations any more', async () => {
    const { workers, verifier, govern, id, record } = await load();
    await verifier.write.script([platformKey, { tcbStatus: 0, tcbEvaluationDataNumber: 0, validUntil: 0n }]);
    await refused(workers.write.evict([id, record]), 'UnsafeScriptedVerifierNoCollateral', [platformKey]);
    await govern(workers, 'setTeePolicy', [teeTdx, teePolicy(zeroAddress)]);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoCause', [id]);
  });

  it('goes by the record of the last registration, which renewals leave as it is', async () => {
    const world = await load();
    await register(world, world.id);
    assert.deepEqual(await lastRecord(world, world.id), world.record);
    await register(world, world.id, { kinds: 0b0011 });
    await world.govern(world.images, 'revoke', [defaultImageId]);
    await refused(world.workers.write.evict([world.id, world.record]), 'WorkerRegistryRecordMismatch');
    await world.workers.write.evict([world.id, await lastRecord(world, world.id)]);
  });

  it('has nothing to end once the lease has lapsed', async () => {
    const { workers, images, govern, id, record } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    const { leaseUntil } = await workers.read.statusOf([id]);
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryNoLease', [id, 2, leaseUntil]);
  });

  it('kills the signer for ever, not the worker', async () => {
    const world = await load();
    const { workers, images, govern, id, record } = world;
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.evict([id, record]);
    const evictedAt = await workers.read.evictionBlockOf([signer]);
    await refused(register(world, id, { signer: signerOf(2).address }), 'WorkerRegistryImageNotAllowed', [
      defaultImageId,
    ]);

    await govern(images, 'allow', [defaultImageId, 0n, farFuture, 'worker 1 again', noRecipe]);
    await refused(register(world, id), 'WorkerRegistrySignerEvicted', [signer, evictedAt]);
    await register(world, id, { signer: signerOf(2).address });
    assert.deepEqual(await workers.read.isActiveSigner([signerOf(2).address]), [true, id]);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [false, id]);
    assert.equal(await workers.read.evictionBlockOf([signer]), evictedAt);
    await refused(register(world, id), 'WorkerRegistrySignerUsed', [signer, id]);
  });
});

describe('WorkerRegistry.retire', () => {
  it('ends a registration by its operator’s wish, who may come back', async () => {
    const world = await load();
    const { workers, operator, id } = world;
    await workers.write.retire([id], { account: operator.account });
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [false, id]);
    assert.equal((await workers.read.statusOf([id])).state, 4);
    assert.deepEqual((await workers.getEvents.WorkerRetired())[0]?.args, { workerId: id, receiptSigner: signer });
    await refused(workers.write.retire([id], { account: operator.account }), 'WorkerRegistryNotActive', [id, 4]);
    await register(world, id);
    assert.deepEqual(await workers.read.isActiveSigner([signer]), [true, id]);
  });

  it('is no way around an eviction', async () => {
    const { workers, images, govern, operator, id, record } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.retire([id], { account: operator.account });
    await workers.write.evict([id, record]);
    assert.notEqual(await workers.read.evictionBlockOf([signer]), 0n);
  });

  it('refuses others, unknown ids and workers that never registered', async () => {
    const world = await load();
    const { workers, operator, stranger, id } = world;
    await refused(workers.write.retire([id], { account: stranger.account }), 'WorkerRegistryCallerNotOperator', [
      stranger.account.address,
      operator.account.address,
    ]);
    const unknown = toHex(1, { size: 32 });
    await refused(workers.write.retire([unknown], { account: operator.account }), 'WorkerRegistryWorkerUnknown', [
      unknown,
    ]);
    const enrolled = await enroll(world);
    await refused(workers.write.retire([enrolled], { account: operator.account }), 'WorkerRegistryNotActive', [
      enrolled,
      1,
    ]);
  });
});
