import assert from 'node:assert/strict';
import path from 'node:path';
import { allowConfigCall, cloisterGovernorAbi, emissionAbi, phaTokenAbi, TransactionError } from '@cloister/chain';
import type { Address, Bytes32, Hex } from '@cloister/core';
import type { Change, ShownProposal, VoteCast } from '@cloister/sdk';
import { concatHex, keccak256, parseEther, stringToHex } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { runCloister } from '../support/programs.ts';
import { type Plain, Staker } from '../support/staker.ts';

type Proposal = Omit<Plain<ShownProposal>, 'id'> & { readonly id: Hex };
type Preview = { readonly ok: boolean; readonly changes: readonly Plain<Change>[] };

const image = (digit: string): Bytes32 => `0x${digit.repeat(64)}`;
const pha = (whole: number) => parseEther(String(whole));

export const scenario: Scenario = {
  title:
    'Holders of PHA, staked or not, change the emission and allow worker images by their votes alone; nobody else can, nothing counts twice, and nothing comes early',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 400_000,
  async run({ startNetwork, folder, note, signal }) {
    const data = path.join(folder, 'network');
    const network = await startNetwork({ data, args: ['--workers', '1', '--governed'] });
    assert.equal(network.ready.governed, true);
    const client = clientOf(network);
    const { contracts } = network.network;
    const chain = new ChainControl(network);
    const accounts = accountsOf(network);
    const operatorAccount = accounts.operators[0] ?? assert.fail('no operator');
    const voter = new Staker(network, accounts.developer, folder, signal);
    const founder = new Staker(network, accounts.deployer, folder, signal);
    const operator = new Staker(network, operatorAccount, folder, signal);
    const show = (id: Hex) => voter.run<Proposal>('govern', 'show', id);
    const refusedByChain = (call: Promise<unknown>, error: string) =>
      assert.rejects(call, (thrown: unknown) => thrown instanceof TransactionError && thrown.message.includes(error));

    note('who deployed the network no longer decides anything');
    const deployersWay = () => chain.govern(allowConfigCall(contracts.imageRegistry, image('c')));
    await refusedByChain(deployersWay(), 'AccessControlUnauthorizedAccount');

    note('stake and PHA are given to voters: of others too');
    await operator.run('pool', 'create', '--commission', '10', '--capacity', '1000000');
    await voter.run('stake', operator.address, '60000');
    await founder.run('stake', operator.address, '150000', '--delegate', voter.address);
    await voter.run('govern', 'delegate', '--pha');
    await operator.run('govern', 'delegate');

    note('three proposals: of two calls, one of them dangerous; a dangerous one; an image alone');
    const split = `emission.setSplit(100000, {treasury: timelock, treasuryBps: 1000, gatekeepers: committeePurse, gatekeepersBps: 500})`;
    const propose = (title: string, ...calls: readonly string[]) =>
      voter.run<Proposal>('govern', 'propose', '--title', title, ...calls);
    const both = await propose('Split', '--call', split, '--allow-image', image('a'));
    const short = await propose('Short', '--call', 'emission.setRewards(epochRewards)');
    const ordinary = await propose('Image', '--allow-image', image('b'));
    assert.deepEqual([both.dangerous, short.dangerous, ordinary.dangerous], [true, true, false]);
    const preview = await voter.run<Preview>('govern', 'preview', both.id);
    const changed = preview.changes.map(({ of, what, text }) => `${of} ${what} ${text.before} ${text.after}`);
    assert.ok(changed.includes(`imageRegistry isImageAllowed(${image('a')}) false true`), changed.join('\n'));
    assert.ok(changed.some((line) => /^emission splitOf\(100000\) .*treasuryBps: 1500.*treasuryBps: 1000/.test(line)));
    const told = await runCloister(['pool', 'show', operator.address, '--network', network.file], folder, signal);
    assert.match(told.stderr, /is about stake: Split/);

    note('what moves after the snapshot counts for nothing');
    await chain.passSeconds(125);
    const standing = await operator.run<Plain<VoteCast>>('govern', 'vote', ordinary.id, 'abstain');
    assert.equal(BigInt(standing.votes), pha(10_000));
    await chain.account(accounts.developer).write({
      address: contracts.phaToken,
      abi: phaTokenAbi,
      functionName: 'transfer',
      args: [operator.address, pha(30_000)],
    });
    await chain.passSeconds(2);
    const afterMove = await operator.run<Plain<VoteCast>>('govern', 'vote', both.id, 'against');
    assert.equal(BigInt(afterMove.votes), pha(10_000));

    note('stake and PHA vote, whole and in part; a stake that was counted counts no more');
    const cast = await voter.run<Plain<VoteCast>>('govern', 'vote', both.id, 'for', '--reason', 'a smaller treasury');
    const all = BigInt(cast.votes);
    // What deploying and calling cost is little.
    assert.ok(all > pha(249_000) && all <= pha(250_000), `cast ${all}`);
    const again = await voter.refused('govern', 'vote', both.id, 'for');
    assert.match(again, /has cast all its votes/);
    assert.match(await founder.refused('govern', 'vote', both.id, 'against'), /had no votes at the snapshot/);
    const pair = (account: Address) => concatHex([account, operator.address]);
    const castStake = (account: Address, by: typeof accounts.developer) =>
      chain.account(by).write({
        address: contracts.governor,
        abi: cloisterGovernorAbi,
        functionName: 'castVoteWithReasonAndParams',
        args: [BigInt(both.id), 0, '', pair(account)],
      });
    await refusedByChain(castStake(voter.address, accounts.developer), 'PoolVotesStakeCounted');
    await refusedByChain(castStake(founder.address, accounts.deployer), 'PoolVotesNotEntitled');
    await voter.run('govern', 'vote', short.id, '--for', '100000');
    await voter.run('govern', 'vote', ordinary.id, '--for', '100000', '--abstain', '1');
    const counted = await show(both.id);
    assert.deepEqual([BigInt(counted.votes.for), BigInt(counted.votes.against)], [all, pha(10_000)]);
    assert.match(await voter.refused('govern', 'queue', both.id), /is active/);

    note('short of the super quorum it is defeated; the others wait their time');
    await chain.passSeconds(300);
    assert.equal((await show(short.id)).state, 'defeated');
    await voter.refused('govern', 'queue', short.id);
    const queued = await operator.run<Proposal>('govern', 'queue', both.id);
    await operator.run('govern', 'queue', ordinary.id);
    assert.equal(Number(queued.delaySeconds), 420);
    assert.match(await voter.refused('govern', 'execute', both.id), /is queued/);
    const operation = [
      queued.calls.map(({ target }) => target),
      queued.calls.map(({ value }) => BigInt(value)),
      queued.calls.map(({ data: bytes }) => bytes),
      keccak256(stringToHex(queued.description)),
    ] as const;
    const execute = {
      address: contracts.governor,
      abi: cloisterGovernorAbi,
      functionName: 'execute',
      args: operation,
    } as const;
    await refusedByChain(chain.account(accounts.developer).write(execute), 'TimelockUnexpectedOperationState');
    await chain.passSeconds(121);
    assert.equal((await operator.run<Proposal>('govern', 'execute', ordinary.id)).state, 'executed');
    await voter.refused('govern', 'execute', both.id);
    assert.equal(await client.registry.imageAllowed(image('b')), true);
    assert.equal(await client.registry.imageAllowed(image('a')), false);

    note('executed, both calls have their effect');
    await chain.passSeconds(300);
    assert.equal((await founder.run<Proposal>('govern', 'execute', both.id)).state, 'executed');
    assert.equal(await client.registry.imageAllowed(image('a')), true);
    const emission = { address: contracts.emission, abi: emissionAbi } as const;
    const { treasuryBps } = await client.registry.view.read({ ...emission, functionName: 'splitOf', args: [100_000n] });
    assert.equal(treasuryBps, 1_000);
    const listed = await voter.run<readonly Proposal[]>('govern', 'list');
    assert.deepEqual(
      listed.map(({ title, state }) => `${title} ${state}`),
      ['Image executed', 'Short defeated', 'Split executed'],
    );

    note('started again, it is governed still');
    await network.stop();
    const later = await startNetwork({ data, args: ['--workers', '1'] });
    assert.equal(later.ready.governed, true);
  },
};
