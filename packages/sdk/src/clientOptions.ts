import type { NetworkFile } from '@cloister/core';
import type { ReceiptWatch } from './equivocation/receiptWatch.ts';
import type { PayerInit } from './payments/payer.ts';

export type ClientOptions = {
  /** The network to trust: a parsed or unparsed network file, chosen by you and never fetched from a gateway. */
  readonly network: NetworkFile | Uint8Array | object;
  /** Replaces the network file's RPC URLs, for a node of your own. */
  readonly rpcs?: readonly string[];
  /** Replaces the network file's gateways. */
  readonly gateways?: readonly string[];
  readonly fetch?: typeof globalThis.fetch;
  /** For sessions, where the runtime has no WebSocket of its own: Node.js before 22. */
  readonly webSocket?: typeof WebSocket;
  /** Pays for calls of apps with a price, by vouchers of a key of its own. */
  readonly payer?: PayerInit;
  /**
   * Remembers receipts, so that a worker which signs two different ones for one place is noticed: calls then throw RECEIPT_EQUIVOCATION.
   * Clients may share one; with a store it outlives the process. Default: a new one, in memory.
   */
  readonly receipts?: ReceiptWatch;
  /**
   * The time of day in ms, by which a chain is judged to be up to date and a round's statement to be of now. Where this machine's clock
   * may be wrong, give one that is as right as what you rest on it. @default Date.now
   */
  readonly clockMs?: () => number;
};
