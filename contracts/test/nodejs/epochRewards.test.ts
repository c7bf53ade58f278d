import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { merkleProof, merkleTree } from '@cloister/core';
import { epochEmission, rewardLeaf } from '@cloister/economics';
import { network } from 'hardhat';
import { type Hex, zeroAddress, zeroHash } from 'viem';
import { deployCommitteeWorld, handOver, joinAll } from '../support/committeeWorld.ts';
import { deployEmission, genesisPha } from '../support/emission.ts';
import { endOf, postRecord, recordDigest, recordWith } from '../support/epochRecords.ts';
import { refused } from '../support/refused.ts';
import { hour, signerOf } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const pooled = signerOf(601).address;
const alone = signerOf(602).address;
const greedy = signerOf(603).address;

/** Epochs 0 and 1 award 100, 50 and 30; epoch 2 says 10 and holds a leaf of 11; epoch 3 awards more than its emission. */
async function deployed() {
  const world = await deployCommitteeWorld(connection);
  await joinAll(world);
  await handOver(world);
  const parts = await deployEmission(world);
  const { viem, govern, timelock, stranger } = world;
  const rewards = await viem.deployContract('EpochRewards', [timelock.address, parts.emission.address]);
  const sink = await viem.deployContract('UnsafeFeeSink', [parts.pha.address, pooled]);
  await govern(parts.emission, 'setRewards', [rewards.address]);
  await govern(rewards, 'setFeeSink', [sink.address]);
  await govern(rewards, 'setGuardian', [stranger.account.address]);
  const make = async (epoch: bigint, amounts: readonly bigint[], total?: bigint) => {
    const lines = [pooled, alone, greedy].flatMap((operator, index) =>
      amounts[index] === undefined ? [] : [{ epoch, operator, amount: amounts[index] }],
    );
    const tree = merkleTree(lines.map((line) => rewardLeaf({ ...line, operator: line.operator.toLowerCase() as Hex })));
    const sum = amounts.reduce((left, right) => left + right, 0n);
    await networkHelpers.time.increaseTo(endOf(world, epoch));
    const record = await recordWith(world, epoch, { rewardsRoot: tree.root, rewards: total ?? sum });
    await postRecord(parts.records, record);
    return {
      record,
      tree,
      claims: lines.map((line, at) => [line.operator, line.amount, merkleProof(tree, at)] as const),
    };
  };
  const epochs = [
    await make(0n, [100n, 50n, 30n]),
    await make(1n, [100n, 50n, 30n]),
    await make(2n, [11n], 10n),
    await make(3n, [epochEmission(3n, BigInt(hour), true) + 1n]),
  ];
  const epochOf = (epoch: number) => epochs[epoch] as (typeof epochs)[number];
  const claim = (epoch: number, at: number, inEpoch = epoch) => {
    const [operator, amount, proof] = epochOf(epoch).claims[at] as (typeof epochs)[number]['claims'][number];
    return rewards.write.claim([BigInt(inEpoch), operator, amount, proof]);
  };
  const open = (epoch: number) => rewards.write.open([epochOf(epoch).record]);
  const pass = () => networkHelpers.time.increase(hour);
  return { ...world, ...parts, rewards, sink, epochOf, claim, open, pass };
}

