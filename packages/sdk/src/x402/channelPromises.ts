import {
  type Bytes32,
  type ChannelOffer,
  type CloisterError,
  channelId,
  type PaymentsDomain,
  paymentOfferText,
  type SignedReceipt,
  zeroBytes32,
} from '@cloister/core';
import { randomBytes, toBase64Url } from '@cloister/crypto';
import type { CallResult } from '../callTypes.ts';
import type { CallPaymentMethod } from '../payments/callPaymentMethod.ts';
import type { CallPayments } from '../payments/callPayments.ts';
import { PaymentError } from '../payments/channelLedger.ts';
import type { Payer } from '../payments/payer.ts';
import { transferValiditySeconds } from '../payments/transfers.ts';
import type { Route } from '../route.ts';
import { parseVoucherPayload, type VoucherPayload } from './voucherPayload.ts';

/** What a call may cost by a way. */
export type PricedRoute = { readonly route: Route; readonly amount: bigint };

/** A call's price that was named to somebody, at one worker. */
export type Quote = PricedRoute & { readonly id: string };

type Kept = Quote & { readonly atMs: number; promised: ChannelOffer | undefined };

/** Quotes that are remembered. */
const maxQuotes = 1_024;
const maxAgeMs = transferValiditySeconds * 1_000;

/**
 * Vouchers that go through a client of x402: named here as a price, promised by the scheme, and taken back here with the request. Nothing is
 * promised for a price that this client did not name itself, so no server that it talks to otherwise gets a voucher.
 */
export class ChannelPromises {
  readonly #payments: CallPayments;
  readonly #payer: Payer;
  readonly #domain: PaymentsDomain;
  readonly #quotes = new Map<string, Kept>();
  readonly #recovered = new Set<string>();

  constructor(components: { readonly payments: CallPayments; readonly payer: Payer; readonly domain: PaymentsDomain }) {
    this.#payments = components.payments;
    this.#payer = components.payer;
    this.#domain = components.domain;
  }

  /** Names a price, the first of these that can be paid; undefined where none can. Throws ChainError. */
  async quote(priced: readonly PricedRoute[], signal: AbortSignal): Promise<Quote | undefined> {
    await this.#forgetOld();
    const id = toBase64Url(randomBytes(16));
    for (const { route, amount } of priced) {
      if ((await this.#payments.whyNot(route, id, amount, signal)) !== undefined) continue;
      const kept: Kept = { id, route, amount, atMs: Date.now(), promised: undefined };
      this.#quotes.set(id, kept);
      return kept;
    }
    return undefined;
  }

  /** Signs the voucher for a price that was named here. Throws PAYMENT_REQUIREMENTS_FOREIGN, and why it can't be paid any more. */
  async promise(
    id: string,
    signal: AbortSignal,
  ): Promise<ChannelOffer & { readonly id: Bytes32; readonly route: Route }> {
    const kept = this.#quotes.get(id);
    if (kept === undefined) throw foreign(id);
    const { route, amount } = kept;
    const refusal = await this.#payments.whyNot(route, id, amount, signal);
    if (refusal !== undefined) throw refusal;
    kept.promised = await this.#payer.offer(await this.#payments.payeeOf(route, signal), id, amount);
    return { ...kept.promised, id: channelId(this.#domain, kept.promised.channel), route };
  }

  /** Takes the voucher back out of a request, once. Throws PAYMENT_REQUIREMENTS_FOREIGN, SchemaError. */
  take(json: unknown): { readonly payment: CallPaymentMethod; readonly quote: Quote } {
    const payload = parseVoucherPayload(json);
    const kept = this.#quotes.get(payload.quote);
    if (kept?.promised === undefined || !isPromised(payload, kept.promised, this.#domain)) throw foreign(payload.quote);
    this.#quotes.delete(payload.quote);
    return { quote: kept, payment: new PromisedPayment(this.#payments, kept, payload.offer) };
  }

  /** A worker has refused the voucher and says what this key promised before: whether another try makes sense. */
  async recover(quote: Quote, refused: Pick<CallResult, 'worker' | 'gateway' | 'body'>): Promise<boolean> {
    if (!(await this.#payments.recover(refused))) return false;
    // For one more voucher on the same price.
    this.#quotes.set(quote.id, { ...quote, atMs: Date.now(), promised: undefined });
    this.#recovered.add(quote.id);
    return true;
  }

  /** Whether that happened since it was asked last. */
  takeRecovered(id: string): boolean {
    return this.#recovered.delete(id);
  }

  /** What was promised and never sent counts as lost: its voucher is out of our hands. */
  async #forgetOld(): Promise<void> {
    const oldest = Date.now() - maxAgeMs;
    for (const [id, { atMs, promised, route }] of this.#quotes) {
      if (atMs >= oldest && this.#quotes.size < maxQuotes) return;
      this.#quotes.delete(id);
      this.#recovered.delete(id);
      if (promised !== undefined) await this.#payments.lose(route, id);
    }
  }
}

/** Pays with a voucher that was promised before, for the worker that it was promised for. */
class PromisedPayment implements CallPaymentMethod {
  readonly transfer = undefined;
  readonly settlingMs = 0;
  readonly #payments: CallPayments;
  readonly #quote: Quote;
  readonly #offer: ChannelOffer;

  constructor(payments: CallPayments, quote: Quote, offer: ChannelOffer) {
    this.#payments = payments;
    this.#quote = quote;
    this.#offer = offer;
  }

  async whyNot({ worker }: Route): Promise<PaymentError | undefined> {
    const promised = this.#quote.route.worker;
    if (worker.receiptSigner === promised.receiptSigner) return undefined;
    return new PaymentError(
      'PAYMENT_OTHER_PAYEE',
      `The voucher was promised for worker "${promised.workerId}" as it was then; it has a new key, or another one is asked`,
    );
  }

  async offer(route: Route): Promise<string> {
    const refusal = await this.whyNot(route);
    if (refusal !== undefined) throw refusal;
    return paymentOfferText(this.#offer);
  }

  channelOf(): Promise<Bytes32> {
    return this.#payments.channelOf(this.#quote.route);
  }

  settle(_route: Route, _call: string, receipt: SignedReceipt): Promise<void> {
    return this.#payments.settle(this.#quote.route, this.#quote.id, receipt);
  }

  lose(): Promise<void> {
    return this.#payments.lose(this.#quote.route, this.#quote.id);
  }
}

function isPromised({ offer, channel }: VoucherPayload, promised: ChannelOffer, domain: PaymentsDomain): boolean {
  return (
    channel === channelId(domain, promised.channel) &&
    paymentOfferText(offer) === paymentOfferText(promised) &&
    channel !== zeroBytes32
  );
}

function foreign(id: string): CloisterError<'PAYMENT_REQUIREMENTS_FOREIGN'> {
  return new PaymentError(
    'PAYMENT_REQUIREMENTS_FOREIGN',
    `The price "${id.slice(0, 40)}" was not named by this client, was paid already, or is too old`,
    'Send the request without a payment first; this scheme pays calls of its own client alone',
  ) as CloisterError<'PAYMENT_REQUIREMENTS_FOREIGN'>;
}
