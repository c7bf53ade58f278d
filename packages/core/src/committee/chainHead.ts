import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';

/** The newest block that a gatekeeper's RPCs agree on, as it tells the other members. Timestamp in unix seconds. */
export type ChainHead = { readonly number: bigint; readonly hash: Bytes32; readonly timestamp: bigint };
export type SignedChainHead = ChainHead & { readonly signature: Hex };

const chainHeadType = structType('ChainHead(uint64 number,bytes32 hash,uint64 timestamp)');

/** The EIP-712 digest that the member's signer signs. */
export function chainHeadDigest(domain: RecordDomain, { number, hash, timestamp }: ChainHead): Bytes32 {
  return typedDataDigest(domain, hashStruct(chainHeadType, number, hash, timestamp));
}

const signedHeadJson = z.strictObject({
  number: z.uintString(64),
  hash: z.bytes32,
  timestamp: z.uintString(64),
  signature: z.hexOf(65),
});

/** Reads a member's signed head. Throws SchemaError. */
export function parseSignedChainHead(json: unknown): SignedChainHead {
  return z.parseWith(signedHeadJson, json, 'signed head') as SignedChainHead;
}

/** The signed head as JSON has it. */
export function signedChainHeadToJson(head: SignedChainHead): Record<string, string> {
  return { ...head, number: head.number.toString(), timestamp: head.timestamp.toString() };
}
