import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Hex, toHex, zeroAddress } from 'viem';
import { refused } from '../support/refused.ts';
import {
  ask,
  claim,
  conserved,
  day,
  deployPoolWorld,
  deployStakeWorld,
  k,
  minimumBond,
  pha,
  phaShares,
  stake,
  startWorkers,
} from '../support/stakeWorld.ts';
import { enroll } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const { time } = networkHelpers;
const load = () => networkHelpers.loadFixture(withBonds);

/** Pools, bonds, and the test's own account in the place of Slashing's contract. */
async function withBonds() {
  return deployStakeWorld(connection);
}

async function measured() {
  const world = await withBonds();
  await world.govern(world.bonds, 'setMeasurer', [world.stranger.account.address]);
  return world;
}

const stopped = 2;
const noWorker = toHex(0xdead, { size: 32 });

describe('WorkerBonds: the rule', () => {
  it('is k·√P rounded up, at least the minimum', async () => {
    const { bonds } = await load();
    assert.deepEqual([await bonds.read.k(), await bonds.read.minimumBond()], [k, minimumBond]);
    const bondFor = (work: bigint) => bonds.read.bondFor([work]);
    assert.equal(await bondFor(0n), minimumBond);
    assert.equal(await bondFor(100n), minimumBond);
    assert.equal(await bondFor(400n), pha('200'));
    // √101 with 18 decimals rounded up, times 10.
    assert.equal(await bondFor(101n), 100_498_756_211_208_902_710n);
    assert.equal(await bondFor(10n ** 18n), pha('10') * 10n ** 9n);
    await refused(bondFor(10n ** 18n + 1n), 'WorkerBondsMeasureOutOfRange', [10n ** 18n + 1n, 10n ** 18n]);
  });

  it('is set by the timelock within bounds, as are registry and measurer; Slashing once', async () => {
    const { bonds, pools, workers, slashing, timelock, govern, viem, operator, deployer } = await load();
    for (const { account } of [operator, deployer])
      for (const call of [
        () => bonds.write.setBondRule([1n, 1n], { account }),
        () => bonds.write.setMeasurer([account.address], { account }),
        () => bonds.write.setRegistry([workers.address], { account }),
        () => bonds.write.setSlashing([slashing.address], { account }),
      ])
        await refused(call(), 'GovernedCallerNotTimelock', [account.address, timelock.address]);
    const out = 'WorkerBondsRuleOutOfRange';
    const maxK = pha('10000');
    await refused(govern(bonds, 'setBondRule', [maxK + 1n, 1n]), out, [maxK + 1n, 0n, maxK]);
    const most = pha('1000000');
    for (const minimum of [0n, most + 1n])
      await refused(govern(bonds, 'setBondRule', [maxK, minimum]), out, [minimum, 1n, most]);
    await govern(bonds, 'setBondRule', [maxK, most]);
    await refused(govern(bonds, 'setSlashing', [slashing.address]), 'WorkerBondsSlashingSet', [slashing.address]);
    const without = 'WorkerBondsWithoutCode';
    await refused(govern(bonds, 'setRegistry', [zeroAddress]), without, [zeroAddress]);
    await govern(bonds, 'setRegistry', [workers.address]);
    const deploy = (at: Hex, registry: Hex) =>
      viem.deployContract('WorkerBonds', [timelock.address, at, registry, k, minimumBond]);
    await refused(deploy(zeroAddress, workers.address), without, [zeroAddress]);
    await refused(deploy(pools.address, zeroAddress), without, [zeroAddress]);
    const fresh = await deploy(pools.address, workers.address);
    await refused(govern(fresh, 'setSlashing', [zeroAddress]), without, [zeroAddress]);
  });
});

