import { StateError, StateStore, type StateSubject } from '@cloister/state';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  b32,
  bytes,
  code,
  componentsOf,
  EasyCommittee,
  MemoryBlobs,
  signal,
  text,
} from '../../../packages/state/test/helpers.ts';
import { AppStateError } from '../src/state/appStateError.ts';
import { AppStates, defaultAppStatesInit, type StateAnswer, type StateRequest } from '../src/state/appStates.ts';

const owner = { app: b32(1), manifest: b32(2), keyVersion: 1 };
let committees: Map<string, EasyCommittee>;
let blobs: MemoryBlobs;
let opened: StateSubject[];
let openFails: Error | undefined;
let elsewhere: (asked: StateRequest) => Promise<StateAnswer | undefined>;
let nowMs: number;
let states: AppStates;
beforeEach(() => {
  committees = new Map();
  blobs = new MemoryBlobs();
  opened = [];
  openFails = undefined;
  elsewhere = async () => undefined;
  nowMs = 0;
  states = make();
});
afterEach(() => states.close());

function make(init: Partial<typeof defaultAppStatesInit> = {}): AppStates {
  return new AppStates(
    {
      async open(subject) {
        if (openFails !== undefined) throw openFails;
        opened.push(subject);
        return StateStore.open(componentsOf(committeeOf(subject), blobs), subject, signal);
      },
      elsewhere: (_subject, asked) => elsewhere(asked),
    },
    { ...defaultAppStatesInit, nowMs: () => nowMs, ...init },
  );
}

function committeeOf({ app, partition }: Pick<StateSubject, 'app' | 'partition'>): EasyCommittee {
  const key = `${app}/${partition}`;
  const known = committees.get(key);
  if (known !== undefined) return known;
  const made = new EasyCommittee();
  made.head = { ...made.head, app, partition };
  committees.set(key, made);
  return made;
}

async function put(key: string, value: string, { by = owner, partition = 0 } = {}): Promise<void> {
  const commit = { read: [], listed: [], changes: [{ key, value: bytes(value) }] };
  await states.ask(by, partition, { type: 'commit', ...commit }, signal);
}
async function get(key: string, { by = owner, partition = 0 } = {}): Promise<string | undefined> {
  const answer = await states.ask(by, partition, { type: 'get', key }, signal);
  return answer.type === 'get' ? text(answer.value) : undefined;
}
const held = () => new StateError('STATE_HELD', 'another writes');

test('each app and each partition has its own', async () => {
  const other = { ...owner, app: b32(9) };
  await put('k', 'mine');
  await put('k', 'third', { partition: 3 });
  await put('k', 'theirs', { by: other });
  expect([await get('k'), await get('k', { partition: 3 }), await get('k', { by: other })]).toEqual([
    'mine',
    'third',
    'theirs',
  ]);
  expect(await get('k', { by: other, partition: 3 })).toBeUndefined();
  expect(opened).toHaveLength(4);
});

test('opened again, everything that was acknowledged is there', async () => {
  await put('k', '1');
  await states.close();
  states = make();
  expect(await get('k')).toBe('1');
});

test('a writer that was overtaken opens again and goes on; only a change of unknown end is left to the handler', async () => {
  await put('k', '1');
  const committee = committeeOf({ ...owner, partition: 0 });
  committee.confirms = async () => {
    committee.confirms = async () => {};
    throw new StateError('STATE_FENCED', 'another has taken over');
  };
  nowMs += 5_000;
  expect(await get('k')).toBe('1');
  expect(opened).toHaveLength(2);
  committee.fails = { error: new StateError('STATE_FENCED', 'another has taken over'), signs: false };
  await expect(put('k', '2')).rejects.toEqual(code('STATE_UNKNOWN'));
  await put('k', '3');
  expect(await get('k')).toBe('3');
  expect(opened).toHaveLength(3);
});

