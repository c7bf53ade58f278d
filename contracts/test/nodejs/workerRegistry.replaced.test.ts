import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { encodeAbiParameters, getAddress, keccak256, sliceHex, toHex, zeroAddress } from 'viem';
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
const load = () => networkHelpers.loadFixture(withReplacedSigner);
const [first, second, third] = [signerOf(1).address, signerOf(2).address, signerOf(3).address] as const;
const nothing = [toHex(0, { size: 27 }), 0n];
/** Another image, allowed like the first. */
const nextImageId = toHex(0x2a, { size: 32 });

/** A worker that restarted under another image: its first signer was replaced an hour into a lease of six. */
async function withReplacedSigner() {
  const world = await deployWorld(connection);
  const id = await enroll(world);
  await register(world, id);
  const record = await lastRecord(world, id);
  const { leaseUntil } = await world.workers.read.statusOf([id]);
  await world.govern(world.images, 'allow', [nextImageId, 0n, farFuture, 'worker 2', noRecipe]);
  await networkHelpers.time.increase(hour);
  await register(world, id, { signer: second, claims: { imageId: nextImageId } });
  const hash = keccak256(encodeAbiParameters([recordParameterOf(world)], [record]));
  return { ...world, id, record, leaseUntil, kept: sliceHex(hash, 0, 27) };
}

function recordParameterOf({ workers }: Awaited<ReturnType<typeof deployWorld>>) {
  const evict = workers.abi.find((item) => item.type === 'function' && item.name === 'evictReplaced');
  const parameter = evict?.type === 'function' ? evict.inputs[0] : undefined;
  if (parameter === undefined) throw new Error('Expected "evictReplaced" in the ABI of WorkerRegistry');
  return parameter;
}

