import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Address, encodeFunctionData, getAddress, type Hex, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { deployWorld } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const load = () => networkHelpers.loadFixture(world);
const delay = 3_600;
const grace = 14 * 86_400;
const state = { unknown: 0, waiting: 1, ready: 2, expired: 3, executed: 4, vetoed: 5, cancelled: 6 } as const;
const salt = toHex(1, { size: 32 });
const manifest = (seed: number) => toHex(0xa0 + seed, { size: 32 });
const imageId = toHex(0x1a, { size: 32 });
const fields = {
  upgradeNoticeSeconds: 0,
  keyVersion: 1,
  minKeyVersion: 1,
  kind: 0,
  imagePolicy: 1,
  replicas: 1,
  stateful: false,
  vetoer: zeroAddress,
};

/** An app that a timelock of the owner's owns, with one vetoer. */
async function world() {
  const loaded = await deployWorld(connection);
  const { viem, apps, owner, borrower: vetoer } = loaded;
  const factory = await viem.deployContract('AppTimelockFactory');
  const args = [apps.address, owner.account.address, [vetoer.account.address], delay, zeroHash] as const;
  await factory.write.create(args);
  const timelock = await viem.getContractAt('AppTimelock', await factory.read.addressOf(args));
  await timelock.write.create([salt, manifest(1), fields, [imageId]], { account: owner.account });
  const app = (await apps.getEvents.AppCreated())[0]?.args.app ?? zeroHash;
  return { ...loaded, safe: loaded.timelock, factory, args, timelock, app, vetoer };
}
type World = Awaited<ReturnType<typeof world>>;

const publishing = ({ apps, app }: World, seed = 2): Hex =>
  encodeFunctionData({ abi: apps.abi, functionName: 'publish', args: [app, manifest(seed), fields] });

/** Announces as the owner; gives the number. */
async function announce({ timelock, owner }: World, data: Hex, toRegistry = true): Promise<number> {
  await timelock.write.announce([toRegistry, data], { account: owner.account });
  return timelock.read.announcedCount();
}

const ofItself = ({ timelock }: World, functionName: 'setOwner' | 'setVetoer' | 'setDelay', args: readonly never[]) =>
  encodeFunctionData({ abi: timelock.abi, functionName, args } as never);

/** Lets an announcement's time come, and executes it as somebody. */
async function execute({ timelock, stranger }: World, number: number) {
  await networkHelpers.time.increase(delay);
  return timelock.write.execute([number], { account: stranger.account });
}

