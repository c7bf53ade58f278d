import type { Socket } from 'node:net';
import {
  type CallOpen,
  type ControlMessage,
  encodeControl,
  type FrameLimits,
  type FrameMux,
  type FrameStream,
  maxFrameBytes,
  muxOverWebSocket,
  parseCallOpen,
  parseControl,
  type RefusalCode,
} from '@cloister/channel/frame';
import { type Bytes32, CloisterError, gatewayHelloDigest, type NetworkFile, sleep } from '@cloister/core';
import { type Awaitable, fromHex, toHex } from '@cloister/crypto';
import { backoffMs, type Logger } from '@cloister/service';
import { WebSocket } from 'ws';

export type WorkerDiallerComponents = {
  /** Names the gateways, and the chain and registry that the hello is signed for. */
  readonly network: Pick<NetworkFile, 'gateways' | 'chainId' | 'contracts'>;
  readonly workerId: Bytes32;
  /** Signs a digest with the receipt signer: 65 bytes r ‖ s ‖ v. */
  readonly sign: (digest: Uint8Array) => Awaitable<Uint8Array>;
  /** Answers one call. The stream is closed when it returns, and reset when it throws. */
  readonly serve: (stream: FrameStream, open: CallOpen) => Promise<void>;
  readonly log: Logger;
};

export type WorkerDiallerInit = {
  /** The first pause before dialling again. ms. @default 250 */
  readonly baseMs?: number;
  /** The longest. ms. @default 15_000 */
  readonly maxMs?: number;
  /** For the connection, and again for the gateway's welcome. ms. @default 10_000 */
  readonly handshakeMs?: number;
  /** Calls served at once, over all gateways. @default 512 */
  readonly maxCalls?: number;
  readonly limits?: Partial<FrameLimits>;
};

/** A connection that lasted so long was a good one: the next pause is short again. */
const goodAfterMs = 10_000;

/**
 * Keeps a worker connected to every gateway of its network: dials out, proves whose worker it is, announces it, and
 * hands the calls that come to `serve`. A lost connection is dialled again for as long as it runs.
 */
export class WorkerDialler {
  readonly #components: WorkerDiallerComponents;
  readonly #init: Required<Omit<WorkerDiallerInit, 'limits'>> & Pick<WorkerDiallerInit, 'limits'>;
  readonly #stopping = new AbortController();
  readonly #welcomed = new Map<string, FrameMux>();
  #announcement: string | undefined;
  #calls = 0;
  #loops: Promise<unknown> | undefined;

  constructor(components: WorkerDiallerComponents, init: WorkerDiallerInit = {}) {
    this.#components = components;
    this.#init = { baseMs: 250, maxMs: 15_000, handshakeMs: 10_000, maxCalls: 512, ...init };
  }

