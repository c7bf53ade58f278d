import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealRequest } from '../src/client/sealRequest.ts';
import { paddedChunkLength, paddedRequestLength } from '../src/shared/padding.ts';
import { openSession, respond, someCall, someRequest } from './sealedCall.ts';

describe('padded lengths', () => {
  test.each([
    [0, 1_024],
    [1, 1_024],
    [1_024, 1_024],
    [1_025, 2_048],
    [16_384, 16_384],
    [16_385, 17_408],
    [20_000, 20_480],
    [100_000, 100_352],
    [1_000_000, 1_015_808],
    [16_777_216, 16_777_216],
    [16_777_217, 17_301_504],
  ])('a request of %d bytes takes %d', (length, padded) => {
    expect(paddedRequestLength(length)).toBe(padded);
  });

  test.each([
    [0, 128],
    [128, 128],
    [129, 256],
    [2_048, 2_048],
    [2_049, 2_560],
    [65_024, 65_024],
  ])('a chunk of %d bytes takes %d', (length, padded) => {
    expect(paddedChunkLength(length)).toBe(padded);
  });

  test('padding never shrinks, keeps its own lengths, grows with the length, and costs at most 12 % above 16 kB', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1 << 30 }), fc.integer({ min: 0, max: 5_000 }), (length, more) => {
        for (const padded of [paddedRequestLength, paddedChunkLength]) {
          expect(padded(length)).toBeGreaterThanOrEqual(length);
          expect(padded(padded(length))).toBe(padded(length));
          expect(padded(length + more)).toBeGreaterThanOrEqual(padded(length));
        }
        if (length > 16_384) expect(paddedRequestLength(length)).toBeLessThanOrEqual(length * 1.12);
      }),
    );
  });
});

describe('what the relay sees', () => {
  test('requests of one bucket have one size, whatever they say', async () => {
    const { keyConfig } = await openSession();
    const sizes = new Set<number>();
    for (const length of [0, 1, 17, 100, 300])
      for (const path of ['/', '/a/longer/path?with=query'])
        for (const voucher of ['v', 'v'.repeat(60)]) {
          const request = someRequest({ path, body: new Uint8Array(length) });
          sizes.add((await sealRequest({ keyConfig, call: someCall({ voucher }), request })).encapsulated.length);
        }
    expect([...sizes]).toEqual([7 + 32 + 1_024 + 16]);
  });

  test('chunks of one bucket have one size', async () => {
    for (const lengths of [
      [0, 1, 60, 124],
      [125, 200, 252],
      [2_045, 2_300, 2_556],
    ]) {
      const { opened } = await openSession();
      const [, ...bodies] = await respond(
        opened,
        lengths.map((length) => new Uint8Array(length)),
      );
      expect(new Set(bodies.slice(0, -1).map((chunk) => chunk.length)).size).toBe(1);
    }
  });

  test('a yes and a no look alike from first byte to last', async () => {
    const sizes = await Promise.all(
      ['approved', 'denied: income too low'].map(async (answer) => {
        const { opened } = await openSession();
        return (await respond(opened, [new TextEncoder().encode(answer)])).map((chunk) => chunk.length);
      }),
    );
    expect(sizes[0]).toEqual(sizes[1]);
  });
});
