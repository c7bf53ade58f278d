import {
  encodeCallHead,
  encodeCallOpen,
  encodeControl,
  encodeFrame,
  FrameError,
  type FrameType,
  frameTypes,
  maxFrameBytes,
  parseCallHead,
  parseCallOpen,
  parseControl,
  parseFrame,
  verifyHello,
} from '@cloister/channel/frame';
import { gatewayHelloDigest } from '@cloister/core';
import { addressOf, concatBytes, fromHex, generateSecp256k1, signDigest, toHex, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rawFrame } from './framePair.ts';

const connectionTypes: readonly FrameType[] = ['ping', 'pong', 'control'];
const nonce = `0x${'ab'.repeat(32)}` as const;
const workerId = `0x${'01'.repeat(32)}` as const;

describe('frames', () => {
  test('come back as they were sent', () => {
    const cases: [FrameType, number, number][] = [
      ['open', 1, 0],
      ['open', 0xffff_ffff, 4096],
      ['head', 2, 7],
      ['data', 3, 1],
      ['data', 3, 65_536],
      ['end', 3, 0],
      ['end', 3, 65_536],
      ['reset', 9, 2],
      ['credit', 9, 4],
      ['ping', 0, 8],
      ['pong', 0, 8],
      ['control', 0, 540_672],
    ];
    for (const [type, streamId, length] of cases) {
      const payload = new Uint8Array(length).fill(7);
      expect(parseFrame(encodeFrame(type, streamId, payload))).toEqual({ type, streamId, payload });
    }
    expect(encodeFrame('control', 0, new Uint8Array(540_672)).length).toBe(maxFrameBytes);
  });

  test('have a fixed form', () => {
    expect(toHex(encodeFrame('data', 0x01020304, new Uint8Array([0xaa])))).toBe('0x0000010301020304aa');
  });

  test.each([
    ['FRAME_TOO_SHORT', new Uint8Array(0)],
    ['FRAME_TOO_SHORT', new Uint8Array(7)],
    ['FRAME_TOO_SHORT', rawFrame(1, 3, 'abc').subarray(0, 10)],
    ['FRAME_UNKNOWN_TYPE', rawFrame(1, 0)],
    ['FRAME_UNKNOWN_TYPE', rawFrame(1, 10)],
    ['FRAME_UNKNOWN_TYPE', rawFrame(1, 255)],
    ['FRAME_BAD_STREAM_ID', rawFrame(0, 1)],
    ['FRAME_BAD_STREAM_ID', rawFrame(0, 3, 'x')],
    ['FRAME_BAD_STREAM_ID', rawFrame(1, 7, '12345678')],
    ['FRAME_BAD_STREAM_ID', rawFrame(1, 9, '{}')],
    ['FRAME_BAD_LENGTH', rawFrame(1, 1, new Uint8Array(4097))],
    ['FRAME_BAD_LENGTH', rawFrame(1, 3)],
    ['FRAME_BAD_LENGTH', rawFrame(1, 3, new Uint8Array(65_537))],
    ['FRAME_BAD_LENGTH', rawFrame(1, 4, new Uint8Array(65_537))],
    ['FRAME_BAD_LENGTH', rawFrame(1, 5, 'a')],
    ['FRAME_BAD_LENGTH', rawFrame(1, 5, new Uint8Array(259))],
    ['FRAME_BAD_LENGTH', rawFrame(1, 6, 'abc')],
    ['FRAME_BAD_LENGTH', rawFrame(0, 7, '1234567')],
    ['FRAME_BAD_LENGTH', rawFrame(0, 9)],
    ['FRAME_BAD_LENGTH', rawFrame(0, 9, new Uint8Array(540_673))],
  ])('refuses a malformed one by name: %s', (code, bytes) => {
    expect(() => parseFrame(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test('any bytes either parse and encode back the same, or throw FrameError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const { type, streamId, payload } = parseFrame(bytes);
          expect(toHex(encodeFrame(type, streamId, payload))).toBe(toHex(bytes.subarray(0, 8 + payload.length)));
          expect(streamId === 0).toBe(connectionTypes.includes(type));
          expect(frameTypes).toContain(type);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('call messages', () => {
  test('come back as they were sent', () => {
    for (const method of ['call', 'stream'] as const)
      for (const contentLength of [0, 1, 8 * 1024 * 1024, null])
        expect(parseCallOpen(encodeCallOpen({ method, contentLength }))).toEqual({ method, contentLength });
    for (const contentType of ['message/ohttp-chunked-res', 'application/problem+json', 'text/plain; charset=utf-8'])
      expect(parseCallHead(encodeCallHead({ status: 200, contentType }))).toEqual({ status: 200, contentType });
  });

  test('are the bytes that the format says', () => {
    expect(toHex(encodeCallOpen({ method: 'call', contentLength: 258 }))).toBe('0x0100000102');
    expect(toHex(encodeCallOpen({ method: 'call', contentLength: null }))).toBe('0x01ffffffff');
    expect(toHex(encodeCallOpen({ method: 'stream', contentLength: null }))).toBe('0x02ffffffff');
    expect(toHex(encodeCallHead({ status: 404, contentType: 'a/b' }))).toBe('0x0194612f62');
  });

  test.each([
    ['nothing', '0x'],
    ['another kind', '0x0300000001'],
    ['a byte less', '0x01000001'],
    ['a byte more', '0x010000000100'],
  ] as const)('refuses a call header of %s', (_what, bytes) => {
    expect(() => parseCallOpen(fromHex(bytes))).toThrow(expect.objectContaining({ code: 'CALL_MESSAGE_MALFORMED' }));
  });

  test.each([-1, 1.5, Number.NaN, 0xffff_ffff, 2 ** 40])('makes no call header of length %d', (contentLength) => {
    expect(() => encodeCallOpen({ method: 'call', contentLength })).toThrow(
      expect.objectContaining({ code: 'CALL_MESSAGE_MALFORMED' }),
    );
  });

  test.each([
    [200, ''],
    [199, 'a/b'],
    [600, 'a/b'],
    [65_535, 'a/b'],
    [200, 'a'],
    [200, 'a/b\r\nset-cookie: x'],
    [200, 'a/b\n'],
    [200, 'a/\u00ff'],
    [200, `a/${'b'.repeat(200)}`],
    [200, `a/b; c=${'d'.repeat(4_000)}`],
  ])('refuses a call head of %d %j', (status, contentType) => {
    const bytes = concatBytes(
      Uint8Array.of(status >> 8, status & 0xff),
      Uint8Array.from(contentType, (c) => c.charCodeAt(0)),
    );
    const refusal = expect.objectContaining({ code: 'CALL_MESSAGE_MALFORMED' });
    expect(() => parseCallHead(bytes)).toThrow(refusal);
    expect(() => encodeCallHead({ status, contentType })).toThrow(refusal);
  });

  test('refuses a call head without a whole status, and never throws anything else', () => {
    const refusal = expect.objectContaining({ code: 'CALL_MESSAGE_MALFORMED' });
    expect(() => parseCallHead(new Uint8Array())).toThrow(refusal);
    expect(() => parseCallHead(Uint8Array.of(200))).toThrow(refusal);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const parse of [parseCallOpen, parseCallHead])
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toEqual(refusal);
          }
      }),
    );
  });
});

describe('control messages', () => {
  const signature = `0x${'11'.repeat(65)}` as const;
  test('come back as they were sent', () => {
    for (const message of [
      { type: 'challenge', nonce, gateway: 'https://gateway.example' },
      { type: 'hello', workerId, signature },
      { type: 'welcome' },
      { type: 'refused', code: 'bad-signature', detail: 'Not the registered signer' },
      { type: 'announce', announcement: '{"format":"cloister-worker-1","quotes":"\\"\\\\"}' },
    ] as const)
      expect(parseControl(encodeControl(message))).toEqual(message);
  });

  test('an announcement of the largest size fits, however much of it must be escaped', () => {
    expect(parseControl(encodeControl({ type: 'announce', announcement: '"'.repeat(256 * 1024) })).type).toBe(
      'announce',
    );
    expect(() => encodeControl({ type: 'announce', announcement: 'x'.repeat(256 * 1024 + 1) })).toThrow(/announcement/);
  });

  test.each([
    'x',
    '7',
    '[]',
    '{}',
    '{"type":"other"}',
    '{"type":"welcome","more":1}',
    '{"type":"challenge","nonce":"0x00","gateway":"x"}',
    `{"type":"challenge","nonce":"${nonce}"}`,
    `{"type":"challenge","nonce":"${nonce}","gateway":"${'x'.repeat(513)}"}`,
    `{"type":"hello","workerId":"${workerId}","signature":"0x11"}`,
    '{"type":"refused","code":"whatever","detail":""}',
    '{"type":"announce","announcement":{}}',
    '{"type":"announce","announcement":"\\ud800"}',
  ])('refuses %j', (text) => {
    expect(() => parseControl(utf8(text))).toThrow(expect.objectContaining({ code: 'CONTROL_MESSAGE_MALFORMED' }));
  });

  test('any text either parses or throws CONTROL_MESSAGE_MALFORMED', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        try {
          parseControl(utf8(text));
        } catch (error) {
          expect(error).toMatchObject({ code: 'CONTROL_MESSAGE_MALFORMED' });
        }
      }),
    );
  });
});

