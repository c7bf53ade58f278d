import type { SecretBytes } from '@cloister/crypto';
import { fromHex, utf8 } from '@cloister/crypto';
import { combinePartials, verifySignature } from '@cloister/threshold/combine';
import { signWithShare } from '@cloister/threshold/native';
import { describe, expect, test } from 'vitest';
import type { HeldGeneration } from '../src/shares/shareStore.ts';
import { epochSeconds, heldHash, Town, type TownMember } from './committeeTown.ts';

const message = utf8('message');

/** Whether these holdings make the network's signature. */
function makesSignature(town: Town, holdings: readonly (HeldGeneration | undefined)[]): boolean {
  const partials = holdings.flatMap((held, position) => {
    const share = held?.shares?.apps;
    return share === undefined
      ? []
      : [{ index: position + 1, signature: signWithShare(share as SecretBytes, message) }];
  });
  const { threshold } = town.chain.latest.generation;
  if (partials.length < threshold) return false;
  const key = fromHex(town.chain.latest.keys?.apps ?? '0x');
  return verifySignature(key, message, combinePartials(partials.slice(0, threshold)));
}

const active = (members: readonly TownMember[]) => members.map(({ store }) => store.active);

describe('the first key', () => {
  test.each([
    [4, 3],
    [7, 5],
  ])('is made when all %i founders are there (threshold %i), and stands when final', async (count, threshold) => {
    const town = new Town(count, threshold);
    for (const member of town.members.slice(1)) await member.start();
    town.chain.mine();
    await expect(town.until(() => town.chain.latest.generation.number > 0n, 40)).rejects.toThrow(/did not come/);
    await town.members[0]?.start();
    await town.untilGeneration(1n);
    expect(makesSignature(town, active(town.members))).toBe(true);
    for (const member of town.members) expect(heldHash(member)).toBe(town.chain.latest.generation.publicSharesHash);
  });

  test('is made as soon as the last founder is there, whatever the clock says', async () => {
    for (const offset of [7n, 22n]) {
      const town = new Town(4, 3);
      town.chain.mine(offset);
      await town.startAll();
      await town.until(() => town.chain.latest.generation.number === 1n, 8);
    }
  });

  test('is not begun with a founder whose enclave is not what it should be', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    const [impostor] = town.members as [TownMember];
    town.verifyFounder = ({ operator }) => {
      if (operator === impostor.operator) throw new Error('the evidence is somebody else’s');
    };
    await expect(town.until(() => town.chain.latest.generation.number > 0n, 4)).rejects.toThrow(/somebody else/);
  });
});

