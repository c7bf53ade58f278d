import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { encodeAbiParameters, getAddress, type Hex, keccak256, toHex, zeroAddress, zeroHash } from 'viem';
import { accountsOf } from '../support/accounts.ts';
import { refused } from '../support/refused.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(deployed);
const day = 86_400;
const salt = toHex(0x5a17, { size: 32 });
const [first, second, third] = [toHex(0xa1, { size: 32 }), toHex(0xa2, { size: 32 }), toHex(0xa3, { size: 32 })];

const fields = {
  upgradeNoticeSeconds: day,
  keyVersion: 1,
  minKeyVersion: 1,
  kind: 0,
  imagePolicy: 0,
  replicas: 2,
  stateful: false,
  vetoer: zeroAddress as Hex,
};
type Fields = typeof fields;

/** An app with a notice of a day and a vetoer. */
async function deployed() {
  const apps = await viem.deployContract('AppRegistry', []);
  const publicClient = await viem.getPublicClient();
  const { deployer: owner, operator: vetoer, stranger } = await accountsOf(connection);
  const withVetoer: Fields = { ...fields, vetoer: getAddress(vetoer.account.address) };
  await apps.write.create([salt, first, withVetoer]);
  const app = appId(owner.account.address, salt);
  const now = async () => (await publicClient.getBlock()).timestamp;
  return { apps, app, owner, vetoer, stranger, withVetoer, now };
}

function appId(owner: Hex, appSalt: Hex): Hex {
  return keccak256(
    encodeAbiParameters(
      [{ type: 'string' }, { type: 'address' }, { type: 'bytes32' }],
      ['cloister/app-id: v1', owner, appSalt],
    ),
  );
}

describe('AppRegistry.create', () => {
  it('serves version 1 at once', async () => {
    const { apps, app, owner, withVetoer, now } = await load();
    assert.deepEqual(await apps.read.current([app]), [first, 1, withVetoer]);
    assert.equal(await apps.read.isCurrentManifest([app, first]), true);
    assert.equal(await apps.read.isCurrentManifest([app, second]), false);
    assert.equal((await apps.read.ownerOf([app])).toLowerCase(), owner.account.address);
    assert.equal(await apps.read.versionCount([app]), 1);
    const created = await apps.getEvents.AppCreated({ app });
    assert.deepEqual(created[0]?.args, { app, owner: getAddress(owner.account.address), salt });
    const published = await apps.getEvents.VersionPublished({ app });
    assert.deepEqual(published[0]?.args, {
      app,
      version: 1,
      manifestId: first,
      fields: withVetoer,
      effectiveAt: await now(),
    });
  });

  it('gives each owner one app a salt', async () => {
    const { apps, app, stranger, withVetoer } = await load();
    await refused(apps.write.create([salt, second, withVetoer]), 'AppRegistryAppExists', [app]);
    await apps.write.create([salt, second, fields], { account: stranger.account });
    assert.deepEqual(await apps.read.current([appId(stranger.account.address, salt)]), [second, 1, fields]);
    assert.equal((await apps.read.current([app]))[0], first);
  });

  it('refuses fields out of range', async () => {
    const { apps } = await load();
    const create = (changes: Partial<Fields>, manifest = first) =>
      apps.write.create([zeroHash, manifest, { ...fields, ...changes }]);
    const year = 365 * day;
    await refused(create({}, zeroHash), 'AppRegistryManifestMissing', []);
    await refused(create({ upgradeNoticeSeconds: year + 1 }), 'AppRegistryNoticeTooLong', [year + 1, year]);
    await refused(create({ kind: 4 }), 'AppRegistryKindInvalid', [4]);
    await refused(create({ imagePolicy: 3 }), 'AppRegistryImagePolicyInvalid', [3]);
    await refused(create({ replicas: 0 }), 'AppRegistryReplicasOutOfRange', [0, 64]);
    await refused(create({ replicas: 65 }), 'AppRegistryReplicasOutOfRange', [65, 64]);
    await refused(create({ minKeyVersion: 0 }), 'AppRegistryKeyVersionsInvalid', [1, 0]);
    await refused(create({ minKeyVersion: 2 }), 'AppRegistryKeyVersionsInvalid', [1, 2]);
    const widest = {
      upgradeNoticeSeconds: year,
      keyVersion: 2 ** 32 - 1,
      minKeyVersion: 2 ** 32 - 1,
      kind: 3,
      imagePolicy: 2,
      replicas: 64,
      stateful: true,
    };
    await create(widest);
  });
});

