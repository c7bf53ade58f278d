import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type ControlMessage,
  encodeControl,
  type FrameMux,
  maxFrameBytes,
  muxOverWebSocket,
  parseControl,
  type RefusalCode,
  verifyHello,
} from '@cloister/channel/frame';
import {
  type Address,
  type Bytes32,
  maxAnnouncementBytes,
  parseBoundedJson,
  type RecordDomain,
  withDeadline,
} from '@cloister/core';
import type { Counter, Logger } from '@cloister/service';
import { TokenBuckets } from '@cloister/service';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ConnectedWorker, Directory } from './directory.ts';
import type { GatewayLimits } from './limits.ts';

export type WorkerDoorComponents = {
  /** The receipt signer that the registry names for the worker; undefined where it names none. */
  readonly resolveSigner: (workerId: Bytes32, signal: AbortSignal) => Promise<Address | undefined>;
  readonly domain: RecordDomain;
  readonly directory: Directory;
  readonly limits: GatewayLimits;
  readonly log: Logger;
  readonly refused: Counter;
  /** The gateway's public URL: what a worker's hello must be meant for. */
  readonly publicUrl: () => string;
};

/** Announcements a worker may push at once, and then one in so many seconds. */
const announceBurst = 10;
const announceEverySeconds = 10;

/**
 * `GET /v1/dial`: where workers dial in. A worker proves by its registered receipt signer's signature over a fresh nonce
 * and this gateway's URL that it is itself, so that nobody can squat on its id; only then it is in the directory.
 */
export class WorkerDoor {
  readonly #components: WorkerDoorComponents;
  readonly #server: WebSocketServer;
  readonly #stopping = new AbortController();
  readonly #waiting = new Set<FrameMux>();

