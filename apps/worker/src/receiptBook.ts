import {
  type BareReceipt,
  type Bytes32,
  type ChannelTotal,
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

type Count = { sequence: bigint; cumulativeFee: bigint; last: BareReceipt | undefined };

/**
 * Counts and signs the receipts of one receipt signer. Lives as long as the signer, in memory only: a restarted worker
 * has a new signer, so no sequence can ever stand on two receipts.
 */
export class ReceiptBook {
  readonly #components: ReceiptBookComponents;
  readonly #counts = new Map<Bytes32, Count>();

  constructor(components: ReceiptBookComponents) {
    this.#components = components;
  }

  /** What this signer's receipts of a channel come to in all. */
  cumulative(channel: Bytes32): bigint {
    return this.#counts.get(channel)?.cumulativeFee ?? 0n;
  }

  /** This signer's newest receipt of a channel that pays. */
  last(channel: Bytes32): BareReceipt | undefined {
    return this.#counts.get(channel)?.last;
  }

  /** The channels in which this signer earned something, and how much in all. */
  *totals(): Generator<ChannelTotal> {
    for (const [channel, { cumulativeFee }] of this.#counts)
      if (cumulativeFee > 0n) yield { channel, cumulative: cumulativeFee };
  }

  /** The receipt of a free call: channel zero, the next sequence, no fee. */
  signFree(draft: ReceiptDraft, details: SignedReceipt['details']): SignedReceipt {
    return this.signPaid(draft, details, zeroBytes32, 0n);
  }

  /** The receipt of a call that a channel pays. Sequence, total and signature are one step. */
  signPaid(draft: ReceiptDraft, details: SignedReceipt['details'], channel: Bytes32, fee: bigint): SignedReceipt {
    let count = this.#counts.get(channel);
    if (count === undefined) {
      count = { sequence: 0n, cumulativeFee: 0n, last: undefined };
      this.#counts.set(channel, count);
    }
    const receipt: Receipt = {
      ...draft,
      channel,
      sequence: count.sequence + 1n,
      fee,
      cumulativeFee: count.cumulativeFee + fee,
    };
    // Before the signature: one that fails may have left the enclave all the same.
    count.sequence = receipt.sequence;
    count.cumulativeFee = receipt.cumulativeFee;
    const { domain, workerId, sign } = this.#components;
    const signature: Hex = toHex(sign(fromHex(receiptDigest(domain, receipt, keccak256))));
    if (channel !== zeroBytes32) count.last = { receipt, signature };
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