describe('WorkerBonds: workers', () => {
  it('start with a bond of the operator’s pool, stop, and come free after the time', async () => {
    const world = await load();
    const { bonds, pools, pool, operator, stranger } = world;
    const [workerId] = await startWorkers(world, 1);
    assert(workerId !== undefined);
    assert.equal(await bonds.read.isRunning([workerId]), true);
    assert.equal(await bonds.read.bondOf([workerId]), minimumBond);
    assert.equal((await pools.read.poolOf([pool])).reserved, minimumBond);
    const { account } = operator;
    await refused(bonds.write.start([workerId], { account }), 'WorkerBondsNotFree', [workerId, 1, 0]);
    await refused(bonds.write.release([workerId]), 'WorkerBondsNotFree', [workerId, 1, 0]);
    await refused(bonds.write.stop([workerId], { account: stranger.account }), 'WorkerBondsCallerNotOperator', [
      stranger.account.address,
      pool,
    ]);
    await bonds.write.stop([workerId], { account });
    const freeAt = (await time.latest()) + 7 * day;
    assert.equal(await bonds.read.isRunning([workerId]), false);
    await refused(bonds.write.stop([workerId], { account }), 'WorkerBondsNotRunning', [workerId, stopped]);
    await refused(bonds.write.refresh([workerId]), 'WorkerBondsNotRunning', [workerId, stopped]);
    await time.increaseTo(freeAt - 3);
    assert.equal(await bonds.read.bondOf([workerId]), minimumBond);
    await refused(bonds.write.release([workerId]), 'WorkerBondsNotFree', [workerId, stopped, freeAt]);
    await refused(bonds.write.start([workerId], { account }), 'WorkerBondsNotFree', [workerId, stopped, freeAt]);
    await time.increaseTo(freeAt - 1);
    await time.increaseTo(freeAt);
    assert.equal(await bonds.read.bondOf([workerId]), 0n);
    assert.equal((await pools.read.poolOf([pool])).reserved, minimumBond);
    await time.setNextBlockTimestamp(freeAt + 1);
    await bonds.write.release([workerId], { account: stranger.account });
    assert.equal((await pools.read.poolOf([pool])).reserved, 0n);
    await bonds.write.start([workerId], { account });
    await bonds.write.stop([workerId], { account });
    await time.setNextBlockTimestamp((await time.latest()) + 7 * day);
    // Starting anew frees it as well, the same second.
    await bonds.write.start([workerId], { account });
    assert.equal((await pools.read.poolOf([pool])).reserved, minimumBond);
    assert.equal((await bonds.read.statusOf([workerId])).freeAt, 0);
  });

  it('are their operator’s, whose pool must have the stake and enough of its own', async () => {
    const world = await load();
    const { bonds, pools, pool, operator, otherOperator, alice, govern } = world;
    const workerId = await enroll(world);
    const other = otherOperator.account;
    await refused(bonds.write.start([workerId], { account: other }), 'WorkerBondsCallerNotOperator', [
      other.address,
      pool,
    ]);
    await refused(bonds.write.start([noWorker], { account: other }), 'WorkerBondsCallerNotOperator', [
      other.address,
      zeroAddress,
    ]);
    const theirs = await enroll(world, otherOperator);
    await refused(bonds.write.start([theirs], { account: other }), 'StakePoolsPoolUnknown', [other.address]);
    await pools.write.createPool([0, pha('1000'), false], { account: other });
    await refused(bonds.write.start([theirs], { account: other }), 'StakePoolsTooLittleStake', [
      other.address,
      0n,
      minimumBond,
    ]);
    await pools.write.deposit([other.address, minimumBond, alice.account.address], { account: alice.account });
    await refused(bonds.write.start([theirs], { account: other }), 'StakePoolsOwnStakeTooSmall', [
      other.address,
      0n,
      minimumBond / 10n,
    ]);
    await govern(bonds, 'setBondRule', [k, pha('3001')]);
    await refused(bonds.write.start([workerId], { account: operator.account }), 'StakePoolsTooLittleStake');
  });

  it('at most 200 of a pool', async () => {
    const world = await load();
    const { bonds, pool, operator, govern } = world;
    await govern(bonds, 'setBondRule', [0n, 1n]);
    await startWorkers(world, 200);
    assert.equal((await bonds.read.runningOf([pool]))[0], 200n);
    const workerId = await enroll(world);
    await refused(bonds.write.start([workerId], { account: operator.account }), 'WorkerBondsFull', [pool, 200n]);
  });

  it('keep the order of their starts, whoever stops', async () => {
    const world = await load();
    const { bonds, pool, operator } = world;
    const ids = await startWorkers(world, 4);
    const order = async () => {
      const seen: Hex[] = [];
      let [, , at] = await bonds.read.runningOf([pool]);
      while (BigInt(at) !== 0n) {
        seen.unshift(at);
        at = (await bonds.read.statusOf([at])).older;
      }
      return seen.map((id) => ids.indexOf(id));
    };
    const stop = (index: number) => bonds.write.stop([ids[index] as Hex], { account: operator.account });
    assert.deepEqual(await order(), [0, 1, 2, 3]);
    await stop(1);
    assert.deepEqual(await order(), [0, 2, 3]);
    await stop(3);
    assert.deepEqual(await order(), [0, 2]);
    await stop(0);
    assert.deepEqual(await order(), [2]);
    await stop(2);
    assert.deepEqual(await order(), []);
    assert.deepEqual((await bonds.read.runningOf([pool])).slice(0, 2), [0n, 0n]);
  });
});

