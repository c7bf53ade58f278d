import { concatBytes, engine, randomBytes } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { type ResponseLimits, ResponseOpener } from '../src/client/responseOpener.ts';
import { encodeChunkHeader, encodeChunkPlaintext } from '../src/shared/chunk.ts';
import { chunkNonce, deriveChunkKeys } from '../src/shared/chunkKeys.ts';
import { finalAad, noBytes } from '../src/shared/labels.ts';
import { encodeResponseHead } from '../src/shared/responseHead.ts';
import { streamOf } from './sealedCall.ts';

/** A worker that seals whatever it likes under the right keys: the client's parser stands alone. */
async function read(plaintexts: readonly Uint8Array[], limits?: ResponseLimits): Promise<string[]> {
  const [secret, enc, nonce] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const keys = await deriveChunkKeys(secret, enc, nonce);
  const items: Uint8Array[] = [nonce];
  for (const [i, plaintext] of plaintexts.entries()) {
    const final = i === plaintexts.length - 1;
    const sealed = await engine.aes256GcmSeal(
      keys.key,
      chunkNonce(keys.nonce, i),
      final ? finalAad : noBytes,
      plaintext,
    );
    items.push(concatBytes(encodeChunkHeader(sealed.length, final), sealed));
  }
  const types: string[] = [];
  const opener = new ResponseOpener({ responseSecret: secret, encapsulatedKey: enc }, limits);
  for await (const event of opener.read(streamOf(items), { signal: AbortSignal.timeout(5_000) }))
    types.push(event.type);
  return types;
}

const head = encodeChunkPlaintext(encodeResponseHead(200, []));
const trailer = encodeChunkPlaintext(new Uint8Array(5));

describe('a chunk that opens but is made wrong', () => {
  test('the right one is taken', async () => {
    expect(await read([head, encodeChunkPlaintext(new Uint8Array(9)), trailer])).toEqual(['head', 'body', 'final']);
  });

  const withLength = (length: number, size: number): Uint8Array => {
    const bytes = new Uint8Array(size);
    new DataView(bytes.buffer).setUint32(0, length);
    return bytes;
  };
  test.each([
    ['a length beyond the chunk', withLength(125, 128)],
    ['the largest length', withLength(0xffff_ffff, 128)],
    ['a chunk larger than its data needs', withLength(10, 256)],
    ['a size that is no bucket', withLength(10, 130)],
    [
      'data in the padding',
      (() => {
        const bytes = withLength(10, 128);
        bytes[127] = 1;
        return bytes;
      })(),
    ],
  ])('%s is refused', async (_, chunk) => {
    await expect(read([head, chunk, trailer])).rejects.toMatchObject({ code: 'CHUNK_MALFORMED' });
  });

  test.each([
    ['a status of 101', Uint8Array.of(0x40, 101, 0)],
    ['no status', new Uint8Array(0)],
    ['bytes after the headers', concatBytes(encodeResponseHead(200, []), Uint8Array.of(1))],
    ['a header section beyond the head', Uint8Array.of(0x40, 200, 9)],
    ['a connection header', Uint8Array.of(0x40, 200, 13, 10, ...new TextEncoder().encode('connection'), 1, 97)],
    ['a call header', Uint8Array.of(0x40, 200, 17, 14, ...new TextEncoder().encode('x-cloister-app'), 1, 97)],
  ])('a head with %s is refused', async (_, bytes) => {
    await expect(read([encodeChunkPlaintext(bytes), trailer])).rejects.toMatchObject({ code: 'RESPONSE_MALFORMED' });
  });

  test('an answer without a head is refused', async () => {
    await expect(read([trailer])).rejects.toMatchObject({ code: 'RESPONSE_MALFORMED' });
  });

  test('endless cover is bounded by the total', async () => {
    const cover = encodeChunkPlaintext(new Uint8Array(0));
    await expect(
      read([head, ...Array.from({ length: 50 }, () => cover), trailer], { maxTotalBytes: 5_000 }),
    ).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
  });
});
