import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFunctionData, maxUint256, parseSignature, zeroAddress } from 'viem';
import { connection, loadOpenPool as load, networkHelpers, time } from '../support/openPool.ts';
import { refused } from '../support/refused.ts';
import {
  ask,
  claim,
  conserved,
  day,
  deployPoolWorld,
  pha,
  phaShares,
  poolTimes,
  sharesOf,
  stake,
  worthOf,
} from '../support/stakeWorld.ts';
import { chainId, hour } from '../support/world.ts';

async function noPool() {
  return deployPoolWorld(connection);
}

describe('StakePools: what they are', () => {
  it('refuses a token that is none, and times out of range', async () => {
    const { viem, timelock, token } = await load();
    const settings = { timelock: timelock.address, token: token.address, ...poolTimes };
    const deploy = (changes: object) => viem.deployContract('StakePools', [{ ...settings, ...changes }]);
    await refused(deploy({ token: zeroAddress }), 'StakePoolsWithoutCode', [zeroAddress]);
    for (const field of ['earningsTime', 'unbonding', 'maxPause'])
      for (const seconds of [59, 28 * day + 1])
        await refused(deploy({ [field]: seconds }), 'StakePoolsDurationOutOfRange', [seconds, 60, 28 * day]);
    const pools = await deploy({ earningsTime: 60, unbonding: 60, maxPause: 28 * day });
    assert.deepEqual(
      [await pools.read.earningsTime(), await pools.read.unbonding(), await pools.read.maxPause()],
      [60, 60, 28 * day],
    );
    assert.equal(await pools.read.CLOCK_MODE(), 'mode=timestamp');
  });

  it('the timelock names the contract of bonds, once for ever, and the operators’ part', async () => {
    const { pools, bonds, govern, deployer, operator, timelock } = await load();
    const { abi, address } = pools;
    for (const { account } of [deployer, operator])
      for (const call of [
        () => pools.write.setWorkerBonds([bonds.address], { account }),
        () => pools.write.setOwnStakeShare([1], { account }),
      ])
        await refused(call(), 'GovernedCallerNotTimelock', [account.address, timelock.address]);
    await refused(govern(pools, 'setWorkerBonds', [pools.address]), 'StakePoolsWorkerBondsSet', [bonds.address]);
    await refused(govern(pools, 'setOwnStakeShare', [5001]), 'StakePoolsShareOutOfRange', [5001, 5000]);
    await govern({ abi, address }, 'setOwnStakeShare', [5000]);
    assert.equal(await pools.read.ownStakeBps(), 5000);
    const bare = await networkHelpers.loadFixture(noPool);
    await refused(bare.govern(bare.pools, 'setWorkerBonds', [zeroAddress]), 'StakePoolsWithoutCode', [zeroAddress]);
  });

  it('only the contract of bonds reserves, releases and seizes; only the holder ends a seizure', async () => {
    const { pools, pool, bonds, operator, stranger } = await load();
    for (const { account } of [operator, stranger]) {
      const wrong = 'StakePoolsCallerNotWorkerBonds';
      const args = [account.address, bonds.address];
      await refused(pools.write.reserve([pool, 1n], { account }), wrong, args);
      await refused(pools.write.release([pool, 1n], { account }), wrong, args);
      await refused(pools.write.seize([pool, 1n, account.address], { account }), wrong, args);
    }
    await stake(await load(), operator, '10');
    await bonds.write.reserve([pool, pha('1')]);
    await bonds.write.seize([pool, pha('1')]);
    const { account } = stranger;
    for (const end of [pools.write.settle, pools.write.restore])
      await refused(end([0n], { account }), 'StakePoolsCallerNotHolder', [account.address, bonds.address]);
  });
});