describe('AppTimelock announcements', () => {
  it('show the whole call, wait, and are then anyone’s to execute, once', async () => {
    const loaded = await load();
    const { timelock, apps, app, stranger, publicClient } = loaded;
    const data = publishing(loaded);
    assert.equal((await timelock.read.announcementOf([1])).state, state.unknown);
    const number = await announce(loaded, data);
    assert.equal(number, 1);
    const readyAt = (await publicClient.getBlock()).timestamp + BigInt(delay);
    const shown = { toRegistry: true, readyAt, data };
    const [event] = await timelock.getEvents.Announced();
    assert.deepEqual(event?.args, { number, ...shown });
    assert.deepEqual(await timelock.read.announcementOf([number]), { ...shown, state: state.waiting });
    assert.deepEqual(await timelock.read.openNumbers(), [number]);

    const asStranger = { account: stranger.account };
    await networkHelpers.time.setNextBlockTimestamp(readyAt - 1n);
    await refused(timelock.write.execute([number], asStranger), 'AppTimelockNotReady', [
      number,
      readyAt,
      readyAt + BigInt(grace),
    ]);
    await networkHelpers.time.increaseTo(readyAt);
    assert.equal((await timelock.read.announcementOf([number])).state, state.ready);
    await timelock.write.execute([number], asStranger);
    assert.equal((await apps.read.current([app]))[0], manifest(2));
    assert.equal((await timelock.read.announcementOf([number])).state, state.executed);
    assert.deepEqual(await timelock.read.openNumbers(), []);
    assert.deepEqual((await timelock.getEvents.Executed())[0]?.args, { number });
    await refused(timelock.write.execute([number], asStranger), 'AppTimelockNotOpen', [number]);
  });

  it('expire after 14 days; then anyone clears them away', async () => {
    const loaded = await load();
    const { timelock, stranger, owner } = loaded;
    const number = await announce(loaded, publishing(loaded));
    const { readyAt } = await timelock.read.announcementOf([number]);
    await refused(timelock.write.cancel([number], { account: stranger.account }), 'AppTimelockCallerNotOwner', [
      stranger.account.address,
      owner.account.address,
    ]);
    const end = readyAt + BigInt(grace);
    await networkHelpers.time.increaseTo(end - 1n);
    assert.equal((await timelock.read.announcementOf([number])).state, state.ready);
    await networkHelpers.time.increaseTo(end);
    assert.equal((await timelock.read.announcementOf([number])).state, state.expired);
    await refused(timelock.write.execute([number]), 'AppTimelockNotReady', [number, readyAt, end]);
    await timelock.write.cancel([number], { account: stranger.account });
    assert.deepEqual(await timelock.read.openNumbers(), []);
  });

  it('are the owner’s alone, who may take them back', async () => {
    const loaded = await load();
    const { timelock, owner, stranger } = loaded;
    const refusal = ['AppTimelockCallerNotOwner', [stranger.account.address, owner.account.address]] as const;
    const asStranger = { account: stranger.account };
    await refused(timelock.write.announce([true, publishing(loaded)], asStranger), ...refusal);
    await refused(
      timelock.write.announce([true, '0x123456'], { account: owner.account }),
      'AppTimelockCallTooShort',
      [3],
    );
    const number = await announce(loaded, publishing(loaded));
    await timelock.write.cancel([number], { account: owner.account });
    const [event] = await timelock.getEvents.Cancelled();
    assert.deepEqual(event?.args, { number, cancelledBy: getAddress(owner.account.address) });
    assert.equal((await timelock.read.announcementOf([number])).state, state.cancelled);
    await networkHelpers.time.increase(delay);
    await refused(timelock.write.execute([number]), 'AppTimelockNotOpen', [number]);
    await refused(timelock.write.cancel([number], { account: owner.account }), 'AppTimelockNotOpen', [number]);
    await refused(timelock.write.cancel([9], { account: owner.account }), 'AppTimelockNotOpen', [9]);
    assert.equal(await announce(loaded, '0x12345678'), 2);
  });

  it('are at most 16 at once, so that none hides among others', async () => {
    const loaded = await load();
    const { timelock, owner } = loaded;
    for (let count = 1; count <= 16; count += 1) await announce(loaded, publishing(loaded));
    await refused(announce(loaded, publishing(loaded)), 'AppTimelockOpenTooMany', [16]);
    await timelock.write.cancel([3], { account: owner.account });
    assert.equal(await announce(loaded, publishing(loaded)), 17);
    const open = [...(await timelock.read.openNumbers())].sort((left, right) => left - right);
    assert.deepEqual(open, [1, 2, ...Array.from({ length: 14 }, (_, index) => index + 4)]);
  });

  it('fail as the call itself does, and stay open', async () => {
    const loaded = await load();
    const { timelock, apps, app } = loaded;
    const data = encodeFunctionData({ abi: apps.abi, functionName: 'withdraw', args: [app, 7] });
    const number = await announce(loaded, data);
    await refused(execute(loaded, number), 'AppRegistryVersionNotPending', [app, 7]);
    assert.deepEqual(await timelock.read.openNumbers(), [number]);
  });
});

describe('AppTimelock and itself', () => {
  it('executes nothing twice, from within either', async () => {
    const loaded = await load();
    const { timelock } = loaded;
    const again = encodeFunctionData({ abi: timelock.abi, functionName: 'execute', args: [1] });
    const number = await announce(loaded, again, false);
    await refused(execute(loaded, number), 'AppTimelockNotOpen', [number]);
    assert.deepEqual(await timelock.read.openNumbers(), [number]);
  });

  it('is no owner of itself: what it announces to itself reaches none of the owner’s functions', async () => {
    const loaded = await load();
    const { timelock, owner, app } = loaded;
    const args = [app, imageId] as const;
    const data = encodeFunctionData({ abi: timelock.abi, functionName: 'unpinImage', args });
    await refused(execute(loaded, await announce(loaded, data, false)), 'AppTimelockCallerNotOwner', [
      timelock.address,
      owner.account.address,
    ]);
  });
});

