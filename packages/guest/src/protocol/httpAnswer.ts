import { CloisterError } from '@cloister/core';
import type { GuestAgent } from '../guestAgent.ts';
import { GuestError } from '../guestError.ts';
import { askGuest, guestCalls } from './guestCalls.ts';

/** An answer of the socket; its body has ASCII characters alone, because dstack's SDK counts characters where HTTP counts bytes. */
export type HttpAnswer = { readonly status: number; readonly contentType: string; readonly body: string };

/** Methods that can be asked by GET, having no fields. */
const withoutFields = new Set(['Info', 'Version', 'Tappd.Info']);
/** Of these alone dstack's SDK reads the member "error" of an answer. */
const readsErrors = new Set(['GetQuote', 'Attest', 'Tappd.TdxQuote']);

/** Which method a path names, or undefined: "/GetKey", "/prpc/Tappd.DeriveKey". */
export function methodOfPath(path: string): string | undefined {
  const method = path.startsWith('/prpc/') ? path.slice('/prpc/'.length) : path.slice(1);
  const isLegacy = method.startsWith('Tappd.');
  return guestCalls.has(method) && path.startsWith('/prpc/') === isLegacy ? method : undefined;
}

/** Answers one request of HTTP. Never throws. */
export async function answerHttp(
  agent: GuestAgent,
  { httpMethod, path, body }: { readonly httpMethod: string; readonly path: string; readonly body: Uint8Array },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const method = methodOfPath(path);
  try {
    if (method === undefined)
      throw new GuestError('GUEST_METHOD_UNKNOWN', `The guest agent has no path "${path.slice(0, 80)}"`);
    const isRead = httpMethod === 'GET' && withoutFields.has(method) && body.length === 0;
    if (httpMethod !== 'POST' && !isRead)
      throw new GuestError('GUEST_REQUEST_INVALID', `"${path}" is asked by POST, got "${httpMethod.slice(0, 32)}"`);
    const answer = await askGuest(agent, method, isRead ? {} : requestOf(body), signal);
    return { status: 200, contentType: 'application/json', body: asciiJson(answer) };
  } catch (error) {
    return refusal(error, method);
  }
}

/**
 * An error as an answer. dstack's SDK looks at no status: where it reads no "error" either, JSON would pass for success, and an event that
 * was refused for one that is in the log. So it gets plain text there, which it can't take for an answer.
 */
export function refusal(error: unknown, method: string | undefined): HttpAnswer {
  const { code, message, hint, retry } =
    error instanceof CloisterError
      ? error
      : { code: 'GUEST_FAILED', message: 'The worker failed', hint: undefined, retry: false };
  const text = `${code}: ${message.slice(0, 1_024)}${hint === undefined ? '' : `. ${hint}`}`;
  const status = statusOf(code, retry);
  if (method !== undefined && !readsErrors.has(method))
    return { status, contentType: 'text/plain', body: escapeNonAscii(text) };
  return { status, contentType: 'application/json', body: asciiJson({ error: text }) };
}

function statusOf(code: string, retry: boolean): number {
  if (code === 'GUEST_METHOD_UNKNOWN') return 404;
  if (code === 'GUEST_REQUEST_TOO_LARGE') return 413;
  if (retry) return 503;
  return code === 'GUEST_FAILED' ? 500 : 400;
}

function requestOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new GuestError('GUEST_REQUEST_INVALID', `The request's "${body.length}" bytes are no JSON in UTF-8`);
  }
}

function asciiJson(value: unknown): string {
  return escapeNonAscii(JSON.stringify(value));
}

function escapeNonAscii(text: string): string {
  return text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
