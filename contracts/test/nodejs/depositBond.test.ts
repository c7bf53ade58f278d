import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { zeroAddress } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(withBond);
const delay = 14n * 86_400n;

async function withBond() {
  const world = await deployWorld(connection);
  const { viem, timelock, deployer, operator, stranger, govern } = world;
  const token = await viem.deployContract('PhaToken', [[deployer.account.address], [1_000n]]);
  const bond = await viem.deployContract('DepositBond', [timelock.address, token.address, delay]);
  await token.write.approve([bond.address, 1_000n]);
  await bond.write.deposit([operator.account.address, 100n]);
  await govern(bond, 'setSlasher', [stranger.account.address]);
  return { ...world, token, bond, holder: operator.account.address };
}

describe('DepositBond', () => {
  it('refuses a token that is none and a delay beyond a year', async () => {
    const { viem, timelock, token } = await load();
    await refused(
      viem.deployContract('DepositBond', [timelock.address, zeroAddress, delay]),
      'DepositBondTokenWithoutCode',
      [zeroAddress],
    );
    await refused(
      viem.deployContract('DepositBond', [timelock.address, token.address, 31_536_001n]),
      'DepositBondDelayOutOfRange',
      [31_536_001n, 31_536_000n],
    );
  });

  it('counts what was put in, by whoever, until it is asked back', async () => {
    const { bond, token, holder, operator } = await load();
    await bond.write.deposit([holder, 5n]);
    assert.equal(await bond.read.bondOf([holder]), 105n);
    assert.equal(await token.read.balanceOf([bond.address]), 105n);
    await refused(bond.write.deposit([holder, 0n]), 'DepositBondZeroAmount');
    await bond.write.requestWithdrawal([60n], { account: operator.account });
    assert.equal(await bond.read.bondOf([holder]), 45n);
    await refused(bond.write.requestWithdrawal([46n], { account: operator.account }), 'DepositBondTooLittle', [
      holder,
      45n,
      46n,
    ]);
    await refused(bond.write.requestWithdrawal([0n], { account: operator.account }), 'DepositBondZeroAmount');
  });

  it('pays out after the delay, once, and to the operator’s choice', async () => {
    const { bond, token, operator, borrower, publicClient, holder } = await load();
    const account = operator.account;
    await refused(bond.write.withdraw([borrower.account.address], { account }), 'DepositBondZeroAmount');
    await bond.write.requestWithdrawal([60n], { account });
    const { claimableAt } = await bond.read.depositOf([holder]);
    assert.equal(claimableAt, (await publicClient.getBlock()).timestamp + delay);
    await networkHelpers.time.setNextBlockTimestamp(claimableAt - 1n);
    await refused(bond.write.withdraw([borrower.account.address], { account }), 'DepositBondNotClaimable');
    await networkHelpers.time.increaseTo(claimableAt);
    await bond.write.withdraw([borrower.account.address], { account });
    assert.equal(await token.read.balanceOf([borrower.account.address]), 60n);
    await refused(bond.write.withdraw([borrower.account.address], { account }), 'DepositBondZeroAmount');
  });

  it('a second wish begins the delay anew for all that is leaving', async () => {
    const { bond, operator, holder } = await load();
    const account = operator.account;
    await bond.write.requestWithdrawal([10n], { account });
    const first = (await bond.read.depositOf([holder])).claimableAt;
    await networkHelpers.time.increaseTo(first);
    await bond.write.requestWithdrawal([10n], { account });
    await refused(bond.write.withdraw([holder], { account }), 'DepositBondNotClaimable');
  });

  it('can be slashed by the slasher alone, what is leaving too, never beyond what is there', async () => {
    const { bond, token, operator, stranger, borrower, holder } = await load();
    const sink = borrower.account.address;
    const as = { account: stranger.account };
    await bond.write.requestWithdrawal([60n], { account: operator.account });
    await refused(bond.write.slash([holder, 1n, sink]), 'DepositBondCallerNotSlasher');
    await refused(bond.write.slash([holder, 0n, sink], as), 'DepositBondZeroAmount');
    await refused(bond.write.slash([holder, 101n, sink], as), 'DepositBondTooLittle', [holder, 100n, 101n]);
    await bond.write.slash([holder, 50n, sink], as);
    const held = await bond.read.depositOf([holder]);
    assert.deepEqual([held.amount, held.leaving], [0n, 50n]);
    assert.equal(await token.read.balanceOf([sink]), 50n);
  });

  it('only the timelock names the slasher', async () => {
    const { bond, operator } = await load();
    await refused(bond.write.setSlasher([zeroAddress], { account: operator.account }), 'GovernedCallerNotTimelock');
  });
});
