import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connection, networkHelpers, time } from '../support/openPool.ts';
import { refused } from '../support/refused.ts';
import {
  ask,
  claim,
  conserved,
  day,
  deployOpenPool,
  type PoolWorld,
  pha,
  phaShares,
  sharesOf,
  stake,
  worthOf,
} from '../support/stakeWorld.ts';
import { hour } from '../support/world.ts';

const load = () => networkHelpers.loadFixture(withBackers);

/** The operator has 10 PHA of its own, Alice 20, Bob 30; everything but 0.1 is reserved. */
async function withBackers() {
  const world = await deployOpenPool(connection);
  await stake(world, world.operator, '10');
  await stake(world, world.alice, '20');
  await stake(world, world.bob, '30');
  await world.bonds.write.reserve([world.pool, pha('59.9')]);
  return world;
}

const seize = ({ bonds, pool }: Awaited<ReturnType<typeof withBackers>>, amount: string) =>
  bonds.write.seize([pool, pha(amount)]);

/** What three stakers' shares are worth, in PHA rounded to the nearest thousandth. */
async function worths(world: PoolWorld): Promise<readonly number[]> {
  const { operator, alice, bob } = world;
  const all = [await worthOf(world, operator), await worthOf(world, alice), await worthOf(world, bob)];
  return all.map((worth) => Math.round(Number(worth) / 1e15) / 1000);
}

