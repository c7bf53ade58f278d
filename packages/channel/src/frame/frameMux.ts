import { encodeFrame, type Frame, FrameError, type FrameType, parseCredit, parseFrame, parseReset } from './frame.ts';
import { type FrameStream, MuxStream, type StreamHost } from './frameStream.ts';
import {
  defaultFrameLimits,
  type FrameLimits,
  type FrameTimers,
  frameHeaderBytes,
  initialCreditBytes,
  maxChunkBytes,
  maxControlBytes,
  systemTimers,
} from './limits.ts';
import { StreamError } from './streamError.ts';

export type FrameMuxOptions = {
  /**
   * Hands one frame to the transport, in order; it may put several into one message. A returned promise says "enough for now": no more data is given until
   * it resolves; a rejection closes the connection. The mux never holds frames of its own accord except unsent writes.
   */
  readonly send: (frame: Uint8Array) => void | Promise<void>;
  /** The gateway's streams have odd ids, the worker's even ones. */
  readonly role: 'gateway' | 'worker';
  readonly limits?: Partial<FrameLimits>;
  readonly timers?: FrameTimers;
  /** A stream that the other side opened. Without a handler each is refused. */
  readonly onStream?: (stream: FrameStream) => void;
  /** A control message, at most 528 kB; a view that is only good during the call. Throwing closes the connection. */
  readonly onControl?: (message: Uint8Array) => void;
  /** Once, when the connection is over: with the reason if it broke. The transport should be closed then. */
  readonly onClose?: (error: FrameError | undefined) => void;
};

export type OpenStreamOptions = {
  /** Resets the stream with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** ms. @default limits.streamDeadlineMs */
  readonly deadlineMs?: number | undefined;
  /** ms. @default limits.streamIdleMs */
  readonly idleMs?: number | undefined;
};

const fairChunkBytes = 16_384;
const lastStreamId = 0x7fff_ffff;
const noPayload = new Uint8Array(8);

/**
 * Many streams over one ordered, message-based connection (a WebSocket): per-stream credit, turns between streams,
 * bounds on everything a peer can make this side hold. A peer that breaks the rules loses the connection, by name.
 */