  /** The gateways that have welcomed the worker and are connected now. */
  get gateways(): readonly string[] {
    return [...this.#welcomed.keys()];
  }

  /** Sets what every gateway is told, now and after each connection: the announcement as JSON text, at most 256 kB. */
  announce(announcement: string): void {
    this.#announcement = announcement;
    for (const mux of this.#welcomed.values()) mux.sendControl(encodeControl({ type: 'announce', announcement }));
  }

  /** Begins to dial. Resolves when one gateway has welcomed the worker, or all were tried once. Runs until `stop`. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.addEventListener('abort', () => this.#stopping.abort(signal.reason), { once: true });
    if (signal?.aborted === true) this.#stopping.abort(signal.reason);
    const { gateways } = this.#components.network;
    let tried = 0;
    await new Promise<void>((resolve) => {
      const onTried = (welcomed: boolean): void => {
        tried += 1;
        if (welcomed || tried >= gateways.length) resolve();
      };
      this.#loops = Promise.all(gateways.map((gateway) => this.#keep(gateway.replace(/\/+$/, ''), onTried)));
    });
  }

  /** Ends every connection; calls under way fail. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loops;
  }

  async #keep(gateway: string, onTried: (welcomed: boolean) => void): Promise<void> {
    const { log } = this.#components;
    const { signal } = this.#stopping;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const startedAt = performance.now();
      const error = await this.#connect(gateway, () => {
        log.info('worker: gateway connected', { gateway });
        onTried(true);
      }).catch((thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown))));
      onTried(false);
      if (signal.aborted) return;
      if (performance.now() - startedAt > goodAfterMs) attempt = 1;
      log[attempt === 1 ? 'warn' : 'debug']('worker: no connection to a gateway, dialling again', {
        gateway,
        attempt,
        error,
      });
      await sleep(backoffMs(attempt, this.#init), signal).catch(() => {});
    }
  }

  /** One connection, from dialling to its end; resolves with why it ended. */
  #connect(gateway: string, onWelcome: () => void): Promise<Error | undefined> {
    const { signal } = this.#stopping;
    const { handshakeMs } = this.#init;
    return new Promise((resolve) => {
      const webSocket = new WebSocket(`${gateway.replace(/^http/, 'ws')}/v1/dial`, {
        perMessageDeflate: false,
        maxPayload: maxFrameBytes,
        handshakeTimeout: handshakeMs,
        skipUTF8Validation: true,
        // The frames carry ciphertext, and TLS is around them: a mask would only cost time.
        generateMask: (mask) => mask.fill(0),
      });
      let error: Error | undefined;
      let mux: FrameMux | undefined;
      let socket: Socket | undefined;
      const fail = (reason: Error | undefined): void => {
        error ??= reason;
        if (mux === undefined) webSocket.terminate();
        else mux.close();
      };
      const onStop = (): void => fail(undefined);
      const timer = setTimeout(
        () => fail(new DialError('DIAL_NO_WELCOME', gateway, `Gateway ${gateway} gave no welcome in time`)),
        2 * handshakeMs,
      );
      signal.addEventListener('abort', onStop);
      webSocket.on('upgrade', (response) => {
        socket = response.socket;
      });
      webSocket.on('error', (cause) => {
        error ??= new DialError('DIAL_FAILED', gateway, `Gateway ${gateway} can't be dialled: ${cause.message}`, cause);
      });
      webSocket.on('close', () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onStop);
        resolve(error);
      });
      webSocket.on('open', () => {
        if (socket === undefined) return;
        const shake = this.#handshake(gateway, (welcomed) => {
          clearTimeout(timer);
          this.#welcomed.set(gateway, welcomed);
          onWelcome();
        });
        mux = muxOverWebSocket(webSocket, socket, {
          role: 'worker',
          ...(this.#init.limits === undefined ? {} : { limits: this.#init.limits }),
          onControl: (bytes) => shake(mux, parseControl(bytes), fail),
          onStream: (stream) => this.#accept(stream),
          onClose: (reason) => {
            error ??= reason;
            if (this.#welcomed.get(gateway) === mux) this.#welcomed.delete(gateway);
          },
        });
      });
    });
  }

  /** What to do with each control message: answer the one challenge, take the one welcome, heed a refusal. */
  #handshake(gateway: string, onWelcome: (mux: FrameMux) => void) {
    let step: 'challenge' | 'welcome' | 'done' = 'challenge';
    return (mux: FrameMux | undefined, message: ControlMessage, fail: (error: Error) => void): void => {
      if (mux === undefined) return;
      if (message.type === 'refused') fail(new GatewayRefusedError(gateway, message.code, message.detail));
      else if (message.type !== step)
        fail(
          new DialError('DIAL_PROTOCOL', gateway, `Gateway ${gateway} sent "${message.type}" where "${step}" was due`),
        );
      else if (message.type === 'challenge') {
        step = 'welcome';
        this.#answer(gateway, message, mux).catch(fail);
      } else {
        step = 'done';
        onWelcome(mux);
        if (this.#announcement !== undefined)
          mux.sendControl(encodeControl({ type: 'announce', announcement: this.#announcement }));
      }
    };
  }

  async #answer(
    gateway: string,
    challenge: Extract<ControlMessage, { type: 'challenge' }>,
    mux: FrameMux,
  ): Promise<void> {
    const { network, workerId, sign } = this.#components;
    // Signed for another gateway, the hello would let this one pose as the worker there.
    if (challenge.gateway.replace(/\/+$/, '') !== gateway)
      throw new DialError(
        'DIAL_OTHER_GATEWAY',
        gateway,
        `Gateway ${gateway} asks for a hello to "${challenge.gateway.slice(0, 200)}"`,
      );
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const digest = gatewayHelloDigest(domain, { workerId, gateway: challenge.gateway, nonce: challenge.nonce });
    mux.sendControl(encodeControl({ type: 'hello', workerId, signature: toHex(await sign(fromHex(digest))) }));
  }

  #accept(stream: FrameStream): void {
    const { serve, log } = this.#components;
    if (this.#calls >= this.#init.maxCalls) {
      stream.reset('unavailable', 'The worker has no room for another call');
      return;
    }
    let open: CallOpen;
    try {
      open = parseCallOpen(stream.header);
    } catch (error) {
      log.debug('worker: a stream of unknown kind', { error });
      stream.reset('refused', 'Unknown kind of stream');
      return;
    }
    this.#calls += 1;
    serve(stream, open)
      .catch((error: unknown) => log.warn('worker: a call failed', { error }))
      .finally(() => {
        this.#calls -= 1;
        // Does nothing where both sides have ended; else the rest of the request is not wanted, or the answer broke off.
        stream.reset('internal', 'The worker is through with this call');
      });
  }
}

export type DialErrorCode = 'DIAL_FAILED' | 'DIAL_NO_WELCOME' | 'DIAL_PROTOCOL' | 'DIAL_OTHER_GATEWAY';

export class DialError extends CloisterError<DialErrorCode> {
  override readonly name = 'DialError';
  constructor(code: DialErrorCode, gateway: string, message: string, cause?: unknown) {
    super({
      code,
      message,
      meta: { gateway },
      cause,
      retry: true,
      hint: "Check the network file's gateways, and that this one runs",
    });
  }
}

/** A gateway refused the worker; `meta.reason` says why. */
export class GatewayRefusedError extends CloisterError<'DIAL_REFUSED'> {
  override readonly name = 'GatewayRefusedError';
  constructor(gateway: string, reason: RefusalCode, detail: string) {
    super({
      code: 'DIAL_REFUSED',
      message: `Gateway ${gateway} refused this worker: ${reason}, "${detail}"`,
      meta: { gateway, reason },
      retry: true,
    });
  }
}
