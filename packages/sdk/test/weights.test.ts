import { openWeightsBlob, parseWeightsList, weightsBlobLength, weightsChunkBytes } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { storeSealedWeights, storeWeights } from '../src/weights.ts';

const stored = new Map<string, Uint8Array>();
const gateways = {
  putBlob: async (bytes: Uint8Array) => {
    const id = toHex(sha256(bytes));
    stored.set(id, Uint8Array.from(bytes));
    return id;
  },
};

async function* inPieces(bytes: Uint8Array, length: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

test.each([
  ['shorter than a blob', 1_000, 300],
  ['just a blob', weightsChunkBytes, 1_000_003],
  ['a byte more', weightsChunkBytes + 1, 4_096_000],
  ['in pieces longer than a blob', 2 * weightsChunkBytes + 77, 3 * weightsChunkBytes],
])('a file %s is stored whole, whatever the pieces it comes in', async (_, length, piece) => {
  stored.clear();
  const bytes = new Uint8Array(length).map((_value, index) => (index * 31 + (index >> 11)) & 0xff);
  const list = parseWeightsList(await storeWeights(gateways, inPieces(bytes, piece)));
  expect(list.bytes).toBe(length);
  expect(list.sha256).toBe(toHex(sha256(bytes)));
  const whole = Buffer.concat(list.chunks.map((id) => stored.get(id) ?? new Uint8Array()));
  expect(whole.equals(bytes)).toBe(true);
});

test('an empty file is none', async () => {
  await expect(storeWeights(gateways, inPieces(new Uint8Array(), 10))).rejects.toMatchObject({ code: 'WEIGHTS_EMPTY' });
});

test('of sealed weights no blob holds anything in the clear, all are as long, and the list opens them', async () => {
  stored.clear();
  const length = weightsChunkBytes + 1_000;
  const line = 'a sentence that stands in the file all over. ';
  const bytes = new TextEncoder().encode(line.repeat(Math.ceil(length / line.length)).slice(0, length));
  const code = await storeSealedWeights(gateways, inPieces(bytes, 3_000_000));
  const list = parseWeightsList(code);
  expect([list.bytes, list.sha256, list.chunks.length]).toEqual([length, toHex(sha256(bytes)), 2]);
  const opened: Uint8Array[] = [];
  for (const [index, id] of list.chunks.entries()) {
    const blob = stored.get(id) ?? new Uint8Array();
    expect(blob.length).toBe(weightsChunkBytes + 16);
    expect(blob.length).toBe(weightsBlobLength(list, index));
    expect(Buffer.from(blob).includes('sentence')).toBe(false);
    opened.push(await openWeightsBlob(list, index, blob));
  }
  expect(Buffer.concat(opened).equals(bytes)).toBe(true);
  // A blob in another's place, or by another key, does not open.
  const [first = new Uint8Array()] = stored.values();
  await expect(openWeightsBlob(list, 1, first)).rejects.toMatchObject({ code: expect.any(String) });
  const other = parseWeightsList(await storeSealedWeights(gateways, inPieces(bytes, 3_000_000)));
  expect(other.chunks).not.toContain(list.chunks[0]);
  await expect(openWeightsBlob(other, 0, first)).rejects.toMatchObject({ code: expect.any(String) });
  // What prints a list prints no key.
  expect(JSON.stringify(list)).not.toContain(toHex(list.key?.reveal() ?? new Uint8Array()).slice(2));
});
