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
import { keccak256Stream, toHex } from '@cloister/crypto';
import type { Invocation, Outcome } from '@cloister/sandbox';
import { type AppLoader, AppRefusedError, type LoadedApp } from './appLoader.ts';
import type { Answer } from './keptAnswers.ts';
import type { OwnerLogs } from './ownerLogs.ts';
import type { ReceiptBook } from './receiptBook.ts';

export type AnswerComponents = {
  readonly apps: AppLoader;
  readonly receipts: ReceiptBook;
  readonly logs: OwnerLogs;
  /** The newest block that the enclave knows. */
  readonly head: () => Head;
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
export async function answerCall(
  components: AnswerComponents,
  opened: OpenedRequest,
  sink: AnswerSink,
  signal: AbortSignal,
): Promise<Answer> {
  const hash = keccak256Stream();
  const body: Uint8Array[] = [];
  let head: { status: number; headers: readonly (readonly [string, string])[] } = { status: 500, headers: [] };
  const emit = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    body.push(bytes);
    await sink.body(bytes);
  };
  const ended = await run(components, opened, signal, {
    async head(status, headers) {
      head = { status, headers };
      await sink.head(status, headers);
    },
    body: emit,
  });
  const { call, requestHash, request } = opened;
  const at = components.head();
  const receipt = components.receipts.signFree(
    {
      app: call.app,
      manifest: ended.manifest,
      keyVersion: ended.keyVersion,
      epoch: components.epochAt(at.timestamp),
      context: call.context,
      requestHash,
      inputCommitment: commitBody(opened.inputSalt, request.body),
      outputCommitment: commitBodyHash(opened.outputSalt, toHex(hash.digest())),
      status: receiptStatuses[ended.status],
      blockNumber: at.number,
      blockHash: at.hash,
      time: BigInt(Math.floor(Date.now() / 1000)),
      detailsHash: jcsId(ended.details),
    },
    ended.details,
  );
  return { ...head, body, receipt };
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
    invocation = await app.tenant.invoke(request, { signal });
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
    details: {
      kind: 'function',
      httpStatus: invocation.status,
      metering: { ...outcome.metering },
      ...(outcome.limit === undefined ? {} : { limit: outcome.limit }),
      ...(outcome.message === undefined ? {} : { message: outcome.message }),
      ...(outcome.refusedHosts.length === 0 ? {} : { refusedHosts: [...outcome.refusedHosts] }),
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
    details: { kind: 'worker', path: request.path.slice(0, 80), httpStatus: answer.status },
  };
}

/** The app answered with headers that no answer may have. */
async function failHead(error: ChannelError, app: LoadedApp, invocation: Invocation, sink: AnswerSink): Promise<Ended> {
  for await (const _ of invocation.body);
  const { metering } = await invocation.finished;
  await sink.head(500, []);
  const details = { kind: 'function', httpStatus: 500, message: error.message, metering: { ...metering } };
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

/** An answer of the worker in the app's place: it could not or would not run the app. */
async function refuse(error: unknown, sink: AnswerSink): Promise<Ended> {
  const code = error instanceof CloisterError ? error.code : 'WORKER_FAILED';
  const message = error instanceof CloisterError ? describeError(error) : 'The worker failed';
  const busy = code === 'TENANT_BUSY' || code === 'TENANT_RESTARTING';
  const refused = error instanceof AppRefusedError || busy;
  await sink.head(refused ? (busy ? 503 : 422) : 502, [['content-type', 'application/json']]);
  await sink.body(new TextEncoder().encode(JSON.stringify({ refusedBy: 'worker', code, message })));
  return {
    status: refused ? 'refused' : 'app-error',
    // Zero: no code of the app made this answer.
    manifest: zeroBytes32,
    keyVersion: 0n,
    details: { kind: 'worker', code, message },
  };
}
