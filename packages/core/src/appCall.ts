import { keccak256, toHex, utf8 } from '@cloister/crypto';
import { tagHash } from './abi.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Address, Bytes32, Hex } from './hex.ts';
import { canonicalJson, parseCanonicalJson } from './jcs.ts';
import * as z from './schema.ts';

/** A worker's word that a call comes from an app that it hosts: for one request, to one worker, for a short time. */
export type AppCall = {
  /** The app that calls, and the manifest by which it runs. */
  readonly caller: Bytes32;
  readonly callerManifest: Bytes32;
  /** The app that is called. */
  readonly callee: Bytes32;
  /** Receipt signer of the worker that the request is sealed to: no other one, and not the same after a restart. */
  readonly receiver: Address;
  /** Hash of the called app, call id and client key: every attempt of one call has the same, and it runs once. */
  readonly call: Bytes32;
  /** {@link appRequestHash} of what is asked. */
  readonly request: Bytes32;
  /** Unix seconds by the chain's clock; at most {@link maxAppCallSeconds} ahead. */
  readonly notAfter: bigint;
};

export type SignedAppCall = AppCall & {
  /** By the receipt signer of the worker that the caller runs on. */
  readonly signature: Hex;
};

/** No longer than answers are kept, so that a statement never outlives the memory of what it has set off. */
export const maxAppCallSeconds = 300n;
export const maxSignedAppCallBytes = 2_048;

/** Headers that start so are the worker's word to the app about who calls; no caller can set them. */
export const callerHeaderPrefix = 'cloister-caller-';
export const callerAppHeader = `${callerHeaderPrefix}app`;

const appCallType = structType(
  'AppCall(bytes32 caller,bytes32 callerManifest,bytes32 callee,address receiver,bytes32 call,bytes32 request,uint64 notAfter)',
);

/** The EIP-712 digest that the calling worker's receipt signer signs. */
export function appCallDigest(domain: RecordDomain, statement: AppCall): Bytes32 {
  const { caller, callerManifest, callee, receiver, call, request, notAfter } = statement;
  return typedDataDigest(
    domain,
    hashStruct(appCallType, caller, callerManifest, callee, receiver, call, request, notAfter),
  );
}

/**
 * H("cloister/app-request: v1", keccak256 of method, path, headers as JSON, body): everything that the called app will see of a request.
 * @param headers the app's own, names in lower case, in their order
 */
export function appRequestHash(request: {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}): Bytes32 {
  const hash = (text: string) => toHex(keccak256(utf8(text)));
  const headers = JSON.stringify(request.headers.map(([name, value]) => [name, value]));
  return tagHash(
    'cloister/app-request: v1',
    hash(request.method),
    hash(request.path),
    hash(headers),
    toHex(keccak256(request.body)),
  );
}

const signedAppCallJson = z.strictObject({
  caller: z.bytes32,
  callerManifest: z.bytes32,
  callee: z.bytes32,
  receiver: z.address,
  call: z.bytes32,
  request: z.bytes32,
  notAfter: z.uintString(64),
  signature: z.hexOf(65),
});

/** The statement as it stands in a call header: canonical JSON, visible ASCII. */
export function signedAppCallText(signed: SignedAppCall): string {
  return canonicalJson({ ...signed, notAfter: signed.notAfter.toString() });
}

/** Reads that text, in its one form. Throws SchemaError, JsonError. */
export function parseSignedAppCall(text: string): SignedAppCall {
  const json = parseCanonicalJson(utf8(text), maxSignedAppCallBytes, 'caller statement');
  return z.parseWith(signedAppCallJson, json, 'caller statement') as SignedAppCall;
}
