import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, getAddress, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld, farFuture, noRecipe } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(world);
const imageId = toHex(0x1a, { size: 32 });
const otherId = toHex(0x1b, { size: 32 });
const never = 2n ** 64n - 1n;
const day = 86_400n;
const notice = 3_600n;
const recipe = { hash: toHex(0x4e, { size: 32 }), uri: 'https://example.org/worker-2.json' } as const;
const otherRecipe = { hash: toHex(0x4f, { size: 32 }), uri: '' } as const;

async function world() {
  return deployWorld(connection);
}

describe('ImageRegistry images', () => {
  it('allows an image from its beginning until before its expiry', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    const [notBefore, expiresAt] = [timestamp + 100n, timestamp + 200n];
    assert.equal(await images.read.isImageAllowed([imageId]), false);
    await govern(images, 'allow', [imageId, notBefore, expiresAt, 'worker 2', recipe]);
    const events = await images.getEvents.ImageAllowed({ imageId });
    const [label, recipeUri] = ['worker 2', recipe.uri];
    assert.deepEqual(events[0]?.args, { imageId, recipe: recipe.hash, notBefore, expiresAt, label, recipeUri });
    assert.deepEqual(await images.read.imageWindow([imageId]), [notBefore, expiresAt]);
    assert.equal(await images.read.recipeOf([imageId]), recipe.hash);
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

  it('lengthens a window, and knows one without an end', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    await govern(images, 'allow', [imageId, 0n, timestamp + 100n, 'worker 2', recipe]);
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2, kept', recipe]);
    await networkHelpers.time.increaseTo(farFuture);
    assert.equal(await images.read.isImageAllowed([imageId]), true);
  });

  it('never shortens by allowing: neither the end nor the beginning', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    const expiresAt = timestamp + 1000n;
    await govern(images, 'allow', [imageId, 0n, expiresAt, 'worker 2', recipe]);
    const [notBefore] = await images.read.imageWindow([imageId]);
    await refused(
      govern(images, 'allow', [imageId, 0n, expiresAt - 1n, 'worker 2', recipe]),
      'ImageRegistryAllowShortens',
      [imageId, expiresAt - 1n, expiresAt],
    );
    await govern(images, 'allow', [imageId, timestamp + 900n, expiresAt, 'worker 2', otherRecipe]);
    assert.deepEqual(await images.read.imageWindow([imageId]), [notBefore, expiresAt]);
    assert.equal(await images.read.recipeOf([imageId]), otherRecipe.hash);
    // What is over can be allowed anew, for a shorter time too.
    await networkHelpers.time.increaseTo(expiresAt);
    await govern(images, 'allow', [imageId, 0n, expiresAt + 50n, 'worker 2', recipe]);
    assert.equal(await images.read.isImageAllowed([imageId]), true);
  });

  it('revokes at once, and allows again', async () => {
    const { images, govern } = await load();
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2', recipe]);
    await govern(images, 'revoke', [imageId]);
    assert.equal(await images.read.isImageAllowed([imageId]), false);
    assert.deepEqual(await images.read.imageWindow([imageId]), [0n, 0n]);
    assert.equal(await images.read.recipeOf([imageId]), zeroHash);
    assert.equal((await images.getEvents.ImageRevoked({ imageId })).length, 1);
    await govern(images, 'allow', [imageId, 0n, never, 'worker 2', recipe]);
    assert.equal(await images.read.isImageAllowed([imageId]), true);
  });

  it('refuses empty windows, no id, bad labels and hints, unknown images', async () => {
    const { images, publicClient, govern } = await load();
    const { timestamp } = await publicClient.getBlock();
    const allow = (...args: readonly unknown[]) => govern(images, 'allow', args);
    await refused(allow(zeroHash, 0n, never, 'x', recipe), 'ImageRegistryZeroId', []);
    await refused(allow(imageId, never, never, 'x', recipe), 'ImageRegistryWindowEmpty');
    await refused(allow(imageId, 0n, timestamp, 'x', recipe), 'ImageRegistryWindowEmpty');
    await refused(allow(imageId, never, 0n, 'x', recipe), 'ImageRegistryWindowEmpty');
    await refused(allow(imageId, 0n, never, '', recipe), 'ImageRegistryLabelLength', [0, 64]);
    await refused(allow(imageId, 0n, never, 'x'.repeat(65), recipe), 'ImageRegistryLabelLength', [65, 64]);
    const long = { ...recipe, uri: 'x'.repeat(257) };
    await refused(allow(imageId, 0n, never, 'x', long), 'ImageRegistryUriLength', [257, 256]);
    await allow(imageId, 0n, never, 'x'.repeat(64), { ...recipe, uri: 'x'.repeat(256) });
    await refused(govern(images, 'revoke', [otherId]), 'ImageRegistryImageUnknown', [otherId]);
  });
});