describe('StakePools: pools', () => {
  it('one for each account, with the settings that it gave', async () => {
    const { pools, pool, operator, otherOperator, stranger } = await load();
    await refused(pools.write.createPool([0, 1n, false], { account: operator.account }), 'StakePoolsPoolExists', [
      pool,
    ]);
    const other = otherOperator.account.address;
    assert.equal(await pools.read.hasPool([other]), false);
    await refused(
      pools.write.createPool([5001, 1n, false], { account: otherOperator.account }),
      'StakePoolsCommissionTooHigh',
      [5001, 5000],
    );
    await pools.write.createPool([5000, pha('7'), true], { account: otherOperator.account });
    assert.equal(await pools.read.hasPool([other]), true);
    const status = await pools.read.poolOf([other]);
    assert.deepEqual([status.commissionBps, status.capacity, status.allowlistOn], [5000, pha('7'), true]);
    const nobody = stranger.account;
    const unknown = 'StakePoolsPoolUnknown';
    const as = { account: nobody };
    for (const call of [
      pools.write.setCommission([1], as),
      pools.write.setCapacity([1n], as),
      pools.write.setAllowlist([true], as),
      pools.write.setAllowed([nobody.address, true], as),
      pools.write.deposit([nobody.address, pha('1'), nobody.address], as),
      pools.write.transferShares([nobody.address, pool, 1n], as),
      pools.write.requestRedeem([nobody.address, 1n], as),
      pools.write.claimRedeem([nobody.address, 0n, nobody.address], as),
      pools.write.serve([nobody.address], as),
      pools.write.addFees([nobody.address, 1n], as),
      pools.write.collectCommission([nobody.address], as),
      pools.write.accrue([nobody.address], as),
    ])
      await refused(call, unknown, [nobody.address]);
  });

  it('takes deposits up to its capacity, not below the least', async () => {
    const world = await load();
    const { pools, pool, alice, operator } = world;
    await pools.write.setCapacity([pha('10')], { account: operator.account });
    await stake(world, alice, '4');
    await refused(stake(world, alice, '6.000000000000000001'), 'StakePoolsCapacityExceeded', [
      pool,
      pha('10') + 1n,
      pha('10'),
    ]);
    await stake(world, alice, '6');
    await refused(stake(world, alice, '0.009999999999999999'), 'StakePoolsDepositTooSmall', [
      10n ** 16n - 1n,
      10n ** 16n,
    ]);
    await pools.write.setCapacity([0n], { account: operator.account });
    assert.equal(await worthOf(world, alice), pha('10'));
    await conserved(world);
  });

  it('an allowlist bounds who gets shares, by deposit and by transfer; the operator always may', async () => {
    const world = await load();
    const { pools, pool, alice, bob, operator } = world;
    await stake(world, alice, '1');
    await pools.write.setAllowlist([true], { account: operator.account });
    const refusal = [pool, bob.account.address];
    await refused(stake(world, bob, '1'), 'StakePoolsNotAllowed', refusal);
    await refused(
      pools.write.transferShares([pool, bob.account.address, 1n], { account: alice.account }),
      'StakePoolsNotAllowed',
      refusal,
    );
    await stake(world, operator, '1');
    await pools.write.setAllowed([bob.account.address, true], { account: operator.account });
    await stake(world, bob, '1');
    assert.equal(await pools.read.isAllowed([pool, bob.account.address]), true);
    await pools.write.setAllowed([bob.account.address, false], { account: operator.account });
    await refused(stake(world, bob, '1'), 'StakePoolsNotAllowed', refusal);
    // Who is not allowed any more still leaves.
    await ask(world, bob, await sharesOf(world, bob));
    await refused(
      pools.write.deposit([pool, pha('1'), zeroAddress], { account: alice.account }),
      'StakePoolsReceiverMissing',
    );
  });

  it('lowers the commission at once, and raises it late, in steps, never beyond the most', async () => {
    const { pools, pool, operator } = await load();
    const account = operator.account;
    const set = (bps: number) => pools.write.setCommission([bps], { account });
    const present = async () => (await pools.read.poolOf([pool])).commissionBps;
    await refused(set(0), 'StakePoolsCommissionUnchanged', [0]);
    await refused(set(501), 'StakePoolsCommissionTooHigh', [501, 500]);
    await refused(set(5001), 'StakePoolsCommissionTooHigh', [5001, 5000]);
    await set(500);
    const { nextCommissionAt } = await pools.read.poolOf([pool]);
    assert.equal(nextCommissionAt, (await time.latest()) + 14 * day);
    await time.increaseTo(nextCommissionAt - 10);
    assert.equal(await present(), 0);
    // A second raise begins the wait anew, from what holds now.
    await set(300);
    await time.increaseTo(nextCommissionAt + 1);
    assert.equal(await present(), 0);
    await time.increase(14 * day);
    assert.equal(await present(), 300);
    await refused(set(801), 'StakePoolsCommissionTooHigh', [801, 800]);
    await set(800);
    // The same value takes the raise back.
    await set(300);
    await time.increase(30 * day);
    assert.equal(await present(), 300);
    await set(100);
    assert.equal(await present(), 100);
  });
});

