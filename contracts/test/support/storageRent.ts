import type { Address, Hex } from 'viem';
import type { Connection } from './accounts.ts';
import { deployWorld, hour } from './world.ts';

export type Purchase = {
  readonly app: Hex;
  readonly gateway: Address;
  /** Bytes. */
  readonly size: bigint;
  readonly fromEpoch: number;
  readonly epochs: number;
};

export const gib = 1n << 30n;
/** Of a GiB for an epoch. */
export const storagePrice = 3n * 10n ** 15n;
/** What a gateway names as the account that earns. */
export const storageGateway: Address = '0x6a7e0000000000000000000000000000000000B1';

/** A network with prepaid storage in its first epoch; `borrower` has PHA and has approved it. */
export async function deployStorageRent(connection: Connection) {
  const world = await deployWorld(connection);
  const { viem, timelock, workers, borrower } = world;
  const token = await viem.deployContract('PhaToken', [[borrower.account.address], [1_000_000n * 10n ** 18n]]);
  const genesis = await workers.read.genesis();
  const rent = await viem.deployContract('StorageRent', [
    { timelock: timelock.address, token: token.address, genesis, epochLength: hour, price: storagePrice },
  ]);
  await token.write.approve([rent.address, 1_000_000n * 10n ** 18n], { account: borrower.account });
  return { ...world, token, rent, genesis };
}
