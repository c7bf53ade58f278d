import {
  agreedPrice,
  type Bytes32,
  CloisterError,
  highestFeeOf,
  isFree,
  type PaymentOffer,
  type Price,
  type PricedManifest,
  parsePaymentOffer,
} from '@cloister/core';
import type { ExactDesk, SettledTransfer } from './exactDesk.ts';
import type { PaymentDesk, Reservation } from './paymentDesk.ts';
import { PaymentRefusedError } from './paymentRefused.ts';

/** What pays for a call: a promise that the call's fee is taken from, or a transfer that was made already. */
export type Payment =
  | { readonly scheme: 'channel'; readonly reservation: Reservation; readonly price: Price }
  | { readonly scheme: 'exact'; readonly settled: SettledTransfer };

/** What a call says of its payment. */
export type PayingCall = {
  /** The offer's text. */
  readonly voucher?: string | undefined;
  readonly maxFee: bigint;
  /** The name of its kept answer. */
  readonly id: Bytes32;
};

export type CashierComponents = {
  readonly channels: Pick<PaymentDesk, 'reserve'>;
  /** Undefined: the operator takes no `exact`. */
  readonly exact: Pick<ExactDesk, 'settle'> | undefined;
  /** What this worker asks; undefined: what manifests say. */
  readonly prices: Price | undefined;
};

/** Has calls paid for before they run, each in the way that it offers. */
export class Cashier {
  readonly #components: CashierComponents;

  constructor(components: CashierComponents) {
    this.#components = components;
  }

  /** Undefined for an app that is free here. Throws PaymentRefusedError, ChainError. */
  async take(manifest: PricedManifest, call: PayingCall, signal: AbortSignal): Promise<Payment | undefined> {
    if (isFree(manifest)) return undefined;
    const { channels, exact, prices } = this.#components;
    const price = agreedPrice(manifest, prices);
    if (price === undefined)
      throw new PaymentRefusedError('PAYMENT_PRICE_TOO_LOW', 'This worker asks for more than the manifest allows');
    const highest = highestFeeOf(manifest, price);
    if (highest === 0n) return undefined;
    const offer = offerOf(call.voucher, highest);
    if (offer.scheme === 'exact') {
      if (exact === undefined)
        throw new PaymentRefusedError(
          'PAYMENT_EXACT_OFF',
          'The operator of this worker takes no single transfers; the authorization was not touched: pay from a channel',
        );
      return { scheme: 'exact', settled: await exact.settle(offer, highest, call.id, signal) };
    }
    if (call.maxFee < highest)
      throw new PaymentRefusedError(
        'PAYMENT_MAX_FEE_TOO_LOW',
        `A call of this app costs up to "${highest}", the client allows "${call.maxFee}"`,
      );
    return { scheme: 'channel', reservation: await channels.reserve(offer, highest, signal), price };
  }
}

function offerOf(text: string | undefined, highest: bigint): PaymentOffer {
  if (text === undefined)
    throw new PaymentRefusedError('PAYMENT_MISSING', `The call costs up to "${highest}" and carries no payment`);
  try {
    return parsePaymentOffer(text);
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    throw new PaymentRefusedError('PAYMENT_OFFER_MALFORMED', `The payment offer can't be read: ${error.message}`);
  }
}
