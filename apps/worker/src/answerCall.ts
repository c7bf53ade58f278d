import type { Head } from '@cloister/chain';
import { ChannelError, endToEndFields, keptAnswerId } from '@cloister/channel/worker';
import {
  chargeOf,
  commitBody,
  commitBodyHash,
  exactPaymentToJson,
  jcsId,
  logsPath,
  type Metering,
  type ReceiptStatus,
  receiptStatuses,
  reservedPath,
  type X402Settlement,
  x402Headers,
  x402HeaderText,
  x402Network,
  zeroBytes32,
} from '@cloister/core';
import { toHex, utf8 } from '@cloister/crypto';
import { keccak256Stream } from '@cloister/crypto/fast-keccak';
import { type Invocation, type Outcome, quickJsRuntimeId } from '@cloister/sandbox';
import type { AnswerSink, Ended } from './answerSink.ts';
import type { AppLoader, LoadedApp } from './appLoader.ts';
import { AppRefusedError } from './appRefusedError.ts';
import type { Callers } from './callers.ts';
import type { AnswerEnd } from './keptAnswers.ts';
import { modelDetails } from './models/modelDetails.ts';
import { tokensOf } from './models/tokenMetering.ts';
import type { OwnerLogs } from './ownerLogs.ts';
import type { Cashier, Payment } from './payments/cashier.ts';
import type { SettledTransfer } from './payments/exactDesk.ts';
import type { ReceiptBook, ReceiptDraft } from './receiptBook.ts';
import { inputDetails, inputOf, type ReceivedCall, wholeBody } from './receivedCall.ts';
import { refuse, refusedStatusOf, tellRefusal } from './refusal.ts';
import type { AppServices } from './services/appServices.ts';
import { callDepthOf } from './services/callsOut.ts';
import { SessionIdle } from './sessionIdle.ts';
import type { AppStates } from './state/appStates.ts';
import { statePath } from './state/stateMessages.ts';
import { answerHost } from './state/stateRelay.ts';

export type AnswerComponents = {
  readonly apps: AppLoader;
  readonly receipts: ReceiptBook;
  readonly logs: OwnerLogs;
  readonly callers: Pick<Callers, 'verify'>;
  readonly payments: Pick<Cashier, 'take'>;
  readonly services: Pick<AppServices, 'of'>;
  readonly states: Pick<AppStates, 'askedByHost'>;
  /** The newest block that the enclave knows. */
  readonly head: () => Head;
  /** Whether the worker's evidence is. */
  readonly simulated: boolean;
  /** The network's epoch at a block's timestamp. */
  readonly epochAt: (timestamp: bigint) => bigint;
};

/**
 * Runs one opened call to its end and signs what happened. The app's answer goes to `sink` while it comes; failures of
 * the app, passed limits and refusals are answers too, with a receipt like any other. Nobody being there to receive does
 * not stop it: the answer is kept for whoever asks again.
 */
export function answerCall(
  components: AnswerComponents,
  opened: ReceivedCall,
  sink: AnswerSink,
  signal: AbortSignal,
): Promise<AnswerEnd> {
  return attested(components, opened, sink, (watched) => run(components, opened, signal, watched));
}

/** Refuses a call in the worker's name, with a receipt. */
export function refuseCall(
  components: AnswerComponents,
  opened: ReceivedCall,
  sink: AnswerSink,
  reason: AppRefusedError,
): Promise<AnswerEnd> {
  return attested(components, opened, sink, (watched) => refuse(reason, watched));
}

/** Watches what `work` answers, and signs the receipt of it. */
async function attested(
  components: AnswerComponents,
  opened: ReceivedCall,
  sink: AnswerSink,
  work: (sink: AnswerSink) => Promise<Ended>,
): Promise<AnswerEnd> {
  const hash = keccak256Stream();
  let head: { status: number; headers: readonly (readonly [string, string])[] } = { status: 500, headers: [] };
  const ended = await work({
    async head(status, headers) {
      await sink.head(status, headers);
      head = { status, headers };
    },
    async body(bytes) {
      hash.update(bytes);
      await sink.body(bytes);
    },
  });
  const { call, request, input, inputSalt, outputSalt } = opened;
  // From here on, no more of the request can come in: the receipt is of what did.
  input?.close();
  const progress = input?.progress;
  const details = {
    ...ended.details,
    ...inputDetails(opened),
    simulated: components.simulated,
    // Salted like the body: who is shown the receipt alone learns nothing of it.
    route: commitBody(inputSalt, utf8(`${request.method} ${request.path}`)),
  };
  const at = components.head();
  const draft: ReceiptDraft = {
    app: call.app,
    manifest: ended.manifest,
    keyVersion: ended.keyVersion,
    epoch: components.epochAt(at.timestamp),
    context: call.context,
    requestHash: progress?.requestHash ?? opened.requestHash,
    inputCommitment:
      progress === undefined ? commitBody(inputSalt, request.body) : commitBodyHash(inputSalt, progress.bodyHash),
    outputCommitment: commitBodyHash(outputSalt, toHex(hash.digest())),
    status: receiptStatuses[ended.status],
    blockNumber: at.number,
    blockHash: at.hash,
    time: BigInt(Math.floor(Date.now() / 1000)),
    detailsHash: jcsId(details),
  };
  const { charge } = ended;
  const receipt =
    charge === undefined
      ? components.receipts.signFree(draft, details)
      : components.receipts.signPaid(draft, details, charge.reservation.channel, charge.fee);
  // Only now: the total has it, so no other call can be promised the same money.
  charge?.reservation.release();
  return { ...head, receipt };
}