describe('AppTimelock vetoers', () => {
  it('refuse what is open, for good, until it is executed', async () => {
    const loaded = await load();
    const { timelock, vetoer, stranger, owner } = loaded;
    const number = await announce(loaded, publishing(loaded));
    for (const { account } of [stranger, owner])
      await refused(timelock.write.veto([number], { account }), 'AppTimelockCallerNotVetoer', [account.address]);
    await networkHelpers.time.increase(delay);
    await timelock.write.veto([number], { account: vetoer.account });
    const [event] = await timelock.getEvents.Vetoed();
    assert.deepEqual(event?.args, { number, vetoer: getAddress(vetoer.account.address) });
    assert.equal((await timelock.read.announcementOf([number])).state, state.vetoed);
    await refused(timelock.write.execute([number]), 'AppTimelockNotOpen', [number]);
    const next = await announce(loaded, publishing(loaded));
    await execute(loaded, next);
    await refused(timelock.write.veto([next], { account: vetoer.account }), 'AppTimelockNotOpen', [next]);
  });

  it('are named and dismissed by announcement alone', async () => {
    const loaded = await load();
    const { timelock, vetoer, stranger, owner } = loaded;
    const one = stranger.account.address;
    for (const account of [owner.account, vetoer.account])
      await refused(timelock.write.setVetoer([one, true], { account }), 'AppTimelockCallerNotSelf', [account.address]);
    await execute(loaded, await announce(loaded, ofItself(loaded, 'setVetoer', [one, true] as never), false));
    assert.deepEqual((await timelock.getEvents.VetoerSet())[0]?.args, { vetoer: getAddress(one), named: true });
    assert.deepEqual(
      await timelock.read.vetoers(),
      [vetoer.account.address, one].map((account) => getAddress(account)),
    );
    const again = await announce(loaded, ofItself(loaded, 'setVetoer', [one, true] as never), false);
    await refused(execute(loaded, again), 'AppTimelockVetoerUnchanged', [one]);
    const first = vetoer.account.address;
    await execute(loaded, await announce(loaded, ofItself(loaded, 'setVetoer', [first, false] as never), false));
    assert.deepEqual(await timelock.read.vetoers(), [getAddress(one)]);
    await refused(timelock.write.veto([again], { account: vetoer.account }), 'AppTimelockCallerNotVetoer', [first]);
    await timelock.write.veto([again], { account: stranger.account });
    const unknown = await announce(loaded, ofItself(loaded, 'setVetoer', [first, false] as never), false);
    await refused(execute(loaded, unknown), 'AppTimelockVetoerUnchanged', [first]);
  });
});

describe('AppTimelock owners', () => {
  it('create apps at once, and protect them at once; all else waits', async () => {
    const loaded = await load();
    const { timelock, apps, app, owner, stranger } = loaded;
    assert.equal(await apps.read.ownerOf([app]), getAddress(timelock.address));
    assert.equal(await apps.read.isImagePinned([app, imageId]), true);
    const as = { account: owner.account };
    await timelock.write.raiseKeyVersions([app, 2, 2], as);
    assert.equal((await apps.read.current([app]))[2].minKeyVersion, 2);
    await timelock.write.unpinImage([app, imageId], as);
    assert.equal(await apps.read.isImagePinned([app, imageId]), false);
    const noticed = { ...fields, keyVersion: 2, minKeyVersion: 2, upgradeNoticeSeconds: 86_400 };
    for (const seed of [2, 3]) {
      const args = [app, manifest(seed), noticed] as const;
      await execute(
        loaded,
        await announce(loaded, encodeFunctionData({ abi: apps.abi, functionName: 'publish', args })),
      );
    }
    assert.equal((await apps.read.versionOf([app, 3])).state, 1);
    await timelock.write.withdraw([app, 3], as);
    assert.equal((await apps.read.versionOf([app, 3])).state, 4);

    const asStranger = { account: stranger.account };
    const refusal = ['AppTimelockCallerNotOwner', [stranger.account.address, owner.account.address]] as const;
    await refused(timelock.write.create([salt, manifest(1), fields, []], asStranger), ...refusal);
    await refused(timelock.write.acceptApp([app], asStranger), ...refusal);
    await refused(timelock.write.withdraw([app, 2], asStranger), ...refusal);
    await refused(timelock.write.unpinImage([app, imageId], asStranger), ...refusal);
    await refused(timelock.write.raiseKeyVersions([app, 3, 3], asStranger), ...refusal);
    // The owner itself has no way around.
    const registryRefusal = ['AppRegistryCallerNotOwner', [owner.account.address, timelock.address]] as const;
    await refused(apps.write.publish([app, manifest(4), noticed], as), ...registryRefusal);
    await refused(apps.write.pinImage([app, imageId], as), ...registryRefusal);
    await refused(apps.write.transferOwnership([app, owner.account.address], as), ...registryRefusal);
  });

  it('take an app that its owner offers, and give one away with notice', async () => {
    const loaded = await load();
    const { timelock, apps, owner, stranger } = loaded;
    await apps.write.create([salt, manifest(1), fields], { account: stranger.account });
    const app = (await apps.getEvents.AppCreated())[0]?.args.app ?? zeroHash;
    await apps.write.transferOwnership([app, timelock.address], { account: stranger.account });
    await timelock.write.acceptApp([app], { account: owner.account });
    assert.equal(await apps.read.ownerOf([app]), getAddress(timelock.address));
    const args = [app, stranger.account.address] as const;
    const away = encodeFunctionData({ abi: apps.abi, functionName: 'transferOwnership', args });
    await execute(loaded, await announce(loaded, away));
    assert.equal(await apps.read.pendingOwnerOf([app]), getAddress(stranger.account.address));
  });

  it('change by announcement alone, as delays do, within their bounds', async () => {
    const loaded = await load();
    const { timelock, owner, stranger } = loaded;
    const as = { account: owner.account };
    await refused(timelock.write.setOwner([stranger.account.address], as), 'AppTimelockCallerNotSelf');
    await refused(timelock.write.setDelay([60], as), 'AppTimelockCallerNotSelf', [owner.account.address]);
    for (const seconds of [59, 90 * 86_400 + 1]) {
      const number = await announce(loaded, ofItself(loaded, 'setDelay', [seconds] as never), false);
      await refused(execute(loaded, number), 'AppTimelockDelayOutOfRange', [seconds, 60, 90 * 86_400]);
    }
    const nobody = await announce(loaded, ofItself(loaded, 'setOwner', [zeroAddress] as never), false);
    await refused(execute(loaded, nobody), 'AppTimelockOwnerMissing', []);
    const shorter = await announce(loaded, ofItself(loaded, 'setDelay', [60] as never), false);
    const handed = await announce(loaded, ofItself(loaded, 'setOwner', [stranger.account.address] as never), false);
    await execute(loaded, shorter);
    assert.deepEqual((await timelock.getEvents.DelaySet())[0]?.args, { delay: 60 });
    assert.equal(await timelock.read.delay(), 60);
    await timelock.write.execute([handed]);
    assert.deepEqual((await timelock.getEvents.OwnerSet())[0]?.args, { owner: getAddress(stranger.account.address) });
    assert.equal(await timelock.read.owner(), getAddress(stranger.account.address));
    await refused(announce(loaded, publishing(loaded)), 'AppTimelockCallerNotOwner');
    await timelock.write.announce([true, publishing(loaded)], { account: stranger.account });
  });

  it('may be contracts: what they call counts as what an account calls', async () => {
    const loaded = await load();
    const { viem, apps, safe, govern, publicClient } = loaded;
    const timelock = await viem.deployContract('AppTimelock', [apps.address, safe.address, [], 60]);
    await govern(timelock, 'create', [salt, manifest(1), fields, []]);
    const app = (await apps.getEvents.AppCreated())[0]?.args.app ?? zeroHash;
    await govern(timelock, 'announce', [true, publishing({ ...loaded, app })]);
    const { readyAt } = await timelock.read.announcementOf([1]);
    assert.equal(readyAt, (await publicClient.getBlock()).timestamp + 60n);
    await networkHelpers.time.increaseTo(readyAt);
    await timelock.write.execute([1]);
    assert.equal((await apps.read.current([app]))[0], manifest(2));
  });
});

