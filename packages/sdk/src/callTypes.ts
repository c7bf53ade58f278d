import type { AppCall, Bytes32, ReceiptStatus, SignedReceipt } from '@cloister/core';
import type { ServingApp } from './apps.ts';
import type { TransferSigner } from './payments/transfers.ts';
import type { Route } from './route.ts';
import type { ProofStep } from './steps.ts';
import type { CallPayment, SealedAttempt, VerifiedReceipt } from './verifyReceipt.ts';
import type { VerifiedWorker } from './verifyWorker.ts';

/** A request to an app, as its handler shall see it. */
export type CallRequest = {
  readonly method?: string;
  /** Path and query, beginning with "/". Default "/". */
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /**
   * A stream is sent as it comes, at the pace of the app, which may answer before its end. Once a part of it was taken, the call is not
   * repeated: what breaks then is CALL_BODY_CONSUMED. Only where the worker's key has changed it goes to the new one, unless more than
   * 8 MiB were taken: CALL_KEY_REFUSED. Where the runtime can't stream requests, it is read first, up to 8 MiB.
   */
  readonly body?: Uint8Array | ReadableStream<Uint8Array>;
};

/** What begins a WebSocket session: `body` is the caller's frames (core's socketFrames). */
export type SessionRequest = CallRequest & { readonly body: ReadableStream<Uint8Array>; readonly follows: 'socket' };

/** A request as it was sent; `body` is empty where it was streamed. */
export type SentRequest = Required<Omit<CallRequest, 'body'>> & { readonly body: Uint8Array };

/**
 * Vouches for the app that calls: a signed statement as text (`signedAppCallText` of core) about one attempt of a call, for the worker that
 * it goes to. Only a registered worker's is believed.
 */
export type CallerWitness = (about: Pick<AppCall, 'callee' | 'receiver' | 'call' | 'request'>) => Promise<string>;

export type CallOptions = {
  /** 32 bytes that the receipt repeats: for contracts, `contextHash`. */
  readonly context?: Bytes32;
  /** The only manifest that is accepted; default: the one that the app serves. */
  readonly manifest?: Bytes32;
  /** The app may safely run twice: after a lost connection another worker may be asked. */
  readonly idempotent?: boolean;
  /** The only worker that is asked. */
  readonly worker?: Bytes32;
  /**
   * The most that the call may cost, in the token's smallest unit. Default 0: free calls only. Of an app with a price it must allow what a
   * call costs at its limits (`client.quote`), or at those of a worker that asks for less.
   */
  readonly maxFee?: bigint;
  /**
   * Pays by one transfer before the call runs, x402's `exact`, in place of the client's payer: for a first contact, without a deposit.
   * The sum is what the call may cost at most, whatever it takes, and no receipt guards it. `maxFee` must allow it all the same.
   */
  readonly exact?: TransferSigner;
  /** The longest body that is read, in bytes; a longer one is an error. Default: what the app's manifest allows. */
  readonly maxAnswerBytes?: number;
  /** Default: the app's own wall limit and 20 s, and a minute more where a transfer is settled first. */
  readonly timeoutMs?: number;
  /** Where an app calls: the worker's word for which one. */
  readonly caller?: CallerWitness;
  readonly signal?: AbortSignal;
};

/** An answer, its receipt verified against everything that was sent. */
export type CallResult = {
  /** Whether the receipt's status is "ok". */
  readonly ok: boolean;
  /** How the call ended by the receipt. */
  readonly outcome: ReceiptStatus;
  /** HTTP status, headers and body of the app's answer. */
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly receipt: SignedReceipt;
  readonly attempt: SealedAttempt;
  readonly worker: VerifiedWorker;
  readonly app: ServingApp;
  readonly gateway: string;
  readonly payment: CallPayment;
  readonly request: SentRequest;
  /** All that was checked, from the worker's evidence to the receipt. */
  readonly steps: readonly ProofStep[];
};

/** Parts of an answer as they arrive; the last carries the verified receipt. */
export type AnswerEvent =
  | { readonly type: 'head'; readonly status: number; readonly headers: readonly (readonly [string, string])[] }
  | { readonly type: 'body'; readonly bytes: Uint8Array }
  | {
      readonly type: 'done';
      readonly receipt: SignedReceipt;
      readonly verified: VerifiedReceipt;
      readonly route: Route;
    };