describe('ImageRegistry notice', () => {
  it('is bounded, and can be zero', async () => {
    const { viem, timelock } = await load();
    const deploy = (seconds: bigint) => viem.deployContract('ImageRegistry', [timelock.address, seconds]);
    await refused(deploy(30n * day + 1n), 'ImageRegistryNoticeTooLong', [30n * day + 1n, 30n * day]);
    assert.equal(await (await deploy(30n * day)).read.notice(), 30n * day);
    assert.equal(await (await deploy(0n)).read.MAX_NOTICE(), 30n * day);
  });

  it('passes before a new image counts, whatever beginning was asked for', async () => {
    const { images, publicClient, byTimelockAt } = await noticed();
    for (const [id, asked, after] of [
      [imageId, 0n, notice],
      [otherId, notice + 500n, notice + 500n],
    ] as const) {
      const allowedAt = (await publicClient.getBlock()).timestamp + 100n;
      const account = await byTimelockAt(allowedAt);
      const notBefore = asked === 0n ? 0n : allowedAt + asked;
      await images.write.allow([id, notBefore, never, 'worker 2', recipe], { account });
      assert.deepEqual(await images.read.imageWindow([id]), [allowedAt + after, never]);
      await networkHelpers.time.increaseTo(allowedAt + after - 1n);
      assert.equal(await images.read.isImageAllowed([id]), false);
      await networkHelpers.time.increaseTo(allowedAt + after);
      assert.equal(await images.read.isImageAllowed([id]), true);
    }
  });

  it('passes anew for what is over, and not for what lives', async () => {
    const { images, govern, publicClient, byTimelockAt } = await noticed();
    const { timestamp } = await publicClient.getBlock();
    const expiresAt = timestamp + 2n * notice;
    await govern(images, 'allow', [imageId, 0n, expiresAt, 'worker 2', recipe]);
    const [notBefore] = await images.read.imageWindow([imageId]);
    await networkHelpers.time.increaseTo(expiresAt - 10n);
    await govern(images, 'allow', [imageId, 0n, expiresAt + notice, 'worker 2', recipe]);
    assert.deepEqual(await images.read.imageWindow([imageId]), [notBefore, expiresAt + notice]);
    // In the very second in which it ends it is over.
    const account = await byTimelockAt(expiresAt + notice);
    await images.write.allow([imageId, 0n, never, 'worker 2', recipe], { account });
    assert.equal(await images.read.isImageAllowed([imageId]), false);
  });

  it('goes with a recipe; without one an image is refused', async () => {
    const { images, govern } = await noticed();
    await refused(govern(images, 'allow', [imageId, 0n, never, 'x', noRecipe]), 'ImageRegistryRecipeMissing', []);
    await govern((await load()).images, 'allow', [imageId, 0n, never, 'x', noRecipe]);
  });
});

