import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Bytes32 } from './hex.ts';

/** An app owner's wish to read what the app printed at one worker. Travels inside the seal. */
export type LogRequest = {
  readonly app: Bytes32;
  readonly workerId: Bytes32;
  /** Unix seconds by the chain's clock; at most 10 minutes ahead. */
  readonly notAfter: bigint;
  readonly nonce: Bytes32;
};

const logRequestType = structType('LogRequest(bytes32 app,bytes32 workerId,uint64 notAfter,bytes32 nonce)');

/** Paths below this one are the worker's own; an app never sees them. */
export const reservedPath = '/.cloister/';
export const logsPath = `${reservedPath}logs`;
/** How far ahead a log request's `notAfter` may lie, in seconds. */
export const maxLogRequestSeconds = 600n;

/** The EIP-712 digest that the app's owner signs. */
export function logRequestDigest(domain: RecordDomain, request: LogRequest): Bytes32 {
  return typedDataDigest(
    domain,
    hashStruct(logRequestType, request.app, request.workerId, request.notAfter, request.nonce),
  );
}
