import { engine, keyScheduleContext, randomBytes, setupSender, toHex } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readProblem } from '../src/client/readProblem.ts';
import { sealRequest } from '../src/client/sealRequest.ts';
import { encodeBinaryRequest } from '../src/shared/binaryRequest.ts';
import { ChannelError } from '../src/shared/channelError.ts';
import { parseKeyConfig } from '../src/shared/keyConfiguration.ts';
import { defaultMessageLimits } from '../src/shared/limits.ts';
import { requestHeader, requestInfo } from '../src/shared/requestContext.ts';
import { KeyRing } from '../src/worker/keyRing.ts';
import { problemOf } from '../src/worker/problemOf.ts';
import {
  flipBit,
  hostileBytes,
  leaseEnd,
  now,
  openSession,
  readAll,
  respond,
  someCall,
  someRequest,
} from './sealedCall.ts';

const seal = (keyConfig: Uint8Array) => sealRequest({ keyConfig, call: someCall(), request: someRequest() });

/** What a hostile client can do: seal any plaintext properly. */
async function sealPlaintext(keyConfig: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
  const { keyId, publicKey } = parseKeyConfig(keyConfig);
  const header = requestHeader(keyId);
  const ephemeral = await engine.generateX25519();
  const context = await setupSender(publicKey, await keyScheduleContext(requestInfo(header)), ephemeral);
  return Buffer.concat([
    header,
    ephemeral.publicKey,
    await engine.aes256GcmSeal(context.key, context.nonce, new Uint8Array(0), plaintext),
  ]);
}

/** The error of opening, checked to be one of ours with a problem to answer. */
async function refusal(ring: KeyRing, bytes: Uint8Array, at = now): Promise<ChannelError> {
  try {
    await ring.open(bytes, at);
  } catch (error) {
    expect(error).toBeInstanceOf(ChannelError);
    expect(problemOf(error)).toBeDefined();
    return error as ChannelError;
  }
  return expect.unreachable('it was opened');
}

