import {
  type Bytes32,
  type PaymentStanding,
  parsePaymentStanding,
  paymentOfferText,
  type SignedReceipt,
} from '@cloister/core';
import type { CallResult } from '../callTypes.ts';
import type { Gateways } from '../gateways.ts';
import type { Route } from '../route.ts';
import type { CallPaymentMethod } from './callPaymentMethod.ts';
import type { PaymentError } from './channelLedger.ts';
import type { Payee, Payer } from './payer.ts';

/** Pays for calls from channels: what a call needs of a payer, by the way that it takes. */
export class CallPayments implements CallPaymentMethod {
  readonly transfer = undefined;
  readonly settlingMs = 0;
  readonly #payer: Payer;
  readonly #gateways: Pick<Gateways, 'payTo'>;

  constructor(components: { readonly payer: Payer; readonly gateways: Pick<Gateways, 'payTo'> }) {
    this.#payer = components.payer;
    this.#gateways = components.gateways;
  }

  /** Whom a way's calls pay. */
  async payeeOf({ gateway, worker }: Route, signal?: AbortSignal): Promise<Payee> {
    const { operator, receiptSigner: signer } = worker;
    return { operator, signer, gateway: await this.#gateways.payTo(gateway, signal) };
  }

  async whyNot(route: Route, call: string, maxFee: bigint, signal: AbortSignal): Promise<PaymentError | undefined> {
    return this.#payer.whyNot(await this.payeeOf(route, signal), call, maxFee, signal);
  }

  async offer(route: Route, call: string, maxFee: bigint): Promise<string> {
    return paymentOfferText(await this.#payer.offer(await this.payeeOf(route), call, maxFee));
  }

  /** The id of the channel that a way's calls are paid from. */
  async channelOf(route: Route): Promise<Bytes32> {
    return this.#payer.channelFor(await this.payeeOf(route)).id;
  }

  async settle(route: Route, call: string, receipt: SignedReceipt): Promise<void> {
    return this.#payer.settle(await this.payeeOf(route), call, receipt);
  }

  async lose(route: Route, call: string): Promise<void> {
    return this.#payer.lose(await this.payeeOf(route), call);
  }

  /** Learns from a worker's refusal what this key promised before; whether the call may be tried anew. */
  async recover({ worker, gateway, body }: Pick<CallResult, 'worker' | 'gateway' | 'body'>): Promise<boolean> {
    const standing = standingIn(body);
    return standing !== undefined && this.#payer.recover(await this.payeeOf({ gateway, worker }), standing);
  }
}

/** What a worker's refusal says of the channel; undefined where it says nothing that can be read. */
function standingIn(body: Uint8Array): PaymentStanding | undefined {
  try {
    const { payment } = JSON.parse(new TextDecoder().decode(body)) as { payment?: unknown };
    return payment === undefined ? undefined : parsePaymentStanding(payment);
  } catch {
    return undefined;
  }
}
