import { toHex } from 'viem';
import type { Connection } from '../test/support/accounts.ts';
import { deployStorageRent, gib, storageGateway } from '../test/support/storageRent.ts';
import { hour, type World } from '../test/support/world.ts';
import type { Measure } from './measureAttestationGas.ts';

/** Storage for one app at one gateway, as many epochs later collected, and cancelled; neither the first of its payer and gateway. */
export async function measureStorageGas(connection: Connection, measureOn: (world: World) => Measure): Promise<void> {
  const world = await deployStorageRent(connection);
  const measure = measureOn(world);
  const { rent, token, borrower } = world;
  const { account } = borrower;
  await token.write.transfer([storageGateway, 1n], { account });
  const app = toHex(0xa, { size: 32 });
  const purchase = { app, gateway: storageGateway, size: gib, fromEpoch: 0, epochs: 720 };
  const most = 10n ** 24n;
  await rent.write.prepay([[purchase], most], { account });
  await measure('storage-prepay', await rent.write.prepay([[purchase], most], { account }));
  const three = [purchase, purchase, purchase];
  await measure('storage-prepay-3', await rent.write.prepay([three, most], { account }));
  await connection.provider.request({ method: 'evm_increaseTime', params: [24 * hour] });
  await rent.write.collect([storageGateway, [1n]]);
  await measure('storage-collect', await rent.write.collect([storageGateway, [2n]]));
  await measure('storage-cancel', await rent.write.cancel([[2n]], { account }));
}
