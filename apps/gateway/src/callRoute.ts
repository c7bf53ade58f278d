import type { IncomingMessage } from 'node:http';
import { type CallHead, type CallMethod, encodeCallOpen, type FrameStream, StreamError } from '@cloister/channel/frame';
import type { Bytes32 } from '@cloister/core';
import type { Counter, Histogram } from '@cloister/service';
import type { CallAdmission } from './callAdmission.ts';
import type { Directory } from './directory.ts';
import { bodyOf, declaredLength, drained, type Exchange, tooLarge } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';
import { corsHeaders, ProblemError } from './problem.ts';
import { answerHead, asProblem } from './workerAnswer.ts';

export type CallRouteComponents = {
  readonly directory: Directory;
  readonly limits: GatewayLimits;
  readonly admission: CallAdmission;
  readonly relayedBytes: Counter;
  readonly seconds: Histogram;
};

/** Bodies up to this size are taken in whole before the worker hears of them. */
const smallBodyBytes = 65_536;
const requestType = /^message\/[a-z0-9.+-]{1,64}$/;
/** Of a request whose body follows while it is answered. */
const streamedType = 'message/cloister-req-stream';
const answerHeaders = ['x-content-type-options', 'nosniff', 'cache-control', 'no-store'];
/** Only browsers ask for these, and say so by an Origin; nothing is stored in between, so no Vary is needed. */
const browserAnswerHeaders = [...answerHeaders, ...Object.entries(corsHeaders).flat()];
const nothing = new Uint8Array();

/**
 * `POST /v1/workers/{workerId}/call`: carries a sealed request to the worker and its answer back, as fast as the slower
 * of the two takes it. Nothing is kept, nothing can be read.
 */
export class CallRoute {
  readonly #components: CallRouteComponents;

  constructor(components: CallRouteComponents) {
    this.#components = components;
  }

  async handle(exchange: Exchange, workerId: Bytes32): Promise<void> {
    const { request, client } = exchange;
    const { limits, directory, admission, seconds } = this.#components;
    admission.assertRate(client);
    assertSealed(request);
    const method: CallMethod = request.headers['content-type'] === streamedType ? 'stream' : 'call';
    const maxBytes = method === 'stream' ? limits.streamedCallBytes : limits.callBytes;
    const length = declaredLength(request, maxBytes);
    const worker = directory.connected(workerId);
    const leave = admission.enter(client);
    const startedAt = performance.now();
    try {
      const isSmall = method === 'call' && length !== null && length <= smallBodyBytes;
      const small = isSmall ? await wholeBody(request, length) : undefined;
      // The worker may have come back, or gone, meanwhile.
      const { mux } = directory.get(workerId) ?? worker;
      const open = encodeCallOpen({ method, contentLength: length });
      await this.#relay(
        exchange,
        () => mux.openStream(open, { deadlineMs: limits.callDeadlineMs, idleMs: limits.callIdleMs }),
        small,
        maxBytes,
      );
    } finally {
      seconds.observe((performance.now() - startedAt) / 1000);
      leave();
    }
  }

  async #relay(
    exchange: Exchange,
    openStream: () => FrameStream,
    small: Uint8Array | undefined,
    maxBytes: number,
  ): Promise<void> {
    const { request, response } = exchange;
    if (response.destroyed) return;
    let stream: FrameStream | undefined;
    let uploadError: ProblemError | undefined;
    const onClose = (): void => {
      if (!response.writableFinished) stream?.reset('cancelled', 'The client left');
    };
    response.on('close', onClose);
    try {
      stream = openStream();
      const uploading = small === undefined ? upload(request, stream, maxBytes) : stream.end(small);
      uploading.catch((error: unknown) => {
        // A worker that wants no more of the request may still answer; anything else ends the call.
        if (error instanceof ProblemError) uploadError = error;
        if (!(error instanceof StreamError)) stream?.reset('cancelled', 'The request broke off');
      });
      await this.#sendAnswer(exchange, await answerHead(stream), stream);
    } catch (error) {
      stream?.reset('cancelled', 'The gateway gave up');
      throw uploadError ?? asProblem(error);
    } finally {
      response.off('close', onClose);
      if (!request.complete) stream?.reset('cancelled', 'The answer is complete');
    }
  }

  /** The answer's bytes as they come. One that is here as a whole leaves in one piece. */
  async #sendAnswer({ request, response }: Exchange, head: CallHead, stream: FrameStream): Promise<void> {
    const common = request.headers.origin === undefined ? answerHeaders : browserAnswerHeaders;
    const headers = [...common, 'content-type', head.contentType];
    const chunks = stream[Symbol.asyncIterator]();
    // Its head by itself only where nothing else is here yet.
    const flush = setImmediate(() => {
      response.writeHead(head.status, headers);
      response.flushHeaders();
    });
    try {
      for (let next = await chunks.next(); ; next = await chunks.next()) {
        clearImmediate(flush);
        const chunk = next.value ?? nothing;
        this.#components.relayedBytes.add(chunk.length);
        if (!response.headersSent) {
          if (stream.drained) headers.push('content-length', String(chunk.length));
          response.writeHead(head.status, headers);
        }
        if (stream.drained) {
          response.end(chunk);
          return;
        }
        if (!response.write(chunk) && !(await drained(response))) return;
      }
    } finally {
      clearImmediate(flush);
    }
  }
}

/** Headers by which clients of x402 pay. A gateway must never see one: it could carry the payment to the chain, and no call with it. */
const paymentHeaders = ['payment-signature', 'x-payment'];

/** A call that is not sealed tells the gateway everything, and proves nothing. */
function assertSealed({ headers }: IncomingMessage): void {
  const type = headers['content-type'] ?? '';
  const payment = paymentHeaders.find((name) => headers[name] !== undefined);
  if (payment !== undefined)
    throw new ProblemError(
      'plaintext-call',
      `The request carries "${payment}" in plain text: count that payment as shown`,
    );
  if (!requestType.test(type))
    throw new ProblemError(
      'plaintext-call',
      `A call is a sealed request with a media type of message/…, not "${type.slice(0, 100)}"`,
    );
}

/** A body whose length is known and small, as soon as its last byte is here. Rejects when the client goes away first. */
function wholeBody(request: IncomingMessage, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let received = 0;
    request.on('data', (chunk: Uint8Array) => {
      chunks.push(chunk);
      received += chunk.length;
      // Not at 'end', which comes some turns later. Node.js lets no request have more than its declared length.
      if (received === length)
        resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length));
    });
    if (length === 0) request.on('end', () => resolve(nothing));
    request.on('error', () => reject(new ProblemError('bad-request', 'The request broke off')));
  });
}

async function upload(request: IncomingMessage, stream: FrameStream, max: number): Promise<void> {
  let sent = 0;
  for await (const chunk of bodyOf(request)) {
    sent += chunk.length;
    if (sent > max) throw tooLarge(max);
    await stream.write(chunk);
  }
  await stream.end();
}