export class FrameMux {
  readonly #options: FrameMuxOptions;
  readonly #limits: FrameLimits;
  readonly #timers: FrameTimers;
  readonly #streams = new Map<number, MuxStream>();
  readonly #host: StreamHost;
  #ownStreams = 0;
  #nextId: number;
  #lastPeerId = 0;
  #ready: MuxStream[] = [];
  #pumping = false;
  #sendsWaiting = 0;
  #replyBytesWaiting = 0;
  #owedPong: Uint8Array | undefined;
  #loanedBytes = 0;
  #lateBytes = 0;
  #heardAt: number;
  #heartbeat: unknown;
  /** One timer for all streams, at the earliest time that any of them asked for. */
  #wakeTimer: unknown;
  #wakeAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: FrameMuxOptions) {
    this.#options = options;
    this.#limits = { ...defaultFrameLimits, ...options.limits };
    const lendable = this.#limits.maxBufferedBytes - this.#limits.maxStreams * 2 * initialCreditBytes;
    if (lendable < 0)
      throw new RangeError('maxBufferedBytes must hold the initial credit of maxStreams in each direction');
    this.#timers = options.timers ?? systemTimers;
    this.#nextId = options.role === 'gateway' ? 1 : 2;
    this.#host = {
      timers: this.#timers,
      sendFrame: (type, streamId, payload) => this.#send(type, streamId, payload),
      schedule: (stream) => this.#schedule(stream),
      lendableBytes: () => lendable - this.#loanedBytes,
      changeLoan: (bytes) => {
        this.#loanedBytes += bytes;
      },
      wakeBy: (at) => this.#wakeBy(at),
      forget: (stream, lateBytes) => this.#forget(stream, lateBytes),
    };
    this.#heardAt = this.#timers.now();
    this.#beat();
  }

  /** Streams that still hold something. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Whether the connection is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The most that received, unread data may come to now, in bytes. */
  get reservedBytes(): number {
    return this.#streams.size * initialCreditBytes + this.#loanedBytes;
  }

  /**
   * Opens a stream. `header` is at most 4 kB. Throws StreamError: STREAM_LIMIT, STREAM_IDS_EXHAUSTED,
   * STREAM_CONNECTION_LOST; the signal's reason where it is already aborted.
   */
  openStream(header: Uint8Array, options: OpenStreamOptions = {}): FrameStream {
    options.signal?.throwIfAborted();
    const id = this.#nextId;
    if (this.#closed) throw new StreamError('STREAM_CONNECTION_LOST', id, 'The connection is closed');
    if (this.#ownStreams >= this.#limits.maxStreams)
      throw new StreamError('STREAM_LIMIT', id, `The connection already carries "${this.#limits.maxStreams}" streams`);
    if (id > lastStreamId)
      throw new StreamError('STREAM_IDS_EXHAUSTED', id, 'The connection has used up its stream ids');
    this.#send('open', id, header);
    if (this.#closed)
      throw new StreamError('STREAM_CONNECTION_LOST', id, 'The connection broke while the stream was opened');
    this.#nextId += 2;
    this.#ownStreams += 1;
    const stream = new MuxStream(this.#host, id, header, {
      opener: true,
      idleMs: options.idleMs ?? this.#limits.streamIdleMs,
      deadlineMs: options.deadlineMs ?? this.#limits.streamDeadlineMs,
      signal: options.signal,
    });
    this.#streams.set(id, stream);
    return stream;
  }

  /** Sends one control message of 1 byte to 528 kB. Does nothing on a closed connection. */
  sendControl(message: Uint8Array): void {
    this.#send('control', 0, message);
  }

  /** Takes one message of the transport: one or more frames. Never throws: a bad one closes the connection. */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#heardAt = this.#timers.now();
    try {
      let offset = 0;
      do {
        const frame = parseFrame(bytes, offset);
        offset += frameHeaderBytes + frame.payload.length;
        this.#dispatch(frame);
      } while (offset < bytes.length && !this.#closed);
    } catch (thrown) {
      this.#fail(
        thrown instanceof FrameError
          ? thrown
          : new FrameError('HANDLER_FAILED', 'A handler refused what the peer sent', {}, thrown),
      );
    }
  }

  /** Ends the connection: every open stream fails with STREAM_CONNECTION_LOST. Nothing is sent. */
  close(): void {
    this.#fail(undefined);
  }

  #dispatch(frame: Frame): void {
    if (frame.type === 'control') this.#options.onControl?.(frame.payload);
    else if (frame.type === 'ping') this.#answerPing(frame.payload);
    else if (frame.type === 'open') this.#accept(frame);
    else if (frame.type !== 'pong') this.#toStream(frame);
  }

  #toStream(frame: Frame): void {
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) this.#late(frame);
    else if (frame.type === 'data') stream.onData(frame.payload, false);
    else if (frame.type === 'end') stream.onData(frame.payload, true);
    else if (frame.type === 'credit') stream.onCredit(parseCredit(frame.payload));
    else if (frame.type === 'head') stream.onHead(frame.payload);
    else {
      const { code, reason } = parseReset(frame.payload);
      stream.onReset(code, reason);
    }
  }

  #answerPing(payload: Uint8Array): void {
    if (this.#sendsWaiting > 0) this.#owedPong = new Uint8Array(payload);
    else this.#send('pong', 0, payload);
  }

  #accept({ streamId, payload }: Frame): void {
    if (this.#isOurs(streamId))
      throw new FrameError('STREAM_ID_OF_OTHER_SIDE', `Expected an id of the peer's side, got "${streamId}"`, {
        streamId,
      });
    if (streamId <= this.#lastPeerId)
      throw new FrameError('STREAM_ID_REUSED', `Expected an id above "${this.#lastPeerId}", got "${streamId}"`, {
        streamId,
      });
    this.#lastPeerId = streamId;
    const onStream = this.#options.onStream;
    const full = this.#streams.size - this.#ownStreams >= this.#limits.maxStreams;
    const stream = new MuxStream(this.#host, streamId, new Uint8Array(payload), {
      opener: false,
      idleMs: this.#limits.streamIdleMs,
      deadlineMs: this.#limits.streamDeadlineMs,
    });
    this.#streams.set(streamId, stream);
    if (onStream === undefined || full)
      stream.reset('refused', full ? 'Too many streams' : 'No streams are accepted here');
    else onStream(stream);
  }

  /** A frame for a stream that is over: what was under way when we reset it is dropped, no more than that. */
  #late({ type, streamId, payload }: Frame): void {
    const known = this.#isOurs(streamId) ? streamId < this.#nextId : streamId <= this.#lastPeerId;
    if (!known)
      throw new FrameError('STREAM_UNKNOWN', `Got a "${type}" frame for stream "${streamId}", which was never opened`, {
        streamId,
        type,
      });
    if (type !== 'data' && type !== 'end') return;
    this.#lateBytes -= payload.length;
    if (this.#lateBytes < 0)
      throw new FrameError(
        'CREDIT_OVERRUN',
        `Got more data on the closed stream "${streamId}" than its credit allowed`,
        { streamId },
      );
  }

  #isOurs(streamId: number): boolean {
    return (streamId & 1) === (this.#options.role === 'gateway' ? 1 : 0);
  }

  #forget(stream: MuxStream, lateBytes: number): void {
    this.#lateBytes += lateBytes;
    if (this.#streams.delete(stream.id) && this.#isOurs(stream.id)) this.#ownStreams -= 1;
  }

  #schedule(stream: MuxStream): void {
    if (!stream.scheduled) {
      stream.scheduled = true;
      this.#ready.push(stream);
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#closed && this.#sendsWaiting === 0) {
      const stream = this.#ready.shift();
      if (stream === undefined) break;
      stream.scheduled = stream.sendNext(this.#ready.length > 0 ? fairChunkBytes : maxChunkBytes);
      if (stream.scheduled) this.#ready.push(stream);
    }
    this.#pumping = false;
  }

  #send(type: FrameType, streamId: number, payload: Uint8Array): void {
    if (this.#closed) return;
    const frame = encodeFrame(type, streamId, payload);
    if (this.#sendsWaiting > 0) {
      this.#replyBytesWaiting += frame.length;
      if (this.#replyBytesWaiting > this.#limits.maxUnreadReplyBytes + (type === 'control' ? 2 * maxControlBytes : 0)) {
        this.#fail(new FrameError('PEER_NOT_READING', 'The peer does not read what it is sent'));
        return;
      }
    }
    try {
      const waiting = this.#options.send(frame);
      if (waiting === undefined) return;
      this.#sendsWaiting += 1;
      waiting.then(
        () => this.#onDrained(),
        (cause: unknown) => this.#failTransport(cause),
      );
    } catch (cause) {
      this.#failTransport(cause);
    }
  }

  #onDrained(): void {
    this.#sendsWaiting -= 1;
    if (this.#sendsWaiting > 0 || this.#closed) return;
    this.#replyBytesWaiting = 0;
    if (this.#owedPong !== undefined) {
      this.#send('pong', 0, this.#owedPong);
      this.#owedPong = undefined;
    }
    this.#pump();
  }

  #failTransport(cause: unknown): void {
    this.#fail(new FrameError('TRANSPORT_FAILED', 'The transport failed to send', {}, cause));
  }

  #beat(): void {
    const silentMs = this.#timers.now() - this.#heardAt;
    if (silentMs >= 2 * this.#limits.heartbeatMs) {
      const message = `Nothing was heard from the peer for "${Math.round(silentMs)}" ms`;
      this.#fail(new FrameError('PEER_SILENT', message, { silentMs }));
      return;
    }
    if (silentMs >= this.#limits.heartbeatMs) this.#send('ping', 0, noPayload);
    if (!this.#closed) this.#heartbeat = this.#timers.setTimeout(() => this.#beat(), this.#limits.heartbeatMs);
  }

  /** A stream costs no timer of its own: most end long before their time, and leave this one to whoever comes next. */
  #wakeBy(at: number): void {
    if (at >= this.#wakeAt || this.#closed) return;
    this.#timers.clearTimeout(this.#wakeTimer);
    this.#wakeAt = at;
    this.#wakeTimer = this.#timers.setTimeout(() => this.#wake(), Math.max(0, at - this.#timers.now()));
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const now = this.#timers.now();
    let next = Number.POSITIVE_INFINITY;
    for (const stream of [...this.#streams.values()]) {
      const due = stream.onTime(now);
      if (this.#streams.has(stream.id)) next = Math.min(next, due);
    }
    if (next < Number.POSITIVE_INFINITY) this.#wakeBy(next);
  }

  #fail(error: FrameError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timers.clearTimeout(this.#heartbeat);
    this.#timers.clearTimeout(this.#wakeTimer);
    this.#ready = [];
    for (const stream of [...this.#streams.values()]) stream.onLost(error);
    this.#options.onClose?.(error);
  }
}
