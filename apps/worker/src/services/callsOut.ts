import { type Bytes32, zeroBytes32 } from '@cloister/core';
import type { CallService, ServiceCall, ServiceCallAnswer } from '@cloister/sandbox';
import { type CallResult, PaymentError } from '@cloister/sdk';
import type { AppCalls } from '../appCalls.ts';
import type { LoadedApp } from '../appLoader.ts';
import { AppServiceError } from './appServiceError.ts';

export type CallsOutInit = {
  readonly calls: Pick<AppCalls, 'call'>;
  readonly app: Pick<LoadedApp, 'app' | 'manifestId'>;
  /** Apps that its manifest names. */
  readonly named: readonly Bytes32[];
  /** How many calls of apps by apps lead to this invocation. */
  readonly depth: number;
};

/** How deep a call from app to app, and on to the next, can be that began with a client's. */
export const maxCallDepth = 4;
/** Calls of one invocation. */
const maxCalls = 32;
/** Bytes of an answer's body. */
const maxAnswerBytes = 8 * 1024 * 1024;

/** How deep a call is, in the sealed request: the calling worker's word. */
export const callDepthHeader = 'cloister-call-depth';
/** How the called app's run ended, where it did not end well: as receipts name it. */
const outcomeHeader = 'cloister-outcome';

/** `ctx.call` for one invocation. */
export function callsOut({ calls, app, named, depth }: CallsOutInit): CallService {
  let made = 0;
  return {
    async call(wanted, { signal }) {
      const callee = named.find((one) => one === wanted.app);
      if (callee === undefined)
        throw new AppServiceError('CALL_NOT_NAMED', `The manifest's "outbound" does not name "app:${wanted.app}"`);
      if (depth >= maxCallDepth)
        throw new AppServiceError('CALL_TOO_DEEP', `Apps call each other at most "${maxCallDepth}" deep`);
      made += 1;
      if (made > maxCalls) throw new AppServiceError('CALLS_TOO_MANY', `A call makes at most "${maxCalls}" others`);
      const { method, path, body } = wanted;
      const request = { method, path, body, headers: headersOf(wanted, depth + 1) };
      const options = { signal, maxAnswerBytes };
      return answerOf(await calls.call(app, callee, request, options).catch(rethrow));
    },
  };
}

/** The depth that a request states; only where a worker vouches for the caller is it believed to be so little. */
export function callDepthOf(headers: readonly (readonly [string, string])[]): number {
  const stated = headers.find(([name]) => name === callDepthHeader)?.[1] ?? '';
  return /^[1-9]$/.test(stated) ? Number(stated) : maxCallDepth;
}

/** No code of an app sets what workers tell each other. */
function headersOf({ headers }: ServiceCall, depth: number): (readonly [string, string])[] {
  const own = headers.filter(([name]) => !/^(?:x-)?cloister-/i.test(name) && name.toLowerCase() !== 'host');
  return [...own, [callDepthHeader, String(depth)]];
}

function answerOf({ status, headers, body, outcome, receipt }: CallResult): ServiceCallAnswer {
  const { manifest } = receipt.receipt;
  // Zero: no code of the app made this answer.
  if (manifest === zeroBytes32)
    throw new AppServiceError('CALL_REFUSED', `The called app did not run: ${String(receipt.details.code)}`);
  const own = headers.filter(([name]) => name !== outcomeHeader);
  return { status, headers: outcome === 'ok' ? own : [...own, [outcomeHeader, outcome]], body };
}

function rethrow(error: unknown): never {
  if (error instanceof PaymentError)
    throw new AppServiceError('CALL_NOT_FREE', 'The called app has a price, and apps call only what is free');
  throw error;
}
