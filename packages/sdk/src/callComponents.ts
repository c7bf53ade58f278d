import type { RequestSealer } from '@cloister/channel/client';
import type { ServingApp } from './apps.ts';
import type { ReceiptWatch } from './equivocation/receiptWatch.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { Route, Routes } from './route.ts';

/** What a call needs of its client. */
export type CallComponents = {
  readonly chainId: number;
  readonly registry: `0x${string}`;
  readonly fetch: typeof globalThis.fetch;
  /** For sessions; undefined where the runtime has none. */
  readonly webSocket: typeof WebSocket | undefined;
  /** One for all calls of a client, so that each call prepares the next one's keys. */
  readonly sealer: RequestSealer;
  /** Pays for calls; undefined where the client can't. */
  readonly payments: CallPaymentMethod | undefined;
  /** Compares each receipt with those that came before. */
  readonly receipts: Pick<ReceiptWatch, 'see'>;
  /** Routes to try, best first, each worker verified. Called again with `refresh` when a key was refused. */
  routes(app: ServingApp, refresh: boolean, signal: AbortSignal): Promise<Routes>;
  /** Told where a worker is said to take its key no more: no later call begins with it. */
  doubt(route: Route): void;
};