describe('WorkerBonds: measured work', () => {
  it('comes from the measurer alone, and counts from the next start or refresh', async () => {
    const world = await networkHelpers.loadFixture(measured);
    const { bonds, pools, pool, operator, stranger } = world;
    const [workerId] = await startWorkers(world, 1);
    assert(workerId !== undefined);
    const as = { account: stranger.account };
    const { account } = operator;
    await refused(bonds.write.setMeasured([workerId, 400n], { account }), 'WorkerBondsCallerNotMeasurer', [
      account.address,
      stranger.account.address,
    ]);
    const most = 10n ** 18n;
    await refused(bonds.write.setMeasured([workerId, most + 1n], as), 'WorkerBondsMeasureOutOfRange', [
      most + 1n,
      most,
    ]);
    await refused(bonds.write.refresh([workerId]), 'WorkerBondsBondSuffices', [workerId, minimumBond]);
    await bonds.write.setMeasured([workerId, most], as);
    await bonds.write.setMeasured([workerId, 400n], as);
    assert.equal(await bonds.read.requiredBond([workerId]), pha('200'));
    assert.equal(await bonds.read.bondOf([workerId]), minimumBond);
    await bonds.write.refresh([workerId]);
    assert.equal(await bonds.read.bondOf([workerId]), pha('200'));
    assert.equal((await pools.read.poolOf([pool])).reserved, pha('200'));
    assert.equal((await bonds.read.runningOf([pool]))[1], pha('200'));
    // Less work leaves the bond as it is until the worker starts anew.
    await bonds.write.setMeasured([workerId, 1n], as);
    await refused(bonds.write.refresh([workerId]), 'WorkerBondsBondSuffices', [workerId, pha('200')]);
    await bonds.write.stop([workerId], { account });
    await time.increase(7 * day);
    await bonds.write.start([workerId], { account });
    assert.equal(await bonds.read.bondOf([workerId]), minimumBond);
  });

  it('a worker whose pool does not cover what it does now stops', async () => {
    const world = await networkHelpers.loadFixture(measured);
    const { bonds, pool, stranger } = world;
    const [older, newer] = await startWorkers(world, 2);
    assert(older !== undefined && newer !== undefined);
    await bonds.write.setMeasured([older, 1_000_000n], { account: stranger.account });
    await bonds.write.refresh([older]);
    assert.equal(await bonds.read.isRunning([older]), false);
    assert.equal(await bonds.read.isRunning([newer]), true);
    assert.equal(await bonds.read.bondOf([older]), minimumBond);
    assert.deepEqual((await bonds.read.runningOf([pool])).slice(0, 2), [1n, minimumBond]);
  });
});

