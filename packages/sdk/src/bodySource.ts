import { defaultMessageLimits } from '@cloister/channel/client';
import { CallError } from './callError.ts';

/** How much of a body is held, so that it can be given out again, in bytes: as much as a body that is not streamed may have. */
export const maxHeldBytes = defaultMessageLimits.maxBodyBytes;

/**
 * The stream that a body comes from: each part of it is read once, and held for as long as it may have to be given out again. What is
 * longer than {@link maxHeldBytes} by then can't be.
 */
export class BodySource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #maxBytes: number;
  /** What is held, the part of the number `#first` before all others. */
  #parts: Uint8Array[] = [];
  #first = 0;
  #heldBytes = 0;
  #isHolding = true;
  #reading: Promise<void> | undefined;
  #isOver = false;
  #bytes = 0;
  #failure: CallError | undefined;

  /** Throws CALL_BODY_REFUSED where somebody else reads the stream. */
  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    if (stream.locked) throw new CallError('CALL_BODY_REFUSED', 'The stream of the body is already being read', false);
    this.#reader = stream.getReader();
    this.#maxBytes = maxBytes;
  }

  /** What was read so far, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether all of it can still be had, from the first part on. */
  get isWhole(): boolean {
    return this.#first === 0 && this.#failure === undefined;
  }

  /** Why it could not be read to its end, where that is the body's own doing. */
  get failure(): CallError | undefined {
    return this.#failure;
  }

  /**
   * The part of a number, from 0 on; undefined at the end, and where it has not come by that time of performance.now(). Throws
   * CALL_BODY_FAILED, CALL_BODY_REFUSED, CALL_BODY_TOO_LARGE.
   */
  async part(index: number, untilMs: number): Promise<Uint8Array | undefined> {
    while (index >= this.#first + this.#parts.length) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return undefined;
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      if (!(await isDoneBy(this.#reading, untilMs))) return undefined;
    }
    // Whoever lags behind another must not take what it has missed for the end.
    if (index < this.#first) throw new TypeError('A part of the body was asked for that is gone');
    return this.#parts[index - this.#first];
  }

  /** The parts before this one were taken: they go, unless the whole is held. */
  taken(index: number): void {
    if (this.#isHolding && this.#heldBytes > maxHeldBytes) this.#isHolding = false;
    if (this.#isHolding) return;
    const gone = this.#parts.splice(0, Math.max(0, index - this.#first));
    this.#first += gone.length;
    for (const part of gone) this.#heldBytes -= part.length;
  }

  /** Nobody will begin again. */
  release(): void {
    this.#isHolding = false;
  }

  cancel(reason?: unknown): void {
    this.#reader.cancel(reason).catch(() => {});
  }

  async #read(): Promise<void> {
    const next = await this.#reader.read().catch((cause: unknown) => {
      throw this.#fail(new CallError('CALL_BODY_FAILED', "The body's stream failed", false, cause));
    });
    if (next.done) {
      this.#isOver = true;
      return;
    }
    const { value } = next;
    if (!(value instanceof Uint8Array))
      throw this.#refuse(new CallError('CALL_BODY_REFUSED', 'A body is a stream of bytes', false));
    this.#bytes += value.length;
    if (this.#bytes > this.#maxBytes)
      throw this.#refuse(
        new CallError(
          'CALL_BODY_TOO_LARGE',
          `The body has more than the "${this.#maxBytes}" bytes that may be sent`,
          false,
          undefined,
          'The app\'s manifest says how much it takes ("limits.inputBytes")',
        ),
      );
    if (value.length === 0) return;
    this.#parts.push(value);
    this.#heldBytes += value.length;
  }

  #refuse(failure: CallError): CallError {
    this.cancel();
    return this.#fail(failure);
  }

  #fail(failure: CallError): CallError {
    this.#failure = failure;
    return failure;
  }
}

/** Whether the promise is fulfilled by that time of performance.now(). Throws what it rejects with before. */
async function isDoneBy(promise: Promise<void>, atMs: number): Promise<boolean> {
  if (atMs === Number.POSITIVE_INFINITY) {
    await promise;
    return true;
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, atMs - performance.now()));
  });
  return Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer));
}