describe('a request', () => {
  test('of which any bit was flipped is refused by name', async () => {
    const { ring, keyConfig } = await openSession();
    const { encapsulated } = await seal(keyConfig);
    const codes = new Map<string, number>();
    for (let bit = 0; bit < encapsulated.length * 8; bit += bit < 60 * 8 ? 1 : 61) {
      const { code } = await refusal(ring, flipBit(encapsulated, bit));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual(['KEY_UNKNOWN', 'REQUEST_NOT_OPENED']);
    expect(codes.get('KEY_UNKNOWN')).toBe(7 * 8);
    await ring.open(encapsulated, now);
  });

  test('cut anywhere, or longer, is refused', async () => {
    const { ring, keyConfig } = await openSession();
    const { encapsulated } = await seal(keyConfig);
    for (let length = 0; length < encapsulated.length; length += length < 60 ? 1 : 97)
      expect((await refusal(ring, encapsulated.subarray(0, length))).code).toBe('REQUEST_MALFORMED');
    expect((await refusal(ring, Buffer.concat([encapsulated, Buffer.alloc(1)]))).code).toBe('REQUEST_NOT_OPENED');
    const long = await sealRequest({
      keyConfig,
      call: someCall(),
      request: someRequest({ body: new Uint8Array(3_000) }),
    });
    expect((await refusal(ring, long.encapsulated.subarray(0, -1))).code).toBe('REQUEST_NOT_OPENED');
  });

  test('of any bytes is refused by name', async () => {
    const { ring, keyConfig } = await openSession();
    const prefix = (await seal(keyConfig)).encapsulated.subarray(0, 7);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1_500 }), fc.boolean(), async (bytes, named) => {
        await refusal(ring, named ? Buffer.concat([prefix, bytes]) : bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('whose sealed plaintext is anything is refused by name', async () => {
    const { ring, keyConfig } = await openSession();
    const valid = encodeBinaryRequest(
      { method: 'POST', path: '/', fields: [], body: randomBytes(9) },
      defaultMessageLimits,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          hostileBytes,
          fc.nat({ max: 300 }).map((bit) => flipBit(valid, bit)),
        ),
        async (plaintext) => {
          const padded = new Uint8Array(Math.max(1_024, plaintext.length));
          padded.set(plaintext);
          const { code } = await refusal(ring, await sealPlaintext(keyConfig, padded));
          expect([
            'REQUEST_MALFORMED',
            'REQUEST_TOO_LARGE',
            'PADDING_WRONG',
            'HEADER_REFUSED',
            'CALL_HEADER_REFUSED',
          ]).toContain(code);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('that is refused after it was opened is not quoted in the error', async () => {
    const { ring, keyConfig } = await openSession();
    const marker = 'applicant-4711';
    const fields = [
      [marker, 'Ä'],
      ['x-cloister-unknown', marker],
    ] as const;
    for (const path of [`/${marker}`, '/'])
      for (const field of fields) {
        const plaintext = encodeBinaryRequest(
          { method: 'POST', path, fields: [field], body: randomBytes(9) },
          defaultMessageLimits,
        );
        const error = await refusal(ring, await sealPlaintext(keyConfig, plaintext));
        expect(error.code).toBe('CALL_HEADER_REFUSED');
        expect(`${JSON.stringify(error)}${error.stack}${String(error.cause)}`).not.toContain(marker);
      }
    const bad = encodeBinaryRequest(
      { method: 'POST', path: `/${marker}`, fields: [], body: randomBytes(9) },
      defaultMessageLimits,
    );
    bad[14] = 0x23;
    const error = await refusal(ring, await sealPlaintext(keyConfig, bad));
    expect(error.code).toBe('REQUEST_MALFORMED');
    expect(`${JSON.stringify(error)}${error.stack}`).not.toContain(marker.slice(3));
  });

  test('in a buffer that is reused afterwards is answered all the same', async () => {
    const { ring, keyConfig } = await openSession();
    const sealed = await seal(keyConfig);
    const buffer = Buffer.from(sealed.encapsulated);
    const opened = await ring.open(buffer, now);
    buffer.fill(0);
    expect((await readAll(sealed, await respond(opened))).at(-1)?.type).toBe('final');
  });

  test('with an encapsulated key of small order is refused', async () => {
    const { ring, keyConfig } = await openSession();
    const { encapsulated } = await seal(keyConfig);
    const changed = encapsulated.slice();
    changed.fill(0, 7, 39);
    expect((await refusal(ring, changed)).code).toBe('REQUEST_NOT_OPENED');
  });

  test('larger than the worker takes is refused unread', async () => {
    const { ring } = await openSession({
      init: { limits: { maxHeaderCount: 128, maxHeaderBytes: 4_096, maxBodyBytes: 1_000 } },
    });
    const error = await refusal(ring, new Uint8Array(ring.maxEncapsulatedBytes + 1));
    expect(error.code).toBe('REQUEST_TOO_LARGE');
    expect(problemOf(error)?.status).toBe(413);
  });

  test('of another suite is refused', async () => {
    const { ring, keyConfig } = await openSession();
    const { encapsulated } = await seal(keyConfig);
    for (const at of [1, 2, 3, 4, 5, 6])
      expect((await refusal(ring, flipBit(encapsulated, at * 8))).code).toBe('KEY_UNKNOWN');
  });

  test('to another worker’s key is refused', async () => {
    const { ring } = await openSession();
    for (let i = 0; i < 3; i++) {
      const other = new KeyRing();
      const { config } = await other.rotate(now, leaseEnd);
      const request = (await seal(config)).encapsulated.slice();
      const [keyId] = ring.current(now)?.config ?? [];
      request[0] = keyId as number;
      expect((await refusal(ring, request)).code).toBe('REQUEST_NOT_OPENED');
    }
  });

  test('opened once is refused again, also side by side', async () => {
    const { ring, keyConfig, sealed } = await openSession();
    expect((await refusal(ring, sealed.encapsulated)).code).toBe('REQUEST_REPLAYED');
    const { encapsulated } = await seal(keyConfig);
    const both = await Promise.allSettled([
      ring.open(encapsulated, now),
      ring.open(encapsulated, now),
      ring.open(encapsulated.slice(), now),
    ]);
    expect(both.filter((result) => result.status === 'fulfilled').length).toBe(1);
    for (const result of both)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'REQUEST_REPLAYED' });
  });

  test('that did not open takes no place in the replay cache', async () => {
    const { ring, keyConfig } = await openSession({ init: { maxRequestsPerKey: 3 } });
    for (let i = 0; i < 10; i++) await refusal(ring, flipBit((await seal(keyConfig)).encapsulated, 8 * 100));
    await ring.open((await seal(keyConfig)).encapsulated, now);
  });

  test('has another ephemeral key each time', async () => {
    const { keyConfig } = await openSession();
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) seen.add(toHex((await seal(keyConfig)).encapsulated.subarray(7, 39)));
    expect(seen.size).toBe(20);
  });
});

describe('problems', () => {
  const problemFor = async (
    bytes: (ring: KeyRing, keyConfig: Uint8Array, sealed: Uint8Array) => Uint8Array | Promise<Uint8Array>,
  ) => {
    const { ring, keyConfig } = await openSession();
    const sealed = await seal(keyConfig);
    const problem = problemOf(await refusal(ring, await bytes(ring, keyConfig, sealed.encapsulated)));
    return readProblem({
      status: problem?.status ?? 0,
      contentType: problem?.contentType,
      body: problem?.body ?? new Uint8Array(0),
    });
  };

  test('a client recognises the key problem, and only that, as a reason to fetch the key anew', async () => {
    expect(await problemFor((_, __, sealed) => flipBit(sealed, 0))).toMatchObject({ status: 400, isKeyProblem: true });
    expect(await problemFor((_, __, sealed) => flipBit(sealed, 8_000))).toMatchObject({ isKeyProblem: true });
    const replay = async (ring: KeyRing, _: Uint8Array, sealed: Uint8Array) => {
      await ring.open(sealed, now);
      return sealed;
    };
    expect(await problemFor(replay)).toMatchObject({
      type: 'urn:cloister:problem:replayed',
      isKeyProblem: false,
    });
    expect(await problemFor(() => new Uint8Array(3))).toMatchObject({
      type: 'urn:cloister:problem:malformed',
      isKeyProblem: false,
    });
    expect(await problemFor((_, keyConfig) => sealPlaintext(keyConfig, new Uint8Array(1_024)))).toMatchObject({
      isKeyProblem: false,
    });
    expect(problemOf(new Error('else'))).toBeUndefined();
  });

  test('problem documents of others are read as hints, or not at all', () => {
    const type = 'https://iana.org/assignments/http-problem-types#ohttp-key';
    const read = (status: number, contentType: string | null, body: string) =>
      readProblem({ status, contentType, body: new TextEncoder().encode(body) });
    expect(read(422, 'application/problem+json; charset=utf-8', JSON.stringify({ type }))).toMatchObject({
      isKeyProblem: true,
    });
    expect(read(400, 'Application/Problem+JSON', JSON.stringify({ type, title: 'x' }))).toMatchObject({
      isKeyProblem: true,
      title: 'x',
    });
    expect(read(500, 'application/problem+json', JSON.stringify({ type }))).toMatchObject({ isKeyProblem: false });
    expect(read(400, 'application/problem+json', JSON.stringify({ type: `${type}s` }))).toMatchObject({
      isKeyProblem: false,
    });
    expect(read(400, 'application/problem+json', JSON.stringify({ title: 'a\u001b[2Jb' }))).toMatchObject({
      type: 'about:blank',
      title: 'HTTP status 400',
    });
    for (const [status, contentType, body] of [
      [200, 'application/problem+json', JSON.stringify({ type })],
      [400, 'application/json', JSON.stringify({ type })],
      [400, null, JSON.stringify({ type })],
      [400, 'application/problem+json', 'not json'],
      [400, 'application/problem+json', 'null'],
      [400, 'application/problem+json', JSON.stringify({ type, pad: 'x'.repeat(5_000) })],
    ] as const)
      expect(read(status, contentType, body)).toBeUndefined();
  });
});
