import type { Bytes32, Hex } from '@cloister/core';
import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { SimulatedError } from './errors.ts';
import { signedPartLength } from './mintQuote.ts';
import { signP256 } from './p256Key.ts';
import type { SimulatedRoot } from './simulatedRoot.ts';

/** What the contract UnsafeSimulatedVerifier reads in place of a quote's signatures. */
export type ChainEndorsement = {
  /** Header and TD report of a version-4 quote, 632 bytes. */
  readonly signedPart: Hex;
  /** 16 bytes. */
  readonly platformId: Hex;
  /** Unix seconds. */
  readonly validUntil: bigint;
  /** The root's P-256 signature, s in the lower half of the order. */
  readonly r: Bytes32;
  readonly s: Bytes32;
};

const tag = utf8('cloister/unsafe-simulated-endorsement: v1');
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * The root's signature over sha256(tag ‖ uint256 chainId ‖ keccak256(signed part) ‖ bytes16 platformId ‖ uint64 validUntil).
 * The caller has verified the quote. Throws FOREIGN_QUOTE for anything but a version-4 quote.
 */
export function signEndorsement(
  root: SimulatedRoot,
  quote: Uint8Array,
  platformId: Hex,
  chainId: bigint,
  validUntil: bigint,
): ChainEndorsement {
  const signedPart = quote.slice(0, signedPartLength);
  if (signedPart.length !== signedPartLength || signedPart[0] !== 4)
    throw new SimulatedError({
      code: 'FOREIGN_QUOTE',
      message: `Expected a TDX quote of version 4, got version "${signedPart[0] ?? 'none'}"`,
    });
  const signature = signP256(root.root.key, endorsedBytes(signedPart, platformId, chainId, validUntil));
  const s = BigInt(toHex(signature.subarray(32)));
  return {
    signedPart: toHex(signedPart),
    platformId,
    validUntil,
    r: toHex(signature.subarray(0, 32)),
    s: `0x${bigEndian(s > order / 2n ? order - s : s, 32)}`,
  };
}

/** The bytes whose SHA-256 the root signs. */
export function endorsedBytes(
  signedPart: Uint8Array,
  platformId: Hex,
  chainId: bigint,
  validUntil: bigint,
): Uint8Array {
  return concatBytes(
    tag,
    fromHex(bigEndian(chainId, 32)),
    keccak256(signedPart),
    fromHex(platformId),
    fromHex(bigEndian(validUntil, 8)),
  );
}

function bigEndian(value: bigint, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0');
}
