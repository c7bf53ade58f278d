import {
  concatBytes,
  engine,
  fromHex,
  hpkeExport,
  keyScheduleContext,
  SecretBytes,
  setupRecipient,
  sha256,
  toBase64Url,
  toHex,
  utf8,
} from '@cloister/crypto';
import type { AppRequest } from '../src/client/sealRequest.ts';
import { unsafeSealRequestWithEphemeral } from '../src/client/unsafeSealRequest.ts';
import { encodeBinaryRequest } from '../src/shared/binaryRequest.ts';
import { type CallHeaders, encodeCallHeaders } from '../src/shared/callHeaders.ts';
import { encodeKeyConfig } from '../src/shared/keyConfiguration.ts';
import { responseLabel } from '../src/shared/labels.ts';
import { defaultMessageLimits } from '../src/shared/limits.ts';
import { paddedChunkLength, paddedRequestLength } from '../src/shared/padding.ts';
import { requestHeader, requestInfo } from '../src/shared/requestContext.ts';
import { ResponseSealer } from '../src/worker/responseSealer.ts';

/** Bytes that stand for a name: fixed, and different for every name. */
const named = (name: string): Uint8Array => sha256(utf8(`cloister vector: ${name}`));

type Hex = `0x${string}`;
export type CallVector = {
  readonly name: string;
  readonly keyId: number;
  readonly recipientSecret: Hex;
  readonly recipientPublicKey: Hex;
  readonly keyConfig: Hex;
  readonly ephemeralSecret: Hex;
  readonly call: Omit<CallHeaders, 'clientKey' | 'maxFee'> & { readonly clientKey: string; readonly maxFee: string };
  readonly request: Omit<AppRequest, 'body'> & { readonly body: Hex };
  readonly plaintext: Hex;
  readonly encapsulated: Hex;
  readonly requestHash: Hex;
  readonly inputSalt: Hex;
  readonly outputSalt: Hex;
  readonly responseSecret: Hex;
  readonly response: {
    readonly nonce: Hex;
    readonly head: { readonly status: number; readonly headers: AppRequest['headers']; readonly bytes: Hex };
    readonly bodies: readonly { readonly data: Hex; readonly bytes: Hex }[];
    readonly final: { readonly trailer: Hex; readonly bytes: Hex };
  };
};
export type ChannelVectors = {
  readonly comment: string;
  readonly padding: {
    readonly request: readonly (readonly [length: number, padded: number])[];
    readonly chunk: readonly (readonly [length: number, padded: number])[];
  };
  readonly calls: readonly CallVector[];
};

type CallInput = {
  readonly name: string;
  readonly keyId: number;
  readonly maxFee: bigint;
  readonly context: Hex;
  readonly voucher?: string;
  readonly request: AppRequest;
  readonly bodies: readonly Uint8Array[];
};

const inputs: readonly CallInput[] = [
  {
    name: 'a small call',
    keyId: 0,
    maxFee: 0n,
    context: toHex(new Uint8Array(32)),
    request: {
      method: 'POST',
      path: '/score?purpose=loan',
      headers: [
        ['content-type', 'application/json'],
        ['accept', '*/*'],
      ],
      body: utf8('{"income":52000}'),
    },
    bodies: [utf8('{"decision":"approved"}')],
  },
  {
    name: 'no body, an answer in three parts, one of them cover',
    keyId: 255,
    maxFee: 2n ** 128n - 1n,
    context: toHex(named('context')),
    voucher: 'eyJhIjoxfQ==',
    request: { method: 'GET', path: '/', headers: [], body: new Uint8Array(0) },
    bodies: [
      utf8('data: one\n\n'),
      new Uint8Array(0),
      concatBytes(...Array.from({ length: 70 }, (_, i) => named(`part ${i}`))),
    ],
  },
];

/** The contents of `vectors/channel.json`, computed anew. */
export async function channelVectors(): Promise<ChannelVectors> {
  const calls: CallVector[] = [];
  for (const input of inputs) calls.push(await callVector(input));
  const table = (lengths: readonly number[], padded: (length: number) => number) =>
    lengths.map((length) => [length, padded(length)] as const);
  return {
    comment:
      'The sealed call of packages/channel/SPEC.md, version 1. Byte strings in hexadecimal; every secret here is public.',
    padding: {
      request: table([0, 1, 1024, 1025, 16384, 16385, 20000, 100000, 1000000, 16777217], paddedRequestLength),
      chunk: table([0, 4, 128, 129, 2048, 2049, 65024], paddedChunkLength),
    },
    calls,
  };
}

async function callVector(input: CallInput): Promise<CallVector> {
  const { name, keyId, request } = input;
  const secretKey = new SecretBytes(named(`${name}: recipient`));
  const publicKey = await engine.x25519PublicKey(secretKey);
  const keyConfig = encodeKeyConfig({ keyId, publicKey });
  const ephemeralSecret = named(`${name}: ephemeral`);
  const call: CallHeaders = {
    app: toHex(named(`${name}: app`)),
    callId: toBase64Url(named(`${name}: call id`).subarray(0, 16)),
    clientKey: new SecretBytes(named(`${name}: client key`)),
    context: input.context,
    maxFee: input.maxFee,
    manifest: toHex(named(`${name}: manifest`)),
    ...(input.voucher === undefined ? {} : { voucher: input.voucher }),
  };
  const fields = [...encodeCallHeaders(call), ...request.headers];
  const plaintext = encodeBinaryRequest({ ...request, fields }, defaultMessageLimits);
  const options = { keyConfig, call, request };
  const sealed = await unsafeSealRequestWithEphemeral(options, new SecretBytes(ephemeralSecret.slice()));

  const encapsulatedKey = sealed.encapsulated.slice(7, 39);
  const schedule = await keyScheduleContext(requestInfo(requestHeader(keyId)));
  const context = await setupRecipient({ publicKey, secretKey }, schedule, encapsulatedKey);
  const responseSecret = await hpkeExport(context, responseLabel);
  const nonce = named(`${name}: response nonce`);
  const sealer = new ResponseSealer({ responseSecret: responseSecret.slice(), encapsulatedKey }, nonce);
  const head = { status: 200, headers: [['content-type', 'application/json']] as const };
  const headBytes = toHex(await sealer.head(head.status, head.headers));
  const bodies: { readonly data: Hex; readonly bytes: Hex }[] = [];
  for (const data of input.bodies) bodies.push({ data: toHex(data), bytes: toHex(await sealer.body(data)) });
  const trailer = named(`${name}: trailer`);
  return {
    name,
    keyId,
    recipientSecret: toHex(secretKey.reveal()),
    recipientPublicKey: toHex(publicKey),
    keyConfig: toHex(keyConfig),
    ephemeralSecret: toHex(ephemeralSecret),
    call: { ...call, clientKey: toBase64Url(call.clientKey.reveal()), maxFee: call.maxFee.toString() },
    request: { ...request, body: toHex(request.body) },
    plaintext: toHex(plaintext),
    encapsulated: toHex(sealed.encapsulated),
    requestHash: sealed.requestHash,
    inputSalt: sealed.inputSalt,
    outputSalt: sealed.outputSalt,
    responseSecret: toHex(responseSecret),
    response: {
      nonce: toHex(nonce),
      head: { ...head, bytes: headBytes },
      bodies,
      final: { trailer: toHex(trailer), bytes: toHex(await sealer.final(trailer)) },
    },
  };
}

/** The request of a vector as the client takes it. */
export function requestOf(vector: CallVector): AppRequest {
  return { ...vector.request, body: fromHex(vector.request.body) };
}
