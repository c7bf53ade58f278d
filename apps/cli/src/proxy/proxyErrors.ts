import type { IncomingMessage } from 'node:http';
import { CloisterError } from '@cloister/core';

const loopbackNames = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Whether only this machine reaches a server that listens there. */
export function isLoopback(host: string): boolean {
  return host === '127.0.0.1' || host === '::1' || host === 'localhost';
}

/**
 * Web pages must not spend what the proxy pays, nor read what it answers: no request of a browser for another site is taken, and none under a name
 * that somebody else's DNS points here. Throws PROXY_BROWSER_REFUSED, PROXY_HOST_REFUSED.
 */
export function refuseForeign({ headers }: IncomingMessage, host: string): void {
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && site !== 'none'))
    throw new ProxyError('PROXY_BROWSER_REFUSED', 403, 'The request comes from a web page', {
      hint: 'Pages use @cloister/sdk themselves: it runs in browsers',
    });
  if (!isLoopback(host)) return;
  const name = (headers.host ?? '').replace(/:[0-9]{1,5}$/, '').toLowerCase();
  if (!loopbackNames.has(name))
    throw new ProxyError('PROXY_HOST_REFUSED', 403, `The request is for host "${name.slice(0, 80)}"`, {
      hint: 'Ask for 127.0.0.1 or localhost',
    });
}

export type ProxyErrorCode =
  | 'PROXY_CANNOT_LISTEN'
  | 'PROXY_NOT_LOOPBACK'
  | 'PROXY_BROWSER_REFUSED'
  | 'PROXY_HOST_REFUSED'
  | 'PROXY_NO_APP'
  | 'PROXY_BUSY'
  | 'PROXY_BODY_REFUSED'
  | 'PROXY_BODY_TOO_LARGE'
  | 'PROXY_ANSWER_TOO_LARGE'
  | 'PROXY_PROOF_UNKNOWN';

/** The proxy's own refusals. */
export class ProxyError extends CloisterError<ProxyErrorCode> {
  override readonly name = 'ProxyError';
  /** Of the answer. */
  readonly status: number;
  constructor(
    code: ProxyErrorCode,
    status: number,
    message: string,
    { hint, cause }: { readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super({ code, message, hint, cause, retry: status === 503 });
    this.status = status;
  }
}
