import { type CallOpen, encodeCallHead, type FrameStream } from '@cloister/channel/frame';
import { type KeyRing, keptAnswerId, type OpenedRequest, problemOf, responseMediaType } from '@cloister/channel/worker';
import { canonicalJson, type SignedReceipt, signedReceiptToJson } from '@cloister/core';
import { concatBytes, utf8 } from '@cloister/crypto';
import type { Logger } from '@cloister/service';
import { type AnswerComponents, answerCall, refuseCall } from './answerCall.ts';
import { AppRefusedError } from './appRefusedError.ts';
import { BodyCoalescer } from './bodyCoalescer.ts';
import type { KeptAnswers, RecordedCall } from './keptAnswers.ts';

export type CallServerComponents = AnswerComponents & {
  readonly keys: KeyRing;
  readonly kept: KeptAnswers;
  readonly log: Logger;
};

export type CallServerInit = {
  readonly maxConcurrent: number;
  /** Bytes of sealed requests being read or answered at once. */
  readonly maxRequestBytesInAll: number;
};

/** Serves sealed calls that come through gateways: opens, answers or repeats a kept answer, seals. */
export class CallServer {
  readonly #components: CallServerComponents;
  readonly #init: CallServerInit;
  #running = 0;
  #requestBytes = 0;

  constructor(
    components: CallServerComponents,
    init: CallServerInit = { maxConcurrent: 256, maxRequestBytesInAll: 256 * 1024 * 1024 },
  ) {
    this.#components = components;
    this.#init = init;
  }

  /** One stream of a gateway, from the first byte of the sealed request to the last sealed chunk. */
  async serve(stream: FrameStream, _open: CallOpen, signal: AbortSignal): Promise<void> {
    if (this.#running >= this.#init.maxConcurrent)
      return sendProblem(stream, 503, 'worker-busy', 'The worker has no room for another call');
    this.#running += 1;
    const reading = { bytes: 0 };
    try {
      const sealed = await this.#read(stream, reading);
      if (sealed !== undefined) await this.#serve(stream, sealed, signal);
    } catch (error) {
      this.#components.log.warn('call: failed', { error });
      stream.reset('internal', 'the worker failed');
    } finally {
      this.#running -= 1;
      this.#requestBytes -= reading.bytes;
    }
  }

  /** The sealed request; undefined where it was refused for its size. */
  async #read(stream: FrameStream, reading: { bytes: number }): Promise<Uint8Array | undefined> {
    const { maxEncapsulatedBytes } = this.#components.keys;
    const parts: Uint8Array[] = [];
    for await (const part of stream) {
      reading.bytes += part.length;
      this.#requestBytes += part.length;
      if (reading.bytes > maxEncapsulatedBytes) {
        await sendProblem(
          stream,
          413,
          'request-too-large',
          `A sealed request has at most ${maxEncapsulatedBytes} bytes`,
        );
        return undefined;
      }
      if (this.#requestBytes > this.#init.maxRequestBytesInAll) {
        await sendProblem(stream, 503, 'worker-busy', 'The worker has no room for another request of this size');
        return undefined;
      }
      parts.push(Uint8Array.from(part));
    }
    return concatBytes(...parts);
  }

  async #serve(stream: FrameStream, sealed: Uint8Array, signal: AbortSignal): Promise<void> {
    const { keys, head, kept } = this.#components;
    let opened: OpenedRequest;
    try {
      opened = await keys.open(sealed, Number(head().timestamp));
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
        ? await this.#run(opened, stream, kept.begin(key), signal)
        : await this.#repeat(opened, stream, earlier);
    await send(stream, await opened.response.final(utf8(canonicalJson(signedReceiptToJson(receipt)))));
    await stream.end().catch(() => {});
  }

  async #run(
    opened: OpenedRequest,
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
  async #repeat(opened: OpenedRequest, stream: FrameStream, earlier: RecordedCall): Promise<SignedReceipt> {
    const { response } = opened;
    const answer = await earlier.answer();
    const sink = {
      head: async (status: number, headers: readonly (readonly [string, string])[]) =>
        send(stream, await response.head(status, headers)),
      body: async (bytes: Uint8Array) => send(stream, await response.body(bytes)),
    };
    if (answer === 'gone') {
      const gone = new AppRefusedError('ANSWER_GONE', 'The call ran, but its answer is no longer kept');
      return (await refuseCall(this.#components, opened, sink, gone)).receipt;
    }
    await sink.head(answer.status, answer.headers);
    for (const bytes of answer.body) await sink.body(bytes);
    return answer.receipt;
  }
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
