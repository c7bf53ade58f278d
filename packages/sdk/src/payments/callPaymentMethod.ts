import type { Bytes32, SignedReceipt, TransferAuthorization } from '@cloister/core';
import type { Route } from '../route.ts';
import type { PaymentError } from './channelLedger.ts';

/** How a call is paid. Amounts in PHA's smallest unit; `call` is the call's id. */
export type CallPaymentMethod = {
  /** Why a call that may cost so much can't be paid for on this way; undefined where it can. Throws ChainError. */
  whyNot(route: Route, call: string, maxFee: bigint, signal: AbortSignal): Promise<PaymentError | undefined>;
  /** The offer for the call's header; asked again for each attempt. */
  offer(route: Route, call: string, maxFee: bigint): Promise<string>;
  /** The channel that a way's calls are paid from; undefined where no channel pays. */
  channelOf(route: Route): Promise<Bytes32 | undefined>;
  /** The receipt of a call came, and was verified. */
  settle(route: Route, call: string, receipt: SignedReceipt): Promise<void>;
  /** A call ended without a receipt. */
  lose(route: Route, call: string): Promise<void>;
  /** The transfer that was offered; undefined before, and where a channel pays. */
  readonly transfer: TransferAuthorization | undefined;
  /** What the payment adds to the time that a call takes. */
  readonly settlingMs: number;
};
