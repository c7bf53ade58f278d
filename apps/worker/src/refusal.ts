import { CloisterError, describeError, paymentStandingToJson, zeroBytes32 } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { AnswerSink, Ended } from './answerSink.ts';
import { AppRefusedError } from './appRefusedError.ts';
import { CallerRefusedError } from './callers.ts';
import { PaymentRefusedError } from './payments/paymentRefused.ts';

/** What is refused without running anything, and the HTTP status that says so. */
const refusedStatuses: Readonly<Record<string, number>> = {
  INVALID_REQUEST: 400,
  TENANT_BUSY: 503,
  TENANT_RESTARTING: 503,
  SANDBOX_FULL: 503,
  APP_CALLS_CROWDED: 503,
  PLACEMENT_PENDING: 503,
  BEACON_UNAVAILABLE: 503,
  KEYS_UNAVAILABLE: 503,
  KEYS_REFUSED: 422,
  KEYS_ABSENT: 422,
  WEIGHTS_ON_THEIR_WAY: 503,
  WEIGHTS_TOO_LARGE: 422,
  WEIGHTS_MISMATCH: 422,
  IMAGE_ON_ITS_WAY: 503,
  IMAGE_ARCHIVE_TOO_LARGE: 422,
  IMAGE_ARCHIVE_MISMATCH: 422,
  REQUEST_TOO_LARGE: 413,
  REQUEST_TRUNCATED: 400,
  REQUEST_OVERRUN: 400,
  CHUNK_NOT_OPENED: 400,
  CHUNK_REPEATED: 400,
  CHUNK_OUT_OF_ORDER: 400,
  CHUNK_TOO_LARGE: 400,
  CHUNK_MALFORMED: 400,
  FINAL_MARK_CHANGED: 400,
};

export function refusedStatusOf(error: unknown, code: string): number {
  if (error instanceof AppRefusedError) return refusedStatuses[code] ?? 422;
  if (error instanceof CallerRefusedError) return 403;
  if (error instanceof PaymentRefusedError) return 402;
  return refusedStatuses[code] ?? 502;
}

/** An answer of the worker in the app's place: it could not or would not run the app. */
export async function refuse(error: unknown, sink: AnswerSink): Promise<Ended> {
  const { code, httpStatus } = await tellRefusal(error, sink);
  const refused = httpStatus !== 502;
  return {
    status: refused ? 'refused' : 'app-error',
    // Zero: no code of the app made this answer.
    manifest: zeroBytes32,
    keyVersion: 0n,
    details: { kind: 'worker', code },
  };
}

/** Says in the app's place why there is no answer of the app's. */
export async function tellRefusal(
  error: unknown,
  sink: AnswerSink,
): Promise<{ readonly code: string; readonly httpStatus: number }> {
  const code = error instanceof CloisterError ? error.code : 'WORKER_FAILED';
  const message = error instanceof CloisterError ? describeError(error) : 'The worker failed';
  const httpStatus = refusedStatusOf(error, code);
  const standing = error instanceof PaymentRefusedError ? error.standing : undefined;
  const payment = standing === undefined ? {} : { payment: paymentStandingToJson(standing) };
  const retry = error instanceof CloisterError && error.retry;
  const fields = [['content-type', 'application/json'], ...(retry ? [['retry-after', '1'] as const] : [])] as const;
  await sink.head(httpStatus, fields);
  await sink.body(utf8(JSON.stringify({ refusedBy: 'worker', code, message, ...(retry && { retry }), ...payment })));
  return { code, httpStatus };
}
