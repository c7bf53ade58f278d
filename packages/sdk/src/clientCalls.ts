import type { RegistryReader } from '@cloister/chain';
import { RequestSealer } from '@cloister/channel/client';
import { type Bytes32, type NetworkFile, withDeadline, zeroBytes32 } from '@cloister/core';
import { readServingApp, type ServingApp } from './apps.ts';
import { Call } from './call.ts';
import type { CallComponents } from './callComponents.ts';
import type { CallOptions, CallRequest, CallResult, SessionRequest } from './callTypes.ts';
import { isChainAway } from './chainAway.ts';
import { ClientError } from './clientError.ts';
import type { ReceiptWatch } from './equivocation/receiptWatch.ts';
import type { Gateways } from './gateways.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { CallPayments } from './payments/callPayments.ts';
import type { Route } from './route.ts';
import type { RouteFinder } from './routeFinder.ts';
import { sendable } from './streamedBody.ts';

export type ClientCallsComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly fetch: typeof globalThis.fetch;
  readonly webSocket: typeof WebSocket | undefined;
  readonly routes: RouteFinder;
  readonly receipts: ReceiptWatch;
  /** Of this client; undefined where it has no payer. */
  readonly payments: CallPayments | undefined;
  /** How a call with these options is paid. */
  readonly paymentFor: (options: CallOptions) => CallPaymentMethod | undefined;
};

/** How long it is relied on which version of an app serves, by this machine's clock. */
const maxAppAgeMs = 30_000;
const maxKnownApps = 1_024;

/** The calls of one client: by the version of each app that it knows, made anew where that or what it promised was out of date. */
export class ClientCalls {
  readonly #components: ClientCallsComponents;
  readonly #sealer = new RequestSealer();
  readonly #apps = new Map<Bytes32, { readonly app: ServingApp; readonly atMs: number }>();

  constructor(components: ClientCallsComponents) {
    this.#components = components;
  }

  async call(app: Bytes32, request: CallRequest, options: CallOptions): Promise<CallResult> {
    const { timeoutMs, signal } = options;
    if (timeoutMs === undefined) return this.#call(app, request, options);
    // The caller's deadline is for everything, reading the app's manifest included.
    return withDeadline({ timeoutMs, signal, what: 'The call' }, (inner) =>
      this.#call(app, request, { ...options, signal: inner }),
    );
  }

  async #call(app: Bytes32, request: CallRequest, options: CallOptions): Promise<CallResult> {
    const { payments, routes } = this.#components;
    const result = await (await this.newCall(app, request, options)).buffered();
    const canRepeat = request.body === undefined || request.body instanceof Uint8Array;
    // This client has forgotten what it promised, or another process uses its key. Nothing has run.
    if (isRefusedAs('PAYMENT_VOUCHER_TOO_LOW', result) && (await payments?.recover(result)) && canRepeat)
      return (await this.newCall(app, request, { ...options, worker: result.worker.workerId })).buffered();
    // A term has ended since this client asked who hosts the app.
    if (isRefusedAs('APP_NOT_PLACED', result)) {
      routes.forgetHosts(app);
      // A streamed body is gone: the caller has the refusal, and a new call finds the new hosts.
      if (!canRepeat) return result;
      return (await this.newCall(app, request, options)).buffered();
    }
    if (!isRefusedAs('APP_OTHER_MANIFEST', result) || options.manifest !== undefined) return result;
    // Somebody published a version since this client last looked. Nothing has run: the worker's signed refusal says so.
    this.#apps.delete(app);
    if (!canRepeat) return result;
    const serving = await this.serving(app, options.signal);
    if (serving.manifestId === result.app.manifestId) return result;
    return (await this.newCall(app, request, options)).buffered();
  }

  /** A call that has not begun. Throws CLIENT_OTHER_MANIFEST, and what reading the app throws. */
  async newCall(
    app: Bytes32,
    request: CallRequest | SessionRequest,
    options: CallOptions,
    payments: CallPaymentMethod | undefined = this.#components.paymentFor(options),
  ): Promise<Call> {
    // Who was caught before is not asked at all.
    await this.#components.receipts.load();
    const serving = await this.serving(app, options.signal);
    if (options.manifest !== undefined && options.manifest !== serving.manifestId)
      throw new ClientError(
        'CLIENT_OTHER_MANIFEST',
        `App "${app}" serves manifest "${serving.manifestId}", not the expected "${options.manifest}"`,
      );
    const components = { ...this.#callComponents(options.worker), payments };
    const sent = 'follows' in request ? request : await sendable(request, this.#components.gateways.urls);
    return new Call(components, serving, sent, options);
  }

  /** Asks a worker itself, not the app on it: what it answers, it answers for itself. */
  async askWorker(
    serving: ServingApp,
    request: CallRequest,
    options: CallOptions,
    route?: Route | undefined,
  ): Promise<CallResult> {
    const components = this.#callComponents(options.worker);
    const routes = route && (async () => ({ usable: [route], unusable: [] }));
    return new Call({ ...components, ...(routes && { routes }) }, serving, request, options, [zeroBytes32]).buffered();
  }

  /** The version of an app that serves, as it was read within {@link maxAppAgeMs}. */
  async serving(app: Bytes32, signal: AbortSignal | undefined): Promise<ServingApp> {
    const known = this.#apps.get(app);
    if (known !== undefined && Date.now() - known.atMs < maxAppAgeMs) return known.app;
    try {
      const { registry, gateways } = this.#components;
      const serving = await readServingApp(registry, gateways, app, signal);
      this.#apps.set(app, { app: serving, atMs: Date.now() });
      if (this.#apps.size > maxKnownApps) this.#apps.delete(this.#apps.keys().next().value as Bytes32);
      return serving;
    } catch (error) {
      // A worker that knows of a later version refuses this one, signed.
      if (known !== undefined && isChainAway(error)) return known.app;
      throw error;
    }
  }

  /** The version that serves is read anew when it is needed next. */
  forget(app: Bytes32): void {
    this.#apps.delete(app);
  }

  #callComponents(only?: Bytes32): CallComponents {
    const { network, fetch, webSocket, payments, receipts, routes } = this.#components;
    return {
      chainId: network.chainId,
      registry: network.contracts.workerRegistry,
      fetch,
      webSocket,
      sealer: this.#sealer,
      payments,
      receipts,
      routes: (serving, refresh, signal) => routes.routes(serving, { refresh, only }, signal),
      doubt: (route) => routes.doubt(route),
    };
  }
}

/** Whether a worker refused the call, signed and unrun, with this code. */
function isRefusedAs(code: string, { outcome, receipt: { receipt, details } }: CallResult): boolean {
  return outcome === 'refused' && receipt.manifest === zeroBytes32 && details.code === code;
}
