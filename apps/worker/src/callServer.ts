import { type CallOpen, encodeCallHead, type FrameStream } from '@cloister/channel/frame';
import { type KeyRing, keptAnswerId, type OpenedRequest, problemOf, responseMediaType } from '@cloister/channel/worker';
import { canonicalJson, signedReceiptToJson } from '@cloister/core';
import { concatBytes, utf8 } from '@cloister/crypto';
import type { Logger } from '@cloister/service';
import { type AnswerComponents, answerCall } from './answerCall.ts';
import type { Answer, KeptAnswers } from './keptAnswers.ts';

export type CallServerComponents = AnswerComponents & {
  readonly keys: KeyRing;
  readonly kept: KeptAnswers;
  readonly log: Logger;
};

export type CallServerInit = { readonly maxRequestBytes: number; readonly maxConcurrent: number };

/** Serves sealed calls that come through gateways: opens, answers or repeats a kept answer, seals. */
export class CallServer {
  readonly #components: CallServerComponents;
  readonly #init: CallServerInit;
  #running = 0;

  constructor(
    components: CallServerComponents,
    init: CallServerInit = { maxRequestBytes: 8 * 1024 * 1024 + 65_536, maxConcurrent: 256 },
  ) {
    this.#components = components;
    this.#init = init;
  }

  /** One stream of a gateway, from the first byte of the sealed request to the last sealed chunk. */
  async serve(stream: FrameStream, _open: CallOpen, signal: AbortSignal): Promise<void> {
    if (this.#running >= this.#init.maxConcurrent)
      return sendProblem(stream, 503, 'WORKER_BUSY', 'The worker has no room for another call');
    this.#running += 1;
    try {
      await this.#serve(stream, signal);
    } catch (error) {
      this.#components.log.warn('call: failed', { error });
      stream.reset('internal', 'the worker failed');
    } finally {
      this.#running -= 1;
    }
  }

  async #serve(stream: FrameStream, signal: AbortSignal): Promise<void> {
    const { keys, head } = this.#components;
    const sealed = await readRequest(stream, this.#init.maxRequestBytes);
    if (sealed === undefined)
      return sendProblem(
        stream,
        413,
        'REQUEST_TOO_LARGE',
        `A sealed request has at most ${this.#init.maxRequestBytes} bytes`,
      );
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
    const answer = await this.#answer(opened, stream, signal);
    const trailer = utf8(canonicalJson(signedReceiptToJson(answer.receipt)));
    await send(stream, await opened.response.final(trailer));
    await stream.end().catch(() => {});
  }

  /** Answers the call, or repeats the answer it had, or waits for the one that is being made. */
  async #answer(opened: OpenedRequest, stream: FrameStream, signal: AbortSignal): Promise<Answer> {
    const { kept } = this.#components;
    const key = keptAnswerId(opened.call);
    const earlier = await kept.find(key);
    if (earlier !== undefined) {
      await send(stream, await opened.response.head(earlier.status, earlier.headers));
      for (const bytes of earlier.body) await send(stream, await opened.response.body(bytes));
      return earlier;
    }
    const entry = kept.begin(key);
    let answer: Answer | undefined;
    try {
      answer = await answerCall(
        this.#components,
        opened,
        {
          head: async (status, headers) => send(stream, await opened.response.head(status, headers)),
          body: async (bytes) => send(stream, await opened.response.body(bytes)),
        },
        signal,
      );
      return answer;
    } finally {
      entry.settle(answer);
    }
  }
}

/** Nobody may be there any more: the answer is still made to its end and kept. */
async function send(stream: FrameStream, bytes: Uint8Array): Promise<void> {
  if (stream.signal.aborted) return;
  await stream.write(bytes).catch(() => {});
}

async function readRequest(stream: FrameStream, maxBytes: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > maxBytes) return undefined;
    parts.push(Uint8Array.from(part));
  }
  return concatBytes(...parts);
}

async function sendProblem(stream: FrameStream, status: number, code: string, detail: string): Promise<void> {
  stream.sendHead(encodeCallHead({ status, contentType: 'application/problem+json' }));
  await stream.end(utf8(JSON.stringify({ type: 'about:blank', status, code, detail })));
}
