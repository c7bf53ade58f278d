import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { readLines } from './runtimeOutput.ts';

/** How many of the pieces are taken before whoever writes has to wait. */
function takenOf(pieces: readonly Buffer[]): number {
  const stream = new PassThrough();
  readLines(stream, () => {});
  stream.resume();
  const taken = pieces.findIndex((piece) => {
    stream.emit('data', piece);
    return stream.isPaused();
  });
  return taken === -1 ? pieces.length : taken + 1;
}

describe('what a tenant prints in a second', () => {
  test.each([
    ['in large pieces is 2 MiB', Buffer.alloc(64 * 1024, 'x'), 32],
    ['byte by byte is 2,048 pieces', Buffer.from('x'), 2_048],
    ['line by line too', Buffer.from('x\n'), 2_048],
    ['is 32,768 empty lines, many in a piece', Buffer.alloc(1_024, '\n'), 32],
  ])('%s', (_, piece, most) => {
    expect(takenOf(Array.from({ length: 10_000 }, () => piece))).toBe(most);
  });
});