async function run(
  components: AnswerComponents,
  opened: ReceivedCall,
  signal: AbortSignal,
  sink: AnswerSink,
): Promise<Ended> {
  const { call, request } = opened;
  if (request.path.startsWith(reservedPath)) return answerReserved(components, opened, signal, sink);
  let app: LoadedApp;
  let invocation: Invocation;
  let payment: Payment | undefined;
  const session = call.body === 'socket' ? new SessionIdle() : undefined;
  try {
    app = await components.apps.load(call.app, signal, call.manifest);
    if (call.manifest !== app.manifestId)
      throw new AppRefusedError(
        'APP_OTHER_MANIFEST',
        `The app serves manifest "${app.manifestId}", not the expected "${call.manifest}"`,
      );
    if (opened.input !== undefined && call.caller !== undefined)
      // The statement is about a body that is known.
      throw new AppRefusedError('CALLER_STREAMED', 'An app calls another with its whole request, not a streamed one');
    const caller = await components.callers.verify(opened, signal);
    const { voucher, maxFee } = call;
    payment = await components.payments.take(app.manifest, { voucher, maxFee, id: keptAnswerId(call) }, signal);
    // What a client says under the header of a caller, the sandbox leaves out.
    const services = components.services.of(app, caller === undefined ? 0 : callDepthOf(request.headers));
    const { kind, runtime } = app.manifest;
    const streams = kind === 'function' && runtime.name === 'workerd';
    if (call.body === 'socket' && !streams)
      throw new AppRefusedError(
        'APP_FEATURE_UNAVAILABLE',
        `An app of kind "${kind}" on "${runtime.name}" takes no WebSocket`,
      );
    const bytes = streams ? inputOf(opened, app.manifest) : undefined;
    const input = bytes && session ? session.watched(bytes) : bytes;
    const body = input === undefined ? await wholeBody(opened, app.manifest) : request.body;
    invocation = await app.tenant.invoke(
      {
        ...request,
        body,
        ...(input && { input }),
        ...(session && { upgrade: 'websocket' as const }),
        ...(caller && { caller: caller.app }),
      },
      { signal, ...(services && { services }) },
    );
  } catch (error) {
    if (payment?.scheme === 'exact') return withTransfer(payment.settled, sink, (shown) => refuse(error, shown));
    payment?.reservation.release();
    return refuse(error, sink);
  }
  const runApp = (shown: AnswerSink) =>
    runToEnd(app, opened, invocation, session === undefined ? shown : heardBy(session, shown));
  if (payment === undefined) return runApp(sink);
  if (payment.scheme === 'exact') return withTransfer(payment.settled, sink, runApp);
  const { reservation, price } = payment;
  try {
    const ended = await runApp(sink);
    return { ...ended, charge: { reservation, fee: chargeOf(app.manifest, ended.status, ended.metering, price) } };
  } catch (error) {
    reservation.release();
    throw error;
  }
}

/**
 * The answer to a call that was paid before it ran: with the transfer in its head and in its receipt's details, however the call ended.
 * What the app says under that header is left out.
 */
async function withTransfer(
  settled: SettledTransfer,
  sink: AnswerSink,
  work: (sink: AnswerSink) => Promise<Ended>,
): Promise<Ended> {
  const { chainId, amount, transaction, from: payer } = settled;
  const network = x402Network(chainId);
  const settlement: X402Settlement = { success: true, transaction, network, payer, amount: amount.toString() };
  const field = [x402Headers.response, x402HeaderText(settlement)] as const;
  const ended = await work({
    head: (status, headers) => sink.head(status, [...headers.filter(([name]) => name !== x402Headers.response), field]),
    body: (bytes) => sink.body(bytes),
  });
  return { ...ended, details: { ...ended.details, payment: exactPaymentToJson(settled) } };
}

/** A sink of a session's messages, each of which counts as life. */
function heardBy(session: SessionIdle, sink: AnswerSink): AnswerSink {
  return {
    head: (status, headers) => sink.head(status, headers),
    async body(bytes) {
      session.touch();
      await sink.body(bytes);
    },
  };
}

