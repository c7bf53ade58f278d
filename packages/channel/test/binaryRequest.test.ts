import { concatBytes, randomBytes, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBinaryRequest, parseBinaryRequest } from '../src/shared/binaryRequest.ts';
import { ChannelError } from '../src/shared/channelError.ts';
import { endToEndFields, type Field } from '../src/shared/fieldSection.ts';
import { defaultMessageLimits as limits, type MessageLimits } from '../src/shared/limits.ts';
import { paddedRequestLength } from '../src/shared/padding.ts';
import { encodeResponseHead, parseResponseHead } from '../src/shared/responseHead.ts';
import { flipBit, hostileBytes } from './sealedCall.ts';

const body = utf8('{"income":52000}');
const base = { method: 'POST', path: '/score', fields: [['accept', '*/*']] as Field[], body };
const encode = (changes: Partial<typeof base> = {}, bounds: MessageLimits = limits) =>
  encodeBinaryRequest({ ...base, ...changes }, bounds);
const padded = (...parts: Uint8Array[]) => {
  const bytes = concatBytes(...parts);
  return concatBytes(bytes, new Uint8Array(paddedRequestLength(bytes.length) - bytes.length));
};
const text = (value: string) => concatBytes(Uint8Array.of(value.length), utf8(value));

const fieldName = fc
  .stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
  .filter((name) => endToEndFields([[name, '']]).length === 1);
const fieldValue = fc.stringMatching(/^[!-~\u00a0-\u00ff]([ -~\t\u00a0-\u00ff]{0,30}[!-~])?$/);