describe('StakePools: stake', () => {
  it('gives shares at par first, and moves PHA', async () => {
    const world = await load();
    const { pools, pool, alice, bob, token } = world;
    const before = await token.read.balanceOf([alice.account.address]);
    await pools.write.deposit([pool, pha('5'), bob.account.address], { account: alice.account });
    assert.equal(await sharesOf(world, bob), phaShares('5'));
    assert.equal(await sharesOf(world, alice), 0n);
    assert.equal(before - (await token.read.balanceOf([alice.account.address])), pha('5'));
    const [event] = await pools.getEvents.Deposited();
    assert.deepEqual(
      [event?.args.assets, event?.args.shares, event?.args.receiver?.toLowerCase()],
      [pha('5'), phaShares('5'), bob.account.address],
    );
    assert.equal(await pools.read.convertToShares([pool, pha('1')]), phaShares('1'));
    await conserved(world);
  });

  it('by a permit, also by one that somebody used before; never without allowance', async () => {
    const world = await load();
    const { pools, pool, token, alice, stranger } = world;
    const owner = alice.account.address;
    await token.write.approve([pools.address, 0n], { account: alice.account });
    const permit = async (nonce: bigint) => {
      const signature = await alice.signTypedData({
        domain: { name: 'Phala', version: '1', chainId, verifyingContract: token.address },
        types: {
          Permit: [
            { name: 'owner', type: 'address' },
            { name: 'spender', type: 'address' },
            { name: 'value', type: 'uint256' },
            { name: 'nonce', type: 'uint256' },
            { name: 'deadline', type: 'uint256' },
          ],
        },
        primaryType: 'Permit',
        message: { owner, spender: pools.address, value: pha('2'), nonce, deadline: maxUint256 },
      });
      const { r, s, v } = parseSignature(signature);
      return [maxUint256, Number(v), r, s] as const;
    };
    const deposit = async (signed: Awaited<ReturnType<typeof permit>>) =>
      pools.write.depositWithPermit([pool, pha('2'), owner, ...signed], { account: alice.account });
    await deposit(await permit(0n));
    const second = await permit(1n);
    await token.write.permit([owner, pools.address, pha('2'), ...second], { account: stranger.account });
    await deposit(second);
    assert.equal(await sharesOf(world, alice), phaShares('4'));
    await refused(deposit(second), 'ERC20InsufficientAllowance');
    await conserved(world);
  });

  it('nobody gains by paying PHA in beside the books, nor by earnings before a small first deposit', async () => {
    const world = await load();
    const { pools, pool, token, alice, bob, stranger } = world;
    await stake(world, stranger, '1');
    await token.write.transfer([pools.address, pha('1000')], { account: stranger.account });
    await stake(world, alice, '1');
    assert.equal(await worthOf(world, alice), pha('1'));
    // The attacker leaves one share, and pays a million in: with so few shares earnings wait.
    await ask(world, alice, await sharesOf(world, alice));
    await ask(world, stranger, (await sharesOf(world, stranger)) - 1n);
    await pools.write.addFees([pool, pha('1000000')], { account: stranger.account });
    await time.increase(10 * hour);
    assert.equal((await pools.read.poolOf([pool])).assets, 1n);
    await stake(world, bob, '1.5');
    const worth = await worthOf(world, bob);
    assert.ok(worth >= pha('1.5') - 3n, `${worth}`);
    // From now on they flow, over their whole time.
    await time.increase(hour);
    assert.ok((await worthOf(world, bob)) > pha('1000000'));
  });

  it('a price that earnings drove up costs a later deposit next to nothing', async () => {
    const world = await load();
    const { pools, pool, alice, stranger } = world;
    await stake(world, stranger, '1');
    await pools.write.addFees([pool, pha('4000000')], { account: stranger.account });
    await time.increase(2 * hour);
    await stake(world, alice, '0.01');
    const worth = await worthOf(world, alice);
    assert.ok(pha('0.01') - worth < 10n, `${pha('0.01') - worth}`);
  });

  it('transfers shares, not more than there are, and keeps the operator’s own stake', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob, operator, govern } = world;
    await stake(world, alice, '3');
    const transfer = (by: typeof alice, to: `0x${string}`, shares: bigint) =>
      pools.write.transferShares([pool, to, shares], { account: by.account });
    await transfer(alice, bob.account.address, phaShares('1'));
    assert.deepEqual([await worthOf(world, alice), await worthOf(world, bob)], [pha('2'), pha('1')]);
    await transfer(alice, alice.account.address, phaShares('2'));
    assert.equal(await worthOf(world, alice), pha('2'));
    await refused(transfer(bob, alice.account.address, phaShares('1') + 1n), 'StakePoolsTooFewShares', [
      pool,
      bob.account.address,
      phaShares('1'),
      phaShares('1') + 1n,
    ]);
    await refused(transfer(bob, alice.account.address, 0n), 'StakePoolsZeroAmount');
    await refused(transfer(bob, zeroAddress, 1n), 'StakePoolsReceiverMissing');

    await govern(pools, 'setOwnStakeShare', [1000]);
    await stake(world, operator, '1');
    await bonds.write.reserve([pool, pha('4')]);
    await refused(transfer(operator, alice.account.address, phaShares('0.6') + 1n), 'StakePoolsOwnStakeTooSmall', [
      pool,
      pha('0.4') - 1n,
      pha('0.4'),
    ]);
    await transfer(operator, alice.account.address, phaShares('0.6'));
    await conserved(world);
  });
});