describe('keys pass on', () => {
  test('in each epoch, with new shares and the same keys; old shares are overwritten', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const keys = town.chain.latest.keys;
    const old = active(town.members).map((held) => held?.shares?.apps as SecretBytes);
    town.chain.mine(epochSeconds);
    await town.untilGeneration(2n);
    expect(town.chain.latest.keys).toEqual(keys);
    expect(makesSignature(town, active(town.members))).toBe(true);
    for (const share of old) expect(() => share.reveal()).toThrow(expect.objectContaining({ code: 'SECRET_WIPED' }));
  });

  test('as soon as an epoch begins', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const { timestamp } = town.chain.blocks.at(-1) as { timestamp: bigint };
    town.chain.mine(epochSeconds - (timestamp % epochSeconds));
    await town.until(() => town.chain.latest.generation.number === 2n, 5);
  });

  test('past a member that is away; it gets shares with the next handover', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const [away] = town.members as [TownMember];
    away.isUp = false;
    town.chain.mine(epochSeconds);
    await town.untilGeneration(2n);
    expect(makesSignature(town, [undefined, ...active(town.members.slice(1))])).toBe(true);
    away.isUp = true;
    await town.until(() => away.store.active === undefined);
    town.chain.mine(epochSeconds);
    await town.untilGeneration(3n);
    expect(away.store.active?.shares).toBeDefined();
  });

  test('past a member that is cut off both ways though it sees the chain: what it holds counts no more, until the road is open', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const [cut, ...others] = town.members as [TownMember, ...TownMember[]];
    const before = cut.store.active;
    cut.isCutOff = true;
    town.chain.mine(epochSeconds);
    const haveGeneration = (number: bigint) => () =>
      others.every(({ store }) => (store.active?.number ?? 0n) >= number);
    await town.until(haveGeneration(2n));
    town.chain.mine(epochSeconds);
    await town.until(haveGeneration(3n));
    expect(makesSignature(town, [undefined, ...active(others)])).toBe(true);
    // The chain shows it that it was left behind: what it held is wiped.
    await town.until(() => cut.store.active?.shares === undefined);
    expect(() => before?.shares?.apps.reveal()).toThrow(/wiped/);
    cut.isCutOff = false;
    town.chain.mine(epochSeconds);
    await town.untilGeneration(4n);
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('at once when a member came back as another enclave: it holds shares again', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const [restarted] = town.members as [TownMember];
    restarted.stop();
    await restarted.start();
    await town.untilGeneration(2n);
    expect(restarted.store.active?.shares).toBeDefined();
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('not while two of four are away, and then they do', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const [one, two] = town.members as [TownMember, TownMember];
    one.isUp = false;
    two.isUp = false;
    town.chain.mine(epochSeconds);
    await expect(town.untilGeneration(2n, 60)).rejects.toThrow(/did not come/);
    one.isUp = true;
    two.isUp = true;
    await town.untilGeneration(2n);
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('though a member answers with what is no message, and others beside it', async () => {
    const town = new Town(4, 3);
    const [hostile] = town.members as [TownMember];
    town.answers = (from, answer) =>
      from === hostile ? { ...answer, messages: [{ kind: 'nonsense' }, ...answer.messages] } : answer;
    await town.startAll();
    await town.untilGeneration(1n, 30);
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('around a road that is closed: the others carry the messages', async () => {
    const town = new Town(4, 3);
    const [left, right] = town.members as [TownMember, TownMember];
    town.isOpen = (from, to) => !((from === left && to === right) || (from === right && to === left));
    await town.startAll();
    await town.untilGeneration(1n);
    expect(town.members.every(({ store }) => store.active?.shares !== undefined)).toBe(true);
  });
});

describe('no key is lost', () => {
  test('when the chain takes a handover back before it is final', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const before = town.chain.blocks.length;
    town.chain.mine(epochSeconds);
    await town.until(() => town.chain.latest.generation.number === 2n);
    expect(makesSignature(town, active(town.members))).toBe(true);
    town.chain.reorganise(town.chain.blocks.length - before);
    expect(town.chain.latest.generation.number).toBe(1n);
    town.chain.mine(epochSeconds);
    await town.untilGeneration(2n);
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('when all members stop between signing a handover and its finality, and open what they had sealed', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    town.chain.mine(epochSeconds);
    await town.until(() => town.chain.latest.generation.number === 2n);
    for (const member of town.members) {
      const { person, sealed } = member;
      member.stop();
      await member.start({ person, sealed });
    }
    await town.untilGeneration(2n);
    expect(makesSignature(town, active(town.members))).toBe(true);
  });

  test('but an old sealed disk holds nothing that still counts', async () => {
    const town = new Town(4, 3);
    await town.startAll();
    await town.untilGeneration(1n);
    const stolen = town.members.map(({ sealed }) => sealed.find(({ number }) => number === 1n));
    town.chain.mine(epochSeconds);
    await town.untilGeneration(2n);
    const [victim] = town.members as [TownMember];
    victim.stop();
    await victim.start({ person: victim.person, sealed: stolen.slice(0, 1) as HeldGeneration[] });
    await town.until(() => victim.store.held.length === 0);
    // Two disks of one epoch with two others of the next: nothing. Three of one: the key.
    const now = active(town.members);
    expect(makesSignature(town, [stolen[0], stolen[1], now[2], now[3]])).toBe(false);
    expect(makesSignature(town, [stolen[0], now[1], now[2]])).toBe(false);
    expect(makesSignature(town, [stolen[0], stolen[1], stolen[2]])).toBe(true);
  });
});
