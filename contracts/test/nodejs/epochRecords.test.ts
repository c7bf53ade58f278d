import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Hex, toHex, zeroHash } from 'viem';
import { deployCommitteeWorld, handOver, join, joinAll, proofOf } from '../support/committeeWorld.ts';
import { deployEpochRecords, endOf, postRecord, recordDigest, recordWith } from '../support/epochRecords.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';
import { refused } from '../support/refused.ts';
import { hour } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(withRecords);

async function withRecords() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  const records = await deployEpochRecords(world);
  await networkHelpers.time.increaseTo(endOf(world, 2n));
  return { ...world, records };
}

describe('EpochRecords', () => {
  it('takes the first record of an epoch that t members signed, and says all of it', async () => {
    const world = await load();
    const { records, workers, stranger } = world;
    const nothing = { exists: false, epoch: 0n, blockNumber: 0n, stake: 0n, directoryRoot: zeroHash, digest: zeroHash };
    assert.deepEqual(await records.read.last(), nothing);
    const record = await recordWith(world, 2n);
    const digest = recordDigest(record, workers.address);
    assert.equal(await records.read.recordDigest([record]), digest);
    const proof = await proofOf(digest, { 0: 1, 2: 3, 3: 4 });
    await records.write.post([record, proof], { account: stranger.account });
    const [event] = await records.getEvents.EpochRecorded({ epoch: 2n });
    assert.deepEqual(event?.args, { epoch: 2n, digest, record });
    assert.equal(await records.read.digestOf([2n]), digest);
    const { blockNumber, directoryRoot, stake } = record;
    const last = { exists: true, epoch: 2n, blockNumber, stake, directoryRoot, digest };
    assert.deepEqual(await records.read.last(), last);
  });

  it('takes no second one, and none of an epoch before; epochs may be left out', async () => {
    const world = await load();
    const { records } = world;
    await postRecord(records, await recordWith(world, 2n));
    await networkHelpers.time.increaseTo(endOf(world, 4n));
    await refused(postRecord(records, await recordWith(world, 2n)), 'EpochRecordsNotNewer', [2n, 2n]);
    await postRecord(records, await recordWith(world, 4n));
    for (const epoch of [0n, 3n, 4n])
      await refused(postRecord(records, await recordWith(world, epoch)), 'EpochRecordsNotNewer', [epoch, 4n]);
    assert.equal(await records.read.digestOf([3n]), zeroHash);
  });

  it('refuses what fewer than t members signed, what was changed since, and the word of others', async () => {
    const world = await load();
    const { records, workers, apps } = world;
    const record = await recordWith(world, 2n);
    const digest = recordDigest(record, workers.address);
    const notSigned = 'EpochRecordsNotSigned';
    const post = (proof: Hex, changed = record) => records.write.post([changed, proof]);
    await refused(postRecord(records, record, { 0: 1, 1: 2 }), notSigned, [digest]);
    await refused(postRecord(records, record, { 0: 1, 1: 2, 2: 9 }), notSigned, [digest]);
    await refused(post('0x'), notSigned);
    const good = await proofOf(digest, { 0: 1, 1: 2, 2: 3 });
    for (const [field, value] of Object.entries(record)) {
      if (['epoch', 'attempt', 'blockNumber', 'blockHash'].includes(field)) continue;
      const other = typeof value === 'string' ? toHex(0xbad, { size: 32 }) : typeof value === 'bigint' ? 9n : 9;
      await refused(post(good, { ...record, [field]: other }), notSigned);
    }
    const ofAnother = recordDigest({ ...record, epoch: 1n }, workers.address);
    await refused(post(await proofOf(ofAnother, { 0: 1, 1: 2, 2: 3 })), notSigned);
    await refused(post(await proofOf(recordDigest(record, workers.address, 1), { 0: 1, 1: 2, 2: 3 })), notSigned);
    await refused(post(await proofOf(recordDigest(record, apps.address), { 0: 1, 1: 2, 2: 3 })), notSigned);
    await post(good);
  });

  it('asks the committee of now', async () => {
    const world = await load();
    const { records } = world;
    await join(world, 0, { seed: 50 });
    for (const index of [1, 2, 3]) await join(world, index);
    await handOver(world, { newSigners: { 0: 50, 1: 2, 2: 3 } });
    await refused(postRecord(records, await recordWith(world, 2n)), 'EpochRecordsNotSigned');
    await postRecord(records, await recordWith(world, 2n), { 0: 50, 1: 2, 2: 3 });
  });

  it('refuses an epoch that is not over, and takes it the second that it is', async () => {
    const world = await load();
    const { records } = world;
    const endsAt = endOf(world, 3n);
    const record = await recordWith(world, 3n);
    await networkHelpers.time.setNextBlockTimestamp(endsAt - 1n);
    await refused(postRecord(records, record), 'EpochRecordsNotOver', [3n, endsAt, endsAt - 1n]);
    await networkHelpers.time.increaseTo(endsAt - 1n);
    await networkHelpers.time.setNextBlockTimestamp(endsAt);
    await postRecord(records, record);
    const far = (1n << 64n) - 1n;
    await refused(postRecord(records, await recordWith(world, far)), 'EpochRecordsNotOver');
  });

  it('takes an epoch until the second before the next one is over, and no longer', async () => {
    const world = await load();
    const { records } = world;
    const nextEndsAt = endOf(world, 3n);
    await networkHelpers.time.increaseTo(nextEndsAt - 2n);
    const record = await recordWith(world, 2n);
    await networkHelpers.time.setNextBlockTimestamp(nextEndsAt);
    await refused(postRecord(records, record), 'EpochRecordsTooLate', [2n, nextEndsAt, nextEndsAt]);
    await networkHelpers.time.setNextBlockTimestamp(nextEndsAt - 1n);
    await postRecord(records, record);
    await networkHelpers.time.increaseTo(endOf(world, 5n));
    await refused(postRecord(records, await recordWith(world, 4n)), 'EpochRecordsTooLate');
    await postRecord(records, await recordWith(world, 5n));
    assert.equal((await records.read.last()).epoch, 5n);
  });

  it('refuses an attempt that can not have begun', async () => {
    const world = await load();
    const { records } = world;
    const endsAt = endOf(world, 2n);
    assert.equal(await records.read.ATTEMPT_SECONDS(), 60n);
    await networkHelpers.time.increaseTo(endsAt + 118n);
    const record = await recordWith(world, 2n, { attempt: 2 });
    await networkHelpers.time.setNextBlockTimestamp(endsAt + 119n);
    await refused(postRecord(records, record), 'EpochRecordsAttemptAhead', [2, 1n]);
    await networkHelpers.time.increaseTo(endsAt + 119n);
    await networkHelpers.time.setNextBlockTimestamp(endsAt + 120n);
    await postRecord(records, record);
  });

  it('refuses another chain’s block, and one that is not there yet; an old one is as good as its signatures', async () => {
    const world = await load();
    const { records, publicClient } = world;
    const good = await recordWith(world, 2n);
    const other = { ...good, blockHash: toHex(0xbad, { size: 32 }) };
    const mismatch = [good.blockNumber, good.blockHash, other.blockHash];
    await refused(postRecord(records, other), 'EpochRecordsBlockMismatch', mismatch);
    const head = await publicClient.getBlockNumber();
    const ahead = { ...good, blockNumber: head + 1n };
    await refused(postRecord(records, ahead), 'EpochRecordsBlockAhead', [head + 1n, head]);
    await networkHelpers.mine(300);
    await postRecord(records, other);
  });

  it('knows the hash of an old block where the chain has its history', async () => {
    const world = await load();
    const { records } = world;
    const good = await recordWith(world, 2n);
    const { address, code } = history2935Code;
    await networkHelpers.mine(300);
    await networkHelpers.setCode(address, code);
    await networkHelpers.setStorageAt(address, slotOf2935(good.blockNumber), good.blockHash);
    const other = { ...good, blockHash: toHex(0xbad, { size: 32 }) };
    await refused(postRecord(records, other), 'EpochRecordsBlockMismatch');
    await postRecord(records, good);
  });

  it('names the app that challenges call: the timelock alone does', async () => {
    const { records, govern, stranger, deployer, timelock } = await load();
    const app = toHex(0xa44, { size: 32 });
    assert.equal(await records.read.challengeApp(), zeroHash);
    for (const { account } of [stranger, deployer])
      await refused(records.write.setChallengeApp([app], { account }), 'GovernedCallerNotTimelock', [
        account.address,
        timelock.address,
      ]);
    await govern(records, 'setChallengeApp', [app]);
    assert.equal(await records.read.challengeApp(), app);
    assert.equal((await records.getEvents.ChallengeAppSet())[0]?.args.app, app);
  });

  it('is built over a committee and a registry, whose clock it has', async () => {
    const { records, viem, timelock, committee, workers, settings, stranger } = await load();
    assert.deepEqual([await records.read.genesis(), await records.read.epochLength()], [settings.genesis, hour]);
    assert.equal((await records.read.committee()).toLowerCase(), committee.address.toLowerCase());
    assert.equal((await records.read.workerRegistry()).toLowerCase(), workers.address.toLowerCase());
    const nobody = stranger.account.address;
    for (const [args, error] of [
      [[timelock.address, nobody, workers.address], 'EpochRecordsWithoutCode'],
      [[timelock.address, committee.address, nobody], 'EpochRecordsWithoutCode'],
      [[nobody, committee.address, workers.address], 'GovernedTimelockWithoutCode'],
    ] as const)
      await refused(viem.deployContract('EpochRecords', [...args]), error, [nobody]);
  });
});
