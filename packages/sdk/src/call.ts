import {
  type CallHeaders,
  ChannelError,
  defaultMessageLimits,
  endToEndFields,
  keptAnswerId,
  type RequestSealer,
  type SealedRequest,
} from '@cloister/channel/client';
import {
  type Address,
  agreedPrice,
  appRequestHash,
  type Bytes32,
  describeError,
  isFree,
  type Manifest,
  maxSignedReceiptBytes,
  parseBoundedJson,
  type SignedReceipt,
  signedReceiptFromJson,
  sleep,
  withDeadline,
  zeroBytes32,
} from '@cloister/core';
import {
  concatBytes,
  keccak256,
  keccak256Stream,
  randomBytes,
  SecretBytes,
  toBase64Url,
  toHex,
} from '@cloister/crypto';
import type { ServingApp } from './apps.ts';
import { maxHeldBytes } from './bodySource.ts';
import { CallError } from './callError.ts';
import type { AnswerEvent, CallOptions, CallRequest, CallResult, SentRequest, SessionRequest } from './callTypes.ts';
import { EquivocationError, type FoundEquivocation, type ReceiptWatch } from './equivocation/receiptWatch.ts';
import { assertAllowed, highestFeeAt, payableRoutes } from './payableRoutes.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { Route, Routes } from './route.ts';
import { bodyOf, sendSealed, sendStreamed } from './sendSealed.ts';
import { sendSession } from './sendSession.ts';
import { StreamedBody } from './streamedBody.ts';
import {
  type ExpectedReceipt,
  ReceiptRefusedError,
  type SealedAttempt,
  type VerifiedReceipt,
  verifyReceipt,
} from './verifyReceipt.ts';

export type CallComponents = {
  readonly chainId: number;
  readonly registry: `0x${string}`;
  readonly fetch: typeof globalThis.fetch;
  /** For sessions; undefined where the runtime has none. */
  readonly webSocket: typeof WebSocket | undefined;
  /** One for all calls of a client, so that each call prepares the next one's keys. */
  readonly sealer: RequestSealer;
  /** Pays for calls; undefined where the client can't. */
  readonly payments: CallPaymentMethod | undefined;
  /** Compares each receipt with those that came before. */
  readonly receipts: Pick<ReceiptWatch, 'see'>;
  /** Routes to try, best first, each worker verified. Called again with `refresh` when a key was refused. */
  routes(app: ServingApp, refresh: boolean, signal: AbortSignal): Promise<Routes>;
  /** Told where a worker is said to take its key no more: no later call begins with it. */
  doubt(route: Route): void;
};

const maxAttempts = 4;

/** What was sealed; `stream` is what came after its head, where the body is streamed. */
type SentAttempt = { readonly sealed: SealedAttempt } & Pick<SealedRequest, 'stream'>;

/** One logical call: every attempt has the same call id and client key, so that a worker never runs it twice. */
export class Call {
  readonly request: SentRequest;
  /** What follows `request`, where its body is streamed. */
  readonly #body: StreamedBody | undefined;
  readonly #follows: 'stream' | 'socket';
  readonly #components: CallComponents;
  readonly #app: ServingApp;
  readonly #options: CallOptions;
  readonly #attempts: SentAttempt[] = [];
  readonly #headers: CallHeaders;
  readonly #isPaid: boolean;
  /** Ways by which payment was offered and no receipt has come yet. */
  readonly #offered = new Map<Address, Route>();
  #keyRefusals = 0;

  readonly #manifests: readonly Bytes32[];

  /** `manifests`: whose answers are accepted; zero stands for the worker itself. */
  constructor(
    components: CallComponents,
    app: ServingApp,
    request: CallRequest | SessionRequest,
    options: CallOptions,
    manifests: readonly Bytes32[] = [app.manifestId],
  ) {
    this.#manifests = manifests;
    this.#components = components;
    this.#app = app;
    this.#options = options;
    const { body = new Uint8Array() } = request;
    this.request = {
      method: (request.method ?? 'GET').toUpperCase(),
      path: request.path ?? '/',
      headers: endToEndFields(request.headers ?? []),
      body: body instanceof Uint8Array ? body : new Uint8Array(),
    };
    this.#follows = 'follows' in request ? request.follows : 'stream';
    this.#body = body instanceof Uint8Array ? undefined : this.#streamedBody(body);
    this.#headers = {
      app: app.app,
      manifest: app.manifestId,
      callId: toBase64Url(randomBytes(16)),
      // Fresh for every call: two calls of one client have nothing in common.
      clientKey: new SecretBytes(randomBytes(32)),
      context: options.context ?? zeroBytes32,
      maxFee: options.maxFee ?? 0n,
    };
    // The worker's own paths cost nothing.
    this.#isPaid = !isFree(app.manifest) && manifests.includes(app.manifestId);
    if (this.#isPaid) assertAllowed(app, this.#headers.maxFee, components.payments);
  }

