import { responseMediaType } from '@cloister/channel/client';
import { utf8 } from '@cloister/crypto';
import { CallError } from './callError.ts';
import type { Route } from './route.ts';
import { maxProblemBytes, undelivered } from './undelivered.ts';

/** How much may wait in the connection before the body is asked for more, in bytes, and how often that is looked at. */
const highWaterBytes = 1_048_576;
const lookAgainMs = 10;

/**
 * Sends a streamed request over a WebSocket to the gateway, where it goes out and its answer comes in at once in every runtime; answers the
 * sealed answer's bytes. Throws CALL_CONNECTION_LOST, CALL_KEY_REFUSED, CALL_NOT_DELIVERED, and the signal's reason.
 */
export async function sendSession(
  Socket: typeof WebSocket,
  { gateway, worker }: Route,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  signal.throwIfAborted();
  const socket = new Socket(`${gateway.replace(/^http/, 'ws')}/v1/workers/${worker.workerId}/session`);
  socket.binaryType = 'arraybuffer';
  const answer = new SessionAnswer(socket, gateway);
  const onAbort = (): void => answer.fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  answer.over.finally(() => signal.removeEventListener('abort', onAbort));
  socket.addEventListener('open', () => {
    pump(socket, body).catch((error: unknown) => answer.fail(error));
  });
  await answer.begun;
  return partsOf(answer.bytes);
}

async function* partsOf(bytes: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = bytes.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function pump(socket: WebSocket, body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  socket.addEventListener('close', () => void reader.cancel().catch(() => {}), { once: true });
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (socket.readyState !== 1) return;
    socket.send(next.value as Uint8Array<ArrayBuffer>);
    while (socket.readyState === 1 && socket.bufferedAmount > highWaterBytes)
      await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}

type Begin = { readonly resolve: () => void; readonly reject: (error: unknown) => void };

/** What comes back: a head in words, then bytes, then an end that says whether it is one. */
class SessionAnswer {
  readonly begun: Promise<void>;
  readonly over: Promise<void>;
  readonly bytes: ReadableStream<Uint8Array>;
  readonly #socket: WebSocket;
  readonly #begin: Begin;
  #end: () => void = () => {};
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #problem: { readonly status: number; readonly contentType: string } | undefined;
  #problemBytes: Uint8Array = new Uint8Array();
  #hasBegun = false;
  #isOver = false;

  constructor(socket: WebSocket, gateway: string) {
    this.#socket = socket;
    let begin: Begin | undefined;
    this.begun = new Promise((resolve, reject) => {
      begin = { resolve, reject };
    });
    this.begun.catch(() => {});
    this.#begin = begin as unknown as Begin;
    this.over = new Promise((settle) => {
      this.#end = settle;
    });
    this.bytes = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => this.fail(new CallError('CALL_CONNECTION_LOST', 'The session was left', false)),
    });
    socket.addEventListener('message', ({ data }: MessageEvent) => this.#take(data, gateway));
    socket.addEventListener('close', ({ code, reason }: CloseEvent) => this.#closed(code, reason, gateway));
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#begin.reject(error);
    try {
      this.#controller?.error(error);
    } catch {
      // nobody reads it any more
    }
    this.#socket.close();
    this.#end();
  }

  #take(data: unknown, gateway: string): void {
    if (this.#isOver) return;
    if (!this.#hasBegun) {
      const head = headOf(data);
      if (head === undefined)
        return void this.fail(
          new CallError('CALL_NOT_DELIVERED', `Gateway ${gateway} answered what is no answer`, true),
        );
      this.#hasBegun = true;
      if (head.status === 200 && head.contentType === responseMediaType) this.#begin.resolve();
      else this.#problem = head;
      return;
    }
    if (!(data instanceof ArrayBuffer))
      return void this.fail(new CallError('CALL_NOT_DELIVERED', `Gateway ${gateway} answered what is no answer`, true));
    if (this.#problem === undefined) this.#controller?.enqueue(new Uint8Array(data));
    else if (this.#problemBytes.length < maxProblemBytes) this.#problemBytes = new Uint8Array(data);
  }

  #closed(code: number, reason: string, gateway: string): void {
    if (this.#isOver) return;
    if (this.#problem !== undefined)
      return void this.fail(undelivered(gateway, { ...this.#problem, body: this.#problemBytes }));
    if (code !== 1000 || !this.#hasBegun)
      return void this.fail(
        new CallError(
          'CALL_CONNECTION_LOST',
          `The connection to gateway ${gateway} broke (${code}${reason === '' ? '' : `, ${reason}`})`,
          true,
        ),
      );
    this.#isOver = true;
    this.#controller?.close();
    this.#end();
  }
}

function headOf(data: unknown): { readonly status: number; readonly contentType: string } | undefined {
  if (typeof data !== 'string' || utf8(data).length > 1_024) return undefined;
  try {
    const { status, contentType } = JSON.parse(data) as { status?: unknown; contentType?: unknown };
    return typeof status === 'number' && typeof contentType === 'string' ? { status, contentType } : undefined;
  } catch {
    return undefined;
  }
}
