import { beforeEach, describe, expect, test } from 'vitest';
import type { HeldState } from '../src/state/heldState.ts';
import { maxFenceStep } from '../src/state/stateRules.ts';
import { makePerson } from './ceremonyRoom.ts';
import { b32, bytes, type Disk, makeHost, StateTown, signal, subject, text } from './stateTown.ts';

let town: StateTown;
beforeEach(async () => {
  town = await StateTown.of(4, 3);
});

const code = (value: string) => expect.objectContaining({ code: value });
const held = (index: number) => town.member(index).book.get(subject.app, subject.partition);
const isWhole = (index: number) => town.member(index).recovery.isWholeAt(town.state.generation.number);
const nothing: Disk = { states: new Map(), generation: undefined };

async function written(value: string): Promise<void> {
  town.wait();
  const store = await town.open(makeHost());
  await store.put('x', bytes(value), signal);
  await store.close();
}

async function found(): Promise<string | undefined> {
  town.wait();
  return text((await town.open(makeHost())).get('x'));
}

describe('a member that was restarted', () => {
  test('signs nothing before it has heard enough others', async () => {
    await written('1');
    const [member] = town.members;
    member?.start();
    town.member(3).stop();
    town.wait();
    await expect(town.open(makeHost())).rejects.toMatchObject({
      code: 'STATE_HEAD_UNAVAILABLE',
      message: expect.stringContaining('STATE_RECOVERING'),
    });
    expect(await town.follow()).toEqual([code('STATE_RECOVERY_WAITS')]);
    expect(isWhole(0)).toBe(false);
    town.member(3).isUp = true;
    expect(await town.follow()).toEqual([]);
    expect([isWhole(0), await found()]).toEqual([true, '1']);
  });

  test.each<[string, (disk: Disk) => Disk]>([
    ['its disk', (disk) => disk],
    ['an old disk', () => old],
    ['no disk', () => nothing],
  ])('with %s knows what the others know', async (_, diskOf) => {
    await written('1');
    old = town.member(0).disk;
    await written('2');
    const before = held(0);
    town.member(0).start(diskOf(town.member(0).disk));
    expect(await town.follow()).toEqual([]);
    expect(held(0)).toMatchObject({ fence: before?.fence, certified: before?.certified });
    town.member(1).stop();
    expect(await found()).toBe('2');
  });
  let old: Disk;

  test('lets nobody write under a fence that is over, whatever its disk says', async () => {
    const former = makeHost();
    const committee = town.committeeOf(former);
    const mine = await committee.take(subject, signal);
    const disk = town.member(0).disk;
    town.wait();
    await town.committeeOf(makeHost()).take(subject, signal);
    town.member(0).start(disk);
    await town.follow();
    // Only it could be fooled: of the others two suffice to refuse.
    await expect(committee.add(subject, mine, b32(0xa), signal)).rejects.toThrow(code('STATE_FENCED'));
    expect(held(0)?.fence).toBe(2n);
  });

  test('is not held up by a member that lies to it', async () => {
    await written('1');
    const liar = town.member(1);
    const state = liar.book.get(subject.app, subject.partition) as HeldState;
    await liar.book.set({ ...state, fence: (1n << 64n) - 1n, certified: null });
    town.member(0).start(nothing);
    await town.follow();
    expect(held(0)?.fence).toBe(state.fence + maxFenceStep);
    // A head that nobody signed is not taken up either.
    await liar.book.set({ ...state, certified: { ...(state.certified as never as object), version: 99n } as never });
    town.member(0).start(nothing);
    await town.follow();
    expect(held(0)?.certified?.version).toBe(1n);
  });

  test('takes up no partition that a liar has made up', async () => {
    await written('1');
    const state = held(0) as HeldState;
    const made = { ...state, app: b32(9), certified: null };
    await town.member(1).book.set(made);
    await town.member(2).book.set({ ...made, app: b32(8) });
    await town.member(3).book.set({ ...made, app: b32(8) });
    town.member(0).start(nothing);
    await town.follow();
    expect([8, 9].map((app) => town.member(0).book.get(b32(app), subject.partition)?.fence)).toEqual([1n, undefined]);
  });

  test('hears nothing from whoever speaks in another’s name, or tells an old answer again', async () => {
    await written('1');
    const answers: unknown[] = [];
    town.member(1).lie = (path, answer) => {
      if (path.endsWith('/records')) answers.push(answer);
      return answers[0] !== undefined && path.endsWith('/records') ? answers[0] : answer;
    };
    town.member(0).start(nothing);
    expect(await town.follow()).toEqual([]);
    town.member(0).start(nothing);
    expect(await town.follow()).toEqual([code('STATE_RECOVERY_WAITS')]);
    town.member(1).lie = (path, answer) =>
      path.endsWith('/records') ? { ...(answer as object), isComplete: true, states: [] } : answer;
    expect(await town.follow()).toEqual([code('STATE_RECOVERY_WAITS')]);
  });

  test('reads all that there is, page after page', async () => {
    await written('1');
    const state = held(0) as HeldState;
    for (const { book } of town.members)
      for (let partition = 0; partition < 200; partition++)
        await book.set({ ...state, app: b32(9), partition, fence: BigInt(partition + 1), certified: null });
    town.member(0).start(nothing);
    await town.follow();
    expect(town.member(0).book.size).toBe(201);
    expect(town.member(0).book.get(b32(9), 137)?.fence).toBe(138n);
  });
});

