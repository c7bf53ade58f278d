import { concatBytes, randomBytes } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealRequest } from '../src/client/sealRequest.ts';
import { ChannelError } from '../src/shared/channelError.ts';
import { encodeChunkHeader } from '../src/shared/chunk.ts';
import {
  flipBit,
  now,
  openSession,
  readAll,
  respond,
  type Session,
  someCall,
  someRequest,
  split,
} from './sealedCall.ts';

/** A fresh request to the same worker, and the chunks of its answer. */
async function exchange({ ring, keyConfig }: Session, bodies?: readonly Uint8Array[]) {
  const sealed = await sealRequest({ keyConfig, call: someCall(), request: someRequest() });
  const [first, ...rest] = await respond(await ring.open(sealed.encapsulated, now), bodies);
  if (first === undefined) return expect.unreachable();
  return { sealed, nonce: first.subarray(0, 32), chunks: [first.subarray(32), ...rest] };
}

async function refusal(
  sealed: Awaited<ReturnType<typeof sealRequest>>,
  items: readonly Uint8Array[],
  limits = {},
): Promise<ChannelError> {
  try {
    await readAll(sealed, items, limits);
  } catch (error) {
    expect(error).toBeInstanceOf(ChannelError);
    return error as ChannelError;
  }
  return expect.unreachable('it was accepted');
}

