import { engine } from '@cloister/crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { maxEntryBytes } from '../../src/limits.ts';
import { type EntryHeader, openEntry, readEntryHeader, sealEntry } from '../../src/log/entry.ts';
import { b32, keyOf, subject } from '../helpers.ts';

const header: EntryHeader = {
  kind: 'snapshot',
  app: subject.app,
  partition: 3,
  keyVersion: 1,
  version: 7n,
  fence: 2n,
  previous: b32(0xbe),
};
/** 93 of header, 32 of salt, 16 of the tag. */
const shortest = 141;
const refusal = (why: string) =>
  expect.objectContaining({ code: 'STATE_LOG_INVALID', message: `An entry of the log can not be read: ${why}` });

afterEach(() => {
  vi.restoreAllMocks();
});

test('every key that sealing and opening make is wiped, also where it opens nothing', async () => {
  const keys: Uint8Array[] = [];
  for (const name of ['hmacSha256', 'aes256GcmSeal', 'aes256GcmOpen'] as const) {
    const real = engine[name].bind(engine) as (key: Uint8Array, ...rest: unknown[]) => unknown;
    vi.spyOn(engine, name).mockImplementation(((key: Uint8Array, ...rest: unknown[]) => {
      keys.push(key);
      return real(key, ...rest);
    }) as never);
  }
  const { bytes } = await sealEntry(await keyOf(1), header, Uint8Array.of(5));
  await openEntry(await keyOf(1), bytes);
  await expect(openEntry(await keyOf(2), bytes)).rejects.toMatchObject({ code: 'STATE_LOG_INVALID' });
  // Sealing makes three, opening two each time; the partition's own, from which they are expanded, stays its owner's.
  const made = keys.filter((key) => !key.every((byte) => byte === 0x41 || byte === 0x42));
  expect(made).toHaveLength(7);
  for (const key of made) expect(key.every((byte) => byte === 0)).toBe(true);
});

describe('an entry', () => {
  test('of nothing is the shortest, and one byte less is none', async () => {
    const { bytes } = await sealEntry(await keyOf(1), header, new Uint8Array());
    expect(bytes).toHaveLength(shortest);
    expect(readEntryHeader(bytes)).toEqual(header);
    expect(await openEntry(await keyOf(1), bytes)).toEqual(new Uint8Array());
    expect(() => readEntryHeader(bytes.subarray(0, shortest - 1))).toThrow(refusal('it has 140 bytes'));
  });

  test('may have as many bytes as an entry has, and not one more', async () => {
    const { bytes } = await sealEntry(await keyOf(1), header, new Uint8Array(maxEntryBytes - shortest));
    expect(readEntryHeader(bytes)).toEqual(header);
    expect(() => readEntryHeader(new Uint8Array(maxEntryBytes + 1))).toThrow(
      refusal(`it has ${maxEntryBytes + 1} bytes`),
    );
  });

  test('begins with all four letters of its form, and has one of two kinds', async () => {
    const { bytes } = await sealEntry(await keyOf(1), header, new Uint8Array());
    for (const at of [0, 1, 2, 3])
      expect(() => readEntryHeader(bytes.with(at, 0))).toThrow(refusal('it has another form'));
    expect(readEntryHeader(bytes.with(4, 0)).kind).toBe('changes');
    expect(readEntryHeader(bytes.with(4, 1)).kind).toBe('snapshot');
    expect(() => readEntryHeader(bytes.with(4, 2))).toThrow(refusal('it has another form'));
  });

  test('is read where it stands in a larger piece of memory', async () => {
    const { bytes } = await sealEntry(await keyOf(1), header, Uint8Array.of(5));
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 10);
    expect(readEntryHeader(larger.subarray(10, 10 + bytes.length))).toEqual(header);
  });
});
