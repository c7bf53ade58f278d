import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zeroAddress } from 'viem';
import { earn, loadOpenPool as load, time } from '../support/openPool.ts';
import { refused } from '../support/refused.ts';
import { ask, claim, conserved, day, pha, phaShares, sharesOf, stake, worthOf } from '../support/stakeWorld.ts';
import { hour } from '../support/world.ts';

describe('StakePools: what has flowed in counts, though nobody wrote it', () => {
  it('for a request', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await stake(world, alice, '100');
    await earn(world, '10');
    const requestId = await ask(world, alice, phaShares('100'));
    const [worth] = await pools.read.claimableRedeem([pool, requestId]);
    assert.ok(worth >= pha('110') - 2n, `${worth}`);
  });

  it('for a deposit, which pays the price of now', async () => {
    const world = await load();
    const { alice, bob } = world;
    await stake(world, alice, '100');
    await earn(world, '100');
    await stake(world, bob, '100');
    const shares = await sharesOf(world, bob);
    assert.ok(shares <= phaShares('50') + 10n ** 6n && shares >= phaShares('50') - 10n ** 6n, `${shares}`);
  });

  it('for bonds', async () => {
    const world = await load();
    const { bonds, pool, alice } = world;
    await stake(world, alice, '100');
    await earn(world, '10');
    await bonds.write.reserve([pool, pha('110') - 1n]);
  });

  it('for what is free, by a claim and by serving', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await stake(world, alice, '10');
    await stake(world, bob, '10');
    await bonds.write.reserve([pool, pha('20')]);
    const first = await ask(world, alice, phaShares('4'));
    const second = await ask(world, bob, phaShares('4'));
    await earn(world, '5');
    await time.increase(7 * day);
    await claim(world, alice, first);
    await earn(world, '5');
    await pools.write.serve([pool]);
    const { turn } = await pools.read.requestOf([pool, second]);
    assert.equal((await pools.getEvents.Served())[0]?.args.servedUnits, turn);
    // What is served is not served again.
    await claim(world, bob, second);
    assert.equal((await pools.getEvents.Served()).length, 0);
    await conserved(world);
  });

  it('for a slash, of which the operator bears what is its own now', async () => {
    const world = await load();
    const { pools, bonds, pool, operator, alice } = world;
    await stake(world, operator, '10');
    await stake(world, alice, '10');
    await bonds.write.reserve([pool, pha('20')]);
    await earn(world, '20');
    await bonds.write.seize([pool, pha('19')]);
    assert.equal((await pools.read.seizureOf([0n])).ownStaked, pha('19'));
  });

  it('for the operator’s own stake', async () => {
    const world = await load();
    const { pools, pool, bonds, operator, alice, govern } = world;
    await govern(pools, 'setOwnStakeShare', [5000]);
    await stake(world, operator, '10');
    await bonds.write.reserve([pool, pha('10')]);
    await earn(world, '10');
    const { account } = operator;
    await pools.write.transferShares([pool, alice.account.address, phaShares('7')], { account });
    await refused(
      pools.write.transferShares([pool, alice.account.address, phaShares('1')], { account }),
      'StakePoolsOwnStakeTooSmall',
    );
  });

  it('for votes, once it is written', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await stake(world, alice, '100');
    const staked = BigInt(await time.latest());
    await earn(world, '10');
    const idle = BigInt(await time.latest());
    await pools.write.accrue([pool]);
    const written = BigInt(await time.latest());
    await time.increase(1);
    const votesAt = (at: bigint) => pools.read.getPastVotes([alice.account.address, pool, at]);
    assert.equal(await pools.read.getPastTotalShares([pool, staked]), phaShares('100'));
    assert.equal(await votesAt(idle), pha('100'));
    const votes = await votesAt(written);
    assert.ok(votes <= pha('110') && votes >= pha('110') - 100n, `${votes}`);
    assert.equal(await pools.read.getPastRate([pool, staked - 1n]), 0n);
  });

  it('the operator’s requests vote by their own rate from the start', async () => {
    const world = await load();
    const { pools, pool, operator } = world;
    await stake(world, operator, '10');
    await ask(world, operator, phaShares('10'));
    const at = BigInt(await time.latest());
    await time.increase(1);
    assert.equal(await pools.read.getPastVotes([operator.account.address, pool, at]), pha('10'));
  });
});