describe('StakePools: earnings', () => {
  it('commission to the operator at once, the rest flows in over the next hour', async () => {
    const world = await load();
    const { pools, pool, alice, operator, stranger, token, bob } = world;
    const account = operator.account;
    await pools.write.setCommission([500], { account });
    await time.increase(14 * day);
    await stake(world, alice, '100');
    await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    assert.equal((await pools.read.poolOf([pool])).commission, pha('0.5'));
    await time.increase(hour / 2);
    assert.equal(await worthOf(world, alice), pha('104.75') - 1n);
    await time.increase(hour);
    assert.equal(await worthOf(world, alice), pha('109.5') - 1n);
    await conserved(world);
    await pools.write.collectCommission([bob.account.address], { account });
    assert.equal(await token.read.balanceOf([bob.account.address]), pha('10000000.5'));
    await refused(pools.write.collectCommission([bob.account.address], { account }), 'StakePoolsZeroAmount');
    await refused(pools.write.addFees([pool, 0n], { account: stranger.account }), 'StakePoolsZeroAmount');
    await conserved(world);
  });

  it('a deposit just before earnings, or just before they end, takes no more than its time’s part', async () => {
    const world = await load();
    const { pools, pool, alice, bob, stranger } = world;
    await stake(world, alice, '100');
    await stake(world, bob, '100');
    await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    await ask(world, bob, await sharesOf(world, bob));
    // Bob was in for one second of 3,600.
    const { assets } = (await pools.getEvents.RedeemRequested())[0]?.args ?? {};
    assert.ok((assets ?? 0n) - pha('100') <= pha('5') / 3600n);
    await time.increase(2 * hour);
    assert.ok((await worthOf(world, alice)) >= pha('110') - pha('5') / 3600n - 2n);
  });

  it('new earnings do not hold back what was on its way', async () => {
    const world = await load();
    const { pools, pool, alice, stranger } = world;
    await stake(world, alice, '100');
    await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    await time.increase(hour - 60);
    for (let index = 0; index < 10; index += 1) await pools.write.addFees([pool, 1n], { account: stranger.account });
    await time.increase(60);
    assert.ok((await worthOf(world, alice)) >= pha('109.99'));
    // A large sum takes its time even then.
    await pools.write.addFees([pool, pha('100')], { account: stranger.account });
    await time.increase(hour / 2);
    const worth = await worthOf(world, alice);
    assert.ok(worth > pha('159') && worth < pha('161'), `${worth}`);
    await conserved(world);
  });

  it('wait where nobody holds shares, and lose no time for it', async () => {
    const world = await load();
    const { pools, pool, alice, stranger } = world;
    await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    await time.increase(10 * hour);
    await stake(world, alice, '1');
    await time.increase(hour / 2);
    const half = await worthOf(world, alice);
    assert.ok(half > pha('5.9') && half < pha('6.1'), `${half}`);
    await pools.write.accrue([pool]);
    await conserved(world);
  });
});