describe('ImageRegistry succession', () => {
  it('ends the old image when the new one has counted for the overlap', async () => {
    const { images, govern } = await succession();
    const [notBefore] = await images.read.imageWindow([otherId]);
    await govern(images, 'retire', [imageId, otherId, 2n * notice]);
    const expiresAt = notBefore + 2n * notice;
    assert.equal((await images.read.imageWindow([imageId]))[1], expiresAt);
    const [event] = await images.getEvents.ImageRetired({ imageId });
    assert.deepEqual(event?.args, { imageId, successor: otherId, expiresAt });
    for (const [time, both] of [
      [notBefore - 1n, [true, false]],
      [notBefore, [true, true]],
      [expiresAt - 1n, [true, true]],
      [expiresAt, [false, true]],
    ] as const) {
      await networkHelpers.time.increaseTo(time);
      assert.deepEqual(
        [await images.read.isImageAllowed([imageId]), await images.read.isImageAllowed([otherId])],
        both,
      );
    }
  });

  it('counts the overlap from now where the successor counts already', async () => {
    const { images, govern, publicClient } = await succession();
    await networkHelpers.time.increase(5n * notice);
    await govern(images, 'retire', [imageId, otherId, 180n * day]);
    await govern(images, 'retire', [imageId, otherId, notice]);
    const { timestamp } = await publicClient.getBlock();
    assert.equal((await images.read.imageWindow([imageId]))[1], timestamp + notice);
  });

  it('refuses an overlap outside its bounds, no successor, one that ends before, and what lengthens', async () => {
    const { images, govern } = await succession();
    const retire = (...args: readonly unknown[]) => govern(images, 'retire', args);
    const out = 'ImageRegistryOverlapOutOfRange';
    await refused(retire(imageId, otherId, notice - 1n), out, [notice - 1n, notice, 180n * day]);
    await refused(retire(imageId, otherId, 180n * day + 1n), out, [180n * day + 1n, notice, 180n * day]);
    await refused(retire(imageId, imageId, notice), 'ImageRegistrySucceedsItself', [imageId]);
    const unknown = toHex(0x3c, { size: 32 });
    await refused(retire(imageId, unknown, notice), 'ImageRegistryImageUnknown', [unknown]);
    await refused(retire(unknown, otherId, notice), 'ImageRegistryImageUnknown', [unknown]);
    const [notBefore] = await images.read.imageWindow([otherId]);
    await govern(images, 'shorten', [otherId, notBefore + notice]);
    await refused(retire(imageId, otherId, notice + 1n), 'ImageRegistrySuccessorEnds', [
      otherId,
      notBefore + notice,
      notBefore + notice + 1n,
    ]);
    await retire(imageId, otherId, notice);
    await refused(retire(imageId, otherId, notice), 'ImageRegistryNotShortened', [
      imageId,
      notBefore + notice,
      notBefore + notice,
    ]);
  });
});

