import type { Head } from '@cloister/chain';
import { ChannelError, endToEndFields, type OpenedRequest } from '@cloister/channel/worker';
import {
  type Bytes32,
  CloisterError,
  commitBody,
  commitBodyHash,
  describeError,
  type Json,
  jcsId,
  logsPath,
  type ReceiptStatus,
  receiptStatuses,
  reservedPath,
  zeroBytes32,
} from '@cloister/core';
import { toHex, utf8 } from '@cloister/crypto';
import { keccak256Stream } from '@cloister/crypto/fast-keccak';
import type { Invocation, Outcome } from '@cloister/sandbox';
import type { AppLoader, LoadedApp } from './appLoader.ts';
import { AppRefusedError } from './appRefusedError.ts';
import { CallerRefusedError, type Callers } from './callers.ts';
import type { AnswerEnd } from './keptAnswers.ts';
import type { OwnerLogs } from './ownerLogs.ts';
import type { ReceiptBook } from './receiptBook.ts';

export type AnswerComponents = {
  readonly apps: AppLoader;
  readonly receipts: ReceiptBook;
  readonly logs: OwnerLogs;
  readonly callers: Pick<Callers, 'verify'>;
  /** The newest block that the enclave knows. */
  readonly head: () => Head;
  /** Whether the worker's evidence is. */
  readonly simulated: boolean;
  /** The network's epoch at a block's timestamp. */
  readonly epochAt: (timestamp: bigint) => bigint;
};

/** Where the parts of an answer go as they come. */
export type AnswerSink = {
  head(status: number, headers: readonly (readonly [string, string])[]): Promise<void>;
  body(bytes: Uint8Array): Promise<void>;
};

type Ended = {
  readonly status: ReceiptStatus;
  readonly manifest: Bytes32;
  readonly keyVersion: bigint;
  readonly details: { [key: string]: Json };
};

/**
 * Runs one opened call to its end and signs what happened. The app's answer goes to `sink` while it comes; failures of
 * the app, passed limits and refusals are answers too, with a receipt like any other. Nobody being there to receive does
 * not stop it: the answer is kept for whoever asks again.
 */
export function answerCall(
  components: AnswerComponents,
  opened: OpenedRequest,
  sink: AnswerSink,
  signal: AbortSignal,
): Promise<AnswerEnd> {
  return attested(components, opened, sink, (watched) => run(components, opened, signal, watched));
}

/** Refuses a call in the worker's name, with a receipt. */
export function refuseCall(
  components: AnswerComponents,
  opened: OpenedRequest,
  sink: AnswerSink,
  reason: AppRefusedError,
): Promise<AnswerEnd> {
  return attested(components, opened, sink, (watched) => refuse(reason, watched));
}

/** Watches what `work` answers, and signs the receipt of it. */
async function attested(
  components: AnswerComponents,
  opened: OpenedRequest,
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
  const { call, requestHash, request, inputSalt, outputSalt } = opened;
  const details = {
    ...ended.details,
    simulated: components.simulated,
    // Salted like the body: who is shown the receipt alone learns nothing of it.
    route: commitBody(inputSalt, utf8(`${request.method} ${request.path}`)),
  };
  const at = components.head();
  const receipt = components.receipts.signFree(
    {
      app: call.app,
      manifest: ended.manifest,
      keyVersion: ended.keyVersion,
      epoch: components.epochAt(at.timestamp),
      context: call.context,
      requestHash,
      inputCommitment: commitBody(inputSalt, request.body),
      outputCommitment: commitBodyHash(outputSalt, toHex(hash.digest())),
      status: receiptStatuses[ended.status],
      blockNumber: at.number,
      blockHash: at.hash,
      time: BigInt(Math.floor(Date.now() / 1000)),
      detailsHash: jcsId(details),
    },
    details,
  );
  return { ...head, receipt };
}