describe('AppRegistry.publish', () => {
  it('serves the old version until the notice has passed', async () => {
    const { apps, app, withVetoer, now } = await load();
    const changed = { ...withVetoer, upgradeNoticeSeconds: 0, replicas: 5, keyVersion: 2 };
    await apps.write.publish([app, second, changed]);
    const effectiveAt = (await now()) + BigInt(day);
    const published = await apps.getEvents.VersionPublished({ app, version: 2 });
    assert.deepEqual(published[0]?.args, { app, version: 2, manifestId: second, fields: changed, effectiveAt });
    assert.deepEqual(await apps.read.versionOf([app, 2]), {
      state: 1,
      effectiveAt,
      manifestId: second,
      fields: changed,
    });

    await networkHelpers.time.increaseTo(effectiveAt - 1n);
    assert.deepEqual(await apps.read.current([app]), [first, 1, withVetoer]);
    assert.equal(await apps.read.isCurrentManifest([app, second]), false);
    await networkHelpers.time.increaseTo(effectiveAt);
    assert.deepEqual(await apps.read.current([app]), [second, 2, changed]);
    assert.equal(await apps.read.isCurrentManifest([app, second]), true);
    assert.equal(await apps.read.isCurrentManifest([app, first]), false);
    assert.equal((await apps.read.versionOf([app, 1])).state, 3);
    assert.equal((await apps.read.versionOf([app, 2])).state, 2);
  });

  it('takes the notice of the version that serves, not of the new one', async () => {
    const { apps, app, withVetoer, now } = await load();
    await apps.write.publish([app, second, { ...withVetoer, upgradeNoticeSeconds: 0 }]);
    await networkHelpers.time.increase(day);
    await apps.write.publish([app, third, { ...withVetoer, upgradeNoticeSeconds: 7 * day }]);
    assert.equal((await apps.read.current([app]))[1], 3, 'version 2 asked for no notice');
    await apps.write.publish([app, first, withVetoer]);
    assert.equal((await apps.read.versionOf([app, 4])).effectiveAt, (await now()) + BigInt(7 * day));
  });

  it('has one version pending at a time', async () => {
    const { apps, app, withVetoer, now } = await load();
    await apps.write.publish([app, second, withVetoer]);
    const effectiveAt = (await now()) + BigInt(day);
    await refused(apps.write.publish([app, third, withVetoer]), 'AppRegistryVersionPending', [app, 2, effectiveAt]);
    await networkHelpers.time.increaseTo(effectiveAt);
    await apps.write.publish([app, third, withVetoer]);
    assert.equal((await apps.read.current([app]))[1], 2);
  });

  it('refuses others, unknown apps, impossible fields and older keys', async () => {
    const { apps, app, owner, stranger, withVetoer } = await load();
    const publish = (changes: Partial<Fields>) => apps.write.publish([app, second, { ...withVetoer, ...changes }]);
    await refused(
      apps.write.publish([app, second, withVetoer], { account: stranger.account }),
      'AppRegistryCallerNotOwner',
      [stranger.account.address, owner.account.address],
    );
    await refused(apps.write.publish([zeroHash, second, withVetoer]), 'AppRegistryAppUnknown', [zeroHash]);
    await refused(publish({ replicas: 0 }), 'AppRegistryReplicasOutOfRange');
    await publish({ keyVersion: 3, minKeyVersion: 2 });
    await networkHelpers.time.increase(day);
    await refused(publish({ keyVersion: 2, minKeyVersion: 2 }), 'AppRegistryKeyVersionLowered', [2, 2, 3, 2]);
    await refused(publish({ keyVersion: 3, minKeyVersion: 1 }), 'AppRegistryKeyVersionLowered', [3, 1, 3, 2]);
  });

  it('takes a pending version back', async () => {
    const { apps, app, owner, vetoer, withVetoer } = await load();
    await refused(apps.write.withdraw([app, 1]), 'AppRegistryVersionNotPending', [app, 1]);
    await apps.write.publish([app, second, withVetoer]);
    await refused(apps.write.withdraw([app, 1]), 'AppRegistryVersionNotPending', [app, 1]);
    await refused(apps.write.withdraw([app, 2], { account: vetoer.account }), 'AppRegistryCallerNotOwner', [
      vetoer.account.address,
      owner.account.address,
    ]);
    await apps.write.withdraw([app, 2]);
    assert.equal((await apps.getEvents.VersionWithdrawn({ app, version: 2 })).length, 1);
    await apps.write.publish([app, third, withVetoer]);
    await networkHelpers.time.increase(day);
    assert.deepEqual(await apps.read.current([app]), [third, 3, withVetoer]);
    assert.equal((await apps.read.versionOf([app, 2])).state, 4);
    await refused(apps.write.withdraw([app, 3]), 'AppRegistryVersionNotPending', [app, 3]);
  });
});

