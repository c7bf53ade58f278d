import { StateError, StateStore } from '@cloister/state';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  bytes,
  code,
  componentsOf,
  EasyCommittee,
  MemoryBlobs,
  signal,
  subject,
  text,
} from '../../../packages/state/test/helpers.ts';
import { PartitionWriter } from '../src/state/partitionWriter.ts';

let committee: EasyCommittee;
let nowMs: number;
let writer: PartitionWriter;
beforeEach(async () => {
  committee = new EasyCommittee();
  nowMs = 1_000;
  writer = await open();
});

async function open(): Promise<PartitionWriter> {
  const store = await StateStore.open(componentsOf(committee, new MemoryBlobs()), subject, signal);
  return new PartitionWriter(store, { writeMs: 5_000, freshMs: 5_000, nowMs: () => nowMs });
}

const nothing = { partition: 0, read: [], listed: [], changes: [] };
const put = (key: string, value: string) => writer.commit({ ...nothing, changes: [{ key, value: bytes(value) }] });
const value = async (key: string) => text((await writer.get(key)).value);

/** Adds one to a number as a handler's transaction does it, `tries` times. */
async function increment(tries: number): Promise<boolean> {
  for (let left = tries; left > 0; left -= 1) {
    const { value: before, tag } = await writer.get('n');
    const next = bytes(String(Number(text(before) ?? '0') + 1));
    try {
      await writer.commit({ ...nothing, read: [{ key: 'n', tag }], changes: [{ key: 'n', value: next }] });
      return true;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'STATE_CHANGED')) throw error;
    }
  }
  return false;
}

describe('commits', () => {
  test('what was read decides: nothing holds of a commit whose reads are old', async () => {
    await put('a', '1');
    const { tag } = await writer.get('a');
    const { tag: none } = await writer.get('b');
    const { tag: listTag } = await writer.list({ prefix: '', after: '', limit: 10 });
    await put('a', '2');
    const stale = { ...nothing, changes: [{ key: 'c', value: bytes('x') }] };
    await expect(writer.commit({ ...stale, read: [{ key: 'a', tag }] })).rejects.toEqual(code('STATE_CHANGED'));
    expect(await value('c')).toBeUndefined();
    await writer.commit({
      ...stale,
      read: [{ key: 'b', tag: none }],
      listed: [{ prefix: '', after: '', limit: 10, tag: listTag }],
    });
    await expect(
      writer.commit({ ...nothing, listed: [{ prefix: '', after: '', limit: 10, tag: listTag }] }),
    ).rejects.toEqual(code('STATE_CHANGED'));
  });

  test('increments side by side lose none and double none, and share heads', async () => {
    expect((await Promise.all(Array.from({ length: 20 }, () => increment(40)))).every(Boolean)).toBe(true);
    expect(await value('n')).toBe('20');
    const before = committee.head.version;
    await Promise.all(Array.from({ length: 50 }, (_, index) => put(`k${index}`, 'v')));
    expect(committee.head.version - before).toBeLessThanOrEqual(2n);
  });

  test('more than one transaction may hold goes into several', async () => {
    const large = 'x'.repeat(250_000);
    await Promise.all(Array.from({ length: 9 }, (_, index) => put(`k${index}`, large)));
    expect(committee.head.version).toBeGreaterThanOrEqual(3n);
    expect((await writer.list({ prefix: 'k', after: '', limit: 100 })).keys).toHaveLength(9);
  });

  test('one that does not fit any more is refused alone', async () => {
    const large = 'x'.repeat(250_000);
    const writes = Array.from({ length: 40 }, (_, index) => put(`k${index}`, large));
    const ended = await Promise.allSettled(writes);
    const refused = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason as StateError] : []));
    expect(new Set(refused.map((error) => error.code))).toEqual(new Set(['STATE_TOO_LARGE']));
    const { keys } = await writer.list({ prefix: '', after: '', limit: 100 });
    expect(keys).toHaveLength(40 - refused.length);
    expect(keys.length).toBe(33);
  });

  test.each([
    ['an empty key', '', bytes('x'), 'STATE_KEY_INVALID'],
    ['a key that is too long', 'ä'.repeat(300), bytes('x'), 'STATE_KEY_INVALID'],
    ['a value that is too large', 'k', new Uint8Array(256 * 1024 + 1), 'STATE_TOO_LARGE'],
  ])('%s is refused before anything is stored', async (_what, key, content, expected) => {
    const other = put('other', 'kept');
    await expect(writer.commit({ ...nothing, changes: [{ key, value: content }] })).rejects.toEqual(code(expected));
    await other;
    expect(await value('other')).toBe('kept');
  });

  test('a change whose end is not known says so; the next one finds out', async () => {
    await put('a', '1');
    committee.fails = { error: new StateError('STATE_HEAD_UNAVAILABLE', 'nobody answers'), signs: true };
    await expect(put('a', '2')).rejects.toEqual(code('STATE_UNKNOWN'));
    await put('b', '1');
    expect(await value('a')).toBe('2');
  });

  test('what was certainly not written is told as it is', async () => {
    const store = await StateStore.open(
      componentsOf(committee, { put: async () => Promise.reject(new Error('full')), get: async () => undefined }),
      subject,
      signal,
    );
    const poor = new PartitionWriter(store, { writeMs: 5_000, freshMs: 5_000, nowMs: () => nowMs });
    await expect(poor.commit({ ...nothing, changes: [{ key: 'k', value: bytes('v') }] })).rejects.toEqual(
      code('STATE_BLOB_UNSTORED'),
    );
  });

  test('a commit that changes nothing still asks whether what it read is the newest', async () => {
    let confirms = 0;
    committee.confirms = async () => {
      confirms += 1;
    };
    const { tag } = await writer.get('a');
    await writer.commit({ ...nothing, read: [{ key: 'a', tag }], changes: [{ key: 'not there', value: undefined }] });
    expect(confirms).toBe(1);
    committee.confirms = async () => {
      throw new StateError('STATE_FENCED', 'another has taken over');
    };
    await expect(writer.commit({ ...nothing, read: [{ key: 'a', tag }] })).rejects.toEqual(code('STATE_FENCED'));
  });

  test('more that wait than may are refused', async () => {
    const ended = await Promise.allSettled(Array.from({ length: 400 }, () => put('k', 'v')));
    const refused = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason as StateError] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map((error) => error.code))).toEqual(new Set(['STATE_BUSY']));
  });
});

describe('reads', () => {
  test('ask the committee again once its last word is old, all at once together', async () => {
    let confirms = 0;
    committee.confirms = async () => {
      confirms += 1;
    };
    await put('a', '1');
    nowMs += 4_999;
    await writer.get('a');
    expect(confirms).toBe(0);
    nowMs += 1;
    await Promise.all([value('a'), value('a'), writer.list({ prefix: '', after: '', limit: 1 })]);
    expect(confirms).toBe(1);
    await value('a');
    expect(confirms).toBe(1);
  });

  test('a writer that was overtaken gives no old value', async () => {
    await put('a', '1');
    committee.confirms = async () => {
      throw new StateError('STATE_FENCED', 'another has taken over');
    };
    nowMs += 5_000;
    await expect(writer.get('a')).rejects.toEqual(code('STATE_FENCED'));
    await expect(writer.get('a')).rejects.toEqual(code('STATE_FENCED'));
  });
});
