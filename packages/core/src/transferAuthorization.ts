import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { tagHash } from './abi.ts';
import { hashStruct, namedDomainSeparator, structType } from './eip712.ts';
import type { Address, Bytes32, Hex } from './hex.ts';

/** A token and the name and version that its EIP-712 domain has. */
export type TokenDomain = {
  readonly chainId: number;
  readonly token: Address;
  readonly name: string;
  readonly version: string;
};

/** ERC-3009: "so much may be transferred from me to them", once. `value` in the token's smallest unit, times in unix seconds. */
export type TransferAuthorization = {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  /** Valid strictly after and strictly before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Random; the token takes each one of an account once. */
  readonly nonce: Bytes32;
};

/** With the 65 bytes of the payer's signature. */
export type SignedTransfer = { readonly authorization: TransferAuthorization; readonly signature: Hex };

const transferType = structType(
  'TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)',
);

/** The EIP-712 digest that the payer signs, as x402's scheme `exact` has it. Throws ABI_WORD_OUT_OF_RANGE. */
export function transferAuthorizationDigest(
  { name, version, chainId, token }: TokenDomain,
  { from, to, value, validAfter, validBefore, nonce }: TransferAuthorization,
): Bytes32 {
  const separator = namedDomainSeparator({ name, version, chainId, verifyingContract: token });
  const structHash = hashStruct(transferType, from, to, value, validAfter, validBefore, nonce);
  return toHex(keccak256(concatBytes(new Uint8Array([0x19, 0x01]), fromHex(separator), fromHex(structHash))));
}

/**
 * What stands behind the arguments of the transaction by which a worker settles a transfer for a call: H("cloister/exact-payment: v1",
 * receipt signer, kept-answer id). No two workers, and no two calls, ever send the same transaction, so of all who show one
 * authorization only the one whose own transaction was mined was paid. Who made the call can recompute it; nobody else learns the call.
 */
export function exactPaymentTag(receiptSigner: Address, call: Bytes32): Bytes32 {
  return tagHash('cloister/exact-payment: v1', receiptSigner, call);
}
