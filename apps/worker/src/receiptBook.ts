import {
  type Bytes32,
  type Hex,
  type Receipt,
  type RecordDomain,
  receiptDigest,
  type SignedReceipt,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { keccak256 } from '@cloister/crypto/fast-keccak';

/** Signs a 32-byte digest with the worker's receipt signer: r ‖ s ‖ v. */
export type SignDigest = (digest: Uint8Array) => Uint8Array;

export type ReceiptBookComponents = {
  readonly domain: RecordDomain;
  readonly workerId: Bytes32;
  readonly sign: SignDigest;
};

/** What the book adds by itself. */
export type ReceiptDraft = Omit<Receipt, 'channel' | 'sequence' | 'fee' | 'cumulativeFee'>;

/**
 * Counts and signs the receipts of one receipt signer. Lives as long as the signer, in memory only: a restarted worker
 * has a new signer, so no sequence can ever stand on two receipts.
 */
export class ReceiptBook {
  readonly #components: ReceiptBookComponents;
  #lastFreeSequence = 0n;

  constructor(components: ReceiptBookComponents) {
    this.#components = components;
  }

  /** The receipt of a free call: channel zero, the next sequence, no fee. Sequence and signature are one step. */
  signFree(draft: ReceiptDraft, details: SignedReceipt['details']): SignedReceipt {
    this.#lastFreeSequence += 1n;
    const receipt: Receipt = {
      ...draft,
      channel: zeroBytes32,
      sequence: this.#lastFreeSequence,
      fee: 0n,
      cumulativeFee: 0n,
    };
    const { domain, workerId, sign } = this.#components;
    const signature: Hex = toHex(sign(fromHex(receiptDigest(domain, receipt, keccak256))));
    return {
      format: 'cloister-receipt-1',
      chainId: domain.chainId,
      registry: domain.registry,
      workerId,
      receipt,
      signature,
      details,
    };
  }
}