/** Passes the app's answer on, and says how it ended. */
async function runToEnd(
  app: LoadedApp,
  opened: ReceivedCall,
  invocation: Invocation,
  sink: AnswerSink,
): Promise<Ended & { readonly metering: Metering }> {
  const { manifestId: manifest, keyVersion } = app;
  const brokenOff = opened.input?.failure;
  if (brokenOff !== undefined) {
    for await (const _ of invocation.body);
    const outcome = await invocation.finished;
    await tellRefusal(brokenOff, sink);
    const details = runDetails(app, refusedStatusOf(brokenOff, brokenOff.code), outcome);
    return { status: 'refused', manifest, keyVersion, details, metering: meteringOf(app, outcome) };
  }
  try {
    await sink.head(invocation.status, endToEndFields(invocation.headers));
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    // The app answered with headers that no answer may have.
    for await (const _ of invocation.body);
    const outcome = await invocation.finished;
    await sink.head(500, []);
    const details = { ...runDetails(app, 500, outcome), headers: error.code };
    return { status: 'app-error', manifest, keyVersion, details, metering: meteringOf(app, outcome) };
  }
  for await (const bytes of invocation.body) await sink.body(bytes);
  const outcome = await invocation.finished;
  const details = runDetails(app, invocation.status, outcome);
  // A request that broke off in the middle is no error of the app.
  const status = opened.input?.failure === undefined ? receiptStatusOf(invocation, outcome) : 'refused';
  return { status, manifest, keyVersion, details, metering: meteringOf(app, outcome) };
}

/**
 * What a receipt says of an app's run. A receipt is shown to third parties: it holds no text that the code chose, and
 * measures only as fine as a bill needs. The owner finds messages and refused hosts in the app's log.
 */
function runDetails(app: LoadedApp, httpStatus: number, outcome: Outcome): Ended['details'] {
  const { manifest, model, container } = app;
  const { limit, refusedHosts, report } = outcome;
  return {
    kind: manifest.kind,
    ...(model && { model: modelDetails(model, report) }),
    ...(manifest.runtime.name === 'quickjs' && { runtime: { name: 'quickjs', id: quickJsRuntimeId } }),
    ...(container && { container }),
    httpStatus,
    ...(limit === undefined ? {} : { limit }),
    refusedHosts: refusedHosts.length,
    metering: meteringOf(app, outcome),
  };
}

/** What the sandbox measured, as receipts say it and prices count it. */
function meteringOf({ manifest }: LoadedApp, { metering, report }: Outcome): Metering {
  return {
    wallMs: Math.ceil(metering.wallMs),
    cpuMs: Math.ceil(metering.cpuMs),
    outputKiB: Math.ceil(metering.outputBytes / 1024),
    peakMemoryMiB: Math.ceil(metering.peakMemoryBytes / (1024 * 1024)),
    ...(metering.outboundBytes ? { outboundKiB: Math.ceil(metering.outboundBytes / 1024) } : {}),
    ...(metering.fuel === undefined ? {} : { fuel: metering.fuel }),
    ...tokensOf(manifest, report),
  };
}

/** Paths of the worker itself: the logs of an app, for its owner; an app's state, for its other hosts. */
async function answerReserved(
  components: AnswerComponents,
  opened: ReceivedCall,
  signal: AbortSignal,
  sink: AnswerSink,
): Promise<Ended> {
  const { call, request } = opened;
  if (opened.input !== undefined)
    return refuse(new AppRefusedError('REQUEST_STREAMED', "The worker's own paths take whole requests"), sink);
  if (request.path === statePath && request.method === 'POST') return answerState(components, opened, signal, sink);
  const answer =
    request.path === logsPath && request.method === 'POST'
      ? await components.logs.answer(call.app, request.body, components.head().timestamp, signal)
      : { status: 404, body: { error: `The worker has no "${request.path.slice(0, 80)}"` } };
  await sink.head(answer.status, [['content-type', 'application/json']]);
  await sink.body(new TextEncoder().encode(JSON.stringify(answer.body)));
  const status = answer.status === 200 ? 'ok' : 'refused';
  return {
    status,
    manifest: zeroBytes32,
    keyVersion: 0n,
    details: { kind: 'worker', httpStatus: answer.status },
  };
}

/** What another host asks of an app's state: in that app's name, as the worker it runs on vouches. */
async function answerState(
  { callers, states }: AnswerComponents,
  opened: ReceivedCall,
  signal: AbortSignal,
  sink: AnswerSink,
): Promise<Ended> {
  let answer: Uint8Array;
  try {
    const caller = await callers.verify(opened, signal);
    if (caller?.app !== opened.call.app)
      throw new AppRefusedError('APP_STATE_PRIVATE', "Only an app's own hosts may ask for its state");
    answer = await answerHost(states, caller, opened.request.body, signal);
  } catch (error) {
    return refuse(error, sink);
  }
  await sink.head(200, [['content-type', 'application/json']]);
  await sink.body(answer);
  return { status: 'ok', manifest: zeroBytes32, keyVersion: 0n, details: { kind: 'worker', httpStatus: 200 } };
}

/**
 * Status of the receipt: what the sandbox saw, and for an orderly answer its HTTP status, because a receipt must not say
 * "ok" about an answer that says no: 4xx is a refusal of this request, 5xx an error of the app.
 */
function receiptStatusOf(invocation: Invocation, outcome: Outcome): ReceiptStatus {
  if (outcome.status !== 'ok') return outcome.status;
  if (invocation.status >= 500) return 'app-error';
  return invocation.status >= 400 ? 'refused' : 'ok';
}