describe('StakePools: leaving', () => {
  it('pays after the time, once, to whom the owner says; asked shares earn nothing', async () => {
    const world = await load();
    const { pools, pool, alice, bob, stranger } = world;
    await stake(world, alice, '10');
    await stake(world, bob, '10');
    const requestId = await ask(world, alice, phaShares('10'));
    const request = await pools.read.requestOf([pool, requestId]);
    assert.equal(request.turn, request.units);
    assert.equal(await pools.read.unitsOf([pool, alice.account.address]), request.units);
    await pools.write.addFees([pool, pha('5')], { account: stranger.account });
    const claimableAt = request.requestedAt + 7 * day;
    await time.setNextBlockTimestamp(claimableAt - 1);
    await refused(claim(world, alice, requestId), 'StakePoolsNotClaimable', [claimableAt, claimableAt - 1]);
    await time.increaseTo(claimableAt - 1);
    assert.deepEqual(await pools.read.claimableRedeem([pool, requestId]), [pha('10'), false]);
    await time.increaseTo(claimableAt);
    assert.deepEqual(await pools.read.claimableRedeem([pool, requestId]), [pha('10'), true]);
    await refused(claim(world, bob, requestId), 'StakePoolsCallerNotOwner', [
      bob.account.address,
      alice.account.address,
    ]);
    assert.equal(await claim(world, alice, requestId, stranger.account.address), pha('10'));
    await refused(claim(world, alice, requestId), 'StakePoolsRequestUnknown', [pool, requestId]);
    await refused(pools.read.requestOf([pool, 7n]), 'StakePoolsRequestUnknown', [pool, 7n]);
    assert.equal(await worthOf(world, bob), pha('15') - 1n);
    assert.equal(await pools.read.unitsOf([pool, alice.account.address]), 0n);
    await conserved(world);
  });

  it('refuses more shares than there are, none, and shares worth nothing', async () => {
    const world = await load();
    const { pools, pool, alice } = world;
    await stake(world, alice, '1');
    const shares = phaShares('1');
    await refused(ask(world, alice, shares + 1n), 'StakePoolsTooFewShares', [
      pool,
      alice.account.address,
      shares,
      shares + 1n,
    ]);
    await refused(ask(world, alice, 0n), 'StakePoolsZeroAmount');
    await refused(ask(world, alice, 999_999n), 'StakePoolsZeroAmount');
    await ask(world, alice, 1_000_000n);
    assert.equal(await pools.read.requestCount([pool]), 1n);
  });

  it('serves in the order of requests from what bonds leave, and the operator last', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob, operator, govern } = world;
    await govern(pools, 'setOwnStakeShare', [1000]);
    await stake(world, operator, '20');
    await stake(world, alice, '10');
    await stake(world, bob, '10');
    await bonds.write.reserve([pool, pha('20')]);
    const own = await ask(world, operator, phaShares('20'));
    const first = await ask(world, alice, phaShares('10'));
    const second = await ask(world, bob, phaShares('10'));
    await time.increase(7 * day);
    await pools.write.serve([pool]);
    // 40 in all, 20 bonds: both backers' 20 are free. The operator's would be next.
    assert.equal(await claim(world, bob, second), pha('10'));
    await refused(claim(world, operator, own), 'StakePoolsNotServed');
    await refused(bonds.write.reserve([pool, 1n]), 'StakePoolsTooLittleStake', [pool, 0n, pha('20') + 1n]);
    await bonds.write.release([pool, pha('10')]);
    // 30 in all, 10 bonds, 10 of Alice served: 10 free, but half of the operator's request is not all of it.
    await refused(claim(world, operator, own), 'StakePoolsNotServed');
    assert.equal(await claim(world, alice, first), pha('10'));
    await bonds.write.release([pool, pha('10')]);
    assert.equal(await claim(world, operator, own), pha('20'));
    await conserved(world);
  });

  it('keeps the operator’s own stake behind its bonds though it asked it back', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, operator, govern } = world;
    await govern(pools, 'setOwnStakeShare', [1000]);
    await stake(world, operator, '2');
    await stake(world, alice, '30');
    await refused(bonds.write.reserve([pool, pha('20') + 1n]), 'StakePoolsOwnStakeTooSmall', [
      pool,
      pha('2'),
      pha('2') + 1n,
    ]);
    await bonds.write.reserve([pool, pha('20')]);
    const own = await ask(world, operator, phaShares('2'));
    await time.increase(7 * day);
    // And a little more: rounding stops nobody.
    assert.equal(await pools.read.coverOf([pool]), pha('20') + 40n);
    assert.deepEqual(await pools.read.claimableRedeem([pool, own]), [pha('2'), false]);
    await refused(claim(world, operator, own), 'StakePoolsNotServed');
    assert.equal(await pools.read.coverBehind([pool, own]), 0n);
    await bonds.write.release([pool, pha('20')]);
    assert.equal(await claim(world, operator, own), pha('2'));
  });

  it('new bonds take nothing of what wants to leave, and no later request passes an earlier one', async () => {
    const world = await load();
    const { pools, pool, bonds, alice, bob } = world;
    await stake(world, alice, '10');
    await stake(world, bob, '10');
    await bonds.write.reserve([pool, pha('15')]);
    const first = await ask(world, alice, phaShares('10'));
    const second = await ask(world, bob, phaShares('1'));
    assert.equal(await pools.read.canReserve([pool, 1n]), false);
    assert.equal(await pools.read.coverBehind([pool, first]), pha('10') - 4n);
    assert.equal(await pools.read.coverBehind([pool, second]), pha('9') - 4n);
    await time.increase(7 * day);
    // 5 are free: not enough for the first, so nothing for the second, though it is smaller.
    await refused(claim(world, bob, second), 'StakePoolsNotServed');
    await refused(claim(world, alice, first), 'StakePoolsNotServed');
    await refused(bonds.write.release([pool, pha('16')]), 'StakePoolsTooLittleReserved', [pool, pha('15'), pha('16')]);
    await bonds.write.release([pool, pha('5')]);
    assert.equal(await claim(world, alice, first), pha('10'));
    await refused(claim(world, bob, second), 'StakePoolsNotServed');
    await bonds.write.release([pool, pha('1')]);
    assert.equal(await claim(world, bob, second), pha('1'));
    await conserved(world);
  });

  it('many tiny requests before one cost it nothing', async () => {
    const world = await load();
    const { pools, pool, alice, stranger, publicClient } = world;
    await stake(world, alice, '10');
    await stake(world, stranger, '1');
    const gasOf = async (hash: `0x${string}`) => (await publicClient.getTransactionReceipt({ hash })).gasUsed;
    const { account } = alice;
    const claimGas = async (id: bigint) =>
      gasOf(await pools.write.claimRedeem([pool, id, account.address], { account }));
    await ask(world, alice, phaShares('1'));
    await ask(world, alice, phaShares('1'));
    const tiny = 100;
    for (let index = 0; index < tiny; index += 1) await ask(world, stranger, 1_000_000n);
    const behind = await ask(world, alice, phaShares('5'));
    for (let index = 0; index < tiny; index += 1) await ask(world, stranger, 1_000_000n);
    await time.increase(7 * day);
    await claimGas(0n);
    // From here on nothing is written for the first time.
    const alone = await claimGas(1n);
    const among = await claimGas(behind);
    assert.ok(among <= alone + 1_000n, `${among} against ${alone}`);
  });

  it('a token that calls back finds the books complete', async () => {
    const { viem, timelock, alice, operator } = await load();
    const token = await viem.deployContract('UnsafeCallingToken', [alice.account.address]);
    const pools = await viem.deployContract('StakePools', [
      { timelock: timelock.address, token: token.address, ...poolTimes },
    ]);
    const pool = operator.account.address;
    await pools.write.createPool([0, pha('1000'), false], { account: operator.account });
    const account = alice.account;
    // The attacker's contract in this test is the token itself, which holds shares of its own.
    await token.write.approve([pools.address, pha('1000')], { account });
    await pools.write.deposit([pool, pha('10'), token.address], { account });
    await pools.write.deposit([pool, pha('10'), account.address], { account });
    const call = (functionName: 'requestRedeem' | 'claimRedeem', args: readonly unknown[]) =>
      encodeFunctionData({ abi: pools.abi, functionName, args } as Parameters<typeof encodeFunctionData>[0]);
    await token.write.arm([pools.address, call('requestRedeem', [pool, phaShares('10')])]);
    await pools.write.deposit([pool, pha('10'), account.address], { account });
    assert.equal(await token.read.called(), true);
    assert.equal(await token.read.balanceOf([pools.address]), await pools.read.totalHeld());
    await time.increase(7 * day);
    // A claim within the claim: each request is paid once.
    await pools.write.requestRedeem([pool, phaShares('5')], { account });
    await time.increase(7 * day);
    await token.write.arm([pools.address, call('claimRedeem', [pool, 0n, token.address])]);
    await pools.write.claimRedeem([pool, 1n, account.address], { account });
    assert.equal(await token.read.called(), true);
    assert.equal(await token.read.balanceOf([token.address]), pha('10'));
    assert.equal(await token.read.balanceOf([pools.address]), pha('15'));
    assert.equal(await pools.read.totalHeld(), pha('15'));
    await token.write.arm([pools.address, call('claimRedeem', [pool, 1n, token.address])]);
    await pools.write.deposit([pool, pha('1'), account.address], { account });
    assert.equal(await token.read.called(), false);
  });
});