describe('StakePools: to the second', () => {
  it('a request is paid the second that its time has come', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await stake(world, alice, '1');
    const requestId = await ask(world, alice, phaShares('1'));
    const { requestedAt } = await pools.read.requestOf([pool, requestId]);
    await time.setNextBlockTimestamp(requestedAt + 7 * day);
    await claim(world, alice, requestId);
    await refused(pools.read.requestOf([pool, 1n]), 'StakePoolsRequestUnknown', [pool, 1n]);
  });

  it('a pause ends, and the next may begin, the second that it is said', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await stake(world, alice, '10');
    await bonds.write.reserve([pool, pha('10')]);
    await bonds.write.seize([pool, pha('1')]);
    const { pausedUntil } = await pools.read.poolOf([pool]);
    const transfer = () => pools.write.transferShares([pool, bob.account.address, 1n], { account: alice.account });
    await time.setNextBlockTimestamp(pausedUntil);
    await transfer();
    await time.setNextBlockTimestamp(pausedUntil + 2 * day - 1);
    await bonds.write.seize([pool, pha('1')]);
    assert.equal((await pools.read.poolOf([pool])).pausedUntil, pausedUntil);
    // No second event says that a pool is open which was.
    assert.equal((await pools.getEvents.PoolClosed()).length, 0);
    await time.setNextBlockTimestamp(pausedUntil + 2 * day);
    await bonds.write.seize([pool, pha('1')]);
    assert.equal((await pools.read.poolOf([pool])).pausedUntil, pausedUntil + 12 * day);
  });

  it('a commission holds the second that it was announced for', async () => {
    const world = await load();
    const { pools, pool, operator, stranger } = world;
    const { account } = operator;
    await pools.write.setCommission([500], { account });
    await pools.write.setCommission([0], { account });
    const { nextCommissionBps, nextCommissionAt } = await pools.read.poolOf([pool]);
    assert.deepEqual([nextCommissionBps, nextCommissionAt], [0, 0]);
    await pools.write.setCommission([400], { account });
    const raised = await pools.read.poolOf([pool]);
    assert.equal(raised.nextCommissionBps, 400);
    await time.increaseTo(raised.nextCommissionAt - 1);
    await time.setNextBlockTimestamp(raised.nextCommissionAt);
    await pools.write.addFees([pool, 10_000n], { account: stranger.account });
    const after = await pools.read.poolOf([pool]);
    assert.deepEqual([after.commission, after.commissionBps, after.nextCommissionAt], [400n, 400, 0]);
  });

  it('a view says so the same second', async () => {
    const { pools, pool, operator } = await load();
    await pools.write.setCommission([400], { account: operator.account });
    const { nextCommissionAt } = await pools.read.poolOf([pool]);
    await time.increaseTo(nextCommissionAt);
    assert.equal((await pools.read.poolOf([pool])).commissionBps, 400);
  });

  it('earnings and what is on its way flow over the mean of both times', async () => {
    const world = await load();
    const { pools, pool, alice, stranger } = world;
    await stake(world, alice, '100');
    const add = async (at: number) => {
      await time.setNextBlockTimestamp(at);
      await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    };
    const begin = (await time.latest()) + 100;
    await add(begin);
    await add(begin + hour / 2);
    // 5 over half an hour and 10 over an hour: 15 over 50 minutes.
    await time.increaseTo(begin + hour / 2 + 49 * 60);
    assert.equal((await pools.read.poolOf([pool])).unstreamed, pha('0.3'));
    await time.increaseTo(begin + hour / 2 + 50 * 60);
    assert.equal((await pools.read.poolOf([pool])).unstreamed, 0n);
  });
});