describe('hello', () => {
  const domain = { chainId: 31337, registry: '0x5fbdb2315678afecb367f032d93f642f64180aa3' } as const;
  const hello = { workerId, gateway: 'https://gateway.example', nonce };
  const secret = generateSecp256k1();
  const signature = toHex(signDigest(secret, fromHex(gatewayHelloDigest(domain, hello))));

  test('holds for its signer alone, and for nothing else', () => {
    expect(verifyHello(domain, hello, signature, addressOf(secret))).toBe(true);
    expect(verifyHello(domain, hello, signature, addressOf(generateSecp256k1()))).toBe(false);
    expect(verifyHello(domain, { ...hello, gateway: 'https://other.example' }, signature, addressOf(secret))).toBe(
      false,
    );
    expect(verifyHello(domain, { ...hello, nonce: workerId }, signature, addressOf(secret))).toBe(false);
    expect(verifyHello(domain, { ...hello, workerId: nonce }, signature, addressOf(secret))).toBe(false);
    expect(verifyHello({ ...domain, chainId: 1 }, hello, signature, addressOf(secret))).toBe(false);
    expect(verifyHello(domain, hello, `0x${'00'.repeat(65)}`, addressOf(secret))).toBe(false);
    expect(verifyHello(domain, hello, '0x12', addressOf(secret))).toBe(false);
  });
});
