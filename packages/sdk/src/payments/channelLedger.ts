import {
  type Address,
  type BareReceipt,
  type Bytes32,
  bareReceiptFromJson,
  bareReceiptToJson,
  type Channel,
  CloisterError,
  channelFromJson,
  type Json,
  maxOfferedReceipts,
  maxOfferedTotals,
  type PaymentStanding,
  type Receipt,
  type SignerCumulative,
  schema as z,
} from '@cloister/core';

/** What a voucher for one more call must say, and what the worker should learn with it. */
export type VoucherWish = {
  readonly maxClaimableAmount: bigint;
  readonly totals: readonly SignerCumulative[];
  readonly receipts: readonly BareReceipt[];
};

/** What a call may cost, and which totals of other signers were proven with it. */
type OpenCall = { readonly maxFee: bigint; readonly proven: readonly SignerCumulative[] };

type SignerAccount = {
  /** The fees of all receipts that are held, and what was agreed to otherwise. */
  accounted: bigint;
  /** The highest total that a receipt stated. */
  settled: bigint;
  last: BareReceipt | undefined;
  /** Calls under way. */
  readonly open: Map<string, OpenCall>;
  /** What calls may have cost that ended without a receipt. */
  lost: bigint;
  /** What of other signers' totals this one was shown, by their receipts. */
  readonly shown: Map<Address, bigint>;
};

const amount = z.uintString(128);
const ledgerJson = z.strictObject({
  channel: z.jsonObject,
  voucher: amount,
  signers: z
    .array(
      z.strictObject({
        signer: z.address,
        accounted: amount,
        settled: amount,
        unknown: amount,
        last: z.nullable(z.jsonObject),
      }),
    )
    .check(z.refineArray(0, 1_024)),
});

/**
 * What a client has promised and spent in one channel. It never promises more than the sum of what receipts state, what calls under way
 * may cost, and what calls may have cost whose receipts were lost; so a lying worker or gateway takes at most one call's highest fee.
 */
export class ChannelLedger {
  readonly id: Bytes32;
  readonly channel: Channel;
  #voucher: bigint;
  readonly #signers = new Map<Address, SignerAccount>();

  constructor(id: Bytes32, channel: Channel, voucher = 0n) {
    this.id = id;
    this.channel = channel;
    this.#voucher = voucher;
  }

  /** The highest voucher that was signed. */
  get promised(): bigint {
    return this.#voucher;
  }