describe('StakePools: votes', () => {
  it('are shares times their rate at the snapshot; asked shares vote until claimed', async () => {
    const world = await load();
    const { pools, pool, alice, bob, stranger } = world;
    const votesAt = (who: typeof alice, at: number) => pools.read.getPastVotes([who.account.address, pool, BigInt(at)]);
    await stake(world, alice, '10');
    const staked = await time.latest();
    await refused(votesAt(alice, staked), 'StakePoolsFutureLookup', [staked, staked]);
    await stake(world, bob, '10');
    assert.equal(await votesAt(alice, staked), pha('10'));
    assert.equal(await votesAt(alice, staked - 1), 0n);
    assert.equal(await votesAt(bob, staked), 0n);
    await pools.write.addFees([pool, pha('10')], { account: stranger.account });
    await time.increase(2 * hour);
    await pools.write.accrue([pool]);
    const earned = await time.latest();
    const requestId = await ask(world, alice, phaShares('4'));
    const asked = await time.latest();
    await time.increase(7 * day);
    const rate = await pools.read.getPastRate([pool, BigInt(earned)]);
    assert.equal(await votesAt(alice, earned), (phaShares('10') * rate) / 10n ** 24n);
    const sum = await votesAt(alice, asked);
    assert.ok(sum <= pha('15') && sum > pha('15') - 10n, `${sum}`);
    assert.equal(await pools.read.getPastTotalShares([pool, BigInt(asked)]), phaShares('16'));
    assert.equal(await pools.read.getPastShares([alice.account.address, pool, BigInt(asked)]), phaShares('6'));
    assert.ok((await pools.read.getPastUnits([alice.account.address, pool, BigInt(asked)])) > 0n);
    assert.equal(await pools.read.getPastUnitRate([pool, false, BigInt(asked)]), pha('1'));
    await claim(world, alice, requestId);
    const claimed = await time.latest();
    await time.increase(1);
    const left = await votesAt(alice, claimed);
    assert.ok(left <= pha('9') && left > pha('9') - 10n, `${left}`);
    await pools.write.transferShares([pool, bob.account.address, phaShares('6')], { account: alice.account });
    const moved = await time.latest();
    await time.increase(1);
    assert.equal(await votesAt(alice, moved), 0n);
    assert.ok((await votesAt(bob, moved)) > pha('23.9'));
  });
});