describe('WorkerRegistry.evictReplaced', () => {
  it('lets anyone evict a replaced signer whose image is no longer allowed; the worker itself goes on', async () => {
    const { workers, images, stranger, publicClient, govern, id, record, leaseUntil, kept } = await load();
    assert.deepEqual(await workers.read.replacedSignerOf([first]), [kept, leaseUntil]);
    await govern(images, 'revoke', [defaultImageId]);
    const before = await workers.read.statusOf([id]);
    await workers.write.evictReplaced([record], { account: stranger.account });

    assert.equal(await workers.read.evictionBlockOf([first]), await publicClient.getBlockNumber());
    const events = await workers.getEvents.ReplacedSignerEvicted({ workerId: id });
    assert.deepEqual(
      events.map(({ args }) => args),
      [{ workerId: id, receiptSigner: first, cause: 0, evictedBy: getAddress(stranger.account.address) }],
    );
    assert.deepEqual(await workers.read.replacedSignerOf([first]), nothing);
    assert.deepEqual(await workers.read.statusOf([id]), before);
    assert.deepEqual(await workers.read.isActiveSigner([second]), [true, id]);
    assert.equal(await workers.read.evictionBlockOf([second]), 0n);
    assert.deepEqual(await workers.getEvents.WorkerEvicted({ workerId: id }), []);
  });

  it('evicts for each cause that evict knows', async () => {
    const causes: ((world: Awaited<ReturnType<typeof load>>) => Promise<unknown>)[] = [
      ({ images, govern }) => govern(images, 'revoke', [defaultImageId]),
      ({ images, govern }) => govern(images, 'revokeConfig', [networkFileId]),
      ({ verifier }) =>
        verifier.write.script([
          platformKey,
          { tcbStatus: tcb.revoked, tcbEvaluationDataNumber: 17, validUntil: farFuture },
        ]),
      ({ workers, verifier, govern }) =>
        govern(workers, 'setTeePolicy', [teeTdx, teePolicy(verifier.address, { minimumTcbEvaluationDataNumber: 18 })]),
    ];
    for (const [at, arrange] of causes.entries()) {
      const world = await load();
      await arrange(world);
      await world.workers.write.evictReplaced([world.record]);
      const events = await world.workers.getEvents.ReplacedSignerEvicted({ workerId: world.id });
      assert.equal(events[0]?.args.cause, Math.min(at, 2));
    }
  });

  it('refuses without a cause, and another record', async () => {
    const world = await load();
    const { workers, images, govern, id, record, kept } = world;
    await refused(workers.write.evictReplaced([record]), 'WorkerRegistryNoCause', [id]);

    await govern(images, 'revoke', [defaultImageId]);
    const forged = { ...record, platformId: toHex(1, { size: 32 }) };
    const given = sliceHex(keccak256(encodeAbiParameters([recordParameterOf(world)], [forged])), 0, 27);
    await refused(workers.write.evictReplaced([forged]), 'WorkerRegistryRecordMismatch', [
      id,
      `${kept}0000000000`,
      `${given}0000000000`,
    ]);
    await refused(
      workers.write.evictReplaced([{ ...(await lastRecord(world, id)), receiptSigner: first }]),
      'WorkerRegistryRecordMismatch',
    );
    assert.equal(await workers.read.evictionBlockOf([first]), 0n);
  });

  it('refuses to name a bad image against a signer that ran an allowed one', async () => {
    const { workers, images, govern, id, record } = await load();
    await govern(images, 'revoke', [nextImageId]);
    await refused(workers.write.evictReplaced([record]), 'WorkerRegistryNoCause', [id]);
    await refused(workers.write.evictReplaced([{ ...record, imageId: nextImageId }]), 'WorkerRegistryRecordMismatch');
  });

  it('refuses the present signer, which evict is for, and a signer that nobody ever had', async () => {
    const world = await load();
    const { workers, images, govern, id } = world;
    await govern(images, 'revoke', [nextImageId]);
    const present = await lastRecord(world, id);
    assert.equal(getAddress(present.receiptSigner), getAddress(second));
    await refused(workers.write.evictReplaced([present]), 'WorkerRegistrySignerNotReplaced', [second, 0n]);
    for (const receiptSigner of [third, zeroAddress])
      await refused(workers.write.evictReplaced([{ ...present, receiptSigner }]), 'WorkerRegistrySignerNotReplaced', [
        receiptSigner,
        0n,
      ]);
    await workers.write.evict([id, present]);
  });

  it('evict keeps to the present record: that of a replaced signer is none', async () => {
    const { workers, images, govern, id, record } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    await refused(workers.write.evict([id, record]), 'WorkerRegistryRecordMismatch');
  });

  it('evicts once, and the first block stands', async () => {
    const { workers, images, govern, record } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.evictReplaced([record]);
    const evictedAt = await workers.read.evictionBlockOf([first]);
    await refused(workers.write.evictReplaced([record]), 'WorkerRegistrySignerNotReplaced', [first, evictedAt]);
    assert.equal(await workers.read.evictionBlockOf([first]), evictedAt);
  });

  it('ends with the lease that the signer had', async () => {
    const { workers, images, govern, record, leaseUntil } = await load();
    await govern(images, 'revoke', [defaultImageId]);
    const snapshot = await networkHelpers.takeSnapshot();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil);
    await refused(workers.write.evictReplaced([record]), 'WorkerRegistryReplacedLeaseEnded', [first, leaseUntil]);
    await snapshot.restore();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil - 1n);
    await workers.write.evictReplaced([record]);
  });

  it('keeps each of several replaced signers apart', async () => {
    const world = await load();
    const { workers, images, govern, id, record } = world;
    const ofSecond = await lastRecord(world, id);
    await register(world, id, { signer: third, claims: { imageId: nextImageId } });
    await govern(images, 'revoke', [defaultImageId]);
    await refused(workers.write.evictReplaced([ofSecond]), 'WorkerRegistryNoCause', [id]);
    await workers.write.evictReplaced([record]);
    await govern(images, 'revoke', [nextImageId]);
    await workers.write.evictReplaced([ofSecond]);
    for (const signer of [first, second]) assert.notEqual(await workers.read.evictionBlockOf([signer]), 0n);
    assert.deepEqual(await workers.read.isActiveSigner([third]), [true, id]);
  });

  it('keeps a signer that was replaced in its last second, and none in the second in which its lease ended', async () => {
    const world = await deployWorld(connection);
    const id = await enroll(world);
    await register(world, id);
    const { leaseUntil } = await world.workers.read.statusOf([id]);
    const snapshot = await networkHelpers.takeSnapshot();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil - 1n);
    await register(world, id, { signer: second });
    assert.equal((await world.workers.read.replacedSignerOf([first]))[1], leaseUntil);
    await snapshot.restore();
    await networkHelpers.time.setNextBlockTimestamp(leaseUntil);
    await register(world, id, { signer: second });
    assert.deepEqual(await world.workers.read.replacedSignerOf([first]), nothing);
  });

  it('reaches a signer that left before it was replaced', async () => {
    const world = await deployWorld(connection);
    const { workers, images, operator, govern } = world;
    const id = await enroll(world);
    await register(world, id);
    const record = await lastRecord(world, id);
    await workers.write.retire([id], { account: operator.account });
    await register(world, id, { signer: second });
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.evictReplaced([record]);
    assert.notEqual(await workers.read.evictionBlockOf([first]), 0n);
  });

  it('keeps nothing of a signer that was evicted before, nor of one whose lease had ended, nor at a renewal', async () => {
    const world = await load();
    const { workers, images, govern, id } = world;
    await register(world, id, { signer: second, claims: { imageId: nextImageId } });
    await register(world, id, { signer: second, kinds: 0b0011, claims: { imageId: nextImageId } });
    assert.deepEqual(await workers.read.replacedSignerOf([second]), nothing);

    const snapshot = await networkHelpers.takeSnapshot();
    await govern(images, 'revoke', [nextImageId]);
    const evicted = await lastRecord(world, id);
    await workers.write.evict([id, evicted]);
    const evictedAt = await workers.read.evictionBlockOf([second]);
    await register(world, id, { signer: third });
    assert.deepEqual(await workers.read.replacedSignerOf([second]), nothing);
    await refused(workers.write.evictReplaced([evicted]), 'WorkerRegistrySignerNotReplaced', [second, evictedAt]);

    await snapshot.restore();
    const { leaseUntil } = await workers.read.statusOf([id]);
    await networkHelpers.time.increaseTo(leaseUntil);
    await register(world, id, { signer: third });
    assert.deepEqual(await workers.read.replacedSignerOf([second]), nothing);
  });
});
