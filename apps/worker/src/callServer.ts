import { type CallMethod, type CallOpen, encodeCallHead, type FrameStream } from '@cloister/channel/frame';
import {
  ChannelError,
  headLengthBytes,
  headLengthOf,
  type KeyRing,
  keptAnswerId,
  maxEncapsulatedHead,
  problemOf,
  responseMediaType,
} from '@cloister/channel/worker';
import { canonicalJson, type SignedReceipt, signedReceiptToJson, withDeadline } from '@cloister/core';
import { concatBytes, utf8 } from '@cloister/crypto';
import type { Logger } from '@cloister/service';
import { type AnswerComponents, answerCall, refuseCall } from './answerCall.ts';
import type { AnswerSink } from './answerSink.ts';
import { AppRefusedError } from './appRefusedError.ts';
import { BodyCoalescer } from './bodyCoalescer.ts';
import type { KeptAnswers, RecordedCall } from './keptAnswers.ts';
import type { ReceivedCall } from './receivedCall.ts';

export type CallServerComponents = AnswerComponents & {
  readonly keys: KeyRing;
  readonly kept: KeptAnswers;
  readonly log: Logger;
};

export type CallServerInit = {
  readonly maxConcurrent: number;
  /** Of these, how many one app may have: the rest are for the others, whatever it does. */
  readonly maxOfOneApp: number;
  /** Bytes of sealed requests being read or answered at once. */
  readonly maxRequestBytesInAll: number;
};

/** Serves sealed calls that come through gateways: opens, answers or repeats a kept answer, seals. */
export class CallServer {
  readonly #components: CallServerComponents;
  readonly #init: CallServerInit;
  readonly #ofApp = new Map<string, number>();
  #running = 0;
  #requestBytes = 0;
  #leaving = false;
  #onIdle: (() => void) | undefined;

  constructor(
    components: CallServerComponents,
    init: CallServerInit = { maxConcurrent: 256, maxOfOneApp: 128, maxRequestBytesInAll: 256 * 1024 * 1024 },
  ) {
    this.#components = components;
    this.#init = init;
  }

