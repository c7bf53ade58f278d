import type { ChainView, PaymentsReader } from '@cloister/chain';
import { type Bytes32, highestFeeOf, isFree, type NetworkFile } from '@cloister/core';
import type { ServingApp } from './apps.ts';
import type { Call } from './call.ts';
import type { CallOptions, CallRequest } from './callTypes.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { CallPayments } from './payments/callPayments.ts';
import { PaymentError } from './payments/channelLedger.ts';
import type { Payer } from './payments/payer.ts';
import { TransferPayment, Transfers } from './payments/transfers.ts';
import type { RouteFinder } from './routeFinder.ts';
import {
  createExchange,
  createSealedFetch,
  type Exchange,
  type RequestPaywall,
  type SealedFetchComponents,
} from './sealedFetch.ts';
import { ChannelPromises } from './x402/channelPromises.ts';
import { ChannelScheme } from './x402/channelScheme.ts';
import { Paywall } from './x402/paywall.ts';

export type AppFetchComponents = {
  readonly network: NetworkFile;
  readonly view: ChainView;
  readonly reader: PaymentsReader;
  readonly routes: RouteFinder;
  /** Of this client; undefined where it has no payer. */
  readonly paying: { readonly payer: Payer; readonly payments: CallPayments } | undefined;
  readonly servingApp: (app: Bytes32, signal: AbortSignal | undefined) => Promise<ServingApp>;
  readonly newCall: (
    app: Bytes32,
    request: CallRequest,
    options: CallOptions,
    payments: CallPaymentMethod | undefined,
  ) => Promise<Call>;
};

type FetchOptions = Omit<CallOptions, 'signal'>;

/** HTTP in front of calls: what stands behind `fetchFor`, and who pays for its requests. */
export class AppFetch {
  readonly #components: AppFetchComponents;
  readonly #transfers: Transfers;
  readonly #channels: { readonly promises: ChannelPromises; readonly scheme: ChannelScheme } | undefined;
  readonly #paywall: Paywall;

  constructor(components: AppFetchComponents) {
    this.#components = components;
    const { network, view, reader, routes, paying } = components;
    const domain = { chainId: network.chainId, payments: network.contracts.payments };
    this.#transfers = new Transfers({ network, view });
    const promises = paying && new ChannelPromises({ ...paying, domain });
    this.#channels = promises && { promises, scheme: new ChannelScheme({ network, promises, reader }) };
    this.#paywall = new Paywall({
      network,
      transfers: this.#transfers,
      channels: this.#channels,
      routes: (app, only, signal) => routes.routes(app, { refresh: false, only }, signal),
    });
  }

  fetchFor(app: Bytes32, options: FetchOptions): typeof globalThis.fetch {
    return createSealedFetch(this.#sealed(app, options));
  }

  exchangeFor(app: Bytes32, options: FetchOptions): (request: Request) => Promise<Exchange> {
    return createExchange(this.#sealed(app, options));
  }

  /** Throws PAYMENT_NO_PAYER. */
  channelScheme(): ChannelScheme {
    if (this.#channels !== undefined) return this.#channels.scheme;
    throw new PaymentError(
      'PAYMENT_NO_PAYER',
      'This client has no key to sign vouchers with',
      'Give createClient a payer: { payer: ADDRESS }',
    );
  }

  /** How a call with these options is paid; undefined where this client can't. */
  paymentFor({ exact, signal }: Pick<CallOptions, 'exact' | 'signal'>): CallPaymentMethod | undefined {
    if (exact === undefined) return this.#components.paying?.payments;
    return new TransferPayment((to, value) => this.#transfers.authorize(exact, to, value, signal));
  }

  #sealed(app: Bytes32, options: FetchOptions): SealedFetchComponents {
    const { newCall, servingApp } = this.#components;
    return {
      newCall: async (request, paidBy) => {
        if (paidBy === undefined) return newCall(app, request, options, this.paymentFor(options));
        const { manifest } = await servingApp(app, undefined);
        // Its payment says what it may cost.
        const paid = { ...options, worker: paidBy.worker, maxFee: highestFeeOf(manifest) };
        return newCall(app, request, paid, paidBy.payment);
      },
      paywall: (signal) => this.#paywallFor(app, options, signal),
    };
  }

  /** Undefined where a request of the app costs nothing, or this client pays for it. */
  async #paywallFor(app: Bytes32, options: FetchOptions, signal: AbortSignal): Promise<RequestPaywall | undefined> {
    const { maxFee = 0n, worker: only } = options;
    const serving = await this.#components.servingApp(app, signal);
    if (isFree(serving.manifest)) return undefined;
    if (maxFee > 0n && this.paymentFor(options) !== undefined) return undefined;
    return {
      admit: (header) => this.#paywall.admit(header),
      unpaid: (url, reason, inner) => this.#paywall.unpaid(serving, { url, only, signal: inner }, reason),
      recover: (admitted, { body, route }) => this.#paywall.recover(admitted, { ...route, body }),
    };
  }
}