describe('EpochRewards', () => {
  it('pays each once, to its pool or to itself, whatever the order, to the unit', async () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
    ]) {
      const { rewards, sink, pha, open, claim, pass } = await load();
      await open(0);
      assert.equal(await pha.read.balanceOf([rewards.address]), 180n);
      await pass();
      for (const at of order) await claim(0, at);
      for (const at of order) await refused(claim(0, at), 'EpochRewardsAlreadyClaimed');
      assert.equal(await sink.read.feesOf([pooled]), 100n);
      assert.deepEqual([await pha.read.balanceOf([alone]), await pha.read.balanceOf([greedy])], [50n, 30n]);
      assert.equal(await pha.read.balanceOf([rewards.address]), 0n);
      assert.equal((await rewards.read.potOf([0n])).left, 0n);
      assert.equal(await rewards.read.isClaimed([0n, pooled]), true);
    }
  });

  it('opens what was recorded, once, and later epochs first where somebody does so', async () => {
    const { rewards, records, workers, open, epochOf, pha } = await load();
    const { record } = epochOf(0);
    const forged = { ...record, rewards: 181n };
    const digest = recordDigest(record, workers.address);
    const mismatch = [0n, digest, await records.read.recordDigest([forged])];
    await refused(rewards.write.open([forged]), 'EpochRewardsRecordMismatch', mismatch);
    await refused(rewards.write.open([{ ...record, epoch: 9n }]), 'EpochRewardsRecordMismatch');
    await open(1);
    await open(0);
    await refused(open(0), 'EpochRewardsAlreadyOpen', [0n]);
    assert.equal(await pha.read.issuedEver(), genesisPha + 360n);
  });

  it('whose record awards too much leaves a pot that stays empty, and harms no other', async () => {
    const { rewards, open, claim, pass, pha, epochOf } = await load();
    await open(3);
    const [event] = await rewards.getEvents.EpochForfeited();
    assert.deepEqual(event?.args, { epoch: 3n, awarded: epochOf(3).record.rewards });
    assert.equal(await pha.read.issuedEver(), genesisPha);
    assert.equal((await rewards.getEvents.EpochOpened()).length, 0);
    const pot = await rewards.read.potOf([3n]);
    assert.deepEqual([pot.forfeited, pot.left, pot.root], [true, 0n, zeroHash]);
    await refused(open(3), 'EpochRewardsAlreadyOpen', [3n]);
    await open(2);
    await open(0);
    await pass();
    await refused(claim(3, 0), 'EpochRewardsForfeited', [3n]);
    await claim(0, 0);
    assert.equal(await pha.read.balanceOf([rewards.address]), 90n);
  });

  it('is stopped by no pool: what it does not take stays owed, and is handed over once', async () => {
    for (const failure of [1, 2, 3]) {
      const { rewards, sink, pha, open, claim, pass } = await load();
      await open(0);
      await open(1);
      await pass();
      await sink.write.setFailure([failure]);
      await claim(0, 0);
      await claim(1, 0);
      const [event] = await rewards.getEvents.RewardHeld();
      assert.deepEqual(event?.args, { operator: pooled, amount: 100n });
      await refused(claim(0, 0), 'EpochRewardsAlreadyClaimed', [0n, pooled]);
      await claim(0, 1);
      await claim(0, 2);
      // Where even whether there is a pool cannot be asked, nobody is paid past his backers.
      const paid = failure === 1 ? 0n : 50n;
      assert.equal(await pha.read.balanceOf([alone]), paid);
      assert.equal(await rewards.read.owed([alone]), 50n - paid);
      assert.equal(await rewards.read.owed([pooled]), 200n);
      assert.equal(await sink.read.feesOf([pooled]), 0n);
      const collected = rewards.write.collect([pooled]);
      if (failure === 3) await refused(collected, 'EpochRewardsNotTaken', [pooled, 200n]);
      else await assert.rejects(collected);
      await sink.write.setFailure([0]);
      await rewards.write.collect([pooled]);
      assert.equal(await sink.read.feesOf([pooled]), 200n);
      await refused(rewards.write.collect([pooled]), 'EpochRewardsNothingOwed', [pooled]);
      if (failure === 1) for (const operator of [alone, greedy]) await rewards.write.collect([operator]);
      assert.deepEqual(
        [
          await pha.read.balanceOf([alone]),
          await pha.read.balanceOf([greedy]),
          await pha.read.balanceOf([rewards.address]),
        ],
        [50n, 30n, 80n],
      );
    }
  });

  it('hands nothing over that somebody asks for in its name', async () => {
    const { rewards, open, stranger } = await load();
    await open(0);
    await refused(rewards.write.handOver([alone, 50n], { account: stranger.account }), 'EpochRewardsCallerNotSelf', [
      stranger.account.address,
    ]);
  });

  it('says whom it paid, and how', async () => {
    const { rewards, open, claim, pass } = await load();
    await open(0);
    await pass();
    for (const [at, operator, amount, toPool] of [
      [0, pooled, 100n, true],
      [1, alone, 50n, false],
    ] as const) {
      await claim(0, at);
      assert.deepEqual((await rewards.getEvents.RewardClaimed())[0]?.args, { epoch: 0n, operator, amount });
      assert.deepEqual((await rewards.getEvents.RewardPaid())[0]?.args, { operator, amount, toPool });
    }
  });

  it('pays an epoch later, to the second', async () => {
    const { rewards, open, claim } = await load();
    await refused(claim(0, 0), 'EpochRewardsNotOpen', [0n]);
    await open(0);
    const { claimableAt } = await rewards.read.potOf([0n]);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt - 1n);
    await refused(claim(0, 0), 'EpochRewardsNotClaimable', [0n, claimableAt, claimableAt - 1n]);
    await networkHelpers.time.increaseTo(claimableAt - 1n);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt);
    await claim(0, 0);
  });

  it('pays no other leaf, none of another epoch, no node, and never out of another pot', async () => {
    const { rewards, pha, open, claim, pass, epochOf } = await load();
    for (const epoch of [0, 1, 2]) await open(epoch);
    await pass();
    const [operator, amount, proof] = epochOf(0).claims[0] ?? [alone, 0n, []];
    const notInRoot = 'EpochRewardsNotInRoot';
    await refused(rewards.write.claim([0n, operator, amount + 1n, proof]), notInRoot, [0n, operator, amount + 1n]);
    await refused(rewards.write.claim([0n, alone, amount, proof]), notInRoot);
    await refused(rewards.write.claim([0n, operator, amount, []]), notInRoot);
    await refused(rewards.write.claim([0n, operator, amount, proof.slice(1)]), notInRoot);
    await refused(claim(0, 0, 1), notInRoot);
    await refused(claim(2, 0), 'EpochRewardsPotExceeded', [2n, 11n, 10n]);
    assert.equal(await pha.read.balanceOf([rewards.address]), 370n);
  });

  it('pays many at once, and passes over what it would refuse', async () => {
    const { rewards, sink, pha, open, claim, pass, epochOf } = await load();
    for (const epoch of [0, 1, 2]) await open(epoch);
    await pass();
    await claim(0, 1);
    const of = (epoch: number, at: number) => {
      const [operator, amount, proof] = epochOf(epoch).claims[at] ?? [alone, 0n, []];
      return { operator, amount, proof };
    };
    const [first, second, third] = [of(0, 0), of(0, 1), of(0, 2)];
    const bad = [
      { ...first, amount: 101n },
      { ...third, operator: alone },
      { ...first, proof: third.proof },
      { ...third, proof: [] },
      of(1, 0),
    ];
    // The second was claimed before, and the first stands there twice.
    const all = [...bad, second, first, first, third];
    const { result } = await rewards.simulate.claimMany([0n, all]);
    assert.equal(result, 2n);
    await rewards.write.claimMany([0n, all]);
    assert.deepEqual(
      (await rewards.getEvents.RewardClaimed()).map(({ args }) => args),
      [first, third].map(({ operator, amount }) => ({ epoch: 0n, operator, amount })),
    );
    assert.equal(await sink.read.feesOf([pooled]), 100n);
    assert.deepEqual([await pha.read.balanceOf([alone]), await pha.read.balanceOf([greedy])], [50n, 30n]);
    assert.deepEqual([(await rewards.read.potOf([0n])).left, (await rewards.read.potOf([1n])).left], [0n, 180n]);
    // More than the pot has: nothing, and no other pot is touched.
    await rewards.write.claimMany([2n, [of(2, 0)]]);
    assert.equal(await rewards.read.isClaimed([2n, pooled]), false);
    assert.equal(await pha.read.balanceOf([rewards.address]), 190n);
  });

  it('keeps nobody waiting for a pool that takes nothing, of many at once', async () => {
    const { rewards, sink, pha, open, pass, epochOf } = await load();
    await open(0);
    await pass();
    await sink.write.setFailure([2]);
    const all = epochOf(0).claims.map(([operator, amount, proof]) => ({ operator, amount, proof }));
    await rewards.write.claimMany([0n, all]);
    assert.equal(await rewards.read.owed([pooled]), 100n);
    assert.deepEqual([await pha.read.balanceOf([alone]), await pha.read.balanceOf([greedy])], [50n, 30n]);
  });

  it('pays many at once as one alone: not before its time, nothing of a blocked or empty pot, and 128 at most', async () => {
    const { rewards, open, pass, epochOf, stranger } = await load();
    const all = epochOf(0).claims.map(([operator, amount, proof]) => ({ operator, amount, proof }));
    await refused(rewards.write.claimMany([0n, all]), 'EpochRewardsNotOpen', [0n]);
    for (const epoch of [0, 1, 3]) await open(epoch);
    const { claimableAt } = await rewards.read.potOf([0n]);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt - 1n);
    const early = [0n, claimableAt, claimableAt - 1n];
    await refused(rewards.write.claimMany([0n, all]), 'EpochRewardsNotClaimable', early);
    await rewards.write.blockEpoch([1n], { account: stranger.account });
    await pass();
    await refused(rewards.write.claimMany([1n, all]), 'EpochRewardsBlocked', [1n]);
    await refused(rewards.write.claimMany([3n, all]), 'EpochRewardsForfeited', [3n]);
    const empty = { operator: alone, amount: 1n, proof: [] };
    for (const length of [0, 129]) {
      const call = rewards.write.claimMany([0n, Array.from({ length }, () => empty)]);
      await refused(call, 'EpochRewardsBatchOutOfRange', [length, 128n]);
    }
    await rewards.write.claimMany([0n, [...Array.from({ length: 125 }, () => empty), ...all]]);
    assert.equal((await rewards.read.potOf([0n])).left, 0n);
  });

  it('is blocked by guardian or timelock within the window, lifted by the timelock alone', async () => {
    const { rewards, open, claim, pass, govern, stranger, deployer, timelock } = await load();
    const asGuardian = { account: stranger.account };
    await refused(rewards.write.blockEpoch([0n], asGuardian), 'EpochRewardsNotOpen', [0n]);
    await open(0);
    await open(1);
    await refused(rewards.write.blockEpoch([0n]), 'EpochRewardsCallerMayNotBlock', [deployer.account.address]);
    await rewards.write.blockEpoch([0n], asGuardian);
    await refused(rewards.write.blockEpoch([0n], asGuardian), 'EpochRewardsBlocked', [0n]);
    await govern(rewards, 'blockEpoch', [1n]);
    await pass();
    await refused(claim(0, 0), 'EpochRewardsBlocked', [0n]);
    await refused(rewards.write.lift([0n], asGuardian), 'GovernedCallerNotTimelock', [
      stranger.account.address,
      timelock.address,
    ]);
    await govern(rewards, 'lift', [0n]);
    await refused(govern(rewards, 'lift', [0n]), 'EpochRewardsNotBlocked', [0n]);
    await claim(0, 0);
    await refused(rewards.write.blockEpoch([0n], asGuardian), 'EpochRewardsWindowOver');
  });

  it('can be blocked until the second before claims begin', async () => {
    const { rewards, open, stranger } = await load();
    const asGuardian = { account: stranger.account };
    await open(0);
    const { claimableAt } = await rewards.read.potOf([0n]);
    await networkHelpers.time.increaseTo(claimableAt - 2n);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt);
    const over = [0n, claimableAt, claimableAt];
    await refused(rewards.write.blockEpoch([0n], asGuardian), 'EpochRewardsWindowOver', over);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt - 1n);
    await rewards.write.blockEpoch([0n], asGuardian);
  });

  it('burns a voided pot, which is never issued anew', async () => {
    const { rewards, pha, open, claim, pass, govern, stranger } = await load();
    await open(0);
    await open(1);
    await refused(govern(rewards, 'voidEpoch', [0n]), 'EpochRewardsNotBlocked', [0n]);
    await rewards.write.blockEpoch([0n], { account: stranger.account });
    await govern(rewards, 'voidEpoch', [0n]);
    assert.equal(await pha.read.balanceOf([rewards.address]), 180n);
    assert.equal(await pha.read.totalSupply(), genesisPha + 180n);
    await refused(open(0), 'EpochRewardsAlreadyOpen');
    await pass();
    await govern(rewards, 'lift', [0n]);
    await refused(claim(0, 0), 'EpochRewardsPotExceeded', [0n, 100n, 0n]);
    await claim(1, 0);
  });

  it('pays operators where there are no pools; the timelock alone sets anything', async () => {
    const { rewards, viem, pha, timelock, open, claim, pass, govern, deployer, stranger } = await load();
    await govern(rewards, 'setFeeSink', [zeroAddress]);
    await open(0);
    await pass();
    await claim(0, 0);
    assert.equal(await pha.read.balanceOf([pooled]), 100n);
    const args = [deployer.account.address, timelock.address];
    for (const call of [
      rewards.write.setGuardian([alone]),
      rewards.write.setFeeSink([alone]),
      rewards.write.voidEpoch([0n]),
    ])
      await refused(call, 'GovernedCallerNotTimelock', args);
    const nobody = stranger.account.address;
    const built = viem.deployContract('EpochRewards', [timelock.address, nobody]);
    await refused(built, 'EpochRewardsWithoutCode', [nobody]);
  });
});
