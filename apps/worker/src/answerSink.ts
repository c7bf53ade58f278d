import type { Bytes32, Json, ReceiptStatus } from '@cloister/core';
import type { Reservation } from './payments/paymentDesk.ts';

/** Where the parts of an answer go as they come. */
export type AnswerSink = {
  head(status: number, headers: readonly (readonly [string, string])[]): Promise<void>;
  body(bytes: Uint8Array): Promise<void>;
};

/** How the work behind an answer ended. */
export type Ended = {
  readonly status: ReceiptStatus;
  readonly manifest: Bytes32;
  readonly keyVersion: bigint;
  readonly details: { [key: string]: Json };
  /** What a channel pays for it; undefined for what is free. */
  readonly charge?: Charge | undefined;
};

export type Charge = { readonly reservation: Reservation; readonly fee: bigint };
