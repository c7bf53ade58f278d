import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { encodeFunctionData, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(world);

async function world() {
  return deployWorld(connection);
}

describe('the timelock', () => {
  it('refuses an account without code as timelock', async () => {
    const { stranger } = await load();
    const nobody = stranger.account.address;
    await refused(viem.deployContract('ImageRegistry', [nobody, 0n]), 'GovernedTimelockWithoutCode', [nobody]);
    await refused(viem.deployContract('ImageRegistry', [zeroAddress, 0n]), 'GovernedTimelockWithoutCode', [
      zeroAddress,
    ]);
  });

  it('waits its delay, executes once, and lets only proposers propose', async () => {
    const { deployer, stranger } = await load();
    const delay = 3600n;
    const timelock = await viem.deployContract('TimelockController', [
      delay,
      [deployer.account.address],
      [zeroAddress],
      zeroAddress,
    ]);
    const images = await viem.deployContract('ImageRegistry', [timelock.address, 0n]);
    const id = toHex(9, { size: 32 });
    const data = encodeFunctionData({ abi: images.abi, functionName: 'allowConfig', args: [id] });
    const operation = [images.address, 0n, data, zeroHash, zeroHash] as const;
    await refused(
      timelock.write.schedule([...operation, delay], { account: stranger.account }),
      'AccessControlUnauthorizedAccount',
    );
    await refused(timelock.write.schedule([...operation, delay - 1n]), 'TimelockInsufficientDelay', [
      delay - 1n,
      delay,
    ]);
    await timelock.write.schedule([...operation, delay]);
    await refused(timelock.write.execute([...operation]), 'TimelockUnexpectedOperationState');
    await networkHelpers.time.increase(delay);
    await timelock.write.execute([...operation], { account: stranger.account });
    assert.equal(await images.read.isConfigAllowed([id]), true);
    await refused(timelock.write.execute([...operation]), 'TimelockUnexpectedOperationState');
  });
});
