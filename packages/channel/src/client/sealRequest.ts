import type { Bytes32, Hex } from '@cloister/core';
import {
  concatBytes,
  engine,
  type HpkeContext,
  hpkeExport,
  keccak256,
  keyScheduleContext,
  setupSender,
  toHex,
  type X25519KeyPair,
} from '@cloister/crypto';
import { encodeBinaryRequest } from '../shared/binaryRequest.ts';
import { type CallHeaders, checkAppFields, encodeCallHeaders, type StreamedBody } from '../shared/callHeaders.ts';
import { ChannelError } from '../shared/channelError.ts';
import type { Fields } from '../shared/fieldSection.ts';
import { parseKeyConfig } from '../shared/keyConfiguration.ts';
import { noBytes, requestStreamLabel } from '../shared/labels.ts';
import { defaultMessageLimits, type MessageLimits } from '../shared/limits.ts';
import { exportRequestSecrets, type RequestExports, requestHeader, requestInfo } from '../shared/requestContext.ts';
import { RequestStreamSealer } from './requestStreamSealer.ts';
import { type ResponseLimits, ResponseOpener } from './responseOpener.ts';

/** The app's part of a call. */
export type AppRequest = {
  /** Upper case; not CONNECT or TRACE. */
  readonly method: string;
  /** Path and query, from "/". */
  readonly path: string;
  /** Lower-case names; no field of the connection, none that starts with "x-cloister-". `endToEndFields` prepares them. */
  readonly headers: Fields;
  readonly body: Uint8Array;
};

export type SealRequestOptions = {
  /** The RFC 9458 key configuration of the worker: verified before, by its signature and the worker's evidence. */
  readonly keyConfig: Uint8Array;
  readonly call: CallHeaders;
  readonly request: AppRequest;
  /** @default defaultMessageLimits */
  readonly limits?: MessageLimits;
};

/** A sealed request and what its sender keeps to read the response and open the receipt's commitments. */
export type SealedRequest = {
  /** The bytes to send. */
  readonly encapsulated: Uint8Array;
  /** keccak256 of `encapsulated`: the receipt's `requestHash`, unless the call was a retry of an earlier request. */
  readonly requestHash: Hex;
  /** Salt of the receipt's `inputCommitment`. */
  readonly inputSalt: Bytes32;
  /** Salt of the receipt's `outputCommitment`. */
  readonly outputSalt: Bytes32;
  /** Seals what follows the head, where `call.body` says that something does. */
  readonly stream: RequestStreamSealer | undefined;
  /** The reader of the one response to this request; a second call throws RESPONSE_MISUSED. */
  openResponse(limits?: ResponseLimits): ResponseOpener;
};

/**
 * Seals a call to a worker's key: only who holds that key reads it, and only who read it can respond. It authenticates
 * nobody to the worker.
 * Throws ChannelError (KEY_CONFIG_*, REQUEST_*, HEADER_REFUSED, CALL_HEADER_REFUSED) and CryptoError X25519_ZERO_RESULT.
 */
export async function sealRequest(options: SealRequestOptions): Promise<SealedRequest> {
  const plaintext = encodeCall(options);
  return sealUnder(await encapsulate(options.keyConfig), plaintext, options.call.body);
}

/** {@link sealRequest} with the ephemeral key given. Two requests under one ephemeral key open each other's contents. */
export async function sealRequestTo(options: SealRequestOptions, ephemeral: X25519KeyPair): Promise<SealedRequest> {
  const plaintext = encodeCall(options);
  return sealUnder(await encapsulateTo(options.keyConfig, ephemeral), plaintext, options.call.body);
}

/** The key agreement of one request to come: all of it that does not depend on what is sent. For one request only. */
export type Encapsulation = {
  readonly header: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
  readonly context: HpkeContext;
  readonly exports: RequestExports;
};

/** Agrees on keys with the holder of a key configuration. Throws ChannelError KEY_CONFIG_*, CryptoError X25519_ZERO_RESULT. */
export async function encapsulate(keyConfig: Uint8Array): Promise<Encapsulation> {
  return encapsulateTo(keyConfig, await engine.generateX25519());
}

async function encapsulateTo(keyConfig: Uint8Array, ephemeral: X25519KeyPair): Promise<Encapsulation> {
  const { keyId, publicKey } = parseKeyConfig(keyConfig);
  const header = requestHeader(keyId);
  const context = await setupSender(publicKey, await keyScheduleContext(requestInfo(header)), ephemeral);
  ephemeral.secretKey.wipe();
  return { header, encapsulatedKey: ephemeral.publicKey, context, exports: await exportRequestSecrets(context) };
}

/** The padded plaintext of a call. Throws before any key is used up. */
export function encodeCall(options: SealRequestOptions): Uint8Array {
  const { call, request, limits = defaultMessageLimits } = options;
  checkAppFields(request.headers);
  if (call.body !== undefined && request.body.length > 0)
    throw new ChannelError({
      code: 'REQUEST_MALFORMED',
      message: `A head whose body follows has none itself, got "${request.body.length}" bytes`,
    });
  const fields = [...encodeCallHeaders(call), ...request.headers];
  return encodeBinaryRequest({ method: request.method, path: request.path, fields, body: request.body }, limits);
}

/** Seals a plaintext under an encapsulation, which is used up by it. `follows`: what comes in chunks after it. */
export async function sealUnder(
  encapsulation: Encapsulation,
  plaintext: Uint8Array,
  follows: StreamedBody | undefined,
): Promise<SealedRequest> {
  const { header, encapsulatedKey, context } = encapsulation;
  const { responseSecret, inputSalt, outputSalt } = encapsulation.exports;
  const sealed = await engine.aes256GcmSeal(context.key, context.nonce, noBytes, plaintext);
  const streamSecret = follows !== undefined ? await hpkeExport(context, requestStreamLabel) : undefined;
  wipeContext(context);
  const encapsulated = concatBytes(header, encapsulatedKey, sealed);

  let requestHash: Hex | undefined;
  let opened = false;
  return {
    encapsulated,
    get requestHash() {
      // Only when it is asked for: it is not needed before the request is on its way.
      requestHash ??= toHex(keccak256(encapsulated));
      return requestHash;
    },
    inputSalt: toHex(inputSalt),
    outputSalt: toHex(outputSalt),
    stream: streamSecret && new RequestStreamSealer(streamSecret, encapsulatedKey, encapsulated),
    openResponse(responseLimits) {
      if (opened)
        throw new ChannelError({
          code: 'RESPONSE_MISUSED',
          message: 'The response to this request was already being read',
          hint: 'Seal the request again, with the same call id and client key',
        });
      opened = true;
      return new ResponseOpener({ responseSecret, encapsulatedKey, asked: follows }, responseLimits);
    },
  };
}

/** Overwrites an encapsulation that will not be used. */
export function discardEncapsulation({ context, exports }: Encapsulation): void {
  wipeContext(context);
  for (const secret of [exports.responseSecret, exports.inputSalt, exports.outputSalt]) secret.fill(0);
}

function wipeContext(context: HpkeContext): void {
  context.key.fill(0);
  context.exporterSecret.fill(0);
}