describe('AppRegistry.veto', () => {
  it('lets the vetoer refuse a version before it serves', async () => {
    const { apps, app, vetoer, withVetoer } = await load();
    await apps.write.publish([app, second, { ...withVetoer, vetoer: zeroAddress }]);
    await apps.write.veto([app, 2], { account: vetoer.account });
    const events = await apps.getEvents.VersionVetoed({ app, version: 2 });
    assert.deepEqual(events[0]?.args, { app, version: 2, vetoer: getAddress(vetoer.account.address) });
    await networkHelpers.time.increase(10 * day);
    assert.deepEqual(await apps.read.current([app]), [first, 1, withVetoer]);
    assert.deepEqual(await apps.read.versionOf([app, 2]), {
      state: 4,
      effectiveAt: 0n,
      manifestId: second,
      fields: { ...withVetoer, vetoer: zeroAddress },
    });
    await refused(apps.write.veto([app, 2], { account: vetoer.account }), 'AppRegistryVersionNotPending', [app, 2]);
  });

  it('comes too late once it serves', async () => {
    const { apps, app, vetoer, withVetoer } = await load();
    await apps.write.publish([app, second, withVetoer]);
    await networkHelpers.time.increase(day);
    await refused(apps.write.veto([app, 2], { account: vetoer.account }), 'AppRegistryVersionNotPending', [app, 2]);
  });

  it('is the serving version’s vetoer’s, nobody else’s', async () => {
    const { apps, app, owner, vetoer, stranger, withVetoer } = await load();
    await apps.write.publish([app, second, { ...withVetoer, vetoer: stranger.account.address }]);
    for (const caller of [owner, stranger])
      await refused(apps.write.veto([app, 2], { account: caller.account }), 'AppRegistryCallerNotVetoer', [
        caller.account.address,
        vetoer.account.address,
      ]);
    await networkHelpers.time.increase(day);
    await apps.write.publish([app, third, withVetoer]);
    await refused(apps.write.veto([app, 3], { account: vetoer.account }), 'AppRegistryCallerNotVetoer');
    await apps.write.veto([app, 3], { account: stranger.account });
  });

  it('is nobody’s where there is no vetoer', async () => {
    const { apps, owner } = await load();
    await apps.write.create([zeroHash, first, fields]);
    const app = appId(owner.account.address, zeroHash);
    await apps.write.publish([app, second, fields]);
    await refused(apps.write.veto([app, 2]), 'AppRegistryCallerNotVetoer', [owner.account.address, zeroAddress]);
    await refused(apps.write.veto([toHex(1, { size: 32 }), 2]), 'AppRegistryAppUnknown', [toHex(1, { size: 32 })]);
  });
});

describe('AppRegistry ownership', () => {
  it('changes in two steps; the id stays', async () => {
    const { apps, app, owner, stranger, withVetoer } = await load();
    const [from, to] = [getAddress(owner.account.address), getAddress(stranger.account.address)];
    await apps.write.transferOwnership([app, to]);
    assert.deepEqual((await apps.getEvents.AppOwnershipTransferStarted({ app }))[0]?.args, {
      app,
      owner: from,
      pendingOwner: to,
    });
    assert.equal(await apps.read.ownerOf([app]), from);
    assert.equal(await apps.read.pendingOwnerOf([app]), to);
    await apps.write.acceptOwnership([app], { account: stranger.account });
    assert.deepEqual((await apps.getEvents.AppOwnershipTransferred({ app }))[0]?.args, {
      app,
      previousOwner: from,
      owner: to,
    });
    assert.equal(await apps.read.ownerOf([app]), to);
    assert.equal(await apps.read.pendingOwnerOf([app]), zeroAddress);
    await refused(apps.write.publish([app, second, withVetoer]), 'AppRegistryCallerNotOwner', [from, to]);
    await apps.write.publish([app, second, withVetoer], { account: stranger.account });
    // The old owner can't make the id again.
    await refused(apps.write.create([salt, first, withVetoer]), 'AppRegistryAppExists', [app]);
  });

  it('refuses who was not asked, and an offer taken back', async () => {
    const { apps, app, owner, stranger } = await load();
    const account = stranger.account;
    await refused(apps.write.acceptOwnership([app], { account }), 'AppRegistryCallerNotPendingOwner', [
      account.address,
      zeroAddress,
    ]);
    await refused(apps.write.acceptOwnership([zeroHash], { account }), 'AppRegistryCallerNotPendingOwner');
    await refused(apps.write.transferOwnership([app, account.address], { account }), 'AppRegistryCallerNotOwner');
    await apps.write.transferOwnership([app, account.address]);
    await apps.write.transferOwnership([app, zeroAddress]);
    await refused(apps.write.acceptOwnership([app], { account }), 'AppRegistryCallerNotPendingOwner', [
      account.address,
      zeroAddress,
    ]);
    assert.equal((await apps.read.ownerOf([app])).toLowerCase(), owner.account.address);
  });
});