describe('all members at once', () => {
  test('with their disks go on by themselves', async () => {
    await written('1');
    for (const member of town.members) member.start();
    expect(await town.follow()).toEqual([]);
    expect(await found()).toBe('1');
  });

  test('with one old disk among them lose nothing', async () => {
    await written('1');
    const old = town.member(2).disk;
    await written('2');
    for (const member of town.members) member.start(member === town.member(2) ? old : member.disk);
    await town.follow();
    town.member(0).stop();
    expect(await found()).toBe('2');
  });

  test('without their disks sign nothing where anybody remembers anything', async () => {
    await written('1');
    for (const member of town.members.slice(1)) member.start(nothing);
    expect((await town.follow()).map((error) => (error as { code: string }).code)).toEqual(
      Array(3).fill('STATE_RECOVERY_WAITS'),
    );
    town.wait();
    await expect(town.open(makeHost())).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
  });
});

describe('when members change', () => {
  test('the same members go on at once, and so does their writer', async () => {
    const store = await town.open(makeHost());
    await store.put('x', bytes('1'), signal);
    await town.reshare(town.generation.people, 3, 2n);
    await expect(store.put('x', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    // They do not ask each other: what they know is what they have signed.
    town.isOpen = (_, __, path) => !path.endsWith('/records');
    expect(await town.follow()).toEqual([]);
    await store.put('y', bytes('3'), signal);
    expect([text(store.get('x')), text(store.get('y'))]).toEqual(['2', '3']);
  });

  test('a new one signs only once it knows what was signed before it came', async () => {
    await written('1');
    const [, ...stay] = town.generation.people;
    await town.reshare([...stay, await makePerson()], 3, 2n);
    town.isOpen = (_, __, path) => !path.endsWith('/records');
    expect(await town.follow()).toEqual([code('STATE_RECOVERY_WAITS')]);
    expect([0, 1, 2, 3].map(isWhole)).toEqual([true, true, true, false]);
    expect(await found()).toBe('1');
    town.isOpen = () => true;
    await town.follow();
    expect(isWhole(3)).toBe(true);
    town.member(0).stop();
    expect(await found()).toBe('1');
  });

  test('one that was none for a while asks like a new one', async () => {
    await written('1');
    const all = town.generation.people;
    const [first, ...stay] = all as [(typeof all)[number], ...typeof all];
    const stranger = await makePerson();
    const leaving = town.member(0);
    await town.reshare([...stay, stranger], 3, 2n);
    await town.follow();
    await written('2');
    await town.reshare([...stay, first], 3, 3n);
    town.isOpen = (_, __, path) => !path.endsWith('/records');
    await town.follow();
    expect(leaving.recovery.isWholeAt(3n)).toBe(false);
    town.isOpen = () => true;
    await town.follow();
    expect(leaving.recovery.isWholeAt(3n)).toBe(true);
    expect(leaving.book.get(subject.app, subject.partition)?.certified?.version).toBe(2n);
  });

  test('a new one waits for those that have not seen yet that the others’ time is over', async () => {
    await written('1');
    const [, ...stay] = town.generation.people;
    await town.reshare([...stay, await makePerson()], 3, 2n);
    // Only the new one looks at the chain: the others may still sign as the generation before.
    const [newest] = town.members.filter(({ person }) => !stay.includes(person));
    await expect(newest?.recovery.follow(signal)).rejects.toThrow(code('STATE_RECOVERY_WAITS'));
  });
});
