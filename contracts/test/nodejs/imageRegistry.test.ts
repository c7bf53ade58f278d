import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { toHex, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld, farFuture } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(world);
const imageId = toHex(0x1a, { size: 32 });
const never = 2n ** 64n - 1n;

async function world() {
  return deployWorld(connection);
}

describe('ImageRegistry images', () => {
  it('allows an image from its notice until before its expiry', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    const [notBefore, expiresAt] = [timestamp + 100n, timestamp + 200n];
    assert.equal(await images.read.isImageAllowed([imageId]), false);
    await govern(images, 'allow', [imageId, notBefore, expiresAt, 'worker 2']);
    const events = await images.getEvents.ImageAllowed({ imageId });
    assert.deepEqual(events[0]?.args, { imageId, notBefore, expiresAt, label: 'worker 2' });
    assert.deepEqual(await images.read.imageWindow([imageId]), [notBefore, expiresAt]);
    for (const [time, allowed] of [
      [notBefore - 1n, false],
      [notBefore, true],
      [expiresAt - 1n, true],
      [expiresAt, false],
    ] as const) {
      await networkHelpers.time.increaseTo(time);
      assert.equal(await images.read.isImageAllowed([imageId]), allowed, `at ${time - timestamp}`);
    }
  });

  it('moves a window, and knows one without an end', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    await govern(images, 'allow', [imageId, 0n, timestamp + 100n, 'worker 2']);
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2, kept']);
    await networkHelpers.time.increaseTo(farFuture);
    assert.equal(await images.read.isImageAllowed([imageId]), true);
  });

  it('revokes at once, and allows again', async () => {
    const { images, govern } = await load();
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2']);
    await govern(images, 'revoke', [imageId]);
    assert.equal(await images.read.isImageAllowed([imageId]), false);
    assert.deepEqual(await images.read.imageWindow([imageId]), [0n, 0n]);
    assert.equal((await images.getEvents.ImageRevoked({ imageId })).length, 1);
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2']);
    assert.equal(await images.read.isImageAllowed([imageId]), true);
  });

  it('refuses empty windows, no id, bad labels, unknown images', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    await refused(govern(images, 'allow', [zeroHash, 0n, never, 'x']), 'ImageRegistryZeroId', []);
    await refused(govern(images, 'allow', [imageId, 5n, 5n, 'x']), 'ImageRegistryWindowEmpty');
    await refused(govern(images, 'allow', [imageId, 0n, timestamp, 'x']), 'ImageRegistryWindowEmpty');
    await refused(govern(images, 'allow', [imageId, never, 0n, 'x']), 'ImageRegistryWindowEmpty');
    await refused(govern(images, 'allow', [imageId, 0n, never, '']), 'ImageRegistryLabelLength', [0, 64]);
    await refused(govern(images, 'allow', [imageId, 0n, never, 'x'.repeat(65)]), 'ImageRegistryLabelLength', [65, 64]);
    await refused(govern(images, 'revoke', [imageId]), 'ImageRegistryImageUnknown', [imageId]);
  });
});

describe('ImageRegistry network files', () => {
  it('allows and revokes them', async () => {
    const { images, govern } = await load();
    assert.equal(await images.read.isConfigAllowed([imageId]), false);
    await govern(images, 'allowConfig', [imageId]);
    assert.equal(await images.read.isConfigAllowed([imageId]), true);
    assert.equal((await images.getEvents.ConfigAllowed({ configId: imageId })).length, 1);
    await govern(images, 'revokeConfig', [imageId]);
    assert.equal(await images.read.isConfigAllowed([imageId]), false);
    assert.equal((await images.getEvents.ConfigRevoked({ configId: imageId })).length, 1);
    await refused(govern(images, 'revokeConfig', [imageId]), 'ImageRegistryConfigUnknown', [imageId]);
    await refused(govern(images, 'allowConfig', [zeroHash]), 'ImageRegistryZeroId', []);
  });
});

describe('ImageRegistry platforms', () => {
  const platform = toHex(0x2b, { size: 32 });

  it('refuses a machine and takes it back', async () => {
    const { images, govern } = await load();
    assert.equal(await images.read.isPlatformBlocked([platform]), false);
    await govern(images, 'blockPlatform', [platform, 'bus probed']);
    assert.equal(await images.read.isPlatformBlocked([platform]), true);
    const [event] = await images.getEvents.PlatformBlocked({ platformId: platform });
    assert.equal(event?.args.reason, 'bus probed');
    await govern(images, 'unblockPlatform', [platform]);
    assert.equal(await images.read.isPlatformBlocked([platform]), false);
    assert.equal((await images.getEvents.PlatformUnblocked({ platformId: platform })).length, 1);
  });

  it('refuses no id, no reason, and what changes nothing', async () => {
    const { images, govern } = await load();
    await refused(govern(images, 'blockPlatform', [zeroHash, 'x']), 'ImageRegistryZeroId', []);
    await refused(govern(images, 'blockPlatform', [platform, '']), 'ImageRegistryLabelLength', [0, 64]);
    await refused(govern(images, 'blockPlatform', [platform, 'x'.repeat(65)]), 'ImageRegistryLabelLength', [65, 64]);
    await refused(govern(images, 'unblockPlatform', [platform]), 'ImageRegistryPlatformNotBlocked', [platform]);
    await govern(images, 'blockPlatform', [platform, 'x']);
    await refused(govern(images, 'blockPlatform', [platform, 'x']), 'ImageRegistryPlatformBlocked', [platform]);
  });
});