  constructor(components: WorkerDoorComponents) {
    this.#components = components;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxFrameBytes,
      skipUTF8Validation: true,
    });
  }

  /** Takes over the socket of an upgrade request for /v1/dial. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#challenge(webSocket, request));
  }

  /** Tells every worker that the gateway stops, and closes. */
  stop(): void {
    this.#stopping.abort();
    for (const mux of [...this.#waiting]) refuse(mux, 'stopping', 'The gateway stops');
    for (const { mux } of this.#components.directory.all()) refuse(mux, 'stopping', 'The gateway stops');
  }

  #challenge(webSocket: WebSocket, request: IncomingMessage): void {
    const { limits, publicUrl, refused, directory } = this.#components;
    const nonce: Bytes32 = `0x${randomBytes(32).toString('hex')}`;
    const gateway = publicUrl();
    const checking = new AbortController();
    let state: 'challenged' | 'checking' | ConnectedWorker = 'challenged';
    const onControl = (bytes: Uint8Array): void => {
      const message = parseControl(bytes);
      if (typeof state === 'object') this.#announce(state, message, announces);
      else if (state === 'checking' || message.type !== 'hello')
        throw new TypeError(`Got "${message.type}" before the welcome`);
      else {
        state = 'checking';
        const hello = { workerId: message.workerId, gateway, nonce };
        this.#check(message.signature, hello, mux, checking.signal)
          .then((worker) => {
            if (worker === undefined) return;
            state = worker;
            if (mux.closed) directory.remove(worker);
          })
          .catch((error: unknown) => {
            this.#components.log.error('gateway: checking a worker failed', { error });
            this.#refuse(mux, 'unavailable', 'The gateway failed');
          });
      }
    };
    const announces = new TokenBuckets({ burst: announceBurst, perSecond: 1 / announceEverySeconds, maxClients: 1 });
    const mux: FrameMux = muxOverWebSocket(webSocket, request.socket, {
      role: 'gateway',
      limits: {
        maxStreams: limits.callsAtOncePerWorker,
        maxBufferedBytes: limits.callsAtOncePerWorker * 2 * 131_072,
        heartbeatMs: limits.heartbeatMs,
        streamIdleMs: limits.callIdleMs,
        streamDeadlineMs: limits.callDeadlineMs,
      },
      onControl,
      onClose: (error) => {
        clearTimeout(timer);
        checking.abort();
        this.#waiting.delete(mux);
        if (typeof state === 'object') directory.remove(state);
        if (error !== undefined) refused.add(1, { code: error.code });
        this.#components.log.debug('gateway: worker connection closed', { error });
      },
    });
    const timer = setTimeout(
      () => typeof state !== 'object' && this.#refuse(mux, 'too-slow', 'No proof came in time'),
      limits.helloMs,
    );
    this.#waiting.add(mux);
    if (this.#stopping.signal.aborted) this.#refuse(mux, 'stopping', 'The gateway stops');
    else if (directory.size >= limits.workers || this.#waiting.size > limits.workers)
      this.#refuse(mux, 'full', 'This gateway has no room for another worker');
    else mux.sendControl(encodeControl({ type: 'challenge', nonce, gateway }));
  }

  async #check(
    signature: string,
    hello: { readonly workerId: Bytes32; readonly gateway: string; readonly nonce: Bytes32 },
    mux: FrameMux,
    signal: AbortSignal,
  ): Promise<ConnectedWorker | undefined> {
    const { resolveSigner, domain, directory, log, limits } = this.#components;
    const { workerId } = hello;
    let signer: Address | undefined;
    try {
      signer = await withDeadline({ timeoutMs: limits.helloMs, signal, what: 'Reading the registry' }, (inner) =>
        resolveSigner(workerId, inner),
      );
    } catch (error) {
      if (!mux.closed) log.warn("gateway: a worker's signer can't be read", { workerId, error });
      this.#refuse(mux, 'unavailable', 'The registry could not be read');
      return undefined;
    }
    if (mux.closed) return undefined;
    if (signer === undefined) this.#refuse(mux, 'unknown-worker', 'The registry names no active worker of that id');
    else if (!verifyHello(domain, hello, signature, signer))
      this.#refuse(mux, 'bad-signature', "The hello is not signed by the worker's registered receipt signer");
    else {
      const worker: ConnectedWorker = {
        workerId,
        mux,
        announcement: undefined,
        onReplaced: () => this.#refuse(mux, 'replaced', 'A newer connection of this worker has come'),
      };
      this.#waiting.delete(mux);
      directory.add(worker);
      log.info('gateway: worker connected', { workerId });
      mux.sendControl(encodeControl({ type: 'welcome' }));
      return worker;
    }
    return undefined;
  }

  #announce(worker: ConnectedWorker, message: ControlMessage, rate: TokenBuckets): void {
    if (message.type !== 'announce') throw new TypeError(`Got "${message.type}" after the welcome`);
    if (rate.take('') > 0) this.#refuse(worker.mux, 'bad-announcement', 'Too many announcements');
    else if (!isAnnouncementOf(message.announcement, worker.workerId))
      this.#refuse(worker.mux, 'bad-announcement', 'Not an announcement of this worker');
    else worker.announcement = message.announcement;
  }

  #refuse(mux: FrameMux, code: RefusalCode, detail: string): void {
    if (mux.closed) return;
    this.#components.refused.add(1, { code });
    this.#components.log.info('gateway: worker refused', { code, detail });
    refuse(mux, code, detail);
  }
}

function refuse(mux: FrameMux, code: RefusalCode, detail: string): void {
  mux.sendControl(encodeControl({ type: 'refused', code, detail }));
  mux.close();
}

/** Only its form: that it is JSON, small enough, and about that worker. Who uses it verifies the rest. */
function isAnnouncementOf(announcement: string, workerId: Bytes32): boolean {
  try {
    const value = parseBoundedJson(Buffer.from(announcement), maxAnnouncementBytes, 'worker announcement');
    return typeof value === 'object' && value !== null && 'workerId' in value && value.workerId === workerId;
  } catch {
    return false;
  }
}
