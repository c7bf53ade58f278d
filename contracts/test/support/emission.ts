import { type Address, getContractAddress, parseEther } from 'viem';
import type { CommitteeWorld } from './committeeWorld.ts';
import { deployEpochRecords } from './epochRecords.ts';

export const genesisPha = parseEther('400000000');

/**
 * Records, the token and its emission: the address that issues is known before it is deployed.
 * @param registry whose clock counts the epochs, where it is another than the world's
 */
export async function deployEmission(world: CommitteeWorld, registry?: Address) {
  const { viem, timelock, deployer, publicClient } = world;
  const records = await deployEpochRecords(world, registry);
  const from = deployer.account.address;
  const nonce = BigInt(await publicClient.getTransactionCount({ address: from }));
  const emissionAddress = getContractAddress({ from, nonce: nonce + 1n });
  const pha = await viem.deployContract('EmittedPha', [[from], [genesisPha], emissionAddress]);
  const emission = await viem.deployContract('Emission', [timelock.address, pha.address, records.address]);
  return { records, pha, emission };
}