  /** What receipts state. */
  get spent(): bigint {
    return sumOf(this.#signers.values(), agreedOf);
  }

  /** What calls may cost or have cost of which there is no receipt. */
  get unknown(): bigint {
    return sumOf(this.#signers.values(), unknownOf);
  }

  /** Of each signer the receipt with the highest total. */
  *lastReceipts(): Generator<readonly [Address, BareReceipt]> {
    for (const [signer, { last }] of this.#signers) if (last !== undefined) yield [signer, last];
  }

  /** What a voucher must come to with a further call; the call is not counted yet. */
  neededFor(signer: Address, call: string, maxFee: bigint): bigint {
    const counted = this.#signers.get(signer)?.open.get(call)?.maxFee ?? 0n;
    const needed = this.spent + this.unknown - counted + maxFee;
    return needed > this.#voucher ? needed : this.#voucher;
  }

  /** Counts a call that is about to be sent, once however often it is sent, and says what to offer for it. */
  begin(signer: Address, call: string, maxFee: bigint): VoucherWish {
    this.#voucher = this.neededFor(signer, call, maxFee);
    const account = this.#account(signer);
    const others = [...this.#signers].filter(([other, { settled }]) => other !== signer && settled > 0n);
    const totals = others
      .map(([other, { settled }]) => ({ signer: other, cumulative: settled }))
      .sort((left, right) => (left.cumulative < right.cumulative ? 1 : -1))
      .slice(0, maxOfferedTotals);
    const receipts: BareReceipt[] = [];
    const proven: SignerCumulative[] = [];
    for (const [other, { last, settled }] of others) {
      if (last === undefined || (account.shown.get(other) ?? 0n) >= settled) continue;
      proven.push({ signer: other, cumulative: settled });
      if (receipts.push(last) === maxOfferedReceipts) break;
    }
    account.open.set(call, { maxFee, proven });
    return { maxClaimableAmount: this.#voucher, totals, receipts };
  }

  /**
   * Counts a call's receipt. Throws PAYMENT_OVERCHARGED where it states more than all calls to this signer can have cost: the receipt is
   * evidence then, and nothing more is promised for it.
   */
  settle(signer: Address, call: string, bare: BareReceipt): void {
    const { receipt } = bare;
    const account = this.#account(signer);
    const opened = account.open.get(call);
    // An answer that was kept and comes twice is counted once.
    if (opened === undefined) return;
    const { maxFee, proven } = opened;
    account.open.delete(call);
    const most = account.accounted + unknownOf(account) + receipt.fee;
    if (receipt.fee > maxFee || receipt.cumulativeFee > most || receipt.cumulativeFee < receipt.fee) {
      account.lost += maxFee;
      throw overcharged(receipt, most, maxFee);
    }
    for (const { signer: other, cumulative } of proven) account.shown.set(other, cumulative);
    account.accounted += receipt.fee;
    if (receipt.cumulativeFee > account.settled) {
      account.settled = receipt.cumulativeFee;
      account.last = bare;
    }
    if (account.open.size === 0) {
      // Nothing is under way: the total says what lost calls have cost.
      if (account.settled > account.accounted) account.accounted = account.settled;
      account.lost = 0n;
    }
  }

  /** The call cost nothing: it was refused, or never sent. */
  release(signer: Address, call: string): void {
    this.#signers.get(signer)?.open.delete(call);
  }

  /** The call ended without a receipt, and may have cost all that it may. */
  lose(signer: Address, call: string): void {
    const account = this.#signers.get(signer);
    const opened = account?.open.get(call);
    if (account === undefined || opened === undefined) return;
    account.open.delete(call);
    account.lost += opened.maxFee;
  }

  /**
   * Takes over what a worker says of the channel, where this client has forgotten: no more than what its own key has promised. `promised`: the
   * amount of a voucher of the worker's that carries the key's signature. Answers whether anything was learnt.
   */
  adopt({ totals }: Pick<PaymentStanding, 'totals'>, promised: bigint): boolean {
    const sum = totals.reduce((all, { cumulative }) => all + cumulative, 0n);
    if (sum > promised) return false;
    let learnt = promised > this.#voucher;
    for (const { signer, cumulative } of totals) {
      const account = this.#account(signer);
      if (cumulative <= account.settled) continue;
      account.settled = cumulative;
      if (cumulative > account.accounted) account.accounted = cumulative;
      learnt = true;
    }
    if (promised > this.#voucher) this.#voucher = promised;
    return learnt;
  }

  toJson(): Json {
    return {
      channel: { ...this.channel },
      voucher: this.#voucher.toString(),
      signers: [...this.#signers].map(([signer, account]) => ({
        signer,
        accounted: account.accounted.toString(),
        settled: account.settled.toString(),
        unknown: unknownOf(account).toString(),
        last: account.last === undefined ? null : bareReceiptToJson(account.last),
      })),
    };
  }

  /** Reads what {@link toJson} wrote. What was under way then counts as lost. Throws SchemaError. */
  static fromJson(json: unknown, idOf: (channel: Channel) => Bytes32): ChannelLedger {
    const stored = z.parseWith(ledgerJson, json, 'channel ledger');
    const channel = channelFromJson(stored.channel);
    const ledger = new ChannelLedger(idOf(channel), channel, stored.voucher);
    for (const { signer, accounted, settled, unknown, last } of stored.signers) {
      const account = ledger.#account(signer);
      Object.assign(account, { accounted, settled, lost: unknown });
      account.last = last === null ? undefined : bareReceiptFromJson(last);
    }
    return ledger;
  }

  #account(signer: Address): SignerAccount {
    let account = this.#signers.get(signer);
    if (account === undefined) {
      account = { accounted: 0n, settled: 0n, last: undefined, open: new Map(), lost: 0n, shown: new Map() };
      this.#signers.set(signer, account);
    }
    return account;
  }
}

function agreedOf({ accounted, settled }: SignerAccount): bigint {
  return accounted > settled ? accounted : settled;
}

function unknownOf({ open, lost }: SignerAccount): bigint {
  return sumOf(open.values(), ({ maxFee }) => maxFee) + lost;
}

function sumOf<T>(items: Iterable<T>, of: (item: T) => bigint): bigint {
  let sum = 0n;
  for (const item of items) sum += of(item);
  return sum;
}

function overcharged({ fee, cumulativeFee }: Receipt, most: bigint, maxFee: bigint): PaymentError {
  return new PaymentError(
    'PAYMENT_OVERCHARGED',
    `The receipt states a fee of "${fee}" and "${cumulativeFee}" in all; this call may cost "${maxFee}", all calls to this signer "${most}"`,
    'Keep the receipt as evidence; nothing more is promised to this worker for it',
  );
}

export type PaymentErrorCode =
  | 'PAYMENT_OVERCHARGED'
  | 'PAYMENT_NO_PAYER'
  | 'PAYMENT_NO_FUNDS'
  | 'PAYMENT_NOT_ALLOWED'
  | 'PAYMENT_PRICE_TOO_LOW'
  | 'PAYMENT_LIMIT_REACHED'
  | 'PAYMENT_OTHER_PAYER'
  | 'PAYMENT_OTHER_PAYEE'
  | 'PAYMENT_REQUIREMENTS_FOREIGN'
  | 'PAYMENT_NO_OPERATORS'
  | 'PAYMENT_AMOUNT_INVALID'
  | 'PAYMENT_STATE_MALFORMED';

export class PaymentError extends CloisterError<PaymentErrorCode> {
  override readonly name = 'PaymentError';
  constructor(code: PaymentErrorCode, message: string, hint?: string, cause?: unknown) {
    super({ code, message, hint, cause });
  }
}
