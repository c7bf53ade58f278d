import { type Address, zeroAddress } from '@cloister/core';
import { type Claimed, openGovernance, type PoolStatus, type StakePosition } from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, idValue, percentBps, percentText, phaAmount, phaText } from '../optionValues.ts';
import { print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient, SettingsError } from '../settings.ts';
import { noteProposals, noteVoter } from '../stakeNotes.ts';

type Options = NetworkOptions & { json?: boolean };

/** Pools and who backs them, bonds of workers, and what comes of both. */
export function stakingCommands(program: Command): void {
  poolCommands(program.command('pool').description('what operators put at stake, and who backs them'));

  program
    .command('stake')
    .description("stake PHA in an operator's pool: it shares in what the pool earns, and in what it loses")
    .argument('<pool>', "the operator's address")
    .argument('<amount>', 'PHA, such as 10 or 0.5')
    .option('--delegate <account>', 'who casts the votes of your stake, in all pools, until you say otherwise')
    .action(async (pool: string, amount: string, given: { delegate?: string }, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [operator, value] = [addressValue('pool', pool), phaAmount('amount', amount)];
      const voter = given.delegate === undefined ? undefined : addressValue('--delegate', given.delegate);
      const account = await openAccount(options);
      const client = await openClient(options);
      const position = await client.staking.stake(operator, value, { account });
      if (voter !== undefined) await openGovernance(client).delegate(voter, { pha: false, stake: true }, { account });
      print(options, position, () => `Staked ${phaText(value)}: ${positionText(position)}`);
      if (options.json) return;
      await noteVoter(client, account.address.toLowerCase() as Address);
      await noteProposals(client);
    });

  program
    .command('unstake')
    .description('ask stake back: it stops earning now; "cloister claim" pays it once its time has come')
    .argument('<pool>', "the operator's address")
    .argument('<amount>', 'PHA, or "all"')
    .action(async (pool: string, amount: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const operator = addressValue('pool', pool);
      const value = amount === 'all' ? 'all' : phaAmount('amount', amount);
      const account = await openAccount(options);
      const client = await openClient(options);
      const request = await client.staking.unstake(operator, value, { account });
      print(
        options,
        request,
        () =>
          `Asked back ${phaText(request.amount)} from pool ${operator}, payable from ${timeText(request.notBefore)}; until then it can be slashed`,
      );
      if (!options.json) await noteProposals(client);
    });

  program
    .command('claim')
    .description('pay yourself all that is due: stake that you asked back, and the commission of your pool')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const account = await openAccount(options);
      const client = await openClient(options);
      const claimed = await client.staking.claim({ account });
      print(options, claimed, () => (claimed.length === 0 ? 'Nothing is due.' : claimed.map(claimedText).join('\n')));
      if (!options.json) await noteProposals(client);
    });

  bondCommands(program.command('worker').description('the bond behind a worker of yours'));
}

function poolCommands(pool: Command): void {
  pool
    .command('create')
    .description('open the pool of your account, once: workers of yours are bonded out of it')
    .requiredOption('--commission <percent>', 'your part of what the pool earns, at most 50')
    .requiredOption('--capacity <amount>', 'PHA that the pool takes in all')
    .option('--allowlist', 'only accounts that you allow may stake in it')
    .action(async (given: { commission: string; capacity: string; allowlist?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const commissionBps = percentBps('--commission', given.commission);
      const capacity = phaAmount('--capacity', given.capacity);
      const account = await openAccount(options);
      const client = await openClient(options);
      const created = await client.staking.createPool(
        { commissionBps, capacity, allowlistOn: given.allowlist === true },
        { account },
      );
      print(
        options,
        created,
        () =>
          `Pool ${created.pool} is open: commission ${percentText(commissionBps)}, up to ${phaText(capacity)}\n  Stake in it with "cloister stake ${created.pool} AMOUNT", bond a worker with "cloister worker start-bond ID"`,
      );
    });

  pool
    .command('show')
    .description('a pool, its bonds, and what you have in it')
    .argument('[pool]', "the operator's address (default: your own)")
    .action(async (text: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const named = text === undefined ? undefined : addressValue('pool', text);
      const account = await openAccount(options).catch((error: unknown) => {
        // A pool of others can be looked at without an account.
        if (named !== undefined && error instanceof SettingsError && error.code === 'NO_KEY') return undefined;
        throw error;
      });
      const mine = (account?.address.toLowerCase() ?? zeroAddress) as Address;
      const operator = named ?? mine;
      const client = await openClient(options);
      const [status, bonds, position, requests] = await Promise.all([
        client.staking.pool(operator),
        client.staking.reader.bondsOf(operator),
        account && client.staking.position(operator, mine),
        account === undefined ? [] : client.staking.requests(mine),
      ]);
      const leaving = requests.filter((request) => request.pool === operator);
      const yours = position === undefined ? null : { ...position, leaving };
      print(options, { ...status, bonds, yours }, () =>
        [
          poolLine(status),
          `  bonds of workers ${phaText(status.reserved)}, leaving ${phaText(status.leaving + status.ownLeaving)}, earnings on their way ${phaText(status.unstreamed)}, commission due ${phaText(status.commission)}`,
          ...(status.nextCommission === null
            ? []
            : [`  commission ${percentText(status.nextCommission.bps)} from ${timeText(status.nextCommission.from)}`]),
          ...(status.openSlashes === 0
            ? []
            : [`  ${status.openSlashes} open slashes: see "cloister slashes ${operator}"`]),
          ...(status.pausedUntil === null
            ? []
            : [`  claims and transfers wait, until ${timeText(status.pausedUntil)} at the longest`]),
          ...bonds.map(
            ({ workerId, state, bond, freeAt }) =>
              `  worker ${workerId}  ${phaText(bond)} ${state}${state === 'stopping' ? `, free from ${timeText(freeAt)}` : ''}`,
          ),
          ...(position === undefined ? [] : [`  yours: ${phaText(position.worth)}`]),
          ...leaving.map(
            ({ id, amount, claimable, notBefore }) =>
              `  you asked back ${phaText(amount)} (request ${id}), ${claimable ? 'payable now: "cloister claim"' : `payable from ${timeText(notBefore)} at the earliest`}`,
          ),
        ].join('\n'),
      );
      if (!options.json) await noteProposals(client);
    });

  pool
    .command('list')
    .description('every pool of the network')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const client = await openClient(options);
      const pools = await client.staking.pools();
      print(options, pools, () => (pools.length === 0 ? 'There is no pool yet' : pools.map(poolLine).join('\n')));
    });
}