describe('StakePools: a slash', () => {
  it('burns the operator’s own shares first, and lowers nobody else’s', async () => {
    const world = await load();
    const { pools, pool, bonds, token, operator } = world;
    await seize(world, '4');
    assert.deepEqual(await worths(world), [6, 20, 30]);
    assert.equal(await sharesOf(world, operator), phaShares('6'));
    assert.equal(await token.read.balanceOf([bonds.address]), pha('4'));
    const seizure = await pools.read.seizureOf([0n]);
    assert.deepEqual(
      [seizure.ownStaked, seizure.ownLeaving, seizure.staked, seizure.leaving, seizure.state],
      [pha('4'), 0n, 0n, 0n, 1],
    );
    assert.equal((await pools.read.poolOf([pool])).reserved, pha('55.9'));
    await conserved(world);
  });

  it('then its leaving stake, then all others alike, staked and leaving', async () => {
    const world = await load();
    const { pools, operator, alice, bob } = world;
    await ask(world, operator, phaShares('5'));
    const requestId = await ask(world, alice, phaShares('10'));
    await seize(world, '35');
    // 10 of the operator; of the others' 50 the other 25.
    assert.deepEqual(await worths(world), [0, 5, 15]);
    const seizure = await pools.read.seizureOf([0n]);
    assert.deepEqual(
      [seizure.ownStaked, seizure.ownLeaving, seizure.staked, seizure.leaving],
      [pha('5'), pha('5'), pha('20'), pha('5')],
    );
    assert.equal((await pools.read.claimableRedeem([world.pool, requestId]))[0], pha('5'));
    await conserved(world);
    await world.bonds.write.settle([0n]);
    await world.bonds.write.release([world.pool, pha('24.9')]);
    await time.increase(7 * day);
    assert.equal(await claim(world, alice, requestId), pha('5'));
    await ask(world, bob, await sharesOf(world, bob));
    await conserved(world);
  });

  it('reaches a request until it is claimed, served or not; a transfer ahead of it saves nothing', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob, stranger } = world;
    await bonds.write.release([pool, pha('20')]);
    const requestId = await ask(world, alice, phaShares('20'));
    await time.increase(8 * day);
    await pools.write.serve([pool]);
    await pools.write.transferShares([pool, stranger.account.address, phaShares('30')], { account: bob.account });
    await seize(world, '35');
    assert.equal(await worthOf(world, stranger), pha('15'));
    await refused(claim(world, alice, requestId), 'StakePoolsPaused', [pool, (await time.latest()) + 10 * day]);
    await bonds.write.settle([0n]);
    assert.equal(await claim(world, alice, requestId), pha('10'));
  });

  it('pauses claims and transfers for a bounded time, deposits until it is settled, requests never', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await bonds.write.release([pool, pha('20')]);
    const requestId = await ask(world, alice, phaShares('20'));
    await time.increase(7 * day);
    await seize(world, '1');
    const until = (await time.latest()) + 10 * day;
    assert.equal((await pools.read.poolOf([pool])).pausedUntil, until);
    assert.equal(await pools.read.isPaused([pool]), true);
    const transfer = () => pools.write.transferShares([pool, alice.account.address, 1n], { account: bob.account });
    await refused(claim(world, alice, requestId), 'StakePoolsPaused', [pool, until]);
    await refused(transfer(), 'StakePoolsPaused', [pool, until]);
    await refused(stake(world, bob, '1'), 'StakePoolsSeizureOpen', [pool, 1]);
    assert.equal((await pools.read.claimableRedeem([pool, requestId]))[1], false);
    await ask(world, bob, 1_000_000n);
    // A second slash just before the end does not make it longer, nor one just after.
    await time.increaseTo(until - 10);
    await seize(world, '1');
    await time.increaseTo(until);
    await claim(world, alice, requestId);
    await seize(world, '1');
    await transfer();
    await refused(stake(world, bob, '1'), 'StakePoolsSeizureOpen', [pool, 3]);
    for (const id of [0n, 1n, 2n]) await bonds.write.settle([id]);
    await stake(world, bob, '1');
    await time.increaseTo(until + 2 * day);
    await seize(world, '1');
    await refused(transfer(), 'StakePoolsPaused');
    await bonds.write.settle([3n]);
    await transfer();
    await conserved(world);
  });

  it('takes no more than is reserved, and moves no more than is there', async () => {
    const world = await load();
    const { pool, pools, bonds, token } = world;
    await refused(seize(world, '60'), 'StakePoolsTooLittleReserved', [pool, pha('59.9'), pha('60')]);
    await seize(world, '40');
    // 20 are left, of which bonds once were 19.9.
    await seize(world, '19.9');
    assert.equal(await token.read.balanceOf([bonds.address]), pha('59.9'));
    await refused(seize(world, '1'), 'StakePoolsTooLittleReserved', [pool, 0n, pha('1')]);
    assert.equal((await pools.read.poolOf([pool])).closed, false);
    await conserved(world);
  });

  it('closes a pool that lost nearly all, for good', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob, operator } = world;
    await bonds.write.reserve([pool, pha('0.1')]);
    const requestId = await ask(world, alice, phaShares('20'));
    await seize(world, '60');
    assert.equal((await pools.read.poolOf([pool])).closed, true);
    assert.equal(await pools.read.hasPool([pool]), false);
    assert.equal(await pools.read.coverOf([pool]), 0n);
    assert.equal(await pools.read.canReserve([pool, 0n]), false);
    await refused(ask(world, bob, 1n), 'StakePoolsSeizureOpen', [pool, 1]);
    await refused(stake(world, bob, '1'), 'StakePoolsClosed', [pool]);
    await refused(pools.write.addFees([pool, 1n], { account: bob.account }), 'StakePoolsClosed', [pool]);
    await refused(bonds.write.reserve([pool, 0n]), 'StakePoolsClosed', [pool]);
    await bonds.write.settle([0n]);
    await refused(ask(world, bob, phaShares('30')), 'StakePoolsZeroAmount');
    await time.increase(7 * day);
    assert.equal(await claim(world, alice, requestId), 0n);
    assert.equal(await sharesOf(world, operator), 0n);
    await conserved(world);
  });

  it('votes with what is left: escrow votes nowhere', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await ask(world, alice, phaShares('10'));
    await seize(world, '35');
    const at = BigInt(await time.latest());
    await time.increase(1);
    assert.equal(await pools.read.getPastVotes([alice.account.address, pool, at]), pha('10'));
    assert.equal(await pools.read.getPastUnitRate([pool, false, at]), pha('0.5'));
  });

  it('reaches the operator’s requests first, by their own rate', async () => {
    const world = await load();
    const { pools, pool, bonds, operator } = world;
    const own = await ask(world, operator, phaShares('10'));
    await seize(world, '4');
    assert.deepEqual(await worths(world), [0, 20, 30]);
    const at = BigInt(await time.latest());
    await bonds.write.settle([0n]);
    await bonds.write.release([pool, pha('55.9')]);
    await time.increase(7 * day);
    assert.equal(await pools.read.getPastUnitRate([pool, true, at]), pha('0.6'));
    assert.equal(await pools.read.getPastVotes([operator.account.address, pool, at]), pha('6'));
    assert.equal(await claim(world, operator, own), pha('6'));
    await conserved(world);
  });
});

