import {
  type Address,
  type Bytes32,
  canonicalJson,
  type Hex,
  hashStruct,
  type RecordDomain,
  stateRecordToJson,
  structType,
  typedDataDigest,
  schema as z,
} from '@cloister/core';
import { fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import { type HeldState, heldStateForm } from './heldState.ts';

/** A member's wish to hear what another keeps, from one key on. */
export type StateRecordsRequest = {
  readonly nonce: Bytes32;
  /** The key after which the page begins; empty for the first. */
  readonly after: string;
  readonly signature: Hex;
};

/** One page of what a member keeps, in order. */
export type StateRecordsPage = {
  /** The generation that the member counts as the present one. */
  readonly generation: bigint;
  /** Whether all that it ever signed up to that generation is in what it keeps. */
  readonly isComplete: boolean;
  readonly states: readonly HeldState[];
  readonly signature: Hex;
};

const requestType = structType('StateRecordsRequest(bytes32 nonce,bytes32 afterHash)');
const pageType = structType('StateRecordsPage(bytes32 request,uint64 generation,bool complete,bytes32 statesHash)');

export const maxStateRecordsRequestBytes = 1_024;
export const maxStateRecordsPageBytes = 256 * 1024;

const requestJson = z.strictObject({
  nonce: z.bytes32,
  after: z.pattern(/^(0x[0-9a-f]{64}-[0-9a-f]{4})?$/),
  signature: z.hexOf(65),
});
const pageJson = z.strictObject({
  generation: z.uintString(64),
  isComplete: z.boolean(),
  states: z.array(heldStateForm).check(z.refineArray(0, 64)),
  signature: z.hexOf(65),
});

/** The EIP-712 digest that the asking member's signer signs. */
export function stateRecordsRequestDigest(
  domain: RecordDomain,
  { nonce, after }: Omit<StateRecordsRequest, 'signature'>,
): Bytes32 {
  return typedDataDigest(domain, hashStruct(requestType, nonce, toHex(keccak256(utf8(after)))));
}

/**
 * The EIP-712 digest that the answering member's signer signs.
 * @param request digest of the request that it answers
 */
export function stateRecordsPageDigest(
  domain: RecordDomain,
  request: Bytes32,
  { generation, isComplete, states }: Omit<StateRecordsPage, 'signature'>,
): Bytes32 {
  const statesHash = toHex(keccak256(utf8(canonicalJson(stateRecordToJson({ states })))));
  return typedDataDigest(domain, hashStruct(pageType, request, generation, isComplete ? 1 : 0, statesHash));
}

/** Reads a request. Throws SchemaError. */
export function parseStateRecordsRequest(json: unknown): StateRecordsRequest {
  return z.parseWith(requestJson, json, 'request for state records') as StateRecordsRequest;
}

/** Reads a page. Throws SchemaError. */
export function parseStateRecordsPage(json: unknown): StateRecordsPage {
  return z.parseWith(pageJson, json, 'page of state records') as StateRecordsPage;
}

/** Who made a signature over a digest; undefined where no key did. */
export function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}
