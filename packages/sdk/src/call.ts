import {
  type CallHeaders,
  ChannelError,
  endToEndFields,
  keptAnswerId,
  type RequestSealer,
  readProblem,
  requestMediaType,
  responseMediaType,
} from '@cloister/channel/client';
import {
  type AppCall,
  appRequestHash,
  type Bytes32,
  CloisterError,
  type Manifest,
  maxSignedReceiptBytes,
  parseBoundedJson,
  type ReceiptStatus,
  readBounded,
  type SignedReceipt,
  signedReceiptFromJson,
  sleep,
  withDeadline,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, keccak256Stream, randomBytes, SecretBytes, toBase64Url, toHex } from '@cloister/crypto';
import type { ServingApp } from './apps.ts';
import type { ProofStep } from './steps.ts';
import { type SealedAttempt, type VerifiedReceipt, verifyReceipt } from './verifyReceipt.ts';
import type { VerifiedWorker } from './verifyWorker.ts';

/** A request to an app, as its handler shall see it. */
export type CallRequest = {
  readonly method?: string;
  /** Path and query, beginning with "/". Default "/". */
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
};

/**
 * Vouches for the app that calls: a signed statement as text (`signedAppCallText` of core) about one attempt of a call, for the worker that
 * it goes to. Only a registered worker's is believed.
 */
export type CallerWitness = (about: Pick<AppCall, 'callee' | 'receiver' | 'call' | 'request'>) => Promise<string>;

export type CallOptions = {
  /** 32 bytes that the receipt repeats: for contracts, `contextHash`. */
  readonly context?: Bytes32;
  /** The only manifest that is accepted; default: the one that the app serves. */
  readonly manifest?: Bytes32;
  /** The app may safely run twice: after a lost connection another worker may be asked. */
  readonly idempotent?: boolean;
  /** The only worker that is asked. */
  readonly worker?: Bytes32;
  /** The most that the call may cost, in the token's smallest unit. Default 0: free calls only. */
  readonly maxFee?: bigint;
  /** Default: the app's own wall limit and 20 s. */
  readonly timeoutMs?: number;
  /** Where an app calls: the worker's word for which one. */
  readonly caller?: CallerWitness;
  readonly signal?: AbortSignal;
};

/** A way to a worker: its gateway, and what was verified about it. */
export type Route = { readonly gateway: string; readonly worker: VerifiedWorker };

/** Where a call may go, best first, and in words why other workers were left out. */
export type Routes = { readonly usable: readonly Route[]; readonly unusable: readonly string[] };

/** An answer, its receipt verified against everything that was sent. */
export type CallResult = {
  /** Whether the receipt's status is "ok". */
  readonly ok: boolean;
  /** How the call ended by the receipt. */
  readonly outcome: ReceiptStatus;
  /** HTTP status, headers and body of the app's answer. */
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly receipt: SignedReceipt;
  readonly attempt: SealedAttempt;
  readonly worker: VerifiedWorker;
  readonly app: ServingApp;
  readonly gateway: string;
  readonly request: Required<CallRequest>;
  /** All that was checked, from the worker's evidence to the receipt. */
  readonly steps: readonly ProofStep[];
};

export type CallComponents = {
  readonly chainId: number;
  readonly registry: `0x${string}`;
  readonly fetch: typeof globalThis.fetch;
  /** One for all calls of a client, so that each call prepares the next one's keys. */
  readonly sealer: RequestSealer;
  /** Routes to try, best first, each worker verified. Called again with `refresh` when a key was refused. */
  routes(app: ServingApp, refresh: boolean, signal: AbortSignal): Promise<Routes>;
};

/** Parts of an answer as they arrive; the last carries the verified receipt. */
export type AnswerEvent =
  | { readonly type: 'head'; readonly status: number; readonly headers: readonly (readonly [string, string])[] }
  | { readonly type: 'body'; readonly bytes: Uint8Array }
  | {
      readonly type: 'done';
      readonly receipt: SignedReceipt;
      readonly verified: VerifiedReceipt;
      readonly route: Route;
    };

const maxAttempts = 4;

/** One logical call: every attempt has the same call id and client key, so that a worker never runs it twice. */
export class Call {
  readonly request: Required<CallRequest>;
  readonly #components: CallComponents;
  readonly #app: ServingApp;
  readonly #options: CallOptions;
  readonly #attempts: SealedAttempt[] = [];
  readonly #headers: CallHeaders;
  #keyRefusals = 0;

  readonly #manifests: readonly Bytes32[];