test('a new version of the app opens anew, once what the older one began is done', async () => {
  await Promise.all([put('k', '1'), get('k')]);
  await put('k', '2', { by: { ...owner, manifest: b32(7) } });
  expect(opened.map(({ manifest }) => manifest)).toEqual([owner.manifest, b32(7)]);
  expect(await get('k', { by: { ...owner, manifest: b32(7) } })).toBe('2');
});

test('unused partitions make room, used ones do not', async () => {
  states = make({ maxOpen: 2 });
  await put('k', '0');
  nowMs += 1;
  await put('k', '1', { partition: 1 });
  await put('k', '2', { partition: 2 });
  expect(await get('k', { partition: 1 })).toBe('1');
  expect(opened).toHaveLength(3);
  expect(await get('k')).toBe('0');
  expect(opened).toHaveLength(4);
  const [first, second] = [put('k', '1', { partition: 1 }), put('k', '2', { partition: 2 })];
  await expect(get('k', { partition: 3 })).rejects.toEqual(code('STATE_FULL'));
  await Promise.all([first, second]);
});

test('who gives up waiting does not undo what was begun', async () => {
  const giving = new AbortController();
  const commit = { read: [], listed: [], changes: [{ key: 'k', value: bytes('1') }] };
  const { put: store } = MemoryBlobs.prototype;
  blobs.put = (id, content) => {
    giving.abort(new Error('gone'));
    return store.call(blobs, id, content);
  };
  const given = states.ask(owner, 0, { type: 'commit', ...commit }, giving.signal);
  await expect(given).rejects.toThrow('gone');
  await put('other', 'x');
  expect(await get('k')).toBe('1');
});

describe('where another host is the writer', () => {
  test('it is asked, and asked first for a while', async () => {
    const asked: string[] = [];
    elsewhere = async ({ type }) => {
      asked.push(type);
      return type === 'get' ? { type, value: bytes('theirs'), tag: 't' } : undefined;
    };
    openFails = held();
    expect(await get('k')).toBe('theirs');
    openFails = new Error('not asked');
    expect(await get('k')).toBe('theirs');
    expect(asked).toEqual(['get', 'get']);
    nowMs += 10_000;
    await expect(get('k')).rejects.toThrow('not asked');
  });

  test('and where it can not be asked, this one takes over as soon as the committee lets it', async () => {
    elsewhere = async (asked) => (asked.type === 'get' ? { type: 'get', value: bytes('theirs'), tag: 't' } : undefined);
    openFails = held();
    expect(await get('k')).toBe('theirs');
    elsewhere = async () => undefined;
    await expect(get('k')).rejects.toEqual(code('STATE_HELD'));
    openFails = undefined;
    expect(await get('k')).toBeUndefined();
    await put('k', 'mine');
    expect(await get('k')).toBe('mine');
  });

  test('a change that got lost on the way is not made a second time here', async () => {
    openFails = held();
    elsewhere = async () => {
      openFails = undefined;
      throw new AppStateError('STATE_UNKNOWN', 'lost');
    };
    await expect(put('k', '1')).rejects.toEqual(code('STATE_UNKNOWN'));
    expect(opened).toEqual([]);
  });
});

describe('asked by another host', () => {
  const asked = { type: 'get', key: 'k' } as const;

  test('the writer answers, and nobody becomes it by being asked', async () => {
    expect(await states.askedByHost(owner, 0, asked, signal)).toBeUndefined();
    expect(opened).toEqual([]);
    await put('k', '1');
    expect(await states.askedByHost(owner, 0, asked, signal)).toMatchObject({ value: bytes('1') });
    expect(await states.askedByHost(owner, 1, asked, signal)).toBeUndefined();
  });

  test('one that was overtaken says that it is not the writer', async () => {
    await put('k', '1');
    committeeOf({ ...owner, partition: 0 }).confirms = async () => {
      throw new StateError('STATE_FENCED', 'another has taken over');
    };
    nowMs += 5_000;
    expect(await states.askedByHost(owner, 0, asked, signal)).toBeUndefined();
    expect(opened).toHaveLength(1);
  });
});