describe('AppRegistry images', () => {
  it('are the owner’s choice, at once', async () => {
    const { apps, app } = await load();
    assert.equal(await apps.read.isImagePinned([app, first]), false);
    await apps.write.pinImage([app, first]);
    assert.deepEqual((await apps.getEvents.ImagePinned({ app }))[0]?.args, { app, imageId: first });
    assert.equal(await apps.read.isImagePinned([app, first]), true);
    assert.equal(await apps.read.isImagePinned([app, second]), false);
    assert.equal(await apps.read.isImagePinned([second, first]), false);
    await apps.write.pinImage([app, second]);
    await apps.write.unpinImage([app, first]);
    assert.deepEqual((await apps.getEvents.ImageUnpinned({ app }))[0]?.args, { app, imageId: first });
    assert.equal(await apps.read.isImagePinned([app, first]), false);
    assert.equal(await apps.read.isImagePinned([app, second]), true);
    await apps.write.pinImage([app, first]);
    assert.equal(await apps.read.isImagePinned([app, first]), true);
  });

  it('refuses others, unknown apps, no image, and what changes nothing', async () => {
    const { apps, app, owner, stranger } = await load();
    const account = stranger.account;
    for (const call of [apps.write.pinImage, apps.write.unpinImage]) {
      await refused(call([app, first], { account }), 'AppRegistryCallerNotOwner', [
        account.address,
        owner.account.address,
      ]);
      await refused(call([zeroHash, first]), 'AppRegistryAppUnknown', [zeroHash]);
    }
    await refused(apps.write.pinImage([app, zeroHash]), 'AppRegistryImageMissing');
    await refused(apps.write.unpinImage([app, first]), 'AppRegistryImageNotPinned', [app, first]);
    await apps.write.pinImage([app, first]);
    await refused(apps.write.pinImage([app, first]), 'AppRegistryImagePinned', [app, first]);
    await refused(apps.write.unpinImage([app, second]), 'AppRegistryImageNotPinned', [app, second]);
  });
});

describe('AppRegistry.raiseKeyVersions', () => {
  it('counts at once, whatever notice the versions give, and for the pending version too', async () => {
    const { apps, app, withVetoer } = await load();
    await apps.write.publish([app, second, withVetoer]);
    await networkHelpers.time.increase(day);
    await apps.write.publish([app, third, withVetoer]);
    await apps.write.raiseKeyVersions([app, 3, 2]);
    const [event] = await apps.getEvents.KeyVersionsRaised({ app });
    assert.deepEqual([event?.args.keyVersion, event?.args.minKeyVersion], [3, 2]);
    const versions = async () => {
      const [manifestId, , fields] = await apps.read.current([app]);
      return [manifestId, fields.keyVersion, fields.minKeyVersion];
    };
    assert.deepEqual(await versions(), [second, 3, 2]);
    await networkHelpers.time.increase(day);
    assert.deepEqual(await versions(), [third, 3, 2]);
    await apps.write.raiseKeyVersions([app, 3, 3]);
    assert.deepEqual(await versions(), [third, 3, 3]);
  });

  it('leaves a pending version that had raised them further as it is', async () => {
    const { apps, app, withVetoer } = await load();
    await apps.write.publish([app, second, withVetoer]);
    await networkHelpers.time.increase(day);
    await apps.write.publish([app, third, { ...withVetoer, keyVersion: 9, minKeyVersion: 8 }]);
    await apps.write.raiseKeyVersions([app, 2, 2]);
    await networkHelpers.time.increase(day);
    const [, , fields] = await apps.read.current([app]);
    assert.deepEqual([fields.keyVersion, fields.minKeyVersion], [9, 8]);
  });

  it('is the owner’s alone, and never lowers them', async () => {
    const { apps, app, owner, stranger } = await load();
    const raise = (key: number, min: number) => apps.write.raiseKeyVersions([app, key, min]);
    const account = stranger.account;
    await refused(apps.write.raiseKeyVersions([app, 2, 1], { account }), 'AppRegistryCallerNotOwner', [
      account.address,
      owner.account.address,
    ]);
    await refused(apps.write.raiseKeyVersions([zeroHash, 2, 1]), 'AppRegistryAppUnknown', [zeroHash]);
    await refused(raise(1, 2), 'AppRegistryKeyVersionsInvalid', [1, 2]);
    await refused(raise(1, 0), 'AppRegistryKeyVersionsInvalid', [1, 0]);
    await raise(4, 2);
    await refused(raise(3, 2), 'AppRegistryKeyVersionLowered', [3, 2, 4, 2]);
    await refused(raise(4, 1), 'AppRegistryKeyVersionLowered', [4, 1, 4, 2]);
  });
});