  /** `manifests`: whose answers are accepted; zero stands for the worker itself. */
  constructor(
    components: CallComponents,
    app: ServingApp,
    request: CallRequest,
    options: CallOptions,
    manifests: readonly Bytes32[] = [app.manifestId],
  ) {
    this.#manifests = manifests;
    this.#components = components;
    this.#app = app;
    this.#options = options;
    this.request = {
      method: (request.method ?? 'GET').toUpperCase(),
      path: request.path ?? '/',
      headers: endToEndFields(request.headers ?? []),
      body: request.body ?? new Uint8Array(),
    };
    this.#headers = {
      app: app.app,
      manifest: app.manifestId,
      callId: toBase64Url(randomBytes(16)),
      // Fresh for every call: two calls of one client have nothing in common.
      clientKey: new SecretBytes(randomBytes(32)),
      context: options.context ?? zeroBytes32,
      maxFee: options.maxFee ?? 0n,
    };
  }

  /** The whole answer. Lost connections are repaired by asking the same worker for its kept answer. */
  async buffered(): Promise<CallResult> {
    return this.#within(async (signal) => {
      let tried: Route | undefined;
      for (let attempt = 1; ; attempt++) {
        const route = await this.#route(tried, attempt, signal);
        try {
          const parts: Uint8Array[] = [];
          let head: { status: number; headers: readonly (readonly [string, string])[] } | undefined;
          for await (const event of this.#attempt(route, signal)) {
            if (event.type === 'head') head = event;
            else if (event.type === 'body') parts.push(event.bytes);
            else if (head !== undefined) return this.#result(head, concatBytes(...parts), event);
          }
          throw new CallError('CALL_ANSWER_INCOMPLETE', 'The answer ended before its receipt', true);
        } catch (error) {
          if (!isRepairable(error) || attempt >= maxAttempts || signal.aborted) throw error;
          await pauseBefore(attempt, signal);
          tried = route;
        }
      }
    });
  }

  /** The answer as it arrives. Repairs only what breaks before the first part. Throws the signal's reason once it aborts. */
  async *streamed(outer: AbortSignal): AsyncGenerator<AnswerEvent> {
    const signal = AbortSignal.any([outer, AbortSignal.timeout(this.#timeoutMs)]);
    let tried: Route | undefined;
    for (let attempt = 1; ; attempt++) {
      const route = await this.#route(tried, attempt, signal);
      let begun = false;
      try {
        for await (const event of this.#attempt(route, signal)) {
          begun = true;
          yield event;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (begun || !isRepairable(error) || attempt >= maxAttempts) throw error;
        await pauseBefore(attempt, signal);
        tried = route;
      }
    }
  }

  #result(
    head: { status: number; headers: readonly (readonly [string, string])[] },
    body: Uint8Array,
    done: AnswerEvent & { type: 'done' },
  ): CallResult {
    const { receipt, verified, route } = done;
    return {
      ok: verified.status === 'ok',
      outcome: verified.status,
      status: head.status,
      headers: head.headers,
      body,
      receipt,
      attempt: verified.attempt,
      worker: route.worker,
      app: this.#app,
      gateway: route.gateway,
      request: this.request,
      steps: [...route.worker.steps, ...verified.steps],
    };
  }

  async *#attempt(route: Route, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const { keyConfig } = route.worker;
    const { sealer } = this.#components;
    const call = await this.#headersFor(route);
    const sealed = await sealer.seal({ keyConfig, call, request: this.request });
    this.#attempts.push({
      requestHash: sealed.requestHash,
      inputSalt: sealed.inputSalt,
      outputSalt: sealed.outputSalt,
    });
    const sending = this.#send(route, sealed.encapsulated, signal);
    sealer.prepare(keyConfig);
    const response = await sending;
    const hash = keccak256Stream();
    const opener = sealed.openResponse({ maxTotalBytes: maxSealedAnswerBytes(this.#app.manifest) });
    for await (const event of opener.read(bodyOf(response), { signal })) {
      if (event.type === 'head') yield { type: 'head', status: event.status, headers: event.headers };
      else if (event.type === 'body') {
        hash.update(event.bytes);
        yield { type: 'body', bytes: event.bytes };
      } else {
        const receipt = signedReceiptFromJson(parseBoundedJson(event.trailer, maxSignedReceiptBytes, 'signed receipt'));
        const verified = verifyReceipt(receipt, {
          chainId: this.#components.chainId,
          registry: this.#components.registry,
          workerId: route.worker.workerId,
          receiptSigner: route.worker.receiptSigner,
          app: this.#app.app,
          manifests: this.#manifests,
          context: this.#headers.context,
          attempts: this.#attempts,
          route: `${this.request.method} ${this.request.path}`,
          requestBody: this.request.body,
          responseBodyHash: toHex(hash.digest()),
          maxFee: this.#headers.maxFee,
        });
        yield { type: 'done', receipt, verified, route };
      }
    }
  }

  /** The call's headers, with the caller's statement for this very worker where an app calls. */
  async #headersFor({ worker }: Route): Promise<CallHeaders> {
    const { caller } = this.#options;
    if (caller === undefined) return this.#headers;
    const statement = await caller({
      callee: this.#app.app,
      receiver: worker.receiptSigner,
      call: keptAnswerId(this.#headers),
      request: appRequestHash(this.request),
    });
    return { ...this.#headers, caller: statement };
  }

  async #send(route: Route, encapsulated: Uint8Array, signal: AbortSignal): Promise<Response> {
    const response = await this.#components
      .fetch(`${route.gateway}/v1/workers/${route.worker.workerId}/call`, {
        method: 'POST',
        headers: { 'content-type': requestMediaType },
        body: new Blob([encapsulated as Uint8Array<ArrayBuffer>]),
        redirect: 'error',
        signal,
      })
      .catch((cause: unknown) => {
        throw new CallError('CALL_CONNECTION_LOST', `The connection to gateway ${route.gateway} broke`, true, cause);
      });
    if (response.status === 200 && response.headers.get('content-type') === responseMediaType) return response;
    const body = await readBounded(response, 4096).catch(() => new Uint8Array());
    const problem = readProblem({ status: response.status, contentType: response.headers.get('content-type'), body });
    // Anyone on the way can say so: one new key is worth a try, a second one is not.
    if (problem?.isKeyProblem)
      throw new CallError('CALL_KEY_REFUSED', 'The worker no longer accepts this key', this.#keyRefusals++ === 0);
    throw new CallError(
      'CALL_NOT_DELIVERED',
      `Gateway ${route.gateway} answered ${response.status} (${problem?.title ?? 'no problem document'}) instead of a sealed answer`,
      response.status >= 500,
    );
  }

  /** The first route, or after a failure: the same worker again, another only where running twice is allowed. */
  async #route(tried: Route | undefined, attempt: number, signal: AbortSignal): Promise<Route> {
    const { usable: routes, unusable } = await this.#components.routes(this.#app, tried !== undefined, signal);
    const same =
      tried === undefined
        ? undefined
        : routes.find((route) => route.worker.receiptSigner === tried.worker.receiptSigner);
    const chosen = tried === undefined ? routes[0] : (same ?? (this.#options.idempotent ? routes[0] : undefined));
    const other =
      this.#options.idempotent && attempt > 2
        ? routes.find((route) => route.worker.workerId !== tried?.worker.workerId)
        : undefined;
    if (other !== undefined) return other;
    if (chosen !== undefined) return chosen;
    if (tried === undefined)
      throw new CallError(
        'CALL_NO_WORKER',
        unusable.length === 0 ? 'No gateway lists a worker' : `No worker may be used: ${shortened(unusable)}`,
        true,
        undefined,
        unusable.length === 0
          ? 'Check that the network runs, and its gateways in the network file'
          : '"cloister workers --explain" shows every check of every worker',
      );
    throw new CallError(
      'CALL_WORKER_LOST',
      `Worker "${tried.worker.workerId}" was lost in mid-call and its answer with it`,
      false,
      undefined,
      'It may have run: call again only if running twice is safe, or mark such calls idempotent',
    );
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? this.#app.manifest.limits.wallMs + 20_000;
  }

  #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline({ timeoutMs: this.#timeoutMs, signal: this.#options.signal, what: 'The call' }, work);
  }
}

/** The answer's bytes as they arrive; a connection that breaks gives CALL_CONNECTION_LOST. */
async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read().catch((cause: unknown) => {
        throw new CallError('CALL_CONNECTION_LOST', 'The connection broke in the middle of the answer', true, cause);
      });
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

/** What an answer within the app's own limit can take when sealed: padding and small chunks at most double it. */
function maxSealedAnswerBytes({ limits }: Manifest): number {
  return 2 * limits.outputBytes + 4 * 1024 * 1024;
}

/** The first few of what may be many, each of bounded length: gateways may list what they like. */
function shortened(reasons: readonly string[]): string {
  const shown = reasons.slice(0, 3).map((reason) => reason.slice(0, 300));
  const more = reasons.length - shown.length;
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** The first repair is tried at once, later ones with growing pauses: a worker may be starting again. */
function pauseBefore(attempt: number, signal: AbortSignal): Promise<void> {
  return attempt === 1 ? Promise.resolve() : sleep(250 * 2 ** (attempt - 2), signal);
}

/** Whether asking again is safe and may help: the same call id never runs twice at one worker. */
function isRepairable(error: unknown): boolean {
  if (error instanceof CallError) return error.retry;
  return error instanceof ChannelError && error.code === 'RESPONSE_TRUNCATED';
}

export type CallErrorCode =
  | 'CALL_NO_WORKER'
  | 'CALL_NOT_DELIVERED'
  | 'CALL_CONNECTION_LOST'
  | 'CALL_KEY_REFUSED'
  | 'CALL_ANSWER_INCOMPLETE'
  | 'CALL_WORKER_LOST';

export class CallError extends CloisterError<CallErrorCode> {
  override readonly name = 'CallError';
  constructor(code: CallErrorCode, message: string, retry: boolean, cause?: unknown, hint?: string) {
    super({ code, message, retry, cause, hint });
  }
}
