import { network } from 'hardhat';
import { deployOpenPool, pha } from './stakeWorld.ts';
import { hour } from './world.ts';

/** A chain of the test file's own. */
export const connection = await network.create();
export const { networkHelpers } = connection;
export const { time } = networkHelpers;

type OpenPool = Awaited<ReturnType<typeof deployOpenPool>>;

async function openPool(): Promise<OpenPool> {
  return deployOpenPool(connection);
}

/** The operator's open pool, each time as it was first. */
export const loadOpenPool = () => networkHelpers.loadFixture(openPool);

/** Earnings that have flowed in whole and that nobody has counted yet. */
export async function earn({ pools, pool, stranger }: OpenPool, amount: string): Promise<void> {
  await pools.write.addFees([pool, pha(amount)], { account: stranger.account });
  await time.increase(2 * hour);
}
