import type { Bytes32, Hex } from '@cloister/core';
import {
  CryptoError,
  engine,
  type HpkeContext,
  hpkeExport,
  type SecretBytes,
  setupRecipient,
  toHex,
} from '@cloister/crypto';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { parseBinaryRequest } from '../shared/binaryRequest.ts';
import { type CallHeaders, splitCallHeaders } from '../shared/callHeaders.ts';
import { ChannelError } from '../shared/channelError.ts';
import type { Field } from '../shared/fieldSection.ts';
import { noBytes, requestStreamLabel } from '../shared/labels.ts';
import type { MessageLimits } from '../shared/limits.ts';
import { encapsulatedKeyLength, exportRequestSecrets, requestHeaderLength } from '../shared/requestContext.ts';
import type { ReplayCache } from './replayCache.ts';
import { RequestStreamOpener } from './requestStreamOpener.ts';
import { ResponseSealer } from './responseSealer.ts';

/** A key that requests are sealed to. */
export type RecipientKey = {
  readonly publicKey: Uint8Array;
  readonly secretKey: SecretBytes;
  /** HPKE's key schedule context for requests to this key. */
  readonly scheduleContext: Uint8Array;
  readonly replays: ReplayCache;
};

/** What a request held. Everything in it is the client's word. */
export type OpenedRequest = {
  readonly call: CallHeaders;
  /** The app's part; no call headers. `body` is a view of the opened plaintext. */
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: readonly Field[];
    readonly body: Uint8Array;
  };
  /** keccak256 of the encapsulated request. */
  readonly requestHash: Hex;
  readonly inputSalt: Bytes32;
  readonly outputSalt: Bytes32;
  readonly response: ResponseSealer;
  /** The body, where it follows in chunks (`call.body`); `requestHash` is then of the head alone. */
  readonly input?: RequestStreamOpener;
};

/** Opens a request whose header and size were checked. The caller has chosen the key by the header. */
export async function openRequest(
  encapsulated: Uint8Array,
  key: RecipientKey,
  limits: MessageLimits,
): Promise<OpenedRequest> {
  const sealedAt = requestHeaderLength + encapsulatedKeyLength;
  // A copy also where the bytes are a Buffer, whose slice() is a view.
  const encapsulatedKey = new Uint8Array(encapsulated.subarray(requestHeaderLength, sealedAt));
  // Cheaper than a key agreement, so a replayed flood costs little.
  if (key.replays.has(encapsulatedKey)) throw replayed();
  const { context, plaintext } = await open(encapsulated.subarray(sealedAt), encapsulatedKey, key);
  // Only what opened is remembered, so that garbage can't fill the cache; and again in one step, since two copies of one
  // request may have been opened side by side.
  const place = key.replays.add(encapsulatedKey);
  if (place === 'known') throw replayed();
  if (place === 'closed') throw retired();

  const { call, request } = parseContents(plaintext, limits);
  const streamSecret = call.body === undefined ? undefined : await hpkeExport(context, requestStreamLabel);
  const { responseSecret, inputSalt, outputSalt } = await exportRequestSecrets(context);
  return {
    call,
    request,
    requestHash: toHex(keccak256(encapsulated)),
    inputSalt: toHex(inputSalt),
    outputSalt: toHex(outputSalt),
    response: new ResponseSealer({ responseSecret, encapsulatedKey, asked: call.body }),
    ...(streamSecret && { input: new RequestStreamOpener(streamSecret, encapsulatedKey, encapsulated) }),
  };
}

function parseContents(plaintext: Uint8Array, limits: MessageLimits): Pick<OpenedRequest, 'call' | 'request'> {
  try {
    const { method, path, fields, body } = parseBinaryRequest(plaintext, limits);
    const { call, headers } = splitCallHeaders(fields);
    if (call.body !== undefined && body.length > 0)
      throw new ChannelError({ code: 'REQUEST_MALFORMED', message: 'A head whose body follows has one itself' });
    return { call, request: { method, path, headers, body } };
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    // Without the message, which quotes what was sealed: an error ends in logs, and the host reads those.
    throw new ChannelError({
      code: error.code,
      message: 'The request opened, but its contents are not of the agreed form',
    });
  }
}

async function open(
  sealed: Uint8Array,
  encapsulatedKey: Uint8Array,
  key: RecipientKey,
): Promise<{ readonly context: HpkeContext; readonly plaintext: Uint8Array }> {
  try {
    const context = await setupRecipient(key, key.scheduleContext, encapsulatedKey);
    const plaintext = await engine.aes256GcmOpen(context.key, context.nonce, noBytes, sealed);
    context.key.fill(0);
    return { context, plaintext };
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    if (cause.code === 'SECRET_WIPED') throw retired();
    throw new ChannelError({
      code: 'REQUEST_NOT_OPENED',
      message: 'The request does not open: it was sealed to another key, or changed on the way',
      hint: 'Fetch the key configuration anew, verify it, and retry once',
      cause,
    });
  }
}

/** The key ended while a request to it was being opened. */
function retired(): ChannelError {
  return new ChannelError({
    code: 'KEY_UNKNOWN',
    message: 'The key was retired while the request was being opened',
    hint: 'Fetch the key configuration anew, verify it, and retry once',
  });
}

function replayed(): ChannelError {
  return new ChannelError({
    code: 'REQUEST_REPLAYED',
    message: 'The request was opened before',
    hint: 'Seal the call again, with the same call id and client key, to get the kept answer',
  });
}
