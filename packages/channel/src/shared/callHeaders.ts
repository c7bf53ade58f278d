import { type Bytes32, isHexOf, maxSignedAppCallBytes } from '@cloister/core';
import { fromBase64Url, SecretBytes, toBase64Url } from '@cloister/crypto';
import { ChannelError } from './channelError.ts';
import { callHeaderPrefix, type Field, type Fields } from './fieldSection.ts';
import { maxVoucherLength } from './limits.ts';

/** What the protocol itself says in a call, inside the seal. Apps never see it. */
export type CallHeaders = {
  /** The app that is called. */
  readonly app: Bytes32;
  /** 128 random bits in base64url: the same in every retry of one call. */
  readonly callId: string;
  /** 32 random bytes that only client and worker know: who shows them with the call id gets the kept answer. */
  readonly clientKey: SecretBytes;
  /** What the receipt is bound to; zero where unused. */
  readonly context: Bytes32;
  /** The most that the call may cost, in the token's smallest unit; below 2^128. */
  readonly maxFee: bigint;
  /** The manifest that the client expects. */
  readonly manifest: Bytes32;
  /** How the call is paid (`paymentOfferText` of core): opaque here, visible ASCII, at most 16,384 characters. */
  readonly voucher?: string;
  /** A worker's statement of which app calls: opaque here, visible ASCII, at most 2,048 characters. */
  readonly caller?: string;
  /** Where the body follows the sealed head in chunks: "stream" its bytes, "socket" messages of a WebSocket session (core's socketFrames). */
  readonly body?: StreamedBody;
};

export const streamedBodies = ['stream', 'socket'] as const;
export type StreamedBody = (typeof streamedBodies)[number];

const callIdBytes = 16;
const clientKeyBytes = 32;
const maxFeeLimit = 1n << 128n;
const lowerHex = /^0x[0-9a-f]{64}$/;
const decimal = /^(?:0|[1-9][0-9]{0,38})$/;
const visibleAscii = /^[!-~]+$/;

const names = {
  app: 'x-cloister-app',
  callId: 'x-cloister-call-id',
  clientKey: 'x-cloister-client-key',
  context: 'x-cloister-context',
  maxFee: 'x-cloister-max-fee',
  manifest: 'x-cloister-manifest',
  voucher: 'x-cloister-voucher',
  caller: 'x-cloister-caller',
  body: 'x-cloister-body',
} as const;
const known: ReadonlySet<string> = new Set(Object.values(names));

/** The call headers as fields, in their fixed order. Throws CALL_HEADER_REFUSED for a value out of its bounds. */
export function encodeCallHeaders(call: CallHeaders): Field[] {
  const fields: Field[] = [
    [names.app, hex32(names.app, call.app)],
    [names.callId, base64Of(names.callId, call.callId, callIdBytes)],
    [names.clientKey, clientKeyText(call.clientKey)],
    [names.context, hex32(names.context, call.context)],
    [names.maxFee, feeText(call.maxFee)],
    [names.manifest, hex32(names.manifest, call.manifest)],
  ];
  if (call.voucher !== undefined)
    fields.push([names.voucher, asciiText(names.voucher, call.voucher, maxVoucherLength)]);
  if (call.caller !== undefined)
    fields.push([names.caller, asciiText(names.caller, call.caller, maxSignedAppCallBytes)]);
  if (call.body !== undefined) fields.push([names.body, streamedBody(call.body)]);
  return fields;
}

/** Refuses fields of an app that start like call headers. */
export function checkAppFields(fields: Fields): void {
  for (const [name] of fields)
    if (name.startsWith(callHeaderPrefix)) throw refused(name, 'an app can neither set nor see it');
}

/**
 * Separates the call headers from the app's own. Each must be there once, in its one form; voucher, caller and body may be missing.
 * Throws CALL_HEADER_REFUSED, for unknown ones too: a newer client must not be half understood.
 */
export function splitCallHeaders(fields: Fields): { readonly call: CallHeaders; readonly headers: Field[] } {
  const values = new Map<string, string>();
  const headers: Field[] = [];
  for (const field of fields) {
    const [name, value] = field;
    if (!name.startsWith(callHeaderPrefix)) {
      headers.push(field);
      continue;
    }
    if (!known.has(name)) throw refused(name, 'this version does not know it');
    if (values.has(name)) throw refused(name, 'it is there twice');
    values.set(name, value);
  }
  const required = (name: string): string => {
    const value = values.get(name);
    if (value === undefined) throw refused(name, 'it is missing');
    return value;
  };
  const voucher = values.get(names.voucher);
  const caller = values.get(names.caller);
  const body = values.get(names.body);
  const call: CallHeaders = {
    app: hex32(names.app, required(names.app)),
    callId: base64Of(names.callId, required(names.callId), callIdBytes),
    clientKey: new SecretBytes(fromBase64Url(base64Of(names.clientKey, required(names.clientKey), clientKeyBytes))),
    context: hex32(names.context, required(names.context)),
    maxFee: fee(required(names.maxFee)),
    manifest: hex32(names.manifest, required(names.manifest)),
    ...(voucher === undefined ? {} : { voucher: asciiText(names.voucher, voucher, maxVoucherLength) }),
    ...(caller === undefined ? {} : { caller: asciiText(names.caller, caller, maxSignedAppCallBytes) }),
    ...(body === undefined ? {} : { body: streamedBody(body) }),
  };
  return { call, headers };
}

function hex32(name: string, value: string): Bytes32 {
  if (!isHexOf(value, 32) || !lowerHex.test(value))
    throw refused(name, 'it is not 0x and 64 lower-case hexadecimal digits');
  return value;
}

function base64Of(name: string, value: string, bytes: number): string {
  try {
    if (typeof value === 'string' && value.length <= 2 * bytes && fromBase64Url(value).length === bytes) return value;
  } catch {
    // told below
  }
  throw refused(name, `it is not ${bytes} bytes in base64url`);
}

function clientKeyText(key: SecretBytes): string {
  if (key.length !== clientKeyBytes) throw refused(names.clientKey, `it is not ${clientKeyBytes} bytes`);
  return toBase64Url(key.reveal());
}

function feeText(value: bigint): string {
  if (typeof value !== 'bigint' || value < 0n || value >= maxFeeLimit)
    throw refused(names.maxFee, 'it is not below 2^128');
  return value.toString();
}

function fee(text: string): bigint {
  if (!decimal.test(text)) throw refused(names.maxFee, 'it is not a plain decimal number');
  feeText(BigInt(text));
  return BigInt(text);
}

function asciiText(name: string, value: string, maxLength: number): string {
  if (value.length > maxLength || !visibleAscii.test(value))
    throw refused(name, `it is not 1 to ${maxLength} characters of visible ASCII`);
  return value;
}

function streamedBody(value: string): StreamedBody {
  const known = streamedBodies.find((one) => one === value);
  if (known === undefined) throw refused(names.body, `it is none of ${streamedBodies.join(', ')}`);
  return known;
}

/** Values stay out of the message: the client key is one of them. */
function refused(name: string, why: string): ChannelError {
  const shown = name.slice(0, 80);
  return new ChannelError({
    code: 'CALL_HEADER_REFUSED',
    message: `The call header "${shown}" is refused: ${why}`,
    meta: { name: shown },
  });
}
