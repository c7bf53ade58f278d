import { keccak256, toHex } from '@cloister/crypto';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Bytes32, Hex } from './hex.ts';
import * as z from './schema.ts';

/** A worker's statement that an HPKE key is its own, for a while. Times in unix seconds of the chain's clock. */
export type KeyConfigStatement = {
  /** keccak256 of the RFC 9458 key configuration's bytes. */
  readonly configHash: Bytes32;
  readonly notBefore: bigint;
  /** At most the end of the worker's lease. */
  readonly notAfter: bigint;
};

const keyConfigType = structType('KeyConfig(bytes32 configHash,uint64 notBefore,uint64 notAfter)');

/** The EIP-712 digest that the receipt signer signs. */
export function keyConfigDigest(domain: RecordDomain, statement: KeyConfigStatement): Bytes32 {
  return typedDataDigest(
    domain,
    hashStruct(keyConfigType, statement.configHash, statement.notBefore, statement.notAfter),
  );
}

/** The statement about the given RFC 9458 key configuration. */
export function keyConfigStatement(config: Uint8Array, notBefore: bigint, notAfter: bigint): KeyConfigStatement {
  return { configHash: toHex(keccak256(config)), notBefore, notAfter };
}

/** A key configuration as it is announced. */
export type SignedKeyConfig = {
  /** The RFC 9458 key configuration, in hexadecimal. */
  readonly config: Hex;
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  readonly signature: Hex;
};

const boundedHex = z.pattern(/^0x(?:[0-9a-f]{2}){1,512}$/, 1026) as unknown as ReturnType<typeof z.hexOf>;

export const signedKeyConfigJson = z.strictObject({
  config: boundedHex,
  notBefore: z.uintString(64),
  notAfter: z.uintString(64),
  signature: z.hexOf(65),
});
