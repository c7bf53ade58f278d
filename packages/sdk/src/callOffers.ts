import type { Address, Bytes32, SignedReceipt, TransferAuthorization } from '@cloister/core';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { Route } from './route.ts';

/** What one call has offered to workers whose receipts have not come. */
export class CallOffers {
  readonly #payments: CallPaymentMethod | undefined;
  readonly #callId: string;
  readonly #open = new Map<Address, Route>();

  constructor(payments: CallPaymentMethod | undefined, callId: string) {
    this.#payments = payments;
    this.#callId = callId;
  }

  /** The offer for the call's header, of so much at the most; undefined where nothing is to be paid. */
  async make(route: Route, highest: bigint | undefined): Promise<string | undefined> {
    if (highest === undefined || highest === 0n || this.#payments === undefined) return undefined;
    this.#open.set(route.worker.receiptSigner, route);
    return this.#payments.offer(route, this.#callId, highest);
  }

  /** By what the worker's receipt has to say that it is paid. */
  async meansOf(route: Route): Promise<{
    readonly channel: Bytes32 | undefined;
    readonly transfer: TransferAuthorization | undefined;
  }> {
    const payments = this.#open.has(route.worker.receiptSigner) ? this.#payments : undefined;
    return { channel: await payments?.channelOf(route), transfer: payments?.transfer };
  }

  /** The worker's receipt came, and was verified. */
  async settle(route: Route, receipt: SignedReceipt): Promise<void> {
    if (this.#open.delete(route.worker.receiptSigner)) await this.#payments?.settle(route, this.#callId, receipt);
  }

  /** The call is over: of what has no receipt, the worst is assumed. */
  async lose(): Promise<void> {
    for (const route of this.#open.values()) await this.#payments?.lose(route, this.#callId);
    this.#open.clear();
  }
}
