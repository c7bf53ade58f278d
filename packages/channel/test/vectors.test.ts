import { readFileSync } from 'node:fs';
import { fromBase64Url, fromHex, keyScheduleContext, SecretBytes, toHex } from '@cloister/crypto';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { describe, expect, test } from 'vitest';
import { ResponseOpener } from '../src/client/responseOpener.ts';
import { parseKeyConfig } from '../src/shared/keyConfiguration.ts';
import { defaultMessageLimits } from '../src/shared/limits.ts';
import { paddedChunkLength, paddedRequestLength } from '../src/shared/padding.ts';
import { requestHeader, requestInfo } from '../src/shared/requestContext.ts';
import { openRequest } from '../src/worker/openRequest.ts';
import { ReplayCache } from '../src/worker/replayCache.ts';
import { type ChannelVectors, channelVectors, requestOf } from './channelVectors.ts';
import { streamOf } from './sealedCall.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/channel.json', import.meta.url), 'utf8'),
) as ChannelVectors;
const arrayBuffer = (hex: string): ArrayBuffer => new Uint8Array(fromHex(hex)).buffer;

test('the committed vectors are what the code makes', async () => {
  expect(vectors).toEqual(JSON.parse(JSON.stringify(await channelVectors())));
});

test('padding', () => {
  for (const [length, padded] of vectors.padding.request) expect(paddedRequestLength(length)).toBe(padded);
  for (const [length, padded] of vectors.padding.chunk) expect(paddedChunkLength(length)).toBe(padded);
});

describe.each(vectors.calls)('$name', (vector) => {
  test('the worker opens the request', async () => {
    const publicKey = fromHex(vector.recipientPublicKey);
    expect(parseKeyConfig(fromHex(vector.keyConfig))).toEqual({ keyId: vector.keyId, publicKey });
    const scheduleContext = await keyScheduleContext(requestInfo(requestHeader(vector.keyId)));
    const secretKey = new SecretBytes(fromHex(vector.recipientSecret));
    const key = { publicKey, secretKey, scheduleContext, replays: new ReplayCache(1) };
    const opened = await openRequest(fromHex(vector.encapsulated), key, defaultMessageLimits);
    expect(opened.request).toEqual(requestOf(vector));
    const { clientKey, ...call } = opened.call;
    expect({ ...call, maxFee: call.maxFee.toString() }).toEqual({ ...vector.call, clientKey: undefined });
    expect(clientKey.reveal()).toEqual(fromBase64Url(vector.call.clientKey));
    expect([opened.requestHash, opened.inputSalt, opened.outputSalt]).toEqual([
      vector.requestHash,
      vector.inputSalt,
      vector.outputSalt,
    ]);
  });

  test('an independent HPKE library opens it, and exports the same secrets', async () => {
    const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
    const bytes = fromHex(vector.encapsulated);
    const context = await suite.createRecipientContext({
      recipientKey: await suite.kem.deserializePrivateKey(arrayBuffer(vector.recipientSecret)),
      enc: new Uint8Array(bytes.subarray(7, 39)).buffer,
      info: new Uint8Array(Buffer.concat([Buffer.from('message/cloister-req: v1\0'), bytes.subarray(0, 7)])).buffer,
    });
    expect(toHex(new Uint8Array(await context.open(new Uint8Array(bytes.subarray(39)).buffer)))).toBe(vector.plaintext);
    for (const [label, value] of [
      ['message/cloister-res: v1', vector.responseSecret],
      ['cloister/input-salt: v1', vector.inputSalt],
      ['cloister/output-salt: v1', vector.outputSalt],
    ] as const)
      expect(toHex(new Uint8Array(await context.export(new Uint8Array(Buffer.from(label)).buffer, 32)))).toBe(value);
  });

  test('the client opens the answer', async () => {
    const { head, bodies, final } = vector.response;
    const opener = new ResponseOpener({
      responseSecret: fromHex(vector.responseSecret),
      encapsulatedKey: fromHex(vector.encapsulated).slice(7, 39),
    });
    const stream = streamOf([head.bytes, ...bodies.map((body) => body.bytes), final.bytes].map(fromHex));
    const events: unknown[] = [];
    for await (const event of opener.read(stream, { signal: AbortSignal.timeout(5_000) })) events.push(event);
    expect(head.bytes.startsWith(vector.response.nonce)).toBe(true);
    expect(events).toEqual([
      { type: 'head', status: head.status, headers: head.headers },
      ...bodies.filter((body) => body.data !== '0x').map((body) => ({ type: 'body', bytes: fromHex(body.data) })),
      { type: 'final', trailer: fromHex(final.trailer) },
    ]);
  });
});
