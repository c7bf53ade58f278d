import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { merkleProof, merkleTree } from '@cloister/core';
import { countedWorkOf, type MeasuredWorker, measuredLeaf } from '@cloister/economics';
import { network } from 'hardhat';
import { deployCommitteeWorld, handOver, joinAll } from '../support/committeeWorld.ts';
import { deployEpochRecords, endOf, postRecord, recordDigest, recordWith } from '../support/epochRecords.ts';
import { refused } from '../support/refused.ts';
import { k, minimumBond, pha, poolTimes } from '../support/stakeWorld.ts';
import { enroll } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(deployed);

/** Two workers of one operator, and records that say what they did. */
async function deployed() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  const { viem, govern, timelock, operator, workers } = world;
  const records = await deployEpochRecords(world);
  const token = await viem.deployContract('PhaToken', [[operator.account.address], [pha('1000')]]);
  const pools = await viem.deployContract('StakePools', [
    { timelock: timelock.address, token: token.address, ...poolTimes },
  ]);
  const bonds = await viem.deployContract('WorkerBonds', [
    timelock.address,
    pools.address,
    workers.address,
    k,
    minimumBond,
  ]);
  const meter = await viem.deployContract('WorkMeter', [records.address, bonds.address]);
  await govern(bonds, 'setMeasurer', [meter.address]);
  const ids = [await enroll(world), await enroll(world)] as const;
  const measured = (index: 0 | 1, changes: Partial<MeasuredWorker> = {}): MeasuredWorker => ({
    workerId: ids[index],
    measuredBy: 3,
    availability: 900_000,
    latencyMs: 20,
    work: 5_000_019n,
    ...changes,
  });
  /** Posts an epoch's record over these, and shows one of them. */
  const make = async (epoch: bigint, ...all: readonly MeasuredWorker[]) => {
    const tree = merkleTree(all.map((one) => measuredLeaf(one)));
    await networkHelpers.time.increaseTo(endOf(world, epoch));
    const record = await recordWith(world, epoch, { measurementsRoot: tree.root });
    await postRecord(records, record);
    const show = (at: number, changes: object = {}, by = operator) =>
      meter.write.show(
        [
          { ...record, ...changes },
          { ...(all[at] as MeasuredWorker), latencyMs: BigInt(all[at]?.latencyMs ?? 0) },
          [...merkleProof(tree, at)],
        ],
        { account: by.account },
      );
    return { record, tree, show };
  };
  const measuredOf = async (index: 0 | 1) => (await bonds.read.statusOf([ids[index]])).measured;
  return { ...world, records, bonds, meter, ids, measured, make, measuredOf };
}

describe('WorkMeter', () => {
  it('takes what a record says of a worker, times its availability', async () => {
    const { make, measured, measuredOf, bonds, ids } = await load();
    const { show } = await make(3n, measured(0), measured(1, { work: 0n }));
    await show(0);
    assert.equal(await measuredOf(0), 4_500_017n);
    assert.equal(countedWorkOf(measured(0)), 4_500_017n);
    assert.equal(await measuredOf(1), 0n);
    assert.equal(await bonds.read.requiredBond([ids[0]]), await bonds.read.bondFor([4_500_017n]));
    await show(1);
    assert.equal(await measuredOf(1), 0n);
    const { show: later } = await make(4n, measured(0, { availability: 1_000_000, work: 10_000n }));
    await later(0);
    assert.equal(await measuredOf(0), 10_000n);
  });

  it('takes as much as bonds take, and no more', async () => {
    const { make, measured, measuredOf, bonds } = await load();
    const { show } = await make(3n, measured(0, { availability: 1_000_000, work: (1n << 128n) - 1n }));
    await show(0);
    assert.equal(await measuredOf(0), await bonds.read.MAX_MEASURED());
    assert.equal(countedWorkOf({ availability: 1_000_000, work: (1n << 128n) - 1n }), await bonds.read.MAX_MEASURED());
  });

  it('is for the worker’s operator alone', async () => {
    const { make, measured, measuredOf, operator, stranger } = await load();
    const { show } = await make(3n, measured(0));
    await refused(show(0, {}, stranger), 'WorkMeterCallerNotOperator', [
      stranger.account.address,
      operator.account.address,
    ]);
    assert.equal(await measuredOf(0), 0n);
  });

  it('refuses what no record says', async () => {
    const { make, measured, meter, operator, records, workers } = await load();
    const { record, tree, show } = await make(3n, measured(0), measured(1));
    const changed = { ...record, measurementsRoot: tree.levels[0]?.[0] ?? '0x' };
    await refused(show(0, changed), 'WorkMeterRecordMismatch', [
      3n,
      recordDigest(record, workers.address),
      await records.read.recordDigest([changed]),
    ]);
    await refused(show(0, { epoch: 4n }), 'WorkMeterRecordMismatch');
    const proof = [...merkleProof(tree, 0)];
    for (const change of [
      { workerId: measured(1).workerId },
      { measuredBy: 4 },
      { availability: 1_000_000 },
      { latencyMs: 21 },
      { work: 6_000_000n },
    ]) {
      const lie = { ...measured(0), ...change };
      const args = [record, { ...lie, latencyMs: BigInt(lie.latencyMs) }, proof] as const;
      await refused(meter.write.show(args, { account: operator.account }), 'WorkMeterNotInRoot', [3n, lie.workerId]);
    }
    // A node of the tree is no leaf, and a proof of another place proves nothing.
    const args = [record, { ...measured(0), latencyMs: 20n }, [...merkleProof(tree, 1)]] as const;
    await refused(meter.write.show(args, { account: operator.account }), 'WorkMeterNotInRoot');
  });

  it('takes records of the last day and none before', async () => {
    const { make, measured, measuredOf } = await load();
    const old = await make(0n, measured(0));
    await make(24n, measured(1));
    await old.show(0);
    assert.equal(await measuredOf(0), 4_500_017n);
    await make(25n, measured(1));
    await refused(old.show(0), 'WorkMeterRecordTooOld', [0n, 25n, 24n]);
  });

  it('stands over contracts, and measures for bonds that name it alone', async () => {
    const { viem, bonds, records, govern, stranger, make, measured } = await load();
    const nobody = stranger.account.address;
    for (const args of [[nobody, bonds.address] as const, [records.address, nobody] as const])
      await refused(viem.deployContract('WorkMeter', [...args]), 'WorkMeterWithoutCode', [nobody]);
    await govern(bonds, 'setMeasurer', [nobody]);
    const { show } = await make(3n, measured(0));
    await refused(show(0), 'WorkerBondsCallerNotMeasurer');
  });
});
