import {
  type CallHeaders,
  defaultMessageLimits,
  endToEndFields,
  keptAnswerId,
  type SealedRequest,
} from '@cloister/channel/client';
import {
  agreedPrice,
  appRequestHash,
  type Bytes32,
  isFree,
  type Manifest,
  maxSignedReceiptBytes,
  parseBoundedJson,
  type SignedReceipt,
  signedReceiptFromJson,
  withDeadline,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, keccak256Stream, randomBytes, SecretBytes, toBase64Url, toHex } from '@cloister/crypto';
import type { ServingApp } from './apps.ts';
import type { CallComponents } from './callComponents.ts';
import { CallError } from './callError.ts';
import { CallOffers } from './callOffers.ts';
import { isKeyRefusal, isRepairable, maxAttempts, pauseBefore, whyBrokenOff, whyGivenUp } from './callRepair.ts';
import type { AnswerEvent, CallOptions, CallRequest, CallResult, SentRequest, SessionRequest } from './callTypes.ts';
import { chooseRoute } from './chooseRoute.ts';
import { EquivocationError, type FoundEquivocation } from './equivocation/receiptWatch.ts';
import { assertAllowed, highestFeeAt, payableRoutes } from './payableRoutes.ts';
import type { Route } from './route.ts';
import { bodyOf, sendSealed, sendStreamed } from './sendSealed.ts';
import { sendSession } from './sendSession.ts';
import { SentAttempts } from './sentAttempts.ts';
import { StreamedBody } from './streamedBody.ts';
import { ReceiptRefusedError, type VerifiedReceipt, verifyReceipt } from './verifyReceipt.ts';

/** One logical call: every attempt has the same call id and client key, so that a worker never runs it twice. */
export class Call {
  readonly request: SentRequest;
  /** What follows `request`, where its body is streamed. */
  readonly #body: StreamedBody | undefined;
  readonly #follows: 'stream' | 'socket';
  readonly #components: CallComponents;
  readonly #app: ServingApp;
  readonly #options: CallOptions;
  readonly #attempts = new SentAttempts();
  readonly #headers: CallHeaders;
  readonly #isPaid: boolean;
  readonly #offers: CallOffers;
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
    this.#offers = new CallOffers(components.payments, this.#headers.callId);
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
        if (signal.aborted) throw error;
        if (!isRepairable(error, this.#body) || attempt >= maxAttempts) throw whyGivenUp(error, this.#body);
        await pauseBefore(attempt, signal);
        tried = route;
      }
    }
  }

  async #leave(): Promise<void> {
    this.#body?.abandon();
    await this.#offers.lose();
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
        if (begun) throw whyBrokenOff(error, this.#body, this.#options.idempotent === true);
        if (!isRepairable(error, this.#body) || attempt >= maxAttempts) throw whyGivenUp(error, this.#body);
        await within(signal, pauseBefore(attempt, signal));
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
    this.#attempts.add(sealed);
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
        await this.#offers.settle(route, receipt);
        if (found !== undefined) throw new EquivocationError(found);
        yield { type: 'done', receipt, verified, route };
      }
    }
  }

  /** Throws ReceiptRefusedError. */
  async #verified(signed: SignedReceipt, route: Route, responseBodyHash: Bytes32): Promise<VerifiedReceipt> {
    const { chainId, registry } = this.#components;
    const { workerId, receiptSigner, quote } = route.worker;
    const means = await this.#offers.meansOf(route);
    try {
      return verifyReceipt(signed, {
        chainId,
        registry,
        workerId,
        receiptSigner,
        app: this.#app.app,
        manifests: this.#manifests,
        context: this.#headers.context,
        ...this.#attempts.expectedBy(signed, this.request, this.#body !== undefined),
        route: `${this.request.method} ${this.request.path}`,
        responseBodyHash,
        ...means,
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

  #seen(signed: SignedReceipt, { worker }: Route): Promise<FoundEquivocation | undefined> {
    const { chainId, registry, receipts } = this.#components;
    return receipts.see({ chainId, registry }, worker.receiptSigner, signed);
  }

  /** The call's headers, with this worker's payment, and the caller's statement for it where an app calls. */
  async #headersFor(route: Route): Promise<CallHeaders> {
    const headers = { ...(await this.#callerHeaders(route)), ...(this.#body && { body: this.#follows }) };
    const voucher = await this.#offers.make(route, this.#isPaid ? highestFeeAt(this.#app, route) : undefined);
    return voucher === undefined ? headers : { ...headers, voucher };
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
    const usable = await this.#payable(found.usable, tried, signal);
    const isIdempotent = this.#options.idempotent === true;
    const isKeyRefused = this.#keyRefusals > 0;
    return chooseRoute({ usable, unusable: found.unusable }, { attempt, tried, isIdempotent, isKeyRefused });
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

/** What fails because its time is over fails by that, not by what it was at. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}
