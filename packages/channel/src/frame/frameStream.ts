import { encodeCredit, encodeReset, FrameError, type FrameType, type ResetCode } from './frame.ts';
import { Inbound } from './inbound.ts';
import type { FrameTimers } from './limits.ts';
import { Outbound } from './outbound.ts';
import { StreamError } from './streamError.ts';

/** One stream of a connection: two independent directions of bytes, each with its own credit. */
export type FrameStream = {
  readonly id: number;
  /** What the opener sent with its `open`. */
  readonly header: Uint8Array;
  /** Aborts when the stream is reset by either side or the connection is lost: nobody wants what you would send. */
  readonly signal: AbortSignal;
  /** Whether the other side has ended and the last chunk has been handed out. */
  readonly drained: boolean;
  /** The acceptor's header, for the opener. Throws StreamError: STREAM_NO_HEAD if data or the end came without one. */
  head(): Promise<Uint8Array>;
  /** The acceptor's header, at most 4 kB, once and before any data. Throws StreamError. */
  sendHead(header: Uint8Array): void;
  /**
   * Resolves when the transport has taken all of it: await it before the next write. The bytes must not change until
   * then. Throws StreamError.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends this direction, after `last`. The other direction goes on. Throws StreamError. */
  end(last?: Uint8Array): Promise<void>;
  /** Ends both directions at once; what was not yet read is dropped. Does nothing on a closed stream. */
  reset(code: ResetCode, reason: string): void;
  /**
   * What the other side sends. Asking for a chunk gives back the credit of the one before, so a slow reader slows the
   * sender. Leaving the loop early drops the rest. One reader only.
   */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
};

/** What a stream needs from its connection. */
export type StreamHost = {
  readonly timers: FrameTimers;
  sendFrame(type: FrameType, streamId: number, payload: Uint8Array): void;
  /** The stream may have something to send. */
  schedule(stream: MuxStream): void;
  lendableBytes(): number;
  changeLoan(bytes: number): void;
  /** The stream wants its {@link MuxStream.onTime} called at that time or soon after it. */
  wakeBy(at: number): void;
  /** Nothing of the stream is held any more; `lateBytes` may still be under way. */
  forget(stream: MuxStream, lateBytes: number): void;
};

export type StreamInit = {
  readonly opener: boolean;
  readonly idleMs: number;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
};

type HeadWaiter = { readonly resolve: (head: Uint8Array) => void; readonly reject: (error: StreamError) => void };

const nothing = new Uint8Array(0);

/** The mux's side of a stream. `sendNext` and the methods named `on…` are the mux's alone. */
export class MuxStream implements FrameStream {
  readonly id: number;
  readonly header: Uint8Array;
  scheduled = false;
  readonly #host: StreamHost;
  readonly #init: StreamInit;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #startedAt: number;
  #activeAt: number;
  #abort: AbortController | undefined;
  #done = false;
  #failure: StreamError | undefined;
  #head: Uint8Array | undefined;
  #headSent = false;
  #headWaiters: HeadWaiter[] = [];

