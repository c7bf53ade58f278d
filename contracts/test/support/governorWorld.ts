import { handOverToGovernorCalls } from '@cloister/chain';
import {
  type Abi,
  type Address,
  concatHex,
  encodeFunctionData,
  type Hex,
  keccak256,
  stringToHex,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem';
import type { Connection } from './accounts.ts';
import { paymentsSettings } from './payments.ts';
import { day, deployOpenPool, pha } from './stakeWorld.ts';

export type GovernorWorld = Awaited<ReturnType<typeof deployGovernorWorld>>;
export type Staker = GovernorWorld['alice'];
export type Act = { readonly target: Address; readonly data: Hex };

export const against = 0;
export const inFavour = 1;
export const abstain = 2;
export const splitSupport = 255;
/** IGovernor.ProposalState. */
export const proposalStates = {
  pending: 0,
  active: 1,
  canceled: 2,
  defeated: 3,
  succeeded: 4,
  queued: 5,
  expired: 6,
  executed: 7,
} as const;

export const governorRules = {
  votingDelay: 2 * day,
  votingPeriod: 5 * day,
  voteExtension: 2 * day,
  proposalThreshold: pha('100000'),
  quorumBps: 400,
  superQuorumBps: 1500,
} as const;
export const bondDelay = BigInt(14 * day);
export const roles = {
  proposer: keccak256(stringToHex('PROPOSER_ROLE')),
  canceller: keccak256(stringToHex('CANCELLER_ROLE')),
  executor: keccak256(stringToHex('EXECUTOR_ROLE')),
} as const;

/**
 * The operator's open pool, and a Governor that the timelock's roles went to. Five accounts with 10 million PHA each, all there is;
 * nobody has delegated anything, the first to themselves neither.
 */
export async function deployGovernorWorld(connection: Connection) {
  const world = await deployOpenPool(connection);
  const { viem, timelock, token, pools, workers, images, govern, deployer } = world;
  const depositBond = await viem.deployContract('DepositBond', [timelock.address, token.address, bondDelay]);
  const payments = await viem.deployContract('Payments', [
    paymentsSettings(timelock.address, token.address, workers.address, pools.address),
  ]);
  const gatekeeperImages = await viem.deployContract('ImageRegistry', [timelock.address, 0n]);
  const init = {
    timelock: timelock.address,
    day,
    stakePools: pools.address,
    depositBond: depositBond.address,
    payments: payments.address,
    gatekeeperImages: gatekeeperImages.address,
  };
  const actRules = await viem.deployContract('ActRules', [init]);
  const delegates = await viem.deployContract('StakeDelegates');
  const governor = await viem.deployContract('CloisterGovernor', [actRules.address, delegates.address, governorRules]);
  // As on a network: anyone executes what is due.
  await govern(timelock, 'grantRole', [roles.executor, zeroAddress]);
  const calls = handOverToGovernorCalls(timelock.address, governor.address, deployer.account.address);
  const batch = [calls.map(({ target }) => target), calls.map(() => 0n), calls.map(({ data }) => data)] as const;
  await timelock.write.scheduleBatch([...batch, zeroHash, zeroHash, 0n]);
  await timelock.write.executeBatch([...batch, zeroHash, zeroHash]);
  return { ...world, depositBond, payments, gatekeeperImages, images, init, actRules, delegates, governor, connection };
}

/** An act by a contract's function. */
export function act(
  { address, abi }: { readonly address: Address; readonly abi: Abi },
  functionName: string,
  args: readonly unknown[],
): Act {
  return { target: address, data: encodeFunctionData({ abi, functionName, args }) };
}

/** An act that asks for nothing beyond a quorum. */
export function ordinaryAct({ images }: GovernorWorld, seed = 1): Act {
  return act(images, 'allowConfig', [toHex(seed, { size: 32 })]);
}

/** An act that takes a super quorum. */
export function dangerousAct({ workers }: GovernorWorld, seed = 1): Act {
  return act(workers, 'setNetworkKeysHash', [toHex(seed, { size: 32 })]);
}

export type Proposal = {
  readonly id: bigint;
  readonly targets: readonly Address[];
  readonly values: readonly bigint[];
  readonly calldatas: readonly Hex[];
  readonly description: string;
};

/** What queue, execute and cancel take. */
export function operationOf({ targets, values, calldatas, description }: Proposal) {
  return [targets, values, calldatas, keccak256(stringToHex(description))] as const;
}

export async function proposalOf(
  { governor }: GovernorWorld,
  acts: readonly Act[],
  description = 'Allow it',
): Promise<Proposal> {
  const proposal = {
    targets: acts.map(({ target }) => target),
    values: acts.map(() => 0n),
    calldatas: acts.map(({ data }) => data),
    description,
  };
  const id = await governor.read.getProposalId(operationOf({ ...proposal, id: 0n }));
  return { ...proposal, id };
}

/** What propose takes. */
export function proposing({ targets, values, calldatas, description }: Proposal) {
  return [targets, values, calldatas, description] as const;
}

/** Proposes; the snapshot is still to come. */
export async function propose(
  world: GovernorWorld,
  acts: readonly Act[],
  by: Staker = world.stranger,
  description?: string,
): Promise<Proposal> {
  const proposal = await proposalOf(world, acts, description);
  await world.governor.write.propose(proposing(proposal), { account: by.account });
  return proposal;
}

/** Waits until votes count. */
export async function openVote({ connection }: GovernorWorld): Promise<void> {
  await connection.networkHelpers.time.increase(governorRules.votingDelay + 1);
}

export async function closeVote({ connection }: GovernorWorld): Promise<void> {
  await connection.networkHelpers.time.increase(governorRules.votingPeriod + 1);
}

/** Delegates PHA to themselves, so that it votes. */
export async function selfDelegate({ token }: GovernorWorld, ...holders: readonly Staker[]): Promise<void> {
  for (const { account } of holders) await token.write.delegate([account.address], { account });
}

/** Stakes so that a pool's history has it; the pool is the operator's unless said. */
export async function stakeIn(world: GovernorWorld, by: Staker, amount: string, pool: Address = world.pool) {
  await world.pools.write.deposit([pool, pha(amount), by.account.address], { account: by.account });
}

/** Opens a pool of an account's own. */
export async function openPoolOf({ pools }: GovernorWorld, by: Staker): Promise<Address> {
  await pools.write.createPool([0, pha('5000000'), false], { account: by.account });
  return by.account.address;
}

export type Pair = readonly [account: Address, pool: Address];

/** Stakes as a vote names them, in the order that it asks for. */
export function pairs(...named: readonly Pair[]): Hex {
  const packed = named.map(([account, pool]) => concatHex([account, pool]).toLowerCase() as Hex).sort();
  return packed.length === 0 ? '0x' : concatHex(packed);
}

/** Params of a vote in parts. */
export function split(parts: { against?: bigint; for?: bigint; abstain?: bigint }, named: Hex = '0x'): Hex {
  const amounts = [parts.against ?? 0n, parts.for ?? 0n, parts.abstain ?? 0n];
  return concatHex([...amounts.map((amount) => toHex(amount, { size: 16 })), named]);
}

/** Casts a vote with params. */
export async function vote(world: GovernorWorld, { id }: Proposal, by: Staker, support: number, params: Hex = '0x') {
  return world.governor.write.castVoteWithReasonAndParams([id, support, '', params], { account: by.account });
}

/** Against, for, abstain. */
export async function tallyOf({ governor }: GovernorWorld, { id }: Proposal) {
  return governor.read.proposalVotes([id]);
}
