import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Abi, encodeFunctionData, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld, farFuture, teePolicy, teeTdx } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(world);

async function world() {
  return deployWorld(connection);
}

/** Every function that only the timelock may call, with arguments that it would accept. */
const governed = {
  images: [
    ['allow', [toHex(1, { size: 32 }), 0n, farFuture, 'worker 2']],
    ['revoke', [toHex(1, { size: 32 })]],
    ['allowConfig', [toHex(2, { size: 32 })]],
    ['revokeConfig', [toHex(2, { size: 32 })]],
    ['blockPlatform', [toHex(3, { size: 32 }), 'opened']],
    ['unblockPlatform', [toHex(3, { size: 32 })]],
  ],
  workers: [
    ['setTeePolicy', [teeTdx, teePolicy(zeroAddress)]],
    ['setNetworkKeysHash', [toHex(3, { size: 32 })]],
  ],
} as const;

describe('the timelock alone governs', () => {
  it('nobody else calls a governed function, the deployer neither', async () => {
    const loaded = await load();
    for (const name of ['images', 'workers'] as const) {
      const { address, abi } = loaded[name];
      for (const [functionName, args] of governed[name]) {
        const data = encodeFunctionData({ abi: abi as Abi, functionName, args });
        for (const caller of [loaded.deployer, loaded.operator, loaded.stranger])
          await refused(caller.sendTransaction({ to: address, data }), 'GovernedCallerNotTimelock', [
            caller.account.address,
            loaded.timelock.address,
          ]);
        await loaded.govern({ address, abi: abi as Abi }, functionName, args);
      }
    }
  });

  it('the lists above are complete: every other function that writes is anyone’s, an operator’s or an app owner’s', async () => {
    const { images, workers, apps } = await load();
    const writes = (abi: Abi) =>
      abi.flatMap((item) =>
        item.type === 'function' && item.stateMutability !== 'view' && item.stateMutability !== 'pure'
          ? [item.name]
          : [],
      );
    assert.deepEqual(writes(images.abi).sort(), governed.images.map(([name]) => name).sort());
    assert.deepEqual(
      writes(workers.abi).sort(),
      [...governed.workers.map(([name]) => name), 'enroll', 'register', 'evict', 'evictReplaced', 'retire'].sort(),
    );
    assert.deepEqual(writes(apps.abi).sort(), [
      'acceptOwnership',
      'create',
      'pinImage',
      'publish',
      'raiseKeyVersions',
      'setSecrets',
      'transferOwnership',
      'unpinImage',
      'veto',
      'withdraw',
    ]);
    const token = await viem.deployContract('PhaToken', [[], []]);
    const erc20 = ['approve', 'burn', 'burnFrom', 'delegate', 'delegateBySig', 'permit', 'transfer', 'transferFrom'];
    const authorized = ['cancelAuthorization', 'receiveWithAuthorization', 'transferWithAuthorization'];
    assert.deepEqual(writes(token.abi).sort(), [...erc20, ...authorized].sort());
  });

  it('refuses an account without code as timelock', async () => {
    const { stranger } = await load();
    const nobody = stranger.account.address;
    await refused(viem.deployContract('ImageRegistry', [nobody]), 'GovernedTimelockWithoutCode', [nobody]);
    await refused(viem.deployContract('ImageRegistry', [zeroAddress]), 'GovernedTimelockWithoutCode', [zeroAddress]);
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
    const images = await viem.deployContract('ImageRegistry', [timelock.address]);
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