  constructor(host: StreamHost, id: number, header: Uint8Array, init: StreamInit) {
    this.id = id;
    this.header = header;
    this.#host = host;
    this.#init = init;
    this.#outbound = new Outbound(id, () => host.schedule(this));
    this.#inbound = new Inbound(id, {
      lendableBytes: () => host.lendableBytes(),
      changeLoan: (bytes) => host.changeLoan(bytes),
      sendCredit: (bytes) => host.sendFrame('credit', id, encodeCredit(bytes)),
      onDrained: () => this.#settleIfDone(),
    });
    this.#startedAt = host.timers.now();
    this.#activeAt = this.#startedAt;
    host.wakeBy(this.#startedAt + Math.min(init.deadlineMs, init.idleMs));
    init.signal?.addEventListener('abort', this.#onAbort);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#outbound.error !== undefined) this.#abort.abort(this.#outbound.error);
    }
    return this.#abort.signal;
  }

  get drained(): boolean {
    return this.#inbound.drained;
  }

  head(): Promise<Uint8Array> {
    if (this.#head !== undefined) return Promise.resolve(this.#head);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.#init.opener || this.#inbound.receivedBytes > 0 || this.#inbound.ended)
      return Promise.reject(this.#noHead());
    return new Promise((resolve, reject) => this.#headWaiters.push({ resolve, reject }));
  }

  sendHead(header: Uint8Array): void {
    if (this.#outbound.error !== undefined) throw this.#outbound.error;
    if (this.#init.opener || this.#headSent || this.#outbound.begun)
      throw new StreamError('STREAM_HEAD_MISPLACED', this.id, 'Only the acceptor sends a head, once and first');
    this.#host.sendFrame('head', this.id, header);
    this.#headSent = true;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#outbound.write(bytes, false);
  }

  end(last: Uint8Array = nothing): Promise<void> {
    return this.#outbound.write(last, true);
  }

  reset(code: ResetCode, reason: string): void {
    if (this.#done) return;
    const late = this.#inbound.peerCredit;
    if (!(this.#inbound.ended && this.#outbound.ended))
      this.#host.sendFrame('reset', this.id, encodeReset(code, reason));
    const meta = { resetCode: code, reason, by: 'us' };
    this.#fail(new StreamError('STREAM_RESET', this.id, `The stream was reset: ${code}, "${reason}"`, meta), late);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#inbound.next(),
      return: () => {
        this.#inbound.discard();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Sends at most one frame of at most `quantum` bytes; returns whether more could be sent at once. */
  sendNext(quantum: number): boolean {
    const next = this.#outbound.take(quantum);
    if (next === undefined) return false;
    this.#touch();
    this.#host.sendFrame(next.last ? 'end' : 'data', this.id, next.chunk);
    next.sent?.();
    if (next.last) this.#settleIfDone();
    return this.#outbound.ready;
  }

  onHead(header: Uint8Array): void {
    if (!this.#init.opener || this.#head !== undefined || this.#inbound.receivedBytes > 0 || this.#inbound.ended)
      throw new FrameError('HEAD_MISPLACED', `Expected the one head of stream "${this.id}" before its data`, {
        streamId: this.id,
      });
    this.#touch();
    const head = new Uint8Array(header);
    this.#head = head;
    for (const waiter of this.#headWaiters.splice(0)) waiter.resolve(head);
  }

  onData(payload: Uint8Array, ends: boolean): void {
    this.#inbound.receive(payload, ends);
    this.#touch();
    for (const waiter of this.#headWaiters.splice(0)) waiter.reject(this.#noHead());
    if (ends) this.#settleIfDone();
  }

  onCredit(bytes: number): void {
    this.#touch();
    this.#outbound.addCredit(bytes);
  }

  /** After the peer's end, a reset only says that it wants no more from us: what it sent before stays readable. */
  onReset(code: ResetCode, reason: string): void {
    const meta = { resetCode: code, reason, by: 'peer' };
    const error = new StreamError(
      'STREAM_RESET',
      this.id,
      `The other side reset the stream: ${code}, "${reason}"`,
      meta,
    );
    if (!this.#inbound.ended) {
      this.#fail(error, 0);
      return;
    }
    this.#outbound.fail(error);
    this.#abort?.abort(error);
    this.#settleIfDone();
  }

  /** Resets a stream whose time is over; otherwise says when to look again. */
  onTime(now: number): number {
    const deadlineAt = this.#startedAt + this.#init.deadlineMs;
    const idleAt = this.#activeAt + this.#init.idleMs;
    if (deadlineAt <= now) this.reset('deadline', `Not done within ${this.#init.deadlineMs} ms`);
    else if (idleAt <= now) this.reset('idle', `No progress for ${this.#init.idleMs} ms`);
    return Math.min(deadlineAt, idleAt);
  }

  /** The connection is lost. */
  onLost(cause: FrameError | undefined): void {
    this.#fail(
      new StreamError('STREAM_CONNECTION_LOST', this.id, 'The connection that carried the stream is gone', {}, cause),
      0,
    );
  }

  #fail(error: StreamError, lateBytes: number): void {
    if (this.#done) return;
    this.#failure = error;
    this.#inbound.fail(error);
    this.#outbound.fail(error);
    for (const waiter of this.#headWaiters.splice(0)) waiter.reject(error);
    this.#finish(lateBytes);
    this.#abort?.abort(error);
  }

  #settleIfDone(): void {
    if (this.#inbound.drained && this.#outbound.ended && !this.#done) this.#finish(0);
  }

  #finish(lateBytes: number): void {
    this.#done = true;
    this.#inbound.close();
    this.#init.signal?.removeEventListener('abort', this.#onAbort);
    this.#host.forget(this, lateBytes);
  }

  #noHead(): StreamError {
    return new StreamError('STREAM_NO_HEAD', this.id, 'The stream carries no head');
  }

  #touch(): void {
    this.#activeAt = this.#host.timers.now();
  }

  readonly #onAbort = (): void => this.reset('cancelled', 'The caller cancelled');
}