describe('WorkerBonds: who stops workers', () => {
  it('anyone, of a pool whose own stake went, newest first and as many as needed', async () => {
    const world = await load();
    const { bonds, pools, pool, govern, operator } = world;
    await govern(bonds, 'setBondRule', [0n, pha('1000')]);
    const ids = await startWorkers(world, 3);
    await refused(bonds.write.stopUncovered([pool]), 'WorkerBondsCovered', [pool, pha('3000'), pha('3000') + 4n]);
    await govern(pools, 'setOwnStakeShare', [4000]);
    // 1,000 of its own suffice for 2,500.
    await bonds.write.stopUncovered([pool]);
    const running = () => Promise.all(ids.map((id) => bonds.read.isRunning([id])));
    assert.deepEqual(await running(), [true, true, false]);
    await ask(world, operator, phaShares('590'));
    await time.increase(7 * day);
    // What the operator asked back stays until it could be claimed, and that it cannot while bonds need it.
    await refused(claim(world, operator, 0n), 'StakePoolsNotServed');
    await refused(bonds.write.stopUncovered([pool]), 'WorkerBondsCovered', [pool, pha('2000'), pha('2500') + 10n]);
    await bonds.write.forceStop([pool, 0n]);
    assert.deepEqual(await running(), [true, false, false]);
    await time.increase(7 * day);
    for (const id of ids.slice(1)) await bonds.write.release([id as Hex]);
    assert.equal(await claim(world, operator, 0n), pha('590'));
    await conserved(world);
  });

  it('not where bonds need exactly what covers them', async () => {
    const world = await load();
    const { bonds, pools, pool, govern } = world;
    const bond = pha('1250') + 5n;
    await govern(bonds, 'setBondRule', [0n, bond]);
    await startWorkers(world, 2);
    await govern(pools, 'setOwnStakeShare', [4000]);
    await refused(bonds.write.stopUncovered([pool]), 'WorkerBondsCovered', [pool, 2n * bond, 2n * bond]);
  });

  it('to the second: a request is overdue, and a bond free', async () => {
    const world = await load();
    const { bonds, pools, pool, govern, alice } = world;
    await govern(bonds, 'setBondRule', [0n, pha('1500')]);
    const [workerId] = await startWorkers(world, 2);
    assert(workerId !== undefined);
    const requestId = await ask(world, alice, phaShares('2000'));
    const { requestedAt } = await pools.read.requestOf([pool, requestId]);
    await time.setNextBlockTimestamp(requestedAt + 7 * day);
    await bonds.write.forceStop([pool, requestId]);
    const { freeAt } = await bonds.read.statusOf([workerId]);
    await time.setNextBlockTimestamp(freeAt);
    await bonds.write.release([workerId]);
  });

  it('nobody is kept from leaving: at most twice the time, though all stake is bonds and everybody leaves', async () => {
    const world = await load();
    const { bonds, pools, pool, govern, alice, bob, operator, stranger } = world;
    await govern(bonds, 'setBondRule', [0n, pha('100')]);
    await stake(world, bob, '200');
    const ids = await startWorkers(world, 32);
    assert.equal(await pools.read.canReserve([pool, 1n]), false);
    const asked = await time.latest();
    const first = await ask(world, alice, phaShares('2000'));
    const own = await ask(world, operator, phaShares('1000'));
    const last = await ask(world, bob, phaShares('200'));
    const overdueAt = (await pools.read.requestOf([pool, first])).requestedAt + 7 * day;
    await time.setNextBlockTimestamp(overdueAt - 1);
    await refused(bonds.write.forceStop([pool, first]), 'WorkerBondsNotOverdue', [
      pool,
      first,
      overdueAt,
      overdueAt - 1,
    ]);
    await time.increaseTo(overdueAt + 2);
    await refused(claim(world, alice, first), 'StakePoolsNotServed');
    const as = { account: stranger.account };
    // Twenty a call, newest first; the twenty-first because rounding might keep the request.
    await bonds.write.forceStop([pool, first], as);
    assert.equal((await bonds.read.runningOf([pool]))[0], 12n);
    await bonds.write.forceStop([pool, first], as);
    const cover = pha('1200') - 4n;
    await refused(bonds.write.forceStop([pool, first], as), 'WorkerBondsCovered', [pool, pha('1100'), cover]);
    await bonds.write.forceStop([pool, last], as);
    assert.equal((await bonds.read.runningOf([pool]))[0], 9n);
    await bonds.write.forceStop([pool, own], as);
    assert.deepEqual((await bonds.read.runningOf([pool])).slice(0, 2), [0n, 0n]);
    // Until its time has passed each bond is still at stake.
    assert.equal(await bonds.read.bondOf([ids[0] as Hex]), pha('100'));
    await time.increase(7 * day);
    for (const id of ids) await bonds.write.release([id], as);
    assert.equal(await claim(world, alice, first), pha('2000'));
    assert.equal(await claim(world, bob, last), pha('200'));
    assert.equal(await claim(world, operator, own), pha('1000'));
    assert.ok((await time.latest()) - asked < 14 * day + 120);
    await conserved(world);
    await refused(bonds.write.forceStop([pool, 9n]), 'StakePoolsRequestUnknown', [pool, 9n]);
  });

  it('not for a request that can be claimed', async () => {
    const world = await load();
    const { bonds, pool, alice } = world;
    await startWorkers(world, 1);
    const requestId = await ask(world, alice, phaShares('2000'));
    await time.increase(7 * day);
    await refused(bonds.write.forceStop([pool, requestId]), 'WorkerBondsCovered', [
      pool,
      minimumBond,
      pha('1000') - 4n,
    ]);
    await claim(world, alice, requestId);
  });
});

