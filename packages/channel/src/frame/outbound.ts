import { FrameError } from './frame.ts';
import { initialCreditBytes, maxCreditBytes } from './limits.ts';
import { StreamError } from './streamError.ts';

type PendingWrite = { bytes: Uint8Array; readonly resolve: () => void; readonly reject: (error: StreamError) => void };

const maxPendingWrites = 64;

/** The sending half of a stream: writes wait here, uncopied, for credit and for their turn. */
export class Outbound {
  readonly #streamId: number;
  readonly #schedule: () => void;
  readonly #pending: PendingWrite[] = [];
  #credit = initialCreditBytes;
  #endRequested = false;
  #error: StreamError | undefined;
  /** Nothing more will be sent: the end is out, or the peer wants no more. */
  ended = false;
  /** Data or an end was handed over for sending. */
  begun = false;

  constructor(streamId: number, schedule: () => void) {
    this.#streamId = streamId;
    this.#schedule = schedule;
  }

  get error(): StreamError | undefined {
    return this.#error;
  }

  write(bytes: Uint8Array, ends: boolean): Promise<void> {
    const refusal = this.#refusal(ends);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#endRequested) return Promise.resolve();
    this.begun = true;
    this.#endRequested = ends;
    return new Promise((resolve, reject) => {
      this.#pending.push({ bytes, resolve, reject });
      this.#schedule();
    });
  }

  /** The next frame to send, of at most `quantum` bytes of payload, or undefined: nothing to send, or no credit. */
  take(
    quantum: number,
  ): { readonly chunk: Uint8Array; readonly last: boolean; readonly sent?: () => void } | undefined {
    for (let write = this.#pending[0]; write !== undefined; write = this.#pending[0]) {
      const length = Math.min(write.bytes.length, quantum, this.#credit);
      if (length < write.bytes.length) {
        if (length === 0) return undefined;
        const chunk = write.bytes.subarray(0, length);
        write.bytes = write.bytes.subarray(length);
        this.#credit -= length;
        return { chunk, last: false };
      }
      this.#pending.shift();
      const last = this.#endRequested && this.#pending.length === 0;
      if (last) this.ended = true;
      this.#credit -= length;
      if (length > 0 || last) return { chunk: write.bytes, last, sent: write.resolve };
      write.resolve();
    }
    return undefined;
  }

  /** Whether {@link take} would give a frame now. */
  get ready(): boolean {
    const write = this.#pending[0];
    return write !== undefined && (this.#credit > 0 || write.bytes.length === 0);
  }

  addCredit(bytes: number): void {
    const streamId = this.#streamId;
    this.#credit += bytes;
    if (this.#credit > maxCreditBytes)
      throw new FrameError(
        'CREDIT_OVERFLOW',
        `Got a credit that makes "${this.#credit}" bytes on stream "${streamId}"`,
        { streamId },
      );
    if (this.ready) this.#schedule();
  }

  fail(error: StreamError): void {
    this.#error ??= error;
    this.ended = true;
    for (const write of this.#pending.splice(0)) write.reject(error);
  }

  #refusal(ends: boolean): StreamError | undefined {
    if (this.#error !== undefined) return this.#error;
    if (this.#endRequested && !ends)
      return new StreamError('STREAM_ENDED', this.#streamId, 'The stream was ended before this write');
    if (this.#pending.length >= maxPendingWrites)
      return new StreamError(
        'STREAM_WRITES_UNAWAITED',
        this.#streamId,
        `More than "${maxPendingWrites}" writes wait on the stream`,
      );
    return undefined;
  }
}