function bondCommands(worker: Command): void {
  worker
    .command('start-bond')
    .description('put a bond behind a worker, out of your pool: from then on it earns, and can be slashed')
    .argument('<worker>', 'id of the worker')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const workerId = idValue('worker', text);
      const account = await openAccount(options);
      const client = await openClient(options);
      const bond = await client.staking.startBond(workerId, { account });
      print(options, bond, () => `Worker ${workerId}: ${phaText(bond.bond)} of pool ${bond.pool} are its bond`);
    });

  worker
    .command('raise-bond')
    .description(
      'show how much a worker was measured to do, and raise its bond to that: rewards count no more than it covers',
    )
    .argument('<worker>', 'id of the worker')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const workerId = idValue('worker', text);
      const account = await openAccount(options);
      const client = await openClient(options);
      const bond = await client.staking.raiseBond(workerId, { account });
      print(options, bond, () => {
        if (bond.state !== 'running') return `Worker ${workerId}: a bond that starts now is ${phaText(bond.required)}`;
        return `Worker ${workerId}: its bond is ${phaText(bond.bond)}, and ${phaText(bond.required)} are asked for its work`;
      });
    });

  worker
    .command('stop-bond')
    .description('stop the bond of a worker; after the time in which it can be slashed, run it again to free it')
    .argument('<worker>', 'id of the worker')
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const workerId = idValue('worker', text);
      const account = await openAccount(options);
      const client = await openClient(options);
      const { step, freeAt } = await client.staking.stopBond(workerId, { account });
      print(options, { workerId, step, freeAt }, () => {
        if (step === 'released') return `Worker ${workerId}: its bond is the pool's again`;
        const when = `can be slashed until ${timeText(freeAt)}`;
        return `Worker ${workerId}: ${step === 'stopped' ? 'stopped' : 'had stopped before'}, ${when}`;
      });
    });
}

function poolLine(pool: PoolStatus): string {
  const marks = [
    ...(pool.closed ? ['closed'] : []),
    ...(pool.allowlistOn ? ['allowlist'] : []),
    ...(pool.pausedUntil === null ? [] : ['paused by a slash']),
  ];
  const state = marks.length === 0 ? '' : ` (${marks.join(', ')})`;
  return `Pool ${pool.pool}${state}  ${phaText(pool.staked)} staked of ${phaText(pool.capacity)}, commission ${percentText(pool.commissionBps)}, ${pool.runningWorkers} bonded workers`;
}

function positionText({ pool, worth }: StakePosition): string {
  return `your part of pool ${pool} is worth ${phaText(worth)}`;
}

function claimedText(claimed: Claimed): string {
  if (claimed.what === 'commission') return `Commission of your pool: ${phaText(claimed.amount)}`;
  const from = `${phaText(claimed.amount)} of pool ${claimed.pool}`;
  if (claimed.what === 'unstaked') return `Paid ${from}`;
  return `${from} wait, until ${timeText(claimed.notBefore)} at the earliest`;
}

function timeText(unixSeconds: bigint): string {
  return new Date(Number(unixSeconds) * 1_000).toISOString();
}
