import { ChunkQueue } from './chunkQueue.ts';
import { FrameError } from './frame.ts';
import { initialCreditBytes, maxCreditBytes } from './limits.ts';
import { StreamError } from './streamError.ts';

/** What the receiving half needs from its stream. */
export type InboundHost = {
  /** Bytes of buffer above the initial credits that no stream holds. */
  lendableBytes(): number;
  /** This stream's buffer above its initial credit grew by so many bytes, or shrank. */
  changeLoan(bytes: number): void;
  sendCredit(bytes: number): void;
  /** All that came has been taken, and the end is known. */
  onDrained(): void;
};

type Result = IteratorResult<Uint8Array, undefined>;
type Reader = { readonly resolve: (result: Result) => void; readonly reject: (error: StreamError) => void };

const grantStepBytes = 32_768;
const doneResult: Result = { done: true, value: undefined };

/**
 * The receiving half of a stream. What the peer may still send, what waits here and what the reader holds never come to
 * more than the window; the reader's asking for more is what gives credit back.
 */
export class Inbound {
  readonly #streamId: number;
  readonly #host: InboundHost;
  readonly #queue = new ChunkQueue();
  #peerCredit = initialCreditBytes;
  /** Credit of the peer + bytes queued + bytes in the reader's hand. */
  #reserved = initialCreditBytes;
  #inHand = 0;
  #discarding = false;
  #closed = false;
  #error: StreamError | undefined;
  #reader: Reader | undefined;
  receivedBytes = 0;
  ended = false;

  constructor(streamId: number, host: InboundHost) {
    this.#streamId = streamId;
    this.#host = host;
  }

  /** The peer's end is here and nothing waits for the reader. */
  get drained(): boolean {
    return this.ended && this.#queue.bytes === 0;
  }

  /** What the peer may still send. */
  get peerCredit(): number {
    return this.#peerCredit;
  }

  receive(payload: Uint8Array, ends: boolean): void {
    const streamId = this.#streamId;
    if (this.ended)
      throw new FrameError('DATA_AFTER_END', `Got data on stream "${streamId}" after its end`, { streamId });
    if (payload.length > this.#peerCredit)
      throw new FrameError(
        'CREDIT_OVERRUN',
        `Got "${payload.length}" bytes on stream "${streamId}" with a credit of ${this.#peerCredit}`,
        { streamId },
      );
    this.#peerCredit -= payload.length;
    this.receivedBytes += payload.length;
    if (ends) {
      this.ended = true;
      this.#setReserved(this.#reserved - this.#peerCredit);
      this.#peerCredit = 0;
    }
    if (payload.length > 0) this.#deliver(payload);
    if (ends) this.#takeReader()?.resolve(doneResult);
  }

  next(): Promise<Result> {
    this.#consume();
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#inHand = chunk.length;
      if (this.drained) this.#host.onDrained();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.ended || this.#discarding) return Promise.resolve(doneResult);
    if (this.#reader !== undefined)
      return Promise.reject(new StreamError('STREAM_TWO_READERS', this.#streamId, 'The stream already has a reader'));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** Drops what waits and what will still come. No more credit is given. */
  discard(): void {
    if (this.#discarding || this.#closed) return;
    this.#discarding = true;
    this.#inHand = 0;
    this.#queue.clear();
    this.#setReserved(this.#peerCredit);
    if (this.drained) this.#host.onDrained();
  }

  /** Ends this half with an error, unless all was read already. */
  fail(error: StreamError): void {
    if (this.drained) return;
    this.#error = error;
    this.#queue.clear();
    this.#takeReader()?.reject(error);
  }

  /** Gives back everything that it holds. */
  close(): void {
    this.#closed = true;
    this.#inHand = 0;
    this.#setReserved(0);
  }

  #deliver(chunk: Uint8Array): void {
    const reader = this.#takeReader();
    if (this.#discarding) this.#setReserved(this.#reserved - chunk.length);
    else if (reader === undefined) this.#queue.push(chunk);
    else {
      this.#inHand = chunk.length;
      reader.resolve({ done: false, value: chunk });
    }
  }

  /** The reader is through with the chunk in its hand. */
  #consume(): void {
    if (this.#inHand > 0) {
      this.#setReserved(this.#reserved - this.#inHand);
      this.#inHand = 0;
    }
    // A short body never needs more than the initial credit, so it costs no credit frame.
    if (this.#closed || this.ended || this.#discarding || this.receivedBytes <= grantStepBytes) return;
    const free = Math.max(0, initialCreditBytes - this.#reserved);
    const grant = Math.min(maxCreditBytes - this.#reserved, free + this.#host.lendableBytes());
    if (grant < grantStepBytes) return;
    this.#setReserved(this.#reserved + grant);
    this.#peerCredit += grant;
    this.#host.sendCredit(grant);
  }

  #setReserved(bytes: number): void {
    const loan = Math.max(0, bytes - initialCreditBytes) - Math.max(0, this.#reserved - initialCreditBytes);
    this.#reserved = bytes;
    if (loan !== 0) this.#host.changeLoan(loan);
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}
