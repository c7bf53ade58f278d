import assert from 'node:assert/strict';
import { epochRewardsAbi, stakePoolsAbi, workerBondsAbi } from '@cloister/chain';
import type { WorkerBond } from '@cloister/sdk';
import { parseEther } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { type Plain, Staker } from '../support/staker.ts';
import { until } from '../support/until.ts';

type Listed = { readonly epoch: string; readonly rewardsRoot: string; readonly totals: { readonly rewards: string } };
type Recomputed = { readonly ok: boolean; readonly differences: readonly unknown[] };
type Claimed = Plain<{ readonly what: string; readonly amount: bigint }>;

export const scenario: Scenario = {
  title:
    'A backed and bonded worker earns by the epoch record: gatekeepers carry it into the pool, operator and backer gain, and everybody leaves with it',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 500_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--epoch', '30'] });
    const client = clientOf(network);
    const { view } = client.registry;
    const { contracts } = network.network;
    const chain = new ChainControl(network);
    const { developer, operators } = accountsOf(network);
    const operator = new Staker(network, operators[0] ?? assert.fail('no operator'), folder, signal);
    const backer = new Staker(network, developer, folder, signal);
    const { workerId } = await verifiedWorker(client);
    const records = () => backer.run<readonly Listed[]>('epoch', 'list');

    note('nobody is bonded: nothing is awarded');
    const bare = await until('an epoch is recorded', async () => (await records())[0], {
      signal,
      withinMs: 120_000,
      everyMs: 1_000,
    });
    assert.deepEqual([BigInt(bare.rewardsRoot), bare.totals.rewards], [0n, '0']);

    note('the operator opens a pool, somebody backs it, and the worker is bonded');
    await operator.run('pool', 'create', '--commission', '10', '--capacity', '1000');
    await operator.run('stake', operator.address, '100');
    await backer.run('stake', operator.address, '300');
    await operator.run('worker', 'start-bond', workerId);

    note('the next record awards the epoch’s budget, as anybody computes it');
    const paying = await until(
      'a record awards rewards',
      async () => (await records()).find(({ totals }) => totals.rewards !== '0'),
      { signal, withinMs: 150_000, everyMs: 1_000 },
    );
    const rewards = BigInt(paying.totals.rewards);
    // 30 seconds at 720,000 PHA a day, or 60 where the epoch before has no record; less a fifth for treasury and gatekeepers from where that begins.
    assert.ok([250n, 500n, 200n, 400n].map((whole) => whole * 10n ** 18n).includes(rewards), `awarded ${rewards}`);
    const recomputed = await backer.run<Recomputed>('epoch', 'recompute', paying.epoch);
    assert.deepEqual([recomputed.ok, recomputed.differences], [true, []]);

    note('gatekeepers fill its pot, and when its challenge time is over push it into the pool');
    const pot = { address: contracts.epochRewards, abi: epochRewardsAbi } as const;
    const epoch = BigInt(paying.epoch);
    await until(
      'the pot is filled',
      async () => (await view.read({ ...pot, functionName: 'potOf', args: [epoch] }, signal)).claimableAt > 0n,
      { signal, withinMs: 90_000, everyMs: 500 },
    );
    await chain.passSeconds(60);
    const isClaimed = () => view.read({ ...pot, functionName: 'isClaimed', args: [epoch, operator.address] }, signal);
    await until('the rewards are claimed', isClaimed, { signal, withinMs: 150_000, everyMs: 1_000 });
    const earned = await backer.pool(operator.address);
    assert.ok(BigInt(earned.commission) >= rewards / 10n, `commission ${earned.commission}`);

    note('it flows in over an epoch: the backer has more');
    await chain.passSeconds(60);
    const richer = await backer.pool(operator.address);
    const gain = BigInt(richer.yours.worth) - parseEther('300');
    // Three quarters of nine tenths of what was awarded, at least.
    assert.ok(gain >= (rewards * 9n * 3n) / 40n - 10n ** 9n, `gained ${gain} of ${rewards}`);

    note('the operator shows the chain how much its worker was measured to do');
    const bonds = { address: contracts.workerBonds, abi: workerBondsAbi } as const;
    const measuredOf = async () =>
      (await view.read({ ...bonds, functionName: 'statusOf', args: [workerId] }, signal)).measured;
    assert.equal(await measuredOf(), 0n);
    const raised = await until(
      'a record says how much it does',
      async () => {
        const { code, json } = await operator.try<Plain<WorkerBond>>('worker', 'raise-bond', workerId);
        return code === 0 && json;
      },
      { signal, withinMs: 60_000, everyMs: 1_000 },
    );
    const measured = await measuredOf();
    note(`measured: ${measured} units of work`);
    assert.ok(measured > 0n);
    assert.ok(BigInt(raised.bond) >= BigInt(raised.required));

    note('everybody leaves with it');
    await operator.run('worker', 'stop-bond', workerId);
    const asked = await backer.run<Plain<{ amount: bigint }>>('unstake', operator.address, 'all');
    assert.ok(BigInt(asked.amount) > parseEther('300'));
    await chain.passSeconds(600);
    assert.equal((await operator.run<{ step: string }>('worker', 'stop-bond', workerId)).step, 'released');
    const phaOf = (address: `0x${string}`) => client.payments.reader.phaOf(address, signal);
    const before = await phaOf(backer.address);
    const [paid] = await backer.run<readonly Claimed[]>('claim');
    assert.deepEqual([paid?.what, paid?.amount], ['unstaked', asked.amount]);
    assert.equal((await phaOf(backer.address)) - before, BigInt(asked.amount));
    const collected = await operator.run<readonly Claimed[]>('claim');
    assert.deepEqual(
      collected.map(({ what }) => what),
      ['commission'],
    );
    await operator.run('unstake', operator.address, 'all');
    await chain.passSeconds(600);
    const [left] = await operator.run<readonly Claimed[]>('claim');
    assert.equal(left?.what, 'unstaked');
    assert.ok(BigInt(left?.amount ?? 0) > parseEther('100'));

    note('all that the pools hold is owed to somebody');
    const pools = { address: contracts.stakePools, abi: stakePoolsAbi } as const;
    const held = await view.read({ ...pools, functionName: 'totalHeld', args: [] }, signal);
    assert.equal(await phaOf(contracts.stakePools), held);
  },
};
