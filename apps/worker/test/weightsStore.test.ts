import {
  chmod,
  lstat,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Bytes32, sealWeightsChunk, type WeightsList } from '@cloister/core';
import { randomBytes, SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WeightsStore } from '../src/models/weightsStore.ts';

const never = new AbortController().signal;
let directory: string;
let blobs: Map<Bytes32, Uint8Array>;
let fetched: number;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'cloister-weights-'));
  blobs = new Map();
  fetched = 0;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A file of this text in blobs of 1,024 bytes, which the gateways have. */
function published(text: string): WeightsList {
  const bytes = utf8(text);
  const chunks: Bytes32[] = [];
  for (let at = 0; at < bytes.length; at += 1_024) {
    const chunk = bytes.subarray(at, at + 1_024);
    const id = toHex(sha256(chunk));
    blobs.set(id, chunk);
    chunks.push(id);
  }
  return { format: 'cloister-weights-1', sha256: toHex(sha256(bytes)), bytes: bytes.length, chunkBytes: 1_024, chunks };
}

const store = ({ maxBytes = 10_000, patienceMs = 10_000 } = {}, gate: Promise<void> = Promise.resolve()) =>
  new WeightsStore(
    {
      blobs: async (id, _maxBytes, signal) => {
        fetched += 1;
        await gate;
        signal.throwIfAborted();
        const bytes = blobs.get(id);
        if (bytes === undefined) throw new Error(`No blob ${id}`);
        return bytes;
      },
    },
    { directory: path.join(directory, 'weights'), maxBytes, patienceMs },
  );
const text = (seed: string, length = 3_000) => seed.repeat(length).slice(0, length);