describe('StakePools: a slash that was vetoed', () => {
  it('gives everybody back what was theirs, to the unit that rounding leaves', async () => {
    const world = await load();
    const { pools, operator, alice, bonds, token } = world;
    const own = await ask(world, operator, phaShares('5'));
    const requestId = await ask(world, alice, phaShares('10'));
    await seize(world, '35');
    await bonds.write.restore([0n]);
    assert.deepEqual(await worths(world), [5, 10, 30]);
    assert.equal((await pools.read.claimableRedeem([world.pool, requestId]))[0], pha('10'));
    assert.equal((await pools.read.claimableRedeem([world.pool, own]))[0], pha('5'));
    assert.equal(await token.read.balanceOf([bonds.address]), 0n);
    await conserved(world);
    const ended = 'StakePoolsSeizureNotOpen';
    await refused(bonds.write.restore([0n]), ended, [0n, 3]);
    await refused(bonds.write.settle([0n]), ended, [0n, 3]);
    await seize(world, '1');
    await bonds.write.settle([1n]);
    await refused(bonds.write.restore([1n]), ended, [1n, 2]);
  });

  it('nobody gains by asking shares back in between', async () => {
    const world = await load();
    const { pools, pool, alice, bonds } = world;
    const first = await ask(world, alice, phaShares('10'));
    await seize(world, '35');
    const second = await ask(world, alice, phaShares('9.9'));
    await bonds.write.restore([0n]);
    const [one] = await pools.read.claimableRedeem([pool, first]);
    const [two] = await pools.read.claimableRedeem([pool, second]);
    const rest = await worthOf(world, alice);
    const sum = one + two + rest;
    assert.ok(sum <= pha('20') && sum > pha('20') - 10n, `${sum}`);
    assert.equal((await worths(world))[2], 30);
    await conserved(world);
  });

  it('opens a pool again that it had closed, though nothing was left', async () => {
    const world = await load();
    const { pools, pool, bonds, alice } = world;
    await bonds.write.reserve([pool, pha('0.1')]);
    const requestId = await ask(world, alice, phaShares('10'));
    await seize(world, '60');
    await bonds.write.restore([0n]);
    assert.deepEqual(await worths(world), [10, 10, 30]);
    assert.equal((await pools.read.claimableRedeem([pool, requestId]))[0], pha('10'));
    assert.equal((await pools.read.poolOf([pool])).closed, false);
    await stake(world, alice, '1');
    await conserved(world);
  });

  it('where the operator’s leaving stake is gone, it gets shares for it', async () => {
    const world = await load();
    const { pools, pool, bonds, operator } = world;
    await bonds.write.release([pool, pha('30')]);
    const own = await ask(world, operator, phaShares('10'));
    await time.increase(7 * day);
    await seize(world, '4');
    await time.increase(10 * day);
    assert.equal(await claim(world, operator, own), pha('6'));
    await bonds.write.restore([0n]);
    assert.deepEqual(await worths(world), [4, 20, 30]);
    assert.equal((await pools.read.poolOf([pool])).ownLeaving, 0n);
    await conserved(world);
  });

  it('where nobody is left who bore it, it flows to whoever stakes next', async () => {
    const world = await load();
    const { pools, pool, bonds, operator, alice, bob, stranger } = world;
    await seize(world, '30');
    await bonds.write.release([pool, pha('29.9')]);
    const first = await ask(world, alice, phaShares('20'));
    const second = await ask(world, bob, phaShares('30'));
    await time.increase(10 * day);
    assert.deepEqual([await claim(world, alice, first), await claim(world, bob, second)], [pha('12'), pha('18')]);
    await bonds.write.restore([0n]);
    assert.equal(await worthOf(world, operator), pha('10'));
    assert.equal((await pools.read.poolOf([pool])).unstreamed, pha('20'));
    await stake(world, stranger, '10');
    await time.increase(2 * hour);
    // The operator's new shares earn too, some seconds longer.
    const [own] = await worths(world);
    assert.ok(own !== undefined && own > 19.99 && own < 20.1, `${own}`);
    await conserved(world);
  });
});