describe('AppRegistry.setSecrets', () => {
  it('anchors a bundle with who set it and when, in place of the one before; zero takes it back', async () => {
    const { apps, app, owner, now } = await load();
    const setBy = getAddress(owner.account.address);
    assert.deepEqual(await apps.read.secretsOf([app]), [zeroHash, zeroAddress, 0n]);
    for (const bundleId of [first, second, zeroHash]) {
      await apps.write.setSecrets([app, bundleId]);
      assert.deepEqual((await apps.getEvents.SecretsSet({ app }))[0]?.args, { app, bundleId, setBy });
      assert.deepEqual(await apps.read.secretsOf([app]), [bundleId, setBy, await now()]);
      await networkHelpers.time.increase(day);
    }
    assert.deepEqual(await apps.read.secretsOf([second]), [zeroHash, zeroAddress, 0n]);
  });

  it('is the owner’s alone; what the owner before set stays that one’s word', async () => {
    const { apps, app, owner, stranger } = await load();
    const account = stranger.account;
    await refused(apps.write.setSecrets([app, first], { account }), 'AppRegistryCallerNotOwner', [
      account.address,
      owner.account.address,
    ]);
    await refused(apps.write.setSecrets([zeroHash, first]), 'AppRegistryAppUnknown', [zeroHash]);
    await apps.write.setSecrets([app, first]);
    await apps.write.transferOwnership([app, account.address]);
    await apps.write.acceptOwnership([app], { account });
    assert.equal((await apps.read.secretsOf([app]))[1], getAddress(owner.account.address));
    await refused(apps.write.setSecrets([app, second]), 'AppRegistryCallerNotOwner');
    await apps.write.setSecrets([app, first], { account });
    assert.equal((await apps.read.secretsOf([app]))[1], getAddress(account.address));
  });
});

describe('AppRegistry views', () => {
  it('tells which version served at a time', async () => {
    const { apps, app, vetoer, withVetoer, now } = await load();
    const bornAt = await now();
    await apps.write.publish([app, second, withVetoer]);
    await apps.write.veto([app, 2], { account: vetoer.account });
    await apps.write.publish([app, third, withVetoer]);
    const thirdAt = (await now()) + BigInt(day);
    for (const [time, version] of [
      [bornAt - 1n, 0],
      [bornAt, 1],
      [thirdAt - 1n, 1],
      [thirdAt, 1],
    ] as const)
      assert.equal(await apps.read.versionAt([app, time]), version, 'a time to come reads as the present');
    await networkHelpers.time.increaseTo(thirdAt + 10n);
    for (const [time, version] of [
      [bornAt - 1n, 0],
      [thirdAt - 1n, 1],
      [thirdAt, 3],
      [2n ** 64n - 1n, 3],
    ] as const)
      assert.equal(await apps.read.versionAt([app, time]), version);
  });

  it('refuses unknown apps, or says no', async () => {
    const { apps, app } = await load();
    const unknown = toHex(1, { size: 32 });
    await refused(apps.read.current([unknown]), 'AppRegistryAppUnknown', [unknown]);
    await refused(apps.read.versionAt([unknown, 1n]), 'AppRegistryAppUnknown', [unknown]);
    await refused(apps.read.versionOf([unknown, 1]), 'AppRegistryAppUnknown', [unknown]);
    assert.equal(await apps.read.isCurrentManifest([unknown, zeroHash]), false);
    assert.equal(await apps.read.isCurrentManifest([app, zeroHash]), false);
    assert.equal(await apps.read.ownerOf([unknown]), zeroAddress);
    assert.equal((await apps.read.versionOf([app, 2])).state, 0);
  });
});
