import type { ResponseHead } from './responseParser.ts';

export type UnixRequest = {
  readonly method: string;
  /** Printable ASCII without spaces. */
  readonly path: string;
  /** Names and values in turn, each fit for a header line; without a length, which is added. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  /** In place of `body`: sent as it comes, at the pace of the other end; left where the answer is over first. */
  readonly input?: AsyncIterable<Uint8Array>;
  /** Asks for a WebSocket, whose frames `input` and the answer's data then are. */
  readonly upgrade?: 'websocket';
};

export type ExchangeHandlers = {
  readonly head: (head: ResponseHead) => void;
  readonly data: (chunk: Uint8Array) => void;
  /** Called before the end where anything came after a chunked body. */
  readonly trailers?: (trailers: ResponseHead['headers']) => void;
  readonly end: () => void;
  /** The answer can't be had, or not whole. `sent` is false where the request certainly never left. */
  readonly failed: (error: Error, sent: boolean) => void;
};

/** A request in progress. After `abort` none of its handlers is called. */
export interface Exchange {
  pause(): void;
  resume(): void;
  abort(): void;
}
