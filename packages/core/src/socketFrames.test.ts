import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeSocketFrame, maxSocketMessageBytes, type SocketFrame, SocketFrameReader } from './socketFrames.ts';

const frames: readonly SocketFrame[] = [
  { type: 'text', text: 'grüße' },
  { type: 'binary', bytes: new Uint8Array([1, 2, 3]) },
  { type: 'binary', bytes: new Uint8Array() },
  { type: 'close', code: 4001, reason: 'done' },
];

describe('frames of a session', () => {
  test('come out as they went in, however they are cut', () => {
    const bytes = Buffer.concat(frames.map(encodeSocketFrame));
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const reader = new SocketFrameReader();
        const read = places.slice(1).flatMap((end, index) => reader.push(bytes.subarray(places[index], end)));
        expect(read).toEqual(frames);
      }),
    );
  });

  test('are refused where they are none, and before a large one is held', () => {
    const malformed = [
      [3, 0, 0, 0, 0],
      [8, 0, 0, 0, 1, 3],
      [8, 0, 0, 0, 2, 0, 1],
      [1, 0, 0, 0, 1, 0xff],
    ];
    for (const bytes of malformed)
      expect(() => new SocketFrameReader().push(Uint8Array.from(bytes))).toThrow(
        expect.objectContaining({ code: 'SOCKET_FRAME_MALFORMED' }),
      );
    expect(() => new SocketFrameReader().push(Uint8Array.of(2, 0, 16, 0, 1))).toThrow(
      expect.objectContaining({ code: 'SOCKET_MESSAGE_TOO_LARGE' }),
    );
    const large = { type: 'binary', bytes: new Uint8Array(maxSocketMessageBytes + 1) } as const;
    expect(() => encodeSocketFrame(large)).toThrow(expect.objectContaining({ code: 'SOCKET_MESSAGE_TOO_LARGE' }));
    for (const code of [0, 999, 5000, 1000.5])
      expect(() => encodeSocketFrame({ type: 'close', code, reason: '' })).toThrow();
  });
});