  #streamedBody(stream: ReadableStream<Uint8Array>): StreamedBody {
    const { method } = this.request;
    const isBodyless = this.#follows === 'stream' && (method === 'GET' || method === 'HEAD');
    if (isBodyless || this.#options.caller !== undefined)
      throw new CallError(
        'CALL_BODY_REFUSED',
        this.#options.caller === undefined ? `A ${method} has no body` : "An app's call of another has a whole body",
        false,
      );
    return new StreamedBody(stream, this.#app.manifest.limits.inputBytes ?? defaultMessageLimits.maxBodyBytes);
  }

  /** The whole answer. Lost connections are repaired by asking the same worker for its kept answer. */
  async buffered(): Promise<CallResult> {
    return this.#within(async (signal) => {
      try {
        return await this.#bufferedWithin(signal);
      } finally {
        await this.#leave();
      }
    });
  }

  async #bufferedWithin(signal: AbortSignal): Promise<CallResult> {
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
        if (!this.#isRepairable(error) || attempt >= maxAttempts || signal.aborted)
          throw this.#explained(error, signal);
        await pauseBefore(attempt, signal);
        tried = route;
      }
    }
  }

  /** Lets a streamed body go. Of what was offered and has no receipt, the worst is assumed. */
  async #leave(): Promise<void> {
    this.#body?.abandon();
    for (const route of this.#offered.values()) await this.#components.payments?.lose(route, this.#headers.callId);
    this.#offered.clear();
  }

  /** The answer as it arrives. Repairs only what breaks before the first part. Throws the signal's reason once it aborts. */
  async *streamed(outer: AbortSignal): AsyncGenerator<AnswerEvent> {
    try {
      yield* this.#streamedWithin(outer);
    } finally {
      await this.#leave();
    }
  }

  async *#streamedWithin(outer: AbortSignal): AsyncGenerator<AnswerEvent> {
    const signal = AbortSignal.any([outer, AbortSignal.timeout(this.#timeoutMs)]);
    let tried: Route | undefined;
    for (let attempt = 1; ; attempt++) {
      const route = await within(signal, this.#route(tried, attempt, signal));
      let begun = false;
      try {
        for await (const event of this.#attempt(route, signal)) {
          begun = true;
          yield event;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (begun) throw this.#brokenOff(error);
        if (!this.#isRepairable(error) || attempt >= maxAttempts) throw this.#explained(error, signal);
        await within(signal, pauseBefore(attempt, signal));
        tried = route;
      }
    }
  }

  /**
   * Whether asking again is safe and may help: the same call id never runs twice at one worker. A streamed body is begun with again only
   * before any of it was taken, or where the worker did not open the request, and all that was taken is still here.
   */
  #isRepairable(error: unknown): boolean {
    const body = this.#body;
    if (!isPassing(error)) return false;
    if (body === undefined || body.bytes === 0) return body?.failure === undefined;
    return isKeyRefusal(error) && body.isWhole;
  }

  /** Why no other attempt is made, where it is that a streamed body is gone. */
  #explained(error: unknown, signal: AbortSignal): unknown {
    const body = this.#body;
    if (body === undefined || signal.aborted) return error;
    if (body.failure !== undefined) return body.failure;
    if (body.bytes === 0 || !isPassing(error)) return error;
    if (isKeyRefusal(error))
      return new CallError(
        'CALL_KEY_REFUSED',
        `The worker no longer accepts the key that the call was sealed to, and of its streamed body "${body.bytes}" bytes are gone, more than the "${maxHeldBytes}" that are held`,
        false,
        error,
        'By what the gateway passes on it did not run: make a new call with a new stream, which goes to the new key, or give the body as bytes',
      );
    return new CallError(
      'CALL_BODY_CONSUMED',
      `The call broke after "${body.bytes}" bytes of its streamed body were taken, which can't be sent again: ${describeError(error)}`,
      false,
      error,
      'It may have run: make a new call with a new stream, or give the body as bytes, which is repeated safely',
    );
  }

  /** What was given out can't be taken back, and another answer might go on in another way: only the caller can begin again. */
  #brokenOff(error: unknown): unknown {
    if (this.#body?.failure !== undefined) return this.#body.failure;
    if (!isPassing(error)) return error;
    const isSafe = this.#options.idempotent === true;
    const again = this.#body === undefined ? 'call again' : 'make a new call with a new stream';
    return new CallError(
      'CALL_ANSWER_INCOMPLETE',
      `The answer broke off before its receipt, so that what came of it is neither whole nor proven: ${describeError(error)}`,
      isSafe && this.#body === undefined,
      error,
      isSafe
        ? `The app may safely run twice: ${again}`
        : `It may have run: ${again} only if running twice is safe, or mark such calls idempotent`,
    );
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
      payment: verified.payment,
      request: this.request,
      steps: [...route.worker.steps, ...verified.steps],
    };
  }

  async *#attempt(route: Route, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const { keyConfig } = route.worker;
    const { sealer } = this.#components;
    const call = await this.#headersFor(route);
    const sealed = await sealer.seal({ keyConfig, call, request: this.request });
    const { requestHash, inputSalt, outputSalt, stream } = sealed;
    this.#attempts.push({ sealed: { requestHash, inputSalt, outputSalt }, stream });
    const sending = this.#send(route, sealed, signal);
    sealer.prepare(keyConfig);
    const answer = await sending;
    // Its answer begins where it has opened the request; what could not be opened is refused before.
    this.#body?.taken();
    const hash = keccak256Stream();
    let bodyBytes = 0;
    const { maxAnswerBytes = Number.POSITIVE_INFINITY } = this.#options;
    const opener = sealed.openResponse({ maxTotalBytes: maxSealedAnswerBytes(this.#app.manifest) });
    for await (const event of opener.read(answer, { signal })) {
      if (event.type === 'head') yield { type: 'head', status: event.status, headers: event.headers };
      else if (event.type === 'body') {
        bodyBytes += event.bytes.length;
        if (bodyBytes > maxAnswerBytes)
          throw new CallError('CALL_ANSWER_TOO_LARGE', `The answer has more than "${maxAnswerBytes}" bytes`, false);
        hash.update(event.bytes);
        yield { type: 'body', bytes: event.bytes };
      } else {
        const receipt = signedReceiptFromJson(parseBoundedJson(event.trailer, maxSignedReceiptBytes, 'signed receipt'));
        const verified = await this.#verified(receipt, route, toHex(hash.digest()));
        const found = await this.#seen(receipt, route);
        // What it cost counts all the same: the receipt can be claimed with.
        if (this.#offered.delete(route.worker.receiptSigner))
          await this.#components.payments?.settle(route, this.#headers.callId, receipt);
        if (found !== undefined) throw new EquivocationError(found);
        yield { type: 'done', receipt, verified, route };
      }
    }
  }

  /** Throws ReceiptRefusedError. */
  async #verified(signed: SignedReceipt, route: Route, responseBodyHash: Bytes32): Promise<VerifiedReceipt> {
    const { chainId, registry, payments } = this.#components;
    const { workerId, receiptSigner, quote } = route.worker;
    const isOffered = this.#offered.has(receiptSigner);
    const { attempts, requestBodyHash } = this.#sentBy(signed);
    const channel = isOffered ? await payments?.channelOf(route) : undefined;
    try {
      return verifyReceipt(signed, {
        chainId,
        registry,
        workerId,
        receiptSigner,
        app: this.#app.app,
        manifests: this.#manifests,
        context: this.#headers.context,
        attempts,
        route: `${this.request.method} ${this.request.path}`,
        requestBodyHash,
        responseBodyHash,
        channel,
        transfer: isOffered ? payments?.transfer : undefined,
        manifest: this.#app.manifest,
        price: agreedPrice(this.#app.manifest, quote),
        maxFee: this.#headers.maxFee,
      });
    } catch (error) {
      // Signed all the same: whatever else it is, it may be the second of its place.
      if (error instanceof ReceiptRefusedError && error.meta.step !== 'receipt-signature')
        await this.#seen(signed, route);
      throw error;
    }
  }

  /** What the receipt can be about: of a streamed body, as much as it says that the worker has taken. */
  #sentBy(signed: SignedReceipt): Pick<ExpectedReceipt, 'attempts' | 'requestBodyHash'> {
    if (this.#body === undefined)
      return {
        attempts: this.#attempts.map(({ sealed }) => sealed),
        requestBodyHash: toHex(keccak256(this.request.body)),
      };
    const { chunks } = (signed.details.request ?? {}) as { readonly chunks?: unknown };
    const sent = this.#attempts.flatMap(({ sealed, stream }) => {
      const progress = typeof chunks === 'number' ? stream?.after(chunks) : undefined;
      if (progress === undefined) return [];
      return [{ attempt: { ...sealed, requestHash: progress.requestHash }, bodyHash: progress.bodyHash }];
    });
    // Where a request was said to be refused and another was sent, the answer may be to the first all the same.
    const found = sent.find(({ attempt }) => attempt.requestHash === signed.receipt.requestHash) ?? sent.at(-1);
    if (found === undefined) return { attempts: [], requestBodyHash: zeroBytes32 };
    return { attempts: [found.attempt], requestBodyHash: found.bodyHash };
  }

  #seen(signed: SignedReceipt, { worker }: Route): Promise<FoundEquivocation | undefined> {
    const { chainId, registry, receipts } = this.#components;
    return receipts.see({ chainId, registry }, worker.receiptSigner, signed);
  }

  /** The call's headers, with this worker's payment, and the caller's statement for it where an app calls. */
  async #headersFor(route: Route): Promise<CallHeaders> {
    const headers = { ...(await this.#callerHeaders(route)), ...(this.#body && { body: this.#follows }) };
    const { payments } = this.#components;
    const highest = this.#isPaid ? highestFeeAt(this.#app, route) : undefined;
    if (highest === undefined || highest === 0n || payments === undefined) return headers;
    this.#offered.set(route.worker.receiptSigner, route);
    return { ...headers, voucher: await payments.offer(route, this.#headers.callId, highest) };
  }

  async #callerHeaders({ worker }: Route): Promise<CallHeaders> {
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

  async #send(route: Route, sealed: SealedRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { fetch, webSocket } = this.#components;
    try {
      if (this.#body === undefined) return bodyOf(await sendSealed(fetch, route, sealed.encapsulated, signal));
      const body = this.#body.requestOf(sealed);
      if (this.#follows === 'stream') return bodyOf(await sendStreamed(fetch, route, body, signal));
      if (webSocket === undefined)
        throw new CallError(
          'CALL_BODY_REFUSED',
          'This runtime has no WebSocket',
          false,
          undefined,
          'Use Node.js 22 or later, or give createClient one: { webSocket }',
        );
      return await sendSession(webSocket, route, body, signal);
    } catch (error) {
      if (!isKeyRefusal(error)) throw error;
      this.#components.doubt(route);
      // Anyone on the way can say so: one new key is worth a try, a second one is not.
      if (this.#keyRefusals++ > 0) throw new CallError(error.code, error.message, false);
      throw error;
    }
  }

  /** The first route, or after a failure: the same worker again, another only where running twice is allowed. */
  async #route(tried: Route | undefined, attempt: number, signal: AbortSignal): Promise<Route> {
    const found = await this.#components.routes(this.#app, tried !== undefined, signal);
    signal.throwIfAborted(); // else workers that could not be verified in time would look as if there were none
    const { unusable } = found;
    const routes = await this.#payable(found.usable, tried, signal);
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

  async #payable(routes: readonly Route[], tried: Route | undefined, signal: AbortSignal): Promise<readonly Route[]> {
    const { payments } = this.#components;
    if (!this.#isPaid || payments === undefined) return routes;
    const { callId, maxFee } = this.#headers;
    return payableRoutes(routes, tried, { app: this.#app, callId, maxFee, payments }, signal);
  }

  get #timeoutMs(): number {
    const forPayment = !this.#isPaid ? 0 : (this.#components.payments?.settlingMs ?? 0);
    return this.#options.timeoutMs ?? this.#app.manifest.limits.wallMs + 20_000 + forPayment;
  }

  #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline({ timeoutMs: this.#timeoutMs, signal: this.#options.signal, what: 'The call' }, work);
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

/** What fails because its time is over fails by that, not by what it was at. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

/** Whether what failed may be over the next time. */
function isPassing(error: unknown): boolean {
  if (error instanceof CallError) return error.retry;
  return error instanceof ChannelError && error.code === 'RESPONSE_TRUNCATED';
}

function isKeyRefusal(error: unknown): error is CallError {
  return error instanceof CallError && error.code === 'CALL_KEY_REFUSED';
}
