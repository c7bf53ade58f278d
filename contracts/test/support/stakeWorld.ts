import assert from 'node:assert/strict';
import { type Address, type Hex, parseEther } from 'viem';
import type { Connection } from './accounts.ts';
import { deployWorld, hour } from './world.ts';

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