describe('StakePools: to the unit', () => {
  it('what bonds may need', async () => {
    const world = await load();
    const { pools, pool, bonds, operator, alice, govern } = world;
    await stake(world, operator, '10');
    await stake(world, alice, '10');
    const can = (amount: bigint) => pools.read.canReserve([pool, amount]);
    assert.deepEqual([await can(pha('20')), await can(pha('20') + 1n)], [true, false]);
    assert.equal(await pools.read.coverOf([pool]), pha('20') + 4n);
    await govern(pools, 'setOwnStakeShare', [5000]);
    assert.deepEqual([await can(pha('20')), await can(pha('20') + 1n)], [true, false]);
    await stake(world, alice, '10');
    assert.deepEqual([await can(pha('20')), await can(pha('20') + 1n)], [true, false]);
    assert.equal(await pools.read.canReserve([alice.account.address, 0n]), false);
    await bonds.write.reserve([pool, pha('20')]);
  });

  it('a request that bonds leave just enough for can be claimed, and says so', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await stake(world, alice, '10');
    await stake(world, bob, '10');
    await bonds.write.reserve([pool, pha('10') - 3n]);
    const requestId = await ask(world, alice, phaShares('10'));
    await time.increase(7 * day);
    assert.equal((await pools.read.claimableRedeem([pool, requestId]))[1], false);
    await bonds.write.release([pool, 1n]);
    assert.equal((await pools.read.claimableRedeem([pool, requestId]))[1], true);
    await pools.write.serve([pool]);
    assert.equal(await pools.read.coverBehind([pool, requestId]), 2n ** 256n - 1n);
    await claim(world, alice, requestId);
  });

  it('a slash of all that a lone operator has', async () => {
    const world = await load();
    const { pools, pool, bonds, operator } = world;
    await stake(world, operator, '10');
    await bonds.write.reserve([pool, pha('10')]);
    await bonds.write.seize([pool, pha('10')]);
    assert.equal(await sharesOf(world, operator), 0n);
    assert.equal((await pools.read.poolOf([pool])).closed, false);
    await bonds.write.restore([0n]);
    assert.equal(await worthOf(world, operator), pha('10'));
    await conserved(world);
  });

  it('a slash of exactly the operator’s own leaves it no shares, at any price', async () => {
    const world = await load();
    const { bonds, pool, operator, alice } = world;
    await stake(world, operator, '10');
    await stake(world, alice, '10');
    await earn(world, '7.000000000000000003');
    const own = await worthOf(world, operator);
    await bonds.write.reserve([pool, own]);
    await bonds.write.seize([pool, own]);
    assert.equal(await sharesOf(world, operator), 0n);
  });

  it('a pool closes below a millionth of par, not at it', async () => {
    const world = await load();
    const { pools, pool, bonds, alice } = world;
    const all = pha('1') - 1n;
    await pools.write.deposit([pool, all, alice.account.address], { account: alice.account });
    await bonds.write.reserve([pool, all]);
    await bonds.write.seize([pool, all - (10n ** 12n - 1n)]);
    assert.equal((await pools.read.poolOf([pool])).closed, false);
    await bonds.write.seize([pool, 1n]);
    assert.equal((await pools.read.poolOf([pool])).closed, true);
    assert.equal((await pools.getEvents.PoolClosed())[0]?.args.closed, true);
  });

  it('a pool of which all wants to leave closes as well', async () => {
    const world = await load();
    const { pools, pool, bonds, alice } = world;
    await stake(world, alice, '1');
    await bonds.write.reserve([pool, pha('1')]);
    await ask(world, alice, phaShares('1'));
    await bonds.write.seize([pool, pha('1')]);
    assert.equal((await pools.read.poolOf([pool])).closed, true);
  });

  it('of a closed pool each side gets back what it lost, though one unit was left to one of them', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await stake(world, alice, '30');
    await stake(world, bob, '20');
    await bonds.write.reserve([pool, pha('50')]);
    const requestId = await ask(world, alice, phaShares('10'));
    await bonds.write.seize([pool, pha('50') - 1n]);
    const { assets, leaving } = await pools.read.poolOf([pool]);
    assert.deepEqual([assets, leaving], [1n, 0n]);
    await bonds.write.restore([0n]);
    assert.equal((await pools.read.claimableRedeem([pool, requestId]))[0], pha('10'));
    assert.equal(await worthOf(world, bob), pha('20'));
  });

  it('earnings wait where less than one PHA is staked', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await stake(world, alice, '0.5');
    await earn(world, '10');
    assert.equal(await worthOf(world, alice), pha('0.5'));
    await stake(world, alice, '0.5');
    await time.increase(2 * hour);
    assert.ok((await worthOf(world, alice)) > pha('10.99'));
    assert.equal((await pools.read.poolOf([pool])).assets, pha('11'));
  });

  it('who drives the price beyond a deposit’s worth gives most of millions to nobody, and takes nothing', async () => {
    const world = await load();
    const { pools, pool, stranger, bob } = world;
    await stake(world, stranger, '1');
    for (let round = 0; round < 4; round += 1) {
      await earn(world, '2000000');
      const shares = await sharesOf(world, stranger);
      const left = await pools.read.convertToShares([pool, pha('1')]);
      if (shares > left) await ask(world, stranger, shares - left);
    }
    await refused(stake(world, bob, '0.01'), 'StakePoolsZeroAmount');
    const { assets } = await pools.read.poolOf([pool]);
    assert.ok(assets > pha('1700000') && (await worthOf(world, stranger)) < assets / 20n, `${assets}`);
    await conserved(world);
  });

  it('nobody receives at no address', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    const { account } = alice;
    await refused(pools.write.deposit([pool, pha('1'), zeroAddress], { account }), 'StakePoolsReceiverMissing');
  });
});