describe('WorkerBonds: what Slashing takes', () => {
  it('nobody else seizes', async () => {
    const world = await load();
    const { bonds, operator, slashing } = world;
    const [workerId] = await startWorkers(world, 1);
    assert(workerId !== undefined);
    const { account } = operator;
    await refused(bonds.write.seize([workerId, 1n], { account }), 'WorkerBondsCallerNotSlashing', [
      account.address,
      slashing.address,
    ]);
  });

  it('a share of what is at stake, rounded up; with all of it the worker stops', async () => {
    const world = await load();
    const { bonds, pools, pool, slashing, govern, operator } = world;
    await govern(bonds, 'setBondRule', [0n, 333n]);
    const [workerId, other] = await startWorkers(world, 2);
    assert(workerId !== undefined && other !== undefined);
    const { address } = slashing;
    await networkHelpers.impersonateAccount(address);
    await networkHelpers.setBalance(address, pha('1'));
    const seize = async (id: Hex, bps: bigint) =>
      bonds.write.seize([id, bps], { account: address } as unknown as { account: typeof operator.account });
    for (const bps of [0n, 10_001n]) await refused(seize(workerId, bps), 'WorkerBondsShareOutOfRange', [bps]);
    await refused(seize(noWorker, 1n), 'WorkerBondsNothingAtStake', [noWorker]);
    await seize(workerId, 1000n);
    assert.equal(await bonds.read.bondOf([workerId]), 299n);
    assert.equal(await bonds.read.isRunning([workerId]), true);
    assert.equal((await pools.read.poolOf([pool])).reserved, 632n);
    await bonds.write.refresh([workerId]);
    assert.equal(await bonds.read.bondOf([workerId]), 333n);
    await seize(workerId, 10_000n);
    assert.equal(await bonds.read.isRunning([workerId]), false);
    assert.deepEqual((await bonds.read.runningOf([pool])).slice(0, 2), [1n, 333n]);
    await refused(seize(workerId, 1n), 'WorkerBondsNothingAtStake', [workerId]);
    await bonds.write.stop([other], { account: operator.account });
    await seize(other, 5000n);
    assert.equal(await bonds.read.bondOf([other]), 166n);
    await time.increase(7 * day);
    await refused(seize(other, 1n), 'WorkerBondsNothingAtStake', [other]);
    await bonds.write.release([other]);
    await bonds.write.release([workerId]);
    assert.equal((await pools.read.poolOf([pool])).reserved, 0n);
  });
});

describe('WorkerBonds: deployment', () => {
  it('reserves nothing until the pools know it', async () => {
    const bare = await deployPoolWorld(connection);
    const { viem, timelock, pools, workers, operator } = bare;
    const bonds = await viem.deployContract('WorkerBonds', [
      timelock.address,
      pools.address,
      workers.address,
      k,
      minimumBond,
    ]);
    await pools.write.createPool([0, pha('1000'), false], { account: operator.account });
    await stake(bare, operator, '500');
    const workerId = await enroll(bare);
    await refused(bonds.write.start([workerId], { account: operator.account }), 'StakePoolsCallerNotWorkerBonds', [
      bonds.address,
      zeroAddress,
    ]);
  });
});
