import type { Address, Bytes32, Hex } from '@cloister/core';
import { bytesToHex, keccak256, serializeTransaction } from 'viem';

/** A transaction with fees by EIP-1559, all of it. */
export type UnsignedTransaction = {
  readonly chainId: number;
  readonly nonce: number;
  readonly to: Address;
  readonly data: Hex;
  readonly valueWei: bigint;
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
};

export type SignedTransaction = { readonly raw: Hex; readonly hash: Bytes32 };

/**
 * A transaction as nodes take it.
 * @param sign answers r ‖ s ‖ v over a digest, v being 27 or 28
 */
export function signTransaction(
  { valueWei, ...rest }: UnsignedTransaction,
  sign: (digest: Uint8Array) => Uint8Array,
): SignedTransaction {
  const transaction = { type: 'eip1559', value: valueWei, ...rest } as const;
  const signature = sign(keccak256(serializeTransaction(transaction), 'bytes'));
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32, 64)].map((part) => bytesToHex(part)) as [Hex, Hex];
  const raw = serializeTransaction(transaction, { r, s, yParity: (signature[64] as number) - 27 });
  return { raw, hash: keccak256(raw) as Bytes32 };
}