describe('an answer', () => {
  test('of which any bit was flipped is refused by name, wherever the transport cuts it', async () => {
    const session = await openSession();
    const codes = new Set<string>();
    const length = 32 + 148 + 148 + 404;
    const headers = [32, 32 + 148, 32 + 296].map((at) => at * 8);
    const isHeader = (bit: number) => headers.some((at) => bit >= at && bit < at + 32);
    for (let bit = 0; bit < length * 8; bit++) {
      if (!isHeader(bit) && bit % 13 !== 0) continue;
      const { sealed, nonce, chunks } = await exchange(session, [new Uint8Array(10)]);
      const answer = flipBit(concatBytes(nonce, ...chunks), bit);
      expect(answer.length).toBe(length);
      codes.add((await refusal(sealed, split(answer, [bit, 40, 200]))).code);
    }
    expect([...codes].sort()).toEqual([
      'CHUNK_MALFORMED',
      'CHUNK_NOT_OPENED',
      'CHUNK_TOO_LARGE',
      'FINAL_MARK_CHANGED',
      'RESPONSE_FOREIGN',
      'RESPONSE_TRUNCATED',
    ]);
  });

  test('cut anywhere is refused as truncated', async () => {
    const session = await openSession();
    const { chunks } = await exchange(session);
    const total = 32 + concatBytes(...chunks).length;
    for (let length = 0; length < total; length += 83) {
      const { sealed, nonce, chunks: fresh } = await exchange(session);
      expect((await refusal(sealed, [concatBytes(nonce, ...fresh).subarray(0, length)])).code).toBe(
        'RESPONSE_TRUNCATED',
      );
    }
  });

  test('without its last chunk is refused, though everything else came', async () => {
    const { sealed, nonce, chunks } = await exchange(await openSession());
    expect(await refusal(sealed, [nonce, ...chunks.slice(0, -1)])).toMatchObject({
      code: 'RESPONSE_TRUNCATED',
      retry: true,
    });
  });

  test('without a chunk in the middle is refused', async () => {
    const { sealed, nonce, chunks } = await exchange(await openSession());
    const [head, , second, final] = chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect((await refusal(sealed, [nonce, head, second, final])).code).toBe('CHUNK_OUT_OF_ORDER');
  });

  test('with two chunks exchanged is refused', async () => {
    const { sealed, nonce, chunks } = await exchange(await openSession());
    const [head, first, second, final] = chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect((await refusal(sealed, [nonce, head, second, first, final])).code).toBe('CHUNK_OUT_OF_ORDER');
  });

  test('with a chunk twice is refused', async () => {
    const { sealed, nonce, chunks } = await exchange(await openSession());
    const [head, first, second, final] = chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect((await refusal(sealed, [nonce, head, first, first, second, final])).code).toBe('CHUNK_REPEATED');
  });

  test('whose last chunk comes early is refused', async () => {
    const { sealed, nonce, chunks } = await exchange(await openSession());
    const [head, first, , final] = chunks as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect((await refusal(sealed, [nonce, head, first, final])).code).toBe('CHUNK_OUT_OF_ORDER');
  });

  test('with the final mark moved is refused', async () => {
    const session = await openSession();
    for (const index of [1, 3]) {
      const { sealed, nonce, chunks } = await exchange(session);
      const marked = chunks.map((chunk, i) => (i === index ? flipBit(chunk, 7) : chunk));
      expect((await refusal(sealed, [nonce, ...marked])).code).toBe('FINAL_MARK_CHANGED');
    }
  });

  test('followed by anything is refused, and the receipt is not handed out', async () => {
    const session = await openSession();
    for (const extra of [Uint8Array.of(0), randomBytes(3), randomBytes(400)])
      for (const glued of [true, false]) {
        const { sealed, nonce, chunks } = await exchange(session);
        const items = glued ? [concatBytes(nonce, ...chunks, extra)] : [nonce, ...chunks, extra];
        expect((await refusal(sealed, items)).code).toBe('RESPONSE_OVERRUN');
      }
    const { sealed, nonce, chunks } = await exchange(session);
    expect((await refusal(sealed, [nonce, ...chunks, chunks.at(-1) as Uint8Array])).code).toBe('RESPONSE_OVERRUN');
  });

  test('to another request is refused: replayed, crossed, or spliced', async () => {
    const session = await openSession();
    const [a, b] = [await exchange(session), await exchange(session)];
    expect((await refusal(a.sealed, [b.nonce, ...b.chunks])).code).toBe('RESPONSE_FOREIGN');
    expect((await refusal(b.sealed, [b.nonce, a.chunks[0] as Uint8Array, ...b.chunks.slice(1)])).code).toBe(
      'RESPONSE_FOREIGN',
    );
    const [c, d] = [await exchange(session), await exchange(session)];
    expect((await refusal(c.sealed, [c.nonce, c.chunks[0] as Uint8Array, ...d.chunks.slice(1)])).code).toBe(
      'CHUNK_NOT_OPENED',
    );
  });

  test('from a worker with another key is refused', async () => {
    const [ours, theirs] = [await openSession(), await openSession()];
    const forged = await exchange(theirs);
    expect((await refusal(ours.sealed, [forged.nonce, ...forged.chunks])).code).toBe('RESPONSE_FOREIGN');
  });

  test('with chunks or a total above the reader’s limits is refused before it is buffered', async () => {
    const session = await openSession();
    const one = await exchange(session);
    expect((await refusal(one.sealed, [one.nonce, encodeChunkHeader(65_041, false)])).code).toBe('CHUNK_TOO_LARGE');
    const two = await exchange(session);
    expect((await refusal(two.sealed, [two.nonce, ...two.chunks], { maxChunkBytes: 1_000 })).code).toBe(
      'CHUNK_TOO_LARGE',
    );
    const three = await exchange(session);
    expect((await refusal(three.sealed, [three.nonce, ...three.chunks], { maxTotalBytes: 2_000 })).code).toBe(
      'RESPONSE_TOO_LARGE',
    );
    const four = await exchange(session);
    expect((await refusal(four.sealed, [four.nonce, encodeChunkHeader(143, false), new Uint8Array(143)])).code).toBe(
      'CHUNK_MALFORMED',
    );
    const five = await exchange(session);
    expect((await refusal(five.sealed, [five.nonce, encodeChunkHeader(0, true)])).code).toBe('CHUNK_MALFORMED');
  });

  test('of any bytes is refused by name', async () => {
    const session = await openSession();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), async (items) => {
        const { sealed } = await exchange(session, []);
        await refusal(sealed, items);
      }),
      { numRuns: 100 },
    );
  });
});
