import {
  type Address,
  type Bytes32,
  CloisterError,
  isHexOf,
  type NetworkFile,
  parseX402Header,
  type SignedTransfer,
  type X402Settlement,
  x402Headers,
  x402HeaderText,
  x402Network,
  schema as z,
} from '@cloister/core';
import type { ServingApp } from '../apps.ts';
import { CallError } from '../callError.ts';
import type { CallResult } from '../callTypes.ts';
import { highestFeeAt } from '../payableRoutes.ts';
import type { CallPaymentMethod } from '../payments/callPaymentMethod.ts';
import { TransferPayment, type Transfers, transferValiditySeconds } from '../payments/transfers.ts';
import type { Route, Routes } from '../route.ts';
import type { ChannelPromises, PricedRoute, Quote } from './channelPromises.ts';
import type { ChannelScheme } from './channelScheme.ts';
import type { PaymentRequired, PaymentRequirements } from './x402Types.ts';

export type PaywallComponents = {
  readonly network: NetworkFile;
  readonly transfers: Transfers;
  /** Undefined where the client has no payer. */
  readonly channels: { readonly promises: ChannelPromises; readonly scheme: ChannelScheme } | undefined;
  readonly routes: (app: ServingApp, only: Bytes32 | undefined, signal: AbortSignal) => Promise<Routes>;
};

/** A request's payment, read out of its header. */
export type Admitted = {
  readonly payment: CallPaymentMethod;
  /** The only worker that it is for. */
  readonly worker: Bytes32;
  /** The price that a voucher answers; undefined for a transfer. */
  readonly quote: Quote | undefined;
  /** What PAYMENT-RESPONSE says where the worker's own answer does not. */
  readonly settlement: X402Settlement | undefined;
};

const word = z.uintString(256);
const transferJson = z.strictObject({
  authorization: z.strictObject({
    from: z.address,
    to: z.address,
    value: word,
    validAfter: word,
    validBefore: word,
    nonce: z.bytes32,
  }),
  signature: z.hexOf(65),
});

/** Answers requests without payment by x402's 402, in the process of the client: nothing is sent before a request is paid. */
export class Paywall {
  readonly #components: PaywallComponents;

  constructor(components: PaywallComponents) {
    this.#components = components;
  }

  /** Reads a PAYMENT-SIGNATURE. Throws X402_HEADER_MALFORMED, X402_PAYMENT_REFUSED, SchemaError, PAYMENT_REQUIREMENTS_FOREIGN. */
  admit(header: string): Admitted {
    const { network, channels } = this.#components;
    const json = parseX402Header(header, 'PAYMENT-SIGNATURE') as {
      x402Version?: unknown;
      accepted?: { scheme?: unknown; network?: unknown; asset?: unknown; extra?: { worker?: unknown } };
      payload?: unknown;
    } | null;
    if (json?.x402Version !== 2) throw refused('it is not of version 2 of x402');
    const { accepted, payload } = json;
    if (accepted?.network !== x402Network(network.chainId) || lower(accepted.asset) !== network.contracts.phaToken)
      throw refused('it pays in another token, or on another chain');
    if (accepted.scheme === 'batch-settlement') {
      if (channels === undefined) throw refused('it is a voucher, and this client has no payer');
      const { payment, quote } = channels.promises.take(payload);
      const settlement: X402Settlement = {
        success: true,
        transaction: '',
        network: x402Network(network.chainId),
        payer: payerOf(payload),
      };
      return { payment, quote, settlement, worker: quote.route.worker.workerId };
    }
    if (accepted.scheme !== 'exact') throw refused('its scheme is neither "exact" nor "batch-settlement"');
    const worker = accepted.extra?.worker;
    if (!isHexOf(worker, 32)) throw refused('it names no worker');
    const transfer = z.parseWith(transferJson, lowered(payload), 'x402 exact payment') as SignedTransfer;
    return { payment: new TransferPayment(transfer), worker, quote: undefined, settlement: undefined };
  }

  /** The 402 that says what a call costs. Throws CALL_NO_WORKER, GatewayError, ChainError. */
  async unpaid(
    app: ServingApp,
    request: { readonly url: string; readonly only: Bytes32 | undefined; readonly signal: AbortSignal },
    reason: string,
  ): Promise<Response> {
    const { routes, channels } = this.#components;
    const { url, only, signal } = request;
    const { usable, unusable } = await routes(app, only, signal);
    const priced = usable.flatMap((route): PricedRoute[] => {
      const amount = highestFeeAt(app, route);
      return amount === undefined ? [] : [{ route, amount }];
    });
    const [first] = priced;
    if (first === undefined)
      throw new CallError('CALL_NO_WORKER', `No worker may be used: ${unusable.slice(0, 3).join('; ')}`, true);
    const quote = await channels?.promises.quote(priced, signal);
    const { route, amount } = quote ?? first;
    const accepts = [
      ...(quote === undefined || channels === undefined ? [] : [await this.#voucher(quote, channels.scheme, signal)]),
      await this.#exact(route, amount, signal),
    ];
    const required: PaymentRequired = {
      x402Version: 2,
      error: reason,
      resource: { url, description: `A call of "${app.manifest.name}"` },
      accepts,
    };
    return Response.json(required, {
      status: 402,
      headers: { [x402Headers.required]: x402HeaderText(required), 'cache-control': 'no-store' },
    });
  }

  async #exact({ worker }: Route, amount: bigint, signal: AbortSignal): Promise<PaymentRequirements> {
    const { name, version } = await this.#components.transfers.domain(signal);
    return {
      ...this.#common(worker.operator, amount),
      scheme: 'exact',
      extra: { name, version, assetTransferMethod: 'eip3009', worker: worker.workerId },
    };
  }

  async #voucher(
    { id, route, amount }: Quote,
    scheme: ChannelScheme,
    signal: AbortSignal,
  ): Promise<PaymentRequirements> {
    const { operator, receiptSigner, workerId } = route.worker;
    return {
      ...this.#common(operator, amount),
      scheme: scheme.scheme,
      extra: {
        name: 'x402 Batch Settlement',
        version: '1',
        verifyingContract: this.#components.network.contracts.payments,
        receiverAuthorizer: receiptSigner,
        withdrawDelay: Number(await scheme.withdrawDelay(signal)),
        worker: workerId,
        quote: id,
      },
    };
  }

  #common(payTo: Address, amount: bigint) {
    const { chainId, contracts } = this.#components.network;
    return {
      network: x402Network(chainId) as PaymentRequirements['network'],
      asset: contracts.phaToken,
      amount: amount.toString(),
      payTo,
      maxTimeoutSeconds: transferValiditySeconds,
    };
  }

  /** What a worker's refusal of a payment teaches. */
  async recover({ quote }: Admitted, refusal: Pick<CallResult, 'worker' | 'gateway' | 'body'>): Promise<void> {
    if (quote !== undefined) await this.#components.channels?.promises.recover(quote, refusal);
  }
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

/** Addresses come with checksums. */
function lowered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return lower(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, lowered(inner)]));
}

function payerOf(payload: unknown): Address {
  return (payload as { channelConfig: { payer: Address } }).channelConfig.payer;
}

function refused(why: string): X402PaymentError {
  return new X402PaymentError(`The payment is refused: ${why}`);
}

export class X402PaymentError extends CloisterError<'X402_PAYMENT_REFUSED'> {
  override readonly name = 'X402PaymentError';
  constructor(message: string) {
    super({
      code: 'X402_PAYMENT_REFUSED',
      message,
      hint: 'Send the request without a payment first: the 402 says what is taken',
    });
  }
}