async function run(
  components: AnswerComponents,
  opened: OpenedRequest,
  signal: AbortSignal,
  sink: AnswerSink,
): Promise<Ended> {
  const { call, request } = opened;
  if (request.path.startsWith(reservedPath)) return answerReserved(components, opened, signal, sink);
  let app: LoadedApp;
  let invocation: Invocation;
  try {
    app = await components.apps.load(call.app, signal, call.manifest);
    if (call.manifest !== app.manifestId)
      throw new AppRefusedError(
        'APP_OTHER_MANIFEST',
        `The app serves manifest "${app.manifestId}", not the expected "${call.manifest}"`,
      );
    const caller = await components.callers.verify(opened, signal);
    // What a client says under the header of a caller, the sandbox leaves out.
    invocation = await app.tenant.invoke({ ...request, ...(caller && { caller: caller.app }) }, { signal });
  } catch (error) {
    return refuse(error, sink);
  }
  try {
    await sink.head(invocation.status, endToEndFields(invocation.headers));
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    return failHead(error, app, invocation, sink);
  }
  for await (const bytes of invocation.body) await sink.body(bytes);
  const outcome = await invocation.finished;
  return {
    status: receiptStatusOf(invocation, outcome),
    manifest: app.manifestId,
    keyVersion: app.keyVersion,
    details: functionDetails(invocation.status, outcome),
  };
}

/**
 * What a receipt says of a function's run. A receipt is shown to third parties: it holds no text that the code chose, and
 * measures only as fine as a bill needs. The owner finds messages and refused hosts in the app's log.
 */
function functionDetails(httpStatus: number, outcome: Outcome): Ended['details'] {
  const { metering, limit, refusedHosts } = outcome;
  return {
    kind: 'function',
    httpStatus,
    ...(limit === undefined ? {} : { limit }),
    refusedHosts: refusedHosts.length,
    metering: {
      wallMs: Math.ceil(metering.wallMs),
      cpuMs: Math.ceil(metering.cpuMs),
      outputKiB: Math.ceil(metering.outputBytes / 1024),
      peakMemoryMiB: Math.ceil(metering.peakMemoryBytes / (1024 * 1024)),
    },
  };
}

/** Paths of the worker itself: the logs of an app, for its owner. */
async function answerReserved(
  components: AnswerComponents,
  opened: OpenedRequest,
  signal: AbortSignal,
  sink: AnswerSink,
): Promise<Ended> {
  const { call, request } = opened;
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

/** The app answered with headers that no answer may have. */
async function failHead(error: ChannelError, app: LoadedApp, invocation: Invocation, sink: AnswerSink): Promise<Ended> {
  for await (const _ of invocation.body);
  const outcome = await invocation.finished;
  await sink.head(500, []);
  const details = { ...functionDetails(500, outcome), headers: error.code };
  return { status: 'app-error', manifest: app.manifestId, keyVersion: app.keyVersion, details };
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

/** What is refused without running anything, and the HTTP status that says so. */
const refusedStatuses: Readonly<Record<string, number>> = {
  INVALID_REQUEST: 400,
  TENANT_BUSY: 503,
  TENANT_RESTARTING: 503,
  PLACEMENT_PENDING: 503,
  BEACON_UNAVAILABLE: 503,
  KEYS_UNAVAILABLE: 503,
  KEYS_REFUSED: 422,
  KEYS_ABSENT: 422,
};

/** An answer of the worker in the app's place: it could not or would not run the app. */
async function refuse(error: unknown, sink: AnswerSink): Promise<Ended> {
  const code = error instanceof CloisterError ? error.code : 'WORKER_FAILED';
  const message = error instanceof CloisterError ? describeError(error) : 'The worker failed';
  const httpStatus =
    error instanceof AppRefusedError ? 422 : error instanceof CallerRefusedError ? 403 : (refusedStatuses[code] ?? 502);
  const refused = httpStatus !== 502;
  await sink.head(httpStatus, [['content-type', 'application/json']]);
  await sink.body(new TextEncoder().encode(JSON.stringify({ refusedBy: 'worker', code, message })));
  return {
    status: refused ? 'refused' : 'app-error',
    // Zero: no code of the app made this answer.
    manifest: zeroBytes32,
    keyVersion: 0n,
    details: { kind: 'worker', code },
  };
}
