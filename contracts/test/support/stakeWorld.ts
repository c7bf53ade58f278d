import assert from 'node:assert/strict';
import { type Address, type Hex, parseEther } from 'viem';
import type { Connection } from './accounts.ts';
import { deployWorld, enroll, hour } from './world.ts';

export type PoolWorld = Awaited<ReturnType<typeof deployPoolWorld>>;

export const day = 86_400;
export const pha = parseEther;
/** Shares of one PHA at par. */
export const phaShares = (amount: string) => pha(amount) * 1_000_000n;
export const poolTimes = { earningsTime: hour, unbonding: 7 * day, maxPause: 10 * day } as const;
const supply = pha('10000000');

/**
 * Pools without any pool, and five accounts that hold PHA and allow all of it. The first operator has `operator`'s account,
 * its backers are `alice` and `bob`.
 */
export async function deployPoolWorld(connection: Connection) {
  const world = await deployWorld(connection);
  const { viem, timelock, operator, otherOperator, owner: alice, borrower: bob, stranger } = world;
  const holders = [operator, otherOperator, alice, bob, stranger];
  const token = await viem.deployContract('PhaToken', [
    holders.map(({ account }) => account.address),
    holders.map(() => supply),
  ]);
  const pools = await viem.deployContract('StakePools', [
    { timelock: timelock.address, token: token.address, ...poolTimes },
  ]);
  for (const { account } of holders) await token.write.approve([pools.address, supply], { account });
  return { ...world, alice, bob, token, pools, pool: operator.account.address };
}

/** The operator's pool, without commission or limit, with bonds of any size by the harness. */
export async function deployOpenPool(connection: Connection) {
  const world = await deployPoolWorld(connection);
  const { viem, pools, operator, govern } = world;
  const bonds = await viem.deployContract('UnsafeBondsHarness', [pools.address]);
  await govern(pools, 'setWorkerBonds', [bonds.address]);
  await pools.write.createPool([0, pha('5000000'), false], { account: operator.account });
  return { ...world, bonds };
}

type Staker = PoolWorld['alice'];

export async function stake({ pools, pool }: PoolWorld, by: Staker, amount: string): Promise<Hex> {
  return pools.write.deposit([pool, pha(amount), by.account.address], { account: by.account });
}

/** Asks shares back and gives the request's number. */
export async function ask({ pools, pool }: PoolWorld, by: Staker, shares: bigint): Promise<bigint> {
  const requestId = await pools.read.requestCount([pool]);
  await pools.write.requestRedeem([pool, shares], { account: by.account });
  return requestId;
}

/** Claims a request; what it paid. */
export async function claim(
  { pools, pool, token }: PoolWorld,
  by: Staker,
  requestId: bigint,
  receiver: Address = by.account.address,
): Promise<bigint> {
  const before = await token.read.balanceOf([receiver]);
  await pools.write.claimRedeem([pool, requestId, receiver], { account: by.account });
  return (await token.read.balanceOf([receiver])) - before;
}

export const sharesOf = ({ pools, pool }: PoolWorld, of: Staker) => pools.read.sharesOf([pool, of.account.address]);

/** What an account's shares are worth now. */
export async function worthOf(world: PoolWorld, of: Staker): Promise<bigint> {
  return world.pools.read.convertToAssets([world.pool, await sharesOf(world, of)]);
}

/** Every unit of PHA in the pools is owed to somebody, and the token's balance is exactly that. */
export async function conserved({ pools, pool, token }: PoolWorld): Promise<void> {
  const held = await pools.read.totalHeld();
  const status = await pools.read.poolOf([pool]);
  const { assets, leaving, ownLeaving, unstreamed, commission } = status;
  assert.equal(assets + leaving + ownLeaving + unstreamed + commission, held);
  assert.equal(await token.read.balanceOf([pools.address]), held);
}

export const treasury: Address = '0x7ea5000000000000000000000000000000000001';
export const windows = { detectionWindow: 2 * day, proofWindow: day, vetoWindow: 4 * day } as const;
export const k = pha('10');
export const minimumBond = pha('100');

export type StakeWorld = Awaited<ReturnType<typeof deployStakeWorld>>;

/** Pools, bonds and slashing, wired; the operator's pool with 1,000 PHA of its own and 2,000 of Alice's, a tenth of own stake asked. */
export async function deployStakeWorld(connection: Connection) {
  const world = await deployPoolWorld(connection);
  const { viem, pools, workers, timelock, operator, govern } = world;
  const bonds = await viem.deployContract('WorkerBonds', [
    timelock.address,
    pools.address,
    workers.address,
    k,
    minimumBond,
  ]);
  const slashing = await viem.deployContract('Slashing', [
    { timelock: timelock.address, workerBonds: bonds.address, ...windows, treasury, reporterBps: 1000 },
  ]);
  await govern(pools, 'setWorkerBonds', [bonds.address]);
  await govern(pools, 'setOwnStakeShare', [1000]);
  await govern(bonds, 'setSlashing', [slashing.address]);
  await pools.write.createPool([0, pha('5000000'), false], { account: operator.account });
  await stake(world, operator, '1000');
  await stake(world, world.alice, '2000');
  return { ...world, bonds, slashing };
}

/** Enrols and starts the operator's next workers; their ids, oldest first. */
export async function startWorkers(world: StakeWorld, count: number): Promise<readonly Hex[]> {
  const ids: Hex[] = [];
  for (let index = 0; index < count; index += 1) {
    const workerId = await enroll(world);
    await world.bonds.write.start([workerId], { account: world.operator.account });
    ids.push(workerId);
  }
  return ids;
}
