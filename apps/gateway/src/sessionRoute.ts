import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { encodeCallOpen, type FrameStream } from '@cloister/channel/frame';
import type { Bytes32 } from '@cloister/core';
import type { Counter } from '@cloister/service';
import { type WebSocket, WebSocketServer } from 'ws';
import type { CallAdmission } from './callAdmission.ts';
import type { Directory } from './directory.ts';
import type { GatewayLimits } from './limits.ts';
import { ProblemError } from './problem.ts';
import { answerHead, asProblem } from './workerAnswer.ts';

export type SessionRouteComponents = {
  readonly directory: Directory;
  readonly limits: GatewayLimits;
  readonly admission: CallAdmission;
  readonly relayedBytes: Counter;
};

/** The largest message of a client: a few sealed chunks. */
const maxMessageBytes = 262_144;
/** How much may wait in a client's connection before the worker is slowed. */
const highWaterBytes = 262_144;

/**
 * `GET /v1/workers/{workerId}/session`, upgraded to a WebSocket: a streamed request and its answer as they come, for clients that can't send
 * and read at once over HTTP. The gateway says the head of the answer in one text message, then passes bytes on; it closes with 1000 where the
 * worker has ended, with 1011 and the name of a problem where anything broke.
 */
export class SessionRoute {
  readonly #components: SessionRouteComponents;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    skipUTF8Validation: true,
  });

  constructor(components: SessionRouteComponents) {
    this.#components = components;
  }

  /** Takes over the socket of an upgrade request. Throws ProblemError before it is one. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, client: string, workerId: Bytes32): void {
    const { directory, admission, limits } = this.#components;
    admission.assertRate(client);
    const worker = directory.connected(workerId);
    const leave = admission.enter(client);
    socket.once('close', leave);
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const open = encodeCallOpen({ method: 'stream', contentLength: null });
      try {
        const times = { deadlineMs: limits.callDeadlineMs, idleMs: limits.callIdleMs };
        this.#relay(webSocket, worker.mux.openStream(open, times));
      } catch (error) {
        close(webSocket, error);
      }
    });
  }

  #relay(webSocket: WebSocket, stream: FrameStream): void {
    const { limits } = this.#components;
    let sent = 0;
    let writing: Promise<void> = Promise.resolve();
    webSocket.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      sent += bytes.length;
      if (!isBinary || sent > limits.streamedCallBytes) {
        stream.reset('too-large', 'The client sends what is no sealed request');
        return close(webSocket, new ProblemError('request-too-large', 'A session is binary, and bounded'));
      }
      // The client is read on only once the worker's side has taken what came.
      webSocket.pause();
      writing = writing
        .then(() => stream.write(bytes))
        .catch(() => {})
        .then(() => webSocket.resume());
    });
    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('close', () => {
      // Whether it was whole stands in its last chunk, not in how the client left.
      writing.then(() => stream.end()).catch(() => {});
      if (!stream.drained) setTimeout(() => stream.reset('cancelled', 'The client left'), 1_000).unref();
    });
    this.#answer(webSocket, stream).then(
      () => webSocket.close(1000),
      (error: unknown) => {
        stream.reset('cancelled', 'The gateway gave up');
        close(webSocket, error);
      },
    );
  }

  async #answer(webSocket: WebSocket, stream: FrameStream): Promise<void> {
    webSocket.send(JSON.stringify(await answerHead(stream)));
    for await (const chunk of stream) {
      this.#components.relayedBytes.add(chunk.length);
      const taken = new Promise<void>((resolve) => webSocket.send(Uint8Array.from(chunk), () => resolve()));
      if (webSocket.bufferedAmount > highWaterBytes) await taken;
    }
  }
}

function close(webSocket: WebSocket, error: unknown): void {
  const problem = asProblem(error);
  webSocket.close(1011, problem instanceof ProblemError ? problem.code : 'internal');
}
