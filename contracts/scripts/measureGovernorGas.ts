import type { Address } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import {
  deployGovernorWorld,
  governorRules,
  inFavour,
  operationOf,
  ordinaryAct,
  type Proposal,
  pairs,
  proposalOf,
  proposing,
  type Staker,
  selfDelegate,
  stakeIn,
} from '../test/support/governorWorld.ts';
import { day, pha } from '../test/support/stakeWorld.ts';
import type { Measure } from './measureAttestationGas.ts';

/**
 * A proposal with one act, its queueing and its execution; votes of accounts that have PHA of their own and name 1, 5 and 20 stakes in as
 * many pools, each of which has a history of some deposits. Not the first votes of the proposal.
 */
export async function measureGovernorGas(
  connection: Connection,
  measureOn: (world: Awaited<ReturnType<typeof deployGovernorWorld>>) => Measure,
): Promise<void> {
  const world = await deployGovernorWorld(connection);
  const measure = measureOn(world);
  const { viem, governor, pools, token, stranger, operator, alice, bob, otherOperator } = world;
  const wait = (seconds: number) => connection.provider.request({ method: 'evm_increaseTime', params: [seconds] });
  await selfDelegate(world, operator, otherOperator, alice, bob, stranger);
  const wallets = await viem.getWalletClients();
  const opened: Address[] = [];
  for (const wallet of wallets.slice(0, 20)) {
    const { account } = wallet;
    if (account.address !== world.pool) await pools.write.createPool([0, pha('5000000'), false], { account });
    opened.push(account.address);
  }
  const voters = [
    [alice, 1],
    [bob, 5],
    [otherOperator, 20],
  ] as const;
  for (const pool of opened) {
    await stakeIn(world, operator, '10', pool);
    await pools.write.deposit([pool, pha('5'), operator.account.address], { account: stranger.account });
  }
  for (const [voter, count] of voters)
    for (const pool of opened.slice(0, count)) await stakeIn(world, voter, '1000', pool);
  await token.write.transfer([alice.account.address, pha('1')], { account: stranger.account });

  const proposal: Proposal = await proposalOf(
    world,
    [ordinaryAct(world)],
    'Allow the network file of the next release',
  );
  const { account } = stranger;
  await measure('governor-propose', await governor.write.propose(proposing(proposal), { account }));
  await wait(governorRules.votingDelay + 1);
  const cast = (by: Staker, count: number) =>
    governor.write.castVoteWithReasonAndParams(
      [proposal.id, inFavour, '', pairs(...opened.slice(0, count).map((pool) => [by.account.address, pool] as const))],
      { account: by.account },
    );
  await governor.write.castVote([proposal.id, inFavour], { account: operator.account });
  await measure('governor-vote', await governor.write.castVote([proposal.id, inFavour], { account }));
  for (const [voter, count] of voters) await measure(`governor-vote-${count}`, await cast(voter, count));
  await wait(governorRules.votingPeriod + 1);
  await measure('governor-queue', await governor.write.queue(operationOf(proposal), { account }));
  await wait(2 * day);
  await measure('governor-execute', await governor.write.execute(operationOf(proposal), { account }));
}
