import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ResponseHead, ResponseParser, ResponseSyntaxError } from './responseParser.ts';

type Read = { heads: ResponseHead[]; bodies: string[]; keepAlive: boolean };

function read(pieces: readonly Uint8Array[], methods: readonly string[] = ['GET']): Read {
  const heads: ResponseHead[] = [];
  const bodies: string[] = [];
  let body = '';
  let next = 1;
  const parser = new ResponseParser({
    head: (head) => heads.push(head),
    data: (chunk) => {
      body += Buffer.from(chunk).toString('latin1');
    },
    end: () => {
      bodies.push(body);
      body = '';
      const method = methods[next];
      next += 1;
      if (method !== undefined) parser.begin(method);
    },
  });
  parser.begin(methods[0] ?? 'GET');
  for (const piece of pieces) parser.take(piece);
  return { heads, bodies, keepAlive: parser.keepAlive };
}
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A:  b \r\n\r\nabc';
const chunked =
  'HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
const empty = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n';

describe('answers', () => {
  test('of known length, in chunks, and without a body', () => {
    expect(read([bytes(whole)])).toEqual({
      heads: [
        {
          status: 200,
          headers: [
            ['content-length', '3'],
            ['x-a', 'b'],
          ],
        },
      ],
      bodies: ['abc'],
      keepAlive: true,
    });
    expect(read([bytes(chunked)])).toMatchObject({ heads: [{ status: 404 }], bodies: ['abc0123456789'] });
    expect(read([bytes(empty)])).toMatchObject({ bodies: [''], keepAlive: false });
    expect(read([bytes('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')], ['HEAD'])).toMatchObject({ bodies: [''] });
  });

  test('in chunks of a byte each go on in as many pieces as they came in', () => {
    const sizes: number[] = [];
    const parser = new ResponseParser({ head() {}, data: (chunk) => sizes.push(chunk.length), end() {} });
    parser.begin('GET');
    const chunks = '1\r\nx\r\n'.repeat(2000);
    parser.take(bytes(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`));
    parser.take(bytes(`${chunks}2000\r\n${'y'.repeat(8192)}\r\n${chunks}`));
    expect(sizes).toEqual([2000, 2000, 8192, 2000]);
  });

  test('come out the same however they are cut', () => {
    const stream = bytes(whole + chunked + whole + empty);
    const methods = ['GET', 'GET', 'GET', 'GET'];
    const expected = read([stream], methods);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const pieces = places.slice(1).map((end, index) => stream.subarray(places[index], end));
        expect(read(pieces, methods)).toEqual(expected);
      }),
    );
    expect(
      read(
        [...stream].map((byte) => Uint8Array.of(byte)),
        methods,
      ),
    ).toEqual(expected);
  });

  test.each([
    ['HTTP/1.0 200 OK\r\n\r\n'],
    ['HTTP/1.1 100 Continue\r\n\r\n'],
    ['HTTP/1.1 101 Switching\r\n\r\n'],
    ['HTTP/1.1 999 x\r\n\r\n'],
    ['HTTP/2 200\r\n\r\n'],
    ['SSH-2.0-x\r\n\r\n'],
    ['\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\n folded\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nA: \0\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nab\r\n'],
    [`${whole}more`],
    [`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}\r\n\r\n`],
    [`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(600)}\r\n`],
    [`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`],
    [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(100)}\r\na\r\n`],
    [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(20_000)}`],
  ])('%# is refused', (text) => {
    expect(() => read([bytes(text)])).toThrow(ResponseSyntaxError);
  });

  test('any bytes are read or refused, and nothing else happens', () => {
    const parts = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      '\r\n',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      '5\r\n',
      'hello',
      '0\r\n',
      '\n',
      ':',
      'x',
    );
    const noise = fc.oneof(parts.map(bytes), fc.uint8Array({ maxLength: 20 }));
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 30 }), (pieces) => {
        try {
          read(pieces);
        } catch (error) {
          expect(error).toBeInstanceOf(ResponseSyntaxError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
