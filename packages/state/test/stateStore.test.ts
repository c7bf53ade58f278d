import { zeroBytes32 } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { StateError, StateStore, type StateSubject, type StateTransaction } from '@cloister/state';
import { beforeEach, describe, expect, test } from 'vitest';
import { maxEntriesToRead, maxListed, maxPartitionBytes, maxTransactionChanges, maxValueBytes } from '../src/limits.ts';
import { encodeChanges } from '../src/log/changes.ts';
import { type EntryHeader, readEntryHeader, sealEntry } from '../src/log/entry.ts';
import { b32, bytes, code, componentsOf, EasyCommittee, keyOf, MemoryBlobs, signal, subject, text } from './helpers.ts';

let committee: EasyCommittee;
let blobs: MemoryBlobs;
const open = (of: StateSubject = subject) => StateStore.open(componentsOf(committee, blobs), of, signal);
beforeEach(() => {
  committee = new EasyCommittee();
  blobs = new MemoryBlobs();
});

describe('a transaction', () => {
  test('sees what it has changed, and changes all of it or nothing', async () => {
    const store = await open();
    await store.put('a', bytes('1'), signal);
    const seen = await store.transaction((inside) => {
      inside.put('b', bytes('2'));
      inside.delete('a');
      return [text(inside.get('a')), text(inside.get('b')), inside.list('')];
    }, signal);
    expect(seen).toEqual([undefined, '2', ['b']]);
    const failing = store.transaction((inside) => {
      inside.put('c', bytes('3'));
      throw new Error('no');
    }, signal);
    await expect(failing).rejects.toThrow('no');
    expect([store.list(''), store.head.version]).toEqual([['b'], 2n]);
  });

  test('waits for those before it', async () => {
    const store = await open();
    await Promise.all(
      Array.from({ length: 20 }, () =>
        store.transaction(async (inside) => {
          const count = Number(text(inside.get('count')) ?? 0);
          await Promise.resolve();
          inside.put('count', bytes(String(count + 1)));
        }, signal),
      ),
    );
    expect([text(store.get('count')), store.head.version]).toEqual(['20', 20n]);
  });

  test('that changes nothing proposes nothing', async () => {
    const store = await open();
    await store.transaction((inside) => inside.get('a'), signal);
    await store.delete('never there', signal);
    expect([store.head.version, blobs.held.size]).toEqual([0n, 0]);
  });

  test('can’t be used when it is over, and gives copies alone', async () => {
    const store = await open();
    const value = bytes('1');
    const inside = await store.transaction((one) => {
      one.put('a', value);
      value.fill(0);
      one.get('a')?.fill(0);
      return one;
    }, signal);
    expect(() => inside.put('b', value)).toThrow(code('STATE_CLOSED'));
    expect(() => inside.get('a')).toThrow(code('STATE_CLOSED'));
    store.get('a')?.fill(0);
    expect(text(store.get('a'))).toBe('1');
  });

  test('that hangs holds up nobody once it is given up', async () => {
    const store = await open();
    const giveUp = new AbortController();
    let late: StateTransaction | undefined;
    const begun = Promise.withResolvers<void>();
    const hanging = store.transaction((inside) => {
      late = inside;
      begun.resolve();
      inside.put('a', bytes('1'));
      return new Promise(() => {});
    }, giveUp.signal);
    const behind = store.put('b', bytes('2'), signal);
    await begun.promise;
    giveUp.abort();
    await expect(hanging).rejects.toThrow(code('ABORTED'));
    await behind;
    expect(store.list('')).toEqual(['b']);
    expect(() => late?.put('c', bytes('3'))).toThrow(code('STATE_CLOSED'));
  });

  test.each<[string, string, (store: StateStore) => Promise<unknown>]>([
    ['without a key', 'STATE_KEY_INVALID', (store) => store.put('', bytes('1'), signal)],
    ['with a long key', 'STATE_KEY_INVALID', (store) => store.put('ü'.repeat(257), bytes('1'), signal)],
    ['with half a character', 'STATE_KEY_INVALID', (store) => store.delete('\ud800', signal)],
    ['with a large value', 'STATE_TOO_LARGE', (store) => store.put('a', new Uint8Array(maxValueBytes + 1), signal)],
    [
      'of many keys',
      'STATE_TOO_LARGE',
      (store) =>
        store.transaction((inside) => {
          for (let at = 0; at <= maxTransactionChanges; at++) inside.put(`${at}`, bytes('1'));
        }, signal),
    ],
    [
      'of many bytes',
      'STATE_TOO_LARGE',
      (store) =>
        store.transaction((inside) => {
          for (let at = 0; at < 5; at++) inside.put(`${at}`, new Uint8Array(maxValueBytes));
        }, signal),
    ],
  ])('%s is refused, and nothing has changed', async (_, expected, work) => {
    const store = await open();
    await expect(work(store)).rejects.toThrow(code(expected));
    expect([store.head.version, store.list('')]).toEqual([0n, []]);
  });

  test('that would make the partition larger than it may be is refused', async () => {
    const store = await open();
    const part = new Uint8Array(maxValueBytes);
    const perTransaction = 3;
    const fitting = Math.floor(maxPartitionBytes / (maxValueBytes + 8)) - 1;
    let key = 0;
    const fill = () =>
      store.transaction((inside) => {
        for (let at = 0; at < perTransaction; at++) inside.put(`${key++}`, part);
      }, signal);
    for (let at = 0; at < Math.floor(fitting / perTransaction); at++) await fill();
    const { version } = store.head;
    await expect(fill()).rejects.toThrow(code('STATE_TOO_LARGE'));
    expect(store.head.version).toBe(version);
    // And what is as large as it may be opens.
    expect((await open()).list('').length).toBe(store.list('').length);
  });
});

