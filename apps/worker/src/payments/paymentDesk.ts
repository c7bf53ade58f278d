import {
  type Address,
  type BareReceipt,
  type Bytes32,
  type Channel,
  type ChannelOffer,
  channelId,
  type Hex,
  type PaymentStanding,
  type PaymentsDomain,
  type RecordDomain,
  receiptDigest,
  type SignerCumulative,
  voucherDigest,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { ChannelFunds } from './channelFunds.ts';
import { PaymentRefusedError } from './paymentRefused.ts';

/** A payer key's promise, with its signature. */
export type HeldVoucher = { readonly maxClaimableAmount: bigint; readonly signature: Hex };

/** What is known of a channel that pays here. */
export type KnownChannel = {
  readonly id: Bytes32;
  readonly parties: Channel;
  /** The highest that was shown here. */
  readonly voucher: HeldVoucher;
  /** What other signers of the operator have earned, by the client or by their receipts. */
  readonly others: ReadonlyMap<Address, bigint>;
  /** The last receipts of other signers that clients showed, each verified. */
  readonly receipts: ReadonlyMap<Address, BareReceipt>;
};

/** A call's promise of payment, until it ends. */
export type Reservation = {
  readonly channel: Bytes32;
  /** The most that the call may cost. */
  readonly maxFee: bigint;
  /** Gives the promise back: the call's fee, if any, stands in the signer's total by now. */
  release(): void;
};

export type PaymentDeskComponents = {
  readonly domain: RecordDomain;
  readonly payments: PaymentsDomain;
  readonly operator: Address;
  readonly signer: Address;
  readonly funds: Pick<ChannelFunds, 'of'>;
  /** Whether a signer's worker is the operator's by the registry. */
  readonly isOperators: (signer: Address, signal: AbortSignal) => Promise<boolean>;
  /** What this worker's own receipts of a channel come to, and the last of them. */
  readonly book: {
    cumulative(channel: Bytes32): bigint;
    last(channel: Bytes32): BareReceipt | undefined;
  };
};

type Kept = {
  readonly id: Bytes32;
  readonly parties: Channel;
  voucher: HeldVoucher;
  readonly others: Map<Address, bigint>;
  readonly receipts: Map<Address, BareReceipt>;
  reserved: bigint;
  usedAtMs: number;
};

/** Channels that are remembered; those with nothing at stake here are forgotten first. */
const maxChannels = 20_000;
const maxOthers = 64;

/**
 * Takes payment for calls: a voucher must cover what the operator's signers have earned in the channel, what calls that run here may
 * still cost, and this call's most, and the deposit must bear it.
 * What parallel calls to the operator's other workers overrun is the operator's risk.
 */
export class PaymentDesk {
  readonly #components: PaymentDeskComponents;
  readonly #channels = new Map<Bytes32, Kept>();

  constructor(components: PaymentDeskComponents) {
    this.#components = components;
  }

  /** Every channel that paid here. */
  channels(): Iterable<KnownChannel> {
    return this.#channels.values();
  }

  /**
   * Reserves `maxFee` by an offer. Throws PaymentRefusedError with what the client must know to offer better; ChainError.
   * There is no await between the last look at the totals and the reservation, so two calls never share one promise.
   */
  async reserve(offer: ChannelOffer, maxFee: bigint, signal: AbortSignal): Promise<Reservation> {
    const { payments, operator, funds } = this.#components;
    if (offer.channel.operator !== operator)
      throw new PaymentRefusedError(
        'PAYMENT_OTHER_OPERATOR',
        `The channel pays operator "${offer.channel.operator}", this worker is of "${operator}"`,
      );
    const id = channelId(payments, offer.channel);
    this.#assertVoucher(id, offer);
    const receipts = await this.#verifiedReceipts(id, offer, signal);
    const { bearable, earned } = await funds.of(id, offer.maxClaimableAmount, signal);
    const kept = this.#keep(id, offer, receipts, bearable);
    const needed = this.#owedIn(kept, earned) + kept.reserved + maxFee;
    if (bearable < needed)
      throw new PaymentRefusedError(
        'PAYMENT_CHANNEL_EMPTY',
        `The channel "${id}" has "${bearable}" for claims; with this call they may come to "${needed}"`,
        this.#standing(kept, needed),
      );
    if (kept.voucher.maxClaimableAmount < needed)
      throw new PaymentRefusedError(
        'PAYMENT_VOUCHER_TOO_LOW',
        `The voucher promises "${kept.voucher.maxClaimableAmount}" of channel "${id}"; with this call it needs "${needed}"`,
        this.#standing(kept, needed),
      );
    kept.reserved += maxFee;
    let isOpen = true;
    return {
      channel: id,
      maxFee,
      release: () => {
        if (!isOpen) return;
        isOpen = false;
        kept.reserved -= maxFee;
      },
    };
  }

  /** By the payer key's signature: nobody else learns anything of the channel. */
  #assertVoucher(id: Bytes32, { channel, maxClaimableAmount, signature }: ChannelOffer): void {
    const digest = voucherDigest(this.#components.payments, { channelId: id, maxClaimableAmount });
    if (signerOf(digest, signature) !== channel.payerKey)
      throw new PaymentRefusedError(
        'PAYMENT_VOUCHER_FORGED',
        `The voucher is not signed by the channel's key "${channel.payerKey}"`,
      );
  }

  /** Those of the offered receipts that say more than is known. Throws PAYMENT_RECEIPT_FALSE for one that is none. */
  async #verifiedReceipts(
    id: Bytes32,
    { receipts }: ChannelOffer,
    signal: AbortSignal,
  ): Promise<Map<Address, BareReceipt>> {
    const { domain, isOperators, signer: own } = this.#components;
    const verified = new Map<Address, BareReceipt>();
    for (const bare of receipts) {
      const { receipt, signature } = bare;
      const signer =
        receipt.channel === id ? signerOf(receiptDigest(domain, receipt, keccak256), signature) : undefined;
      if (signer === own) continue;
      const held = this.#channels.get(id)?.receipts.get(signer ?? own);
      if (held !== undefined && held.receipt.cumulativeFee >= receipt.cumulativeFee) continue;
      if (signer === undefined || !(await isOperators(signer, signal)))
        throw new PaymentRefusedError(
          'PAYMENT_RECEIPT_FALSE',
          'An offered receipt is of another channel, or its signer is none of this operator',
        );
      verified.set(signer, bare);
    }
    return verified;
  }

  #keep(id: Bytes32, offer: ChannelOffer, receipts: ReadonlyMap<Address, BareReceipt>, bearable: bigint): Kept {
    let kept = this.#channels.get(id);
    if (kept === undefined) {
      // What is not opened has nothing to lose here, and takes no room.
      if (bearable === 0n)
        throw new PaymentRefusedError(
          'PAYMENT_CHANNEL_EMPTY',
          `The channel "${id}" is not open on the chain, or all of it was asked back`,
        );
      this.#makeRoom();
      kept = {
        id,
        parties: offer.channel,
        voucher: { maxClaimableAmount: 0n, signature: '0x' },
        others: new Map(),
        receipts: new Map(),
        reserved: 0n,
        usedAtMs: 0,
      };
      this.#channels.set(id, kept);
    }
    kept.usedAtMs = Date.now();
    const { maxClaimableAmount, signature } = offer;
    if (maxClaimableAmount > kept.voucher.maxClaimableAmount) kept.voucher = { maxClaimableAmount, signature };
    for (const { signer, cumulative } of offer.totals) this.#raise(kept, signer, cumulative);
    for (const [signer, bare] of receipts) {
      this.#raise(kept, signer, bare.receipt.cumulativeFee);
      if (kept.others.has(signer)) kept.receipts.set(signer, bare);
    }
    return kept;
  }

  /** A client that says too much asks more of itself, so its word is taken. */
  #raise({ others }: Kept, signer: Address, cumulative: bigint): void {
    if (signer === this.#components.signer) return;
    const known = others.get(signer);
    if (known === undefined && others.size >= maxOthers) return;
    if (known === undefined || cumulative > known) others.set(signer, cumulative);
  }

  /** What all signers of the operator have earned in the channel, as far as is known here. */
  #owedIn({ id, others }: Kept, earnedOnChain: bigint): bigint {
    let sum = this.#components.book.cumulative(id);
    for (const cumulative of others.values()) sum += cumulative;
    return sum > earnedOnChain ? sum : earnedOnChain;
  }

  #standing({ id, voucher, others }: Kept, needed: bigint): PaymentStanding {
    const { book, signer } = this.#components;
    const totals: SignerCumulative[] = [...others].map(([other, cumulative]) => ({ signer: other, cumulative }));
    const own = book.cumulative(id);
    return {
      channel: id,
      needed,
      voucher: voucher.maxClaimableAmount === 0n ? null : voucher,
      totals: [...(own === 0n ? [] : [{ signer, cumulative: own }]), ...totals].slice(0, 32),
      receipt: book.last(id) ?? null,
    };
  }

  #makeRoom(): void {
    if (this.#channels.size < maxChannels) return;
    const { book } = this.#components;
    const idle = [...this.#channels.values()]
      .filter(({ id, reserved, receipts }) => reserved === 0n && receipts.size === 0 && book.cumulative(id) === 0n)
      .sort((left, right) => left.usedAtMs - right.usedAtMs);
    for (const { id } of idle.slice(0, maxChannels / 10)) this.#channels.delete(id);
    if (this.#channels.size >= maxChannels)
      throw new PaymentRefusedError('PAYMENT_NO_ROOM', `The worker has "${maxChannels}" channels open already`);
  }
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}