describe('weights', () => {
  test('are fetched once, for calls at the same time and later, and can only be read', async () => {
    const list = published(text('abc'));
    const weights = store();
    const [one, other] = await Promise.all([weights.file(list, never), weights.file(list, never)]);
    expect(one).toBe(other);
    expect(await readFile(one, 'utf8')).toBe(text('abc'));
    expect((await stat(one)).mode & 0o777).toBe(0o444);
    await weights.file(list, never);
    expect(fetched).toBe(3);
  });

  test('a file of an earlier start is used after its hash was checked, and not otherwise', async () => {
    const list = published(text('abc'));
    const file = await store().file(list, never);
    await store().file(list, never);
    expect(fetched).toBe(3);
    await rm(file);
    await writeFile(file, text('abd'));
    expect(await readFile(await store().file(list, never), 'utf8')).toBe(text('abc'));
    expect(fetched).toBe(6);
  });

  test.each<[string, (file: string) => Promise<void>]>([
    ['is gone', (file) => rm(file)],
    [
      'has other bytes of the same length, and the times of before',
      async (file) => {
        const { atime, mtime } = await stat(file);
        await chmod(file, 0o644);
        await writeFile(file, text('abd'));
        await utimes(file, atime, mtime);
        await chmod(file, 0o444);
      },
    ],
    [
      'is another file of that name, length and time',
      async (file) => {
        const { atime, mtime } = await stat(file);
        await writeFile(`${file}.other`, text('abd'), { mode: 0o444 });
        await utimes(`${file}.other`, atime, mtime);
        await rename(`${file}.other`, file);
      },
    ],
    [
      'is a link to another',
      async (file) => {
        await writeFile(path.join(directory, 'other'), text('abd'));
        await rm(file);
        await symlink(path.join(directory, 'other'), file);
      },
    ],
  ])('a file that was checked and then %s is not used again, but fetched anew', async (_, change) => {
    const list = published(text('abc'));
    const weights = store();
    const file = await weights.file(list, never);
    await change(file);
    const [one, other] = await Promise.all([weights.file(list, never), weights.file(list, never)]);
    expect([one, other]).toEqual([file, file]);
    expect(await readFile(file, 'utf8')).toBe(text('abc'));
    expect((await lstat(file)).isFile()).toBe(true);
    expect(fetched).toBe(6);
    await weights.file(list, never);
    expect(fetched).toBe(6);
  });

  test('a file that only its times have changed of is read again, and stays', async () => {
    const list = published(text('abc'));
    const weights = store();
    const file = await weights.file(list, never);
    await utimes(file, new Date(), new Date());
    expect(await weights.file(list, never)).toBe(file);
    expect(fetched).toBe(3);
  });

  test('blobs that are not the file that was promised leave nothing', async () => {
    const list = { ...published(text('abc')), sha256: toHex(sha256(utf8('another'))) };
    const weights = store();
    await expect(weights.file(list, never)).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
    expect(await readdir(path.join(directory, 'weights'))).toEqual([]);
  });

  test('a blob of another length is refused', async () => {
    const list = published(text('abc'));
    const [first] = list.chunks;
    blobs.set(first as Bytes32, utf8('short'));
    await expect(store().file(list, never)).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
  });

  test('a failure is not kept: the next call tries again', async () => {
    const list = published(text('abc'));
    const kept = blobs;
    blobs = new Map();
    const weights = store();
    await expect(weights.file(list, never)).rejects.toThrow(/No blob/);
    blobs = kept;
    await weights.file(list, never);
  });

  test('a call does not wait for ever; the fetching goes on for the next', async () => {
    const list = published(text('abc'));
    const gate = Promise.withResolvers<void>();
    const weights = store({ patienceMs: 1 }, gate.promise);
    await expect(weights.file(list, never)).rejects.toMatchObject({ code: 'WEIGHTS_ON_THEIR_WAY', retry: true });
    gate.resolve();
    await expect.poll(() => weights.file(list, never).catch(() => undefined)).toBeDefined();
    expect(fetched).toBe(3);
  });

  test('what was used longest ago makes room, and what fits in no room is refused', async () => {
    const weights = store({ maxBytes: 7_000 });
    const [a, b, c] = [published(text('a')), published(text('b')), published(text('c'))];
    await weights.file(a, never);
    await weights.file(b, never);
    await weights.file(a, never);
    await weights.file(c, never);
    const names = await readdir(path.join(directory, 'weights'));
    expect(names.sort()).toEqual([a, c].map(({ sha256: id }) => `${id.slice(2)}.weights`).sort());
    await expect(weights.file(published(text('d', 7_001)), never)).rejects.toMatchObject({ code: 'WEIGHTS_TOO_LARGE' });
  });

  test('stopping ends a fetch', async () => {
    const gate = Promise.withResolvers<void>();
    const weights = store({}, gate.promise);
    const file = weights.file(published(text('abc')), never);
    weights.stop();
    gate.resolve();
    await expect(file).rejects.toThrow();
  });

  test('that are sealed are opened for the list with their key, and for no other that names the same file', async () => {
    const bytes = utf8(text('abc'));
    const key = new SecretBytes(randomBytes(32));
    const chunks: Bytes32[] = [];
    for (let at = 0; at < bytes.length; at += 1_024) {
      const blob = await sealWeightsChunk(key, chunks.length, bytes.subarray(at, at + 1_024), 1_024);
      chunks.push(toHex(sha256(blob)));
      blobs.set(toHex(sha256(blob)), blob);
    }
    const hash = toHex(sha256(bytes));
    const list: WeightsList = {
      ...{ format: 'cloister-weights-1', sha256: hash, bytes: bytes.length, chunkBytes: 1_024, chunks, key },
    };
    const weights = store();
    const file = await weights.file(list, never);
    expect(await readFile(file, 'utf8')).toBe(text('abc'));
    // The hash of a file is no key to it.
    const { key: _, ...open } = list;
    await expect(weights.file(open, never)).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
    const guessed = { ...list, key: new SecretBytes(randomBytes(32)) };
    await expect(weights.file(guessed, never)).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
    await expect(weights.file({ ...list, chunks: [...chunks].reverse() }, never)).rejects.toMatchObject({
      code: 'WEIGHTS_MISMATCH',
    });
    await weights.drop(list);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