describe('a list', () => {
  test('is of the keys that begin so, in order, after one, so many at most', async () => {
    const store = await open();
    await store.transaction((inside) => {
      for (const key of ['b', 'a/2', 'a/10', 'a/1', 'a']) inside.put(key, bytes(''));
    }, signal);
    expect(store.list('a/')).toEqual(['a/1', 'a/10', 'a/2']);
    expect(store.list('a/', { after: 'a/1', limit: 1 })).toEqual(['a/10']);
    expect(store.list('', { limit: 0 })).toEqual([]);
    await store.transaction((inside) => {
      for (let at = 0; at < 1_001; at++) inside.put(`many/${at}`, bytes(''));
    }, signal);
    expect(store.list('many/', { limit: 5_000 })).toHaveLength(maxListed);
  });
});

describe('opening', () => {
  test('reads so many entries at most, however many there are', async () => {
    const store = await open();
    for (let at = 0; at < 3 * maxEntriesToRead; at++) await store.put(`${at % 7}`, bytes(`${at}`), signal);
    blobs.reads = 0;
    const again = await open();
    expect(blobs.reads).toBeLessThanOrEqual(maxEntriesToRead);
    expect(again.list('').map((key) => text(again.get(key)))).toEqual(
      store.list('').map((key) => text(store.get(key))),
    );
  });

  test('reads little more than there is, however often it was written', async () => {
    const store = await open();
    for (let at = 0; at < 12; at++) await store.put('a', new Uint8Array(maxValueBytes).fill(at), signal);
    let read = 0;
    const { get } = MemoryBlobs.prototype;
    blobs.get = async (id) => {
      const found = await get.call(blobs, id);
      read += found?.length ?? 0;
      return found;
    };
    await open();
    expect(read).toBeLessThan(4 * maxValueBytes);
  });

  test('under a new version of the key writes everything anew at the next transaction', async () => {
    const store = await open();
    await store.put('a', bytes('1'), signal);
    const raised = await open({ ...subject, keyVersion: 2 });
    await raised.put('b', bytes('2'), signal);
    const header = readEntryHeader(blobs.held.get(raised.head.root) as Uint8Array);
    expect(header).toMatchObject({ kind: 'snapshot', keyVersion: 2 });
    // Nothing under the old key is read any more.
    const onlyNew = {
      ...componentsOf(committee, blobs),
      keyOf: (version: number) => keyOf(version === 1 ? 9 : version),
    };
    const again = await StateStore.open(onlyNew, { ...subject, keyVersion: 2 }, signal);
    expect([text(again.get('a')), text(again.get('b'))]).toEqual(['1', '2']);
  });

  const entry = async (header: Partial<EntryHeader>, plaintext = encodeChanges([['a', bytes('1')]])) => {
    const base = { kind: 'changes', version: 1n, fence: 1n, previous: zeroBytes32 } as const;
    const { app, partition, keyVersion } = subject;
    const sealed = await sealEntry(await keyOf(1), { app, partition, keyVersion, ...base, ...header }, plaintext);
    await blobs.put(sealed.root, sealed.bytes);
    return sealed.root;
  };

  test.each<[string, Partial<EntryHeader>, Uint8Array?]>([
    ['of another app', { app: b32(9) }],
    ['of another partition', { partition: 4 }],
    ['of another version', { version: 2n }],
    ['of a later fence', { fence: 9n }],
    ['that is the first and names one before', { previous: b32(9) }],
    ['with changes that can not be read', {}, new Uint8Array(256)],
  ])('refuses an entry %s', async (_, header, plaintext) => {
    committee.head = { ...committee.head, version: 1n, fence: 1n, root: await entry(header, plaintext) };
    await expect(open()).rejects.toThrow(code('STATE_LOG_INVALID'));
  });

  test('refuses a log that names nothing before its second entry, one that goes back to a later fence, and one without end', async () => {
    const at = { ...committee.head, fence: 5n };
    committee.head = { ...at, version: 2n, root: await entry({ version: 2n }) };
    await expect(open()).rejects.toThrow(code('STATE_LOG_INVALID'));
    const first = await entry({ fence: 4n });
    committee.head = { ...at, version: 2n, root: await entry({ version: 2n, fence: 3n, previous: first }) };
    await expect(open()).rejects.toThrow(code('STATE_LOG_INVALID'));
    let previous = first;
    for (let version = 2n; version <= BigInt(maxEntriesToRead) + 1n; version++)
      previous = await entry({ version, fence: 4n, previous });
    committee.head = { ...at, version: BigInt(maxEntriesToRead) + 1n, root: previous };
    await expect(open()).rejects.toThrow(code('STATE_LOG_INVALID'));
  });
});

