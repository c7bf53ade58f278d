import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ggufFile } from '../../../../../examples/chat/ggufFile.ts';
import { tinyModel } from '../../../../../examples/chat/tinyModel.ts';
import { checkGguf } from './ggufHeader.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-gguf-'));
afterAll(() => rmSync(folder, { recursive: true }));

const check = (bytes: Uint8Array): void => {
  const file = join(folder, 'model.gguf');
  writeFileSync(file, bytes);
  checkGguf(file);
};
const small = () =>
  Buffer.from(
    ggufFile(
      new Map([
        ['general.architecture', { type: 'string', value: 'llama' }],
        ['tokenizer.ggml.tokens', { type: 'strings', value: ['a', 'b'] }],
        ['tokenizer.ggml.scores', { type: 'floats', value: [1, 2] }],
      ] as const),
      [{ name: 'weight_0', shape: [4, 2], data: new Float32Array(8) }],
    ),
  );
/** The small file with eight bytes of another value, at a place counted from where a text ends. */
const lying = (after: string, offset: number, value: bigint): Buffer => {
  const bytes = small();
  bytes.writeBigUInt64LE(value, bytes.indexOf(after) + after.length + offset);
  return bytes;
};

test('a model passes', () => {
  check(tinyModel());
  check(small());
});

test.each([
  ['no magic', Buffer.from('GGML0000000000000000000000000000'), /no GGUF/],
  ['an empty file', Buffer.alloc(0), /0 are left/],
  [
    'a version to come',
    (() => {
      const b = small();
      b.writeUInt32LE(9, 4);
      return b;
    })(),
    /version is 9/,
  ],
  ['more tensors than bytes', lying('GGUF', 4, 60_000n), /are left/],
  ['tensors without end', lying('GGUF', 4, 2n ** 63n), /counts/],
  ['keys without end', lying('GGUF', 12, 2n ** 40n), /keys/],
  ['a key longer than the file', lying('GGUF', 20, 60_000n), /are left/],
  ['a text longer than the file', lying('general.architecture', 4, 1_000_000n), /are left/],
  ['a text of exabytes', lying('general.architecture', 4, 2n ** 50n), /bytes in a text/],
  ['a list longer than the file', lying('tokenizer.ggml.scores', 8, 2n ** 45n), /are left/],
  ['texts without end', lying('tokenizer.ggml.tokens', 8, 2n ** 45n), /bytes of texts/],
  ['a tensor larger than the file', lying('weight_0', 4, 2n ** 40n), /ends at/],
  ['a tensor larger than numbers', lying('weight_0', 4, 2n ** 52n), /can be counted/],
  ['a tensor behind the file', lying('weight_0', 24, 2n ** 32n), /ends at/],
  ['a tensor between places', lying('weight_0', 24, 7n), /between its places/],
])('%s is refused', (_, bytes, message) => {
  expect(() => check(bytes)).toThrow(message);
});

test('no cut of a small model passes, and none does anything but refuse', () => {
  const bytes = small();
  for (let length = 0; length < bytes.length - 31; length += 1)
    expect(() => check(bytes.subarray(0, length)), `${length} bytes`).toThrow(/The weights can't be used/);
});

test('no flipped byte does anything but pass or be refused', () => {
  const original = small();
  for (let at = 0; at < original.length; at += 1) {
    const bytes = Buffer.from(original);
    bytes.writeUInt8((bytes[at] ?? 0) ^ 0xff, at);
    try {
      check(bytes);
    } catch (error) {
      expect(error).toMatchObject({ name: 'MalformedFileError' });
    }
  }
});