  /** One stream of a gateway, from the first byte of the sealed request to the last sealed chunk. */
  async serve(stream: FrameStream, { method }: CallOpen, signal: AbortSignal): Promise<void> {
    if (this.#leaving) return stream.reset('unavailable', 'The worker has left the network');
    if (this.#running >= this.#init.maxConcurrent)
      return sendProblem(stream, 503, 'worker-busy', 'The worker has no room for another call');
    this.#running += 1;
    const reading = { bytes: 0 };
    try {
      const parts = stream[Symbol.asyncIterator]();
      const sealed =
        method === 'stream' ? await this.#readHead(stream, parts, reading) : await this.#read(stream, parts, reading);
      if (sealed !== undefined) await this.#serve(stream, method, sealed, signal);
    } catch (error) {
      this.#components.log.warn('call: failed', { error });
      stream.reset('internal', 'the worker failed');
    } finally {
      this.#running -= 1;
      this.#requestBytes -= reading.bytes;
      if (this.#running === 0) this.#onIdle?.();
    }
  }

  /** Takes no more calls, and resolves when those under way are answered, after `withinMs`, or with `signal`. */
  async drain(withinMs: number, signal: AbortSignal): Promise<void> {
    this.#leaving = true;
    if (this.#running === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    await withDeadline({ timeoutMs: withinMs, signal, what: 'Answering the last calls' }, () => idle).catch(
      (error: unknown) => {
        if (!signal.aborted) this.#components.log.warn('call: cut off', { error, calls: this.#running });
      },
    );
  }

  /** The sealed request; undefined where it was refused for its size. */
  async #read(stream: FrameStream, source: Parts, reading: { bytes: number }): Promise<SealedParts | undefined> {
    const { maxEncapsulatedBytes } = this.#components.keys;
    const parts: Uint8Array[] = [];
    for (let next = await source.next(); !next.done; next = await source.next()) {
      const { value: part } = next;
      if (!(await this.#takes(stream, part.length, reading, maxEncapsulatedBytes))) return undefined;
      parts.push(Uint8Array.from(part));
    }
    return { head: concatBytes(...parts) };
  }

  /** The sealed head of a streamed request, and what comes after it; undefined where it was refused for its size. */
  async #readHead(stream: FrameStream, source: Parts, reading: { bytes: number }): Promise<SealedParts | undefined> {
    let held: Uint8Array = new Uint8Array();
    for (;;) {
      const headEnd = held.length < headLengthBytes ? undefined : headLengthBytes + headLengthOf(held);
      if (headEnd !== undefined && headEnd > headLengthBytes + maxEncapsulatedHead) {
        await sendProblem(
          stream,
          413,
          'request-too-large',
          `The head of a sealed request has at most ${maxEncapsulatedHead} bytes`,
        );
        return undefined;
      }
      if (headEnd !== undefined && held.length >= headEnd)
        return { head: held.slice(headLengthBytes, headEnd), rest: after(held.slice(headEnd), source) };
      const next = await source.next();
      // What is there does not open: too short, or no length before it.
      if (next.done) return { head: held.slice(headLengthBytes), rest: after(new Uint8Array(), source) };
      // A part may hold a whole window of chunks beside the head.
      if (!(await this.#takes(stream, next.value.length, reading, maxEncapsulatedHead + 262_144))) return undefined;
      held = concatBytes(held, next.value);
    }
  }

  /** Counts what a request takes in memory; false where that is too much, which the other side was told then. */
  async #takes(stream: FrameStream, bytes: number, reading: { bytes: number }, max: number): Promise<boolean> {
    reading.bytes += bytes;
    this.#requestBytes += bytes;
    if (reading.bytes > max) {
      await sendProblem(stream, 413, 'request-too-large', `A sealed request has at most ${max} bytes`);
      return false;
    }
    if (this.#requestBytes <= this.#init.maxRequestBytesInAll) return true;
    await sendProblem(stream, 503, 'worker-busy', 'The worker has no room for another request of this size');
    return false;
  }

  async #serve(stream: FrameStream, method: CallMethod, sealed: SealedParts, signal: AbortSignal): Promise<void> {
    const { keys, head, kept } = this.#components;
    let opened: ReceivedCall;
    try {
      opened = await keys.open(sealed.head, Number(head().timestamp));
      // Inside the seal stands which of the two it is: a relay can't turn one into the other.
      if ((opened.input !== undefined) !== (method === 'stream'))
        throw new ChannelError({
          code: 'REQUEST_MALFORMED',
          message: `The request came as a "${method}", and says otherwise`,
        });
      if (sealed.rest !== undefined) opened = { ...opened, source: sealed.rest };
    } catch (error) {
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      stream.sendHead(encodeCallHead({ status: problem.status, contentType: problem.contentType }));
      return stream.end(problem.body);
    }
    stream.sendHead(encodeCallHead({ status: 200, contentType: responseMediaType }));
    const key = keptAnswerId(opened.call);
    // No await between find and begin: of several copies of one call, one runs.
    const earlier = kept.find(key);
    const receipt =
      earlier === undefined
        ? await this.#runInTurn(opened, stream, key, signal)
        : await this.#repeat(opened, stream, earlier);
    await send(stream, await opened.response.final(utf8(canonicalJson(signedReceiptToJson(receipt)))));
    await stream.end().catch(() => {});
  }

  /** Runs it where its app has a place left, and refuses it by receipt where not. */
  async #runInTurn(
    opened: ReceivedCall,
    stream: FrameStream,
    key: ReturnType<typeof keptAnswerId>,
    signal: AbortSignal,
  ): Promise<SignedReceipt> {
    const { app } = opened.call;
    const held = this.#ofApp.get(app) ?? 0;
    if (held >= this.#init.maxOfOneApp) {
      const crowded = `The app has "${held}" calls under way here, and one app may have no more`;
      const reason = new AppRefusedError('APP_CALLS_CROWDED', crowded);
      return (await refuseCall(this.#components, opened, sinkOf(opened, stream), reason)).receipt;
    }
    this.#ofApp.set(app, held + 1);
    try {
      return await this.#run(opened, stream, this.#components.kept.begin(key), signal);
    } finally {
      const left = (this.#ofApp.get(app) ?? 1) - 1;
      if (left === 0) this.#ofApp.delete(app);
      else this.#ofApp.set(app, left);
    }
  }

  async #run(
    opened: ReceivedCall,
    stream: FrameStream,
    recorded: RecordedCall,
    signal: AbortSignal,
  ): Promise<SignedReceipt> {
    const { response } = opened;
    const coalescer = new BodyCoalescer(async (bytes) => send(stream, await response.body(bytes)));
    try {
      const end = await answerCall(
        this.#components,
        opened,
        {
          head: async (status, headers) => send(stream, await response.head(status, headers)),
          body: async (bytes) => {
            recorded.add(bytes);
            await coalescer.push(bytes);
          },
        },
        signal,
      );
      recorded.settle(end);
      await coalescer.flush();
      return end.receipt;
    } catch (error) {
      if (!recorded.hasEnded) recorded.settle(undefined);
      throw error;
    }
  }

  /** The answer that was made, or is being made, to an earlier request of the same call. */
  async #repeat(opened: ReceivedCall, stream: FrameStream, earlier: RecordedCall): Promise<SignedReceipt> {
    const answer = await earlier.answer();
    const sink = sinkOf(opened, stream);
    if (answer === 'gone') {
      const gone = new AppRefusedError('ANSWER_GONE', 'The call ran, but its answer is no longer kept');
      return (await refuseCall(this.#components, opened, sink, gone)).receipt;
    }
    await sink.head(answer.status, answer.headers);
    for (const bytes of answer.body) await sink.body(bytes);
    return answer.receipt;
  }
}

/** Seals each part as it comes. */
function sinkOf({ response }: ReceivedCall, stream: FrameStream): AnswerSink {
  return {
    head: async (status, headers) => send(stream, await response.head(status, headers)),
    body: async (bytes) => send(stream, await response.body(bytes)),
  };
}

type Parts = AsyncIterator<Uint8Array, undefined>;

/** A request as it came: whole, or its head and what is still to come. */
type SealedParts = { readonly head: Uint8Array; readonly rest?: AsyncIterable<Uint8Array> };

/** What came with the head, and then the rest as it comes. */
async function* after(first: Uint8Array, rest: Parts): AsyncGenerator<Uint8Array, void, undefined> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** Nobody may be there any more: the answer is still made to its end and kept. */
async function send(stream: FrameStream, bytes: Uint8Array): Promise<void> {
  if (stream.signal.aborted) return;
  await stream.write(bytes).catch(() => {});
}

/** Unsigned, like everything before a request is opened; the codes are those of the gateways. */
async function sendProblem(
  stream: FrameStream,
  status: number,
  code: 'worker-busy' | 'request-too-large',
  title: string,
): Promise<void> {
  stream.sendHead(encodeCallHead({ status, contentType: 'application/problem+json' }));
  await stream.end(utf8(JSON.stringify({ type: 'about:blank', status, code, title })));
}