describe('an answer that does not come', () => {
  const unavailable = new StateError('STATE_HEAD_UNAVAILABLE', 'Too few');

  test.each([true, false])(
    'leaves open whether it holds (signed: %s); the next transaction finds out first',
    async (signs) => {
      const store = await open();
      await store.put('a', bytes('1'), signal);
      committee.fails = { error: unavailable, signs };
      await expect(store.put('a', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
      expect([text(store.get('a')), store.head.version]).toEqual(['1', 1n]);
      const seen = await store.transaction((inside) => {
        inside.put('b', bytes('3'));
        return text(inside.get('a'));
      }, signal);
      expect([seen, store.head.version, text((await open()).get('a'))]).toEqual(['2', 3n, '2']);
    },
  );

  test('is found out by a confirmation too', async () => {
    const store = await open();
    committee.fails = { error: unavailable, signs: true };
    await expect(store.put('a', bytes('2'), signal)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    await store.confirm(signal);
    expect(text(store.get('a'))).toBe('2');
  });
});

describe('the end', () => {
  test.each(['STATE_FENCED', 'STATE_STALE'] as const)('by %s is for good', async (end) => {
    const store = await open();
    committee.confirms = () => Promise.reject(new StateError(end, 'Another one'));
    await expect(store.confirm(signal)).rejects.toThrow(code(end));
    for (const use of [() => store.get('a'), () => store.list('')]) expect(use).toThrow(code(end));
    await expect(store.put('a', bytes('1'), signal)).rejects.toThrow(code(end));
  });

  test('wipes what was in memory: keys and values', async () => {
    const keys: { wiped: boolean }[] = [];
    const components = {
      ...componentsOf(committee, blobs),
      keyOf: async (version: number) => {
        const key = await keyOf(version);
        const seen = { wiped: false };
        keys.push(seen);
        const wipe = key.wipe.bind(key);
        key.wipe = () => {
          seen.wiped = true;
          wipe();
        };
        return key;
      },
    };
    const store = await StateStore.open(components, subject, signal);
    await store.put('a', bytes('1'), signal);
    const running = store.put('b', bytes('2'), signal);
    await store.close();
    await running.catch(() => {});
    expect(keys).toEqual([{ wiped: true }]);
    expect(() => store.get('a')).toThrow(code('STATE_CLOSED'));
    await expect(store.put('a', bytes('1'), signal)).rejects.toThrow(code('STATE_CLOSED'));
  });

  test('of an opening that fails leaves no key', async () => {
    const store = await open();
    await store.put('a', bytes('1'), signal);
    blobs.held.set(store.head.root, bytes('other'));
    await expect(open()).rejects.toThrow(code('STATE_BLOB_MISSING'));
  });

  test('comes to those who wait: no more than so many do', async () => {
    const store = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const first = store.transaction(() => {
      begun.resolve();
      return promise;
    }, signal);
    await begun.promise;
    const waiting = Array.from({ length: 256 }, () => store.transaction(() => 1, signal));
    await expect(store.transaction(() => 1, signal)).rejects.toThrow(code('STATE_BUSY'));
    resolve();
    await first;
    expect(await Promise.all(waiting)).toHaveLength(256);
  });
});

test('what lies in the store of blobs shows neither keys nor values', async () => {
  const store = await open();
  await store.put('a-secret-key', bytes('a-secret-value'), signal);
  const all = [...blobs.held.values()].map((content) => toHex(content)).join();
  for (const secret of ['a-secret-key', 'a-secret-value']) expect(all).not.toContain(toHex(bytes(secret)).slice(2));
});