describe('ImageRegistry guardian', () => {
  it('shortens an image’s life while its term runs, and does nothing else', async () => {
    const { images, publicClient, guardian, until, stranger } = await guarded();
    const { timestamp } = await publicClient.getBlock();
    const as = { account: guardian.account };
    await refused(
      images.write.shorten([imageId, 0n], { account: stranger.account }),
      'ImageRegistryCallerMayNotShorten',
      [stranger.account.address],
    );
    await images.write.shorten([imageId, timestamp + 500n], as);
    const [event] = await images.getEvents.ImageShortened({ imageId });
    assert.deepEqual(event?.args, {
      imageId,
      expiresAt: timestamp + 500n,
      shortenedBy: getAddress(guardian.account.address),
    });
    assert.equal((await images.read.imageWindow([imageId]))[1], timestamp + 500n);
    for (const later of [timestamp + 500n, timestamp + 501n, never])
      await refused(images.write.shorten([imageId, later], as), 'ImageRegistryNotShortened', [
        imageId,
        later,
        timestamp + 500n,
      ]);
    await refused(images.write.shorten([otherId, 0n], as), 'ImageRegistryImageUnknown', [otherId]);
    const notTimelock = 'GovernedCallerNotTimelock';
    await refused(images.write.allow([imageId, 0n, never, 'x', recipe], as), notTimelock);
    await refused(images.write.retire([imageId, otherId, 0n], as), notTimelock);
    await refused(images.write.revoke([imageId], as), notTimelock);
    await refused(images.write.setGuardian([guardian.account.address, until], as), notTimelock);
    await refused(images.write.allowConfig([imageId], as), notTimelock);
    await refused(images.write.blockPlatform([imageId, 'x'], as), notTimelock);
    // A time that has passed means now.
    await images.write.shorten([imageId, 1n], as);
    assert.equal(await images.read.isImageAllowed([imageId]), false);
    assert.equal((await images.read.imageWindow([imageId]))[1], (await publicClient.getBlock()).timestamp);
  });

  it('ends an image before it counts', async () => {
    const { images, govern, guardian, publicClient } = await guarded();
    const { timestamp } = await publicClient.getBlock();
    await govern(images, 'allow', [otherId, timestamp + 1000n, never, 'worker 3', recipe]);
    await images.write.shorten([otherId, 0n], { account: guardian.account });
    await networkHelpers.time.increaseTo(timestamp + 2000n);
    assert.equal(await images.read.isImageAllowed([otherId]), false);
  });

  it('is nobody once its term is over, or once somebody else is elected, or nobody', async () => {
    const { images, govern, guardian, until, stranger } = await guarded();
    const asGuardian = () => images.write.shorten([imageId, 0n], { account: guardian.account });
    const refusal = ['ImageRegistryCallerMayNotShorten', [guardian.account.address]] as const;
    assert.equal(await images.read.guardianUntil(), until);
    assert.equal(await images.read.guardian(), getAddress(guardian.account.address));
    const copy = await networkHelpers.takeSnapshot();
    await networkHelpers.time.increaseTo(until);
    assert.equal(await images.read.guardian(), zeroAddress);
    await refused(asGuardian(), ...refusal);
    await copy.restore();
    await govern(images, 'setGuardian', [stranger.account.address, until]);
    await refused(asGuardian(), ...refusal);
    await govern(images, 'setGuardian', [zeroAddress, 0n]);
    const [event] = await images.getEvents.GuardianSet();
    assert.deepEqual(event?.args, { guardian: zeroAddress, until: 0n });
    assert.equal(await images.read.guardian(), zeroAddress);
    await refused(images.write.shorten([imageId, 0n], { account: stranger.account }), refusal[0]);
    // The timelock may without one.
    await govern(images, 'shorten', [imageId, 0n]);
    assert.equal(await images.read.isImageAllowed([imageId]), false);
  });

  it('has a term of at most a year', async () => {
    const { images, stranger, publicClient, byTimelockAt } = await noticed();
    const elected = stranger.account.address;
    const out = 'ImageRegistryGuardianTermOutOfRange';
    const now = (await publicClient.getBlock()).timestamp + 1000n;
    const longest = now + 365n * day;
    const elect = async (who: Address, until: bigint, at: bigint) =>
      images.write.setGuardian([who, until], { account: await byTimelockAt(at) });
    await refused(elect(elected, longest + 1n, now), out, [elected, longest + 1n, longest]);
    await refused(elect(elected, now + 1n, now + 1n), out, [elected, now + 1n, longest + 1n]);
    await refused(elect(elected, 0n, now + 2n), out);
    await refused(elect(zeroAddress, now + 100n, now + 3n), out);
    await elect(elected, longest + 4n, now + 4n);
    assert.equal(await images.read.guardianUntil(), longest + 4n);
  });
});

/** A registry whose images wait. */
async function noticed() {
  const loaded = await load();
  const { address } = loaded.timelock;
  const images = await loaded.viem.deployContract('ImageRegistry', [address, notice]);
  await networkHelpers.impersonateAccount(address);
  await networkHelpers.setBalance(address, 10n ** 18n);
  /** The timelock, whose next transaction is in a block of that time: what it asks for depends on nobody's clock. */
  const byTimelockAt = async (time: bigint) => {
    await networkHelpers.time.setNextBlockTimestamp(time);
    return address;
  };
  return { ...loaded, images, byTimelockAt };
}

/** One image that counts, and another one that will. */
async function succession() {
  const loaded = await noticed();
  await loaded.govern(loaded.images, 'allow', [imageId, 0n, never, 'worker 2', recipe]);
  await networkHelpers.time.increase(notice);
  await loaded.govern(loaded.images, 'allow', [otherId, 0n, never, 'worker 3', otherRecipe]);
  return loaded;
}

/** A guardian for a thousand seconds, and an image for ever. */
async function guarded() {
  const loaded = await load();
  const { images, govern, publicClient, owner } = loaded;
  await govern(images, 'allow', [imageId, 0n, never, 'worker 2', recipe]);
  const until = (await publicClient.getBlock()).timestamp + 10_000n;
  await govern(images, 'setGuardian', [owner.account.address, until]);
  return { ...loaded, guardian: owner, until };
}

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