describe('binary request', () => {
  test('comes back as it went in', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'M-SEARCH', 'PATCH'),
        fc.stringMatching(/^\/[!"$-~]{0,60}$/),
        fc.array(fc.tuple(fieldName, fc.oneof(fieldValue, fc.constant(''))), { maxLength: 12 }),
        fc.uint8Array({ maxLength: 3_000 }),
        (method, path, fields, bytes) => {
          const encoded = encodeBinaryRequest({ method, path, fields, body: bytes }, limits);
          expect(parseBinaryRequest(encoded, limits)).toEqual({ method, path, fields, body: bytes });
        },
      ),
    );
  });

  test('has the bytes of RFC 9292 §3.1, then zeros', () => {
    const bytes = encode({ fields: [['a', 'b']], body: utf8('hi') });
    const expected = concatBytes(
      Uint8Array.of(0),
      text('POST'),
      text('https'),
      text(''),
      text('/score'),
      Uint8Array.of(4),
      text('a'),
      text('b'),
      text('hi'),
      Uint8Array.of(0),
    );
    expect(bytes.subarray(0, expected.length)).toEqual(expected);
    expect(bytes.length).toBe(1_024);
    expect(bytes.subarray(expected.length).every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    ['a lower-case method', { method: 'post' }, 'REQUEST_MALFORMED'],
    ['CONNECT', { method: 'CONNECT' }, 'REQUEST_MALFORMED'],
    ['TRACE', { method: 'TRACE' }, 'REQUEST_MALFORMED'],
    ['a method with a line end', { method: 'GET\r\n' }, 'REQUEST_MALFORMED'],
    ['an absolute URL', { path: 'https://example.org/' }, 'REQUEST_MALFORMED'],
    ['a fragment', { path: '/a#b' }, 'REQUEST_MALFORMED'],
    ['a space in the path', { path: '/a b' }, 'REQUEST_MALFORMED'],
    ['a line end in the path', { path: '/a\n' }, 'REQUEST_MALFORMED'],
    ['a path of 8,193 characters', { path: `/${'a'.repeat(8_192)}` }, 'REQUEST_MALFORMED'],
    ['an upper-case name', { fields: [['Accept', 'x']] }, 'HEADER_REFUSED'],
    ['a pseudo header', { fields: [[':path', '/']] }, 'HEADER_REFUSED'],
    ['an empty name', { fields: [['', 'x']] }, 'HEADER_REFUSED'],
    ['a line end in a value', { fields: [['a', 'x\r\nb: c']] }, 'HEADER_REFUSED'],
    ['a zero in a value', { fields: [['a', 'x\0']] }, 'HEADER_REFUSED'],
    ['a space around a value', { fields: [['a', ' x']] }, 'HEADER_REFUSED'],
    ['a character beyond U+00FF', { fields: [['a', 'š']] }, 'HEADER_REFUSED'],
    ['content-length', { fields: [['content-length', '5']] }, 'HEADER_REFUSED'],
    ['transfer-encoding', { fields: [['transfer-encoding', 'chunked']] }, 'HEADER_REFUSED'],
    ['host', { fields: [['host', 'a']] }, 'HEADER_REFUSED'],
  ] as [string, Partial<typeof base>, string][])('%s is refused when written', (_, changes, code) => {
    expect(() => encode(changes)).toThrow(expect.objectContaining({ code }));
  });

  test('limits hold on both sides', () => {
    const tight = { maxHeaderCount: 2, maxHeaderBytes: 100, maxBodyBytes: 50 };
    const three: Field[] = [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ];
    const long: Field[] = [['a', 'x'.repeat(100)]];
    for (const [changes, code] of [
      [{ fields: three }, 'HEADER_REFUSED'],
      [{ fields: long }, 'HEADER_REFUSED'],
      [{ body: new Uint8Array(51) }, 'REQUEST_TOO_LARGE'],
    ] as const) {
      expect(() => encode(changes, tight)).toThrow(expect.objectContaining({ code }));
      expect(() => parseBinaryRequest(encode(changes), tight)).toThrow(expect.objectContaining({ code }));
    }
    expect(
      parseBinaryRequest(encode({ fields: three.slice(1), body: new Uint8Array(50) }, tight), tight).body.length,
    ).toBe(50);
  });

  const head = concatBytes(text('POST'), text('https'), text(''), text('/'));
  const whole = concatBytes(Uint8Array.of(0), head, Uint8Array.of(0), text('hi'));
  test.each([
    ['a response', padded(Uint8Array.of(1), head, Uint8Array.of(0, 0, 0)), 'REQUEST_MALFORMED'],
    ['the indeterminate-length form', padded(Uint8Array.of(2), head, Uint8Array.of(0, 0, 0)), 'REQUEST_MALFORMED'],
    [
      'the framing indicator in two bytes',
      padded(Uint8Array.of(0x40, 0), head, Uint8Array.of(0, 0, 0)),
      'REQUEST_MALFORMED',
    ],
    [
      'plain http',
      padded(Uint8Array.of(0), text('POST'), text('http'), text(''), text('/'), Uint8Array.of(0, 0, 0)),
      'REQUEST_MALFORMED',
    ],
    [
      'an authority',
      padded(Uint8Array.of(0), text('POST'), text('https'), text('h'), text('/'), Uint8Array.of(0, 0, 0)),
      'REQUEST_MALFORMED',
    ],
    ['trailers', padded(whole, Uint8Array.of(4), text('a'), text('b')), 'REQUEST_MALFORMED'],
    [
      'an integer in a longer form',
      padded(Uint8Array.of(0), head, Uint8Array.of(0x40, 0), text('hi'), Uint8Array.of(0)),
      'REQUEST_MALFORMED',
    ],
    [
      'an integer of 8 bytes',
      padded(Uint8Array.of(0), head, Uint8Array.of(0), Uint8Array.of(0xff, 255, 255, 255, 255, 255, 255, 255)),
      'REQUEST_TOO_LARGE',
    ],
    ['a header section beyond the end', padded(Uint8Array.of(0), head, Uint8Array.of(0x53, 0xff)), 'REQUEST_MALFORMED'],
    [
      'a value beyond its section',
      padded(Uint8Array.of(0), head, Uint8Array.of(3, 1, 97, 9), text('hi'), Uint8Array.of(0)),
      'REQUEST_MALFORMED',
    ],
    [
      'a name without value',
      padded(Uint8Array.of(0), head, Uint8Array.of(2, 1, 97), text('hi'), Uint8Array.of(0)),
      'REQUEST_MALFORMED',
    ],
    ['the truncated form of RFC 9292 §3.8', concatBytes(Uint8Array.of(0), head), 'REQUEST_MALFORMED'],
    ['no padding', concatBytes(whole, Uint8Array.of(0)), 'PADDING_WRONG'],
    ['a bucket too many', concatBytes(padded(whole, Uint8Array.of(0)), new Uint8Array(1_024)), 'PADDING_WRONG'],
    ['data in the padding', flipBit(padded(whole, Uint8Array.of(0)), 8 * 1_023), 'PADDING_WRONG'],
    ['nothing', new Uint8Array(0), 'REQUEST_MALFORMED'],
  ])('%s is refused when read', (_, bytes, code) => {
    expect(() => parseBinaryRequest(bytes, limits)).toThrow(expect.objectContaining({ code }));
  });

  test('a body that fits only by a lie about its length is refused', () => {
    const lie = padded(Uint8Array.of(0), head, Uint8Array.of(0, 0x7f, 0xff), randomBytes(10));
    expect(() => parseBinaryRequest(lie, limits)).toThrow(expect.objectContaining({ code: 'REQUEST_MALFORMED' }));
  });

  test('a message has one byte form: what is read is written alike', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          hostileBytes,
          fc.nat({ max: 8 * 60 }).map((bit) => flipBit(encode(), bit)),
        ),
        (bytes) => {
          try {
            expect(encodeBinaryRequest(parseBinaryRequest(bytes, limits), limits)).toEqual(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ChannelError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('endToEndFields', () => {
  test('keeps what may cross, in lower case', () => {
    expect(
      endToEndFields([
        ['Content-Type', 'a'],
        ['Content-Length', '1'],
        ['Connection', 'close'],
        ['HOST', 'h'],
        ['Set-Cookie', 'b'],
      ]),
    ).toEqual([
      ['content-type', 'a'],
      ['set-cookie', 'b'],
    ]);
  });
});

describe('response head', () => {
  test('comes back as it went in', () => {
    const fields: Field[] = [
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ];
    for (const status of [200, 404, 599])
      expect(parseResponseHead(encodeResponseHead(status, fields))).toEqual({ status, fields });
  });

  test('refuses what is no final status, and call headers', () => {
    for (const status of [0, 100, 103, 600, 200.5, Number.NaN])
      expect(() => encodeResponseHead(status, [])).toThrow(expect.objectContaining({ code: 'RESPONSE_MALFORMED' }));
    expect(() => encodeResponseHead(200, [['x-cloister-app', '0x']])).toThrow(
      expect.objectContaining({ code: 'CALL_HEADER_REFUSED' }),
    );
  });

  test('no bytes make it throw anything else', () => {
    fc.assert(
      fc.property(hostileBytes, (bytes) => {
        try {
          const { status, fields } = parseResponseHead(bytes);
          expect(encodeResponseHead(status, fields)).toEqual(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'RESPONSE_MALFORMED' });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
