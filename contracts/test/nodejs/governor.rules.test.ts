import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Hex, stringToHex, toFunctionSelector, zeroAddress } from 'viem';
import { deployGovernorWorld, governorRules } from '../support/governorWorld.ts';
import { refused } from '../support/refused.ts';
import { day, pha } from '../support/stakeWorld.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;

async function world() {
  return deployGovernorWorld(connection);
}
const load = () => networkHelpers.loadFixture(world);
const named = (rule: string): Hex => stringToHex(rule, { size: 32 });

describe('CloisterGovernor: bounds that no proposal moves', () => {
  const bounds = {
    votingDelay: [day, 14 * day],
    votingPeriod: [3 * day, 21 * day],
    voteExtension: [day, 3 * day],
    proposalThreshold: [pha('1000'), pha('1000000')],
    quorumBps: [200, 2000],
    superQuorumBps: [1000, 4000],
  } as const;
  for (const [rule, [minimum, maximum]] of Object.entries(bounds))
    it(`${rule}: ${minimum} to ${maximum}`, async () => {
      const { actRules, delegates } = await load();
      const widest = { ...governorRules, quorumBps: 200, superQuorumBps: 4000 };
      const deploy = (value: bigint) =>
        viem.deployContract('CloisterGovernor', [
          actRules.address,
          delegates.address,
          { ...widest, [rule]: rule === 'proposalThreshold' ? value : Number(value) },
        ]);
      for (const value of [minimum, maximum]) await deploy(BigInt(value));
      for (const value of [BigInt(minimum) - 1n, BigInt(maximum) + 1n])
        await refused(deploy(value), 'CloisterGovernorRuleOutOfRange', [named(rule), value, minimum, maximum]);
    });

  it('the super quorum is twice the quorum at the least', async () => {
    const { actRules, delegates } = await load();
    const deploy = (superQuorumBps: number) =>
      viem.deployContract('CloisterGovernor', [
        actRules.address,
        delegates.address,
        { ...governorRules, quorumBps: 900, superQuorumBps },
      ]);
    await deploy(1800);
    await refused(deploy(1799), 'CloisterGovernorSuperQuorumTooSmall', [1799, 1800]);
  });

  it('rests on contracts', async () => {
    const { actRules, delegates, stranger } = await load();
    const nobody = stranger.account.address;
    for (const addresses of [
      [nobody, delegates.address],
      [actRules.address, nobody],
    ] as const)
      await refused(
        viem.deployContract('CloisterGovernor', [...addresses, governorRules]),
        'CloisterGovernorWithoutCode',
        [nobody],
      );
  });

  it('says which', async () => {
    const { governor, actRules } = await load();
    assert.equal(BigInt(await governor.read.actRules()), BigInt(actRules.address));
    assert.deepEqual(
      [
        await governor.read.votingDelay(),
        await governor.read.votingPeriod(),
        await governor.read.lateQuorumVoteExtension(),
        await governor.read.proposalThreshold(),
        await governor.read.quorumBps(),
        await governor.read.superQuorumBps(),
      ],
      [BigInt(2 * day), BigInt(5 * day), 2 * day, pha('100000'), 400, 1500],
    );
  });
});

describe('ActRules', () => {
  it('a day is a minute to a day', async () => {
    const { init } = await load();
    for (const length of [60, 86_400])
      assert.equal(await (await viem.deployContract('ActRules', [{ ...init, day: length }])).read.day(), length);
    for (const length of [59, 86_401])
      await refused(viem.deployContract('ActRules', [{ ...init, day: length }]), 'ActRulesDayOutOfRange', [
        length,
        60,
        86_400,
      ]);
  });

  it('with a shorter day all of governance is shorter', async () => {
    const { init, delegates, images } = await load();
    const minutes = await viem.deployContract('ActRules', [{ ...init, day: 60 }]);
    const [dangerous, delay] = await minutes.read.ruleOf([images.address, '0x12345678']);
    assert.deepEqual([dangerous, delay], [true, BigInt(24 * day + 60)]);
    const short = { ...governorRules, votingDelay: 60, votingPeriod: 180, voteExtension: 60 };
    await viem.deployContract('CloisterGovernor', [minutes.address, delegates.address, short]);
    await refused(
      viem.deployContract('CloisterGovernor', [minutes.address, delegates.address, { ...short, votingPeriod: 179 }]),
      'CloisterGovernorRuleOutOfRange',
      [named('votingPeriod'), 179, 180, 1260],
    );
  });

  it('knows the longest way out: of pools, or of a gatekeeper’s bond', async () => {
    const { init, timelock, token } = await load();
    const bond = await viem.deployContract('DepositBond', [timelock.address, token.address, BigInt(30 * day)]);
    const rules = await viem.deployContract('ActRules', [{ ...init, depositBond: bond.address }]);
    assert.equal(await rules.read.longestExit(), BigInt(30 * day));
  });

  it('waits longer than payers do for what touches their money', async () => {
    const { init, viem: deployer, timelock, token, workers, pools } = await load();
    const payments = await deployer.deployContract('Payments', [
      {
        timelock: timelock.address,
        token: token.address,
        workerRegistry: workers.address,
        stakePools: pools.address,
        withdrawalDelay: BigInt(5 * day),
        gatekeepers: token.address,
        treasury: token.address,
        shares: { gateway: 0, gatekeepers: 0, treasury: 0 },
      },
    ]);
    const rules = await viem.deployContract('ActRules', [{ ...init, payments: payments.address }]);
    const [, delay] = await rules.read.ruleOf([payments.address, '0x00000000']);
    assert.equal(delay, BigInt(25 * day));
    const selector = toFunctionSelector('function sweepSurplus()');
    assert.deepEqual(await rules.read.ruleOf([payments.address, selector]), [false, BigInt(6 * day)]);
    assert.deepEqual(await rules.read.ruleOf([pools.address, selector]), [false, BigInt(2 * day)]);
  });

  it('rests on contracts', async () => {
    const { init, stranger } = await load();
    const nobody = stranger.account.address;
    for (const name of ['timelock', 'gatekeeperImages'])
      for (const account of [nobody, zeroAddress])
        await refused(viem.deployContract('ActRules', [{ ...init, [name]: account }]), 'ActRulesWithoutCode', [
          account,
        ]);
  });
});