describe('AppTimelockFactory', () => {
  it('creates what its address says, once, and knows its own', async () => {
    const { factory, args, timelock, viem, apps, owner, vetoer } = await load();
    assert.equal(await factory.read.isTimelock([timelock.address]), true);
    assert.deepEqual(
      [
        await timelock.read.registry(),
        await timelock.read.owner(),
        await timelock.read.delay(),
        await timelock.read.vetoers(),
      ],
      [getAddress(apps.address), getAddress(owner.account.address), delay, [getAddress(vetoer.account.address)]],
    );
    await factory.write.create(args);
    assert.equal((await factory.getEvents.AppTimelockCreated()).length, 0);
    const other = [...args.slice(0, 4), salt] as unknown as typeof args;
    assert.notEqual(await factory.read.addressOf(other), timelock.address);
    await factory.write.create(other);
    const [event] = await factory.getEvents.AppTimelockCreated();
    assert.deepEqual(event?.args, {
      timelock: getAddress(await factory.read.addressOf(other)),
      owner: getAddress(owner.account.address),
      registry: getAddress(apps.address),
    });
    const alone = await viem.deployContract('AppTimelock', [apps.address, owner.account.address, [], delay]);
    assert.equal(await factory.read.isTimelock([alone.address]), false);
  });

  it('refuses no registry, no owner, delays out of bounds, vetoers twice or too many', async () => {
    const { factory, apps, owner, vetoer } = await load();
    const [registry, account] = [apps.address, owner.account.address];
    const make = (of: Address, by: Address, vetoers: readonly Address[], seconds: number) =>
      factory.write.create([of, by, vetoers, seconds, salt]);
    await refused(make(account, account, [], delay), 'AppTimelockRegistryWithoutCode', [account]);
    await refused(make(registry, zeroAddress, [], delay), 'AppTimelockOwnerMissing', []);
    await refused(make(registry, account, [], 59), 'AppTimelockDelayOutOfRange', [59, 60, 90 * 86_400]);
    const one = vetoer.account.address;
    await refused(make(registry, account, [one, one], delay), 'AppTimelockVetoerUnchanged', [one]);
    const many = Array.from({ length: 9 }, (_, index) => toHex(index + 1, { size: 20 }));
    await refused(make(registry, account, many, delay), 'AppTimelockVetoersTooMany', [9, 8]);
    await make(registry, account, many.slice(0, 8), 90 * 86_400);
  });
});
