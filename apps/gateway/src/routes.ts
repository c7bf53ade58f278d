import type { IncomingMessage } from 'node:http';
import { type Address, asAddress, asBytes32, type Bytes32, CloisterError, isHexOf } from '@cloister/core';
import { ProblemError } from './problem.ts';

/** What a request asks for. */
export type Route =
  | { readonly name: 'call'; readonly workerId: Bytes32 }
  | { readonly name: 'directory'; readonly query: URLSearchParams }
  | { readonly name: 'announcement'; readonly workerId: Bytes32 }
  | { readonly name: 'blob'; readonly id: string }
  | { readonly name: 'storage'; readonly app: Bytes32 }
  | { readonly name: 'statement'; readonly signer: Address }
  | { readonly name: 'about' | 'claims' | 'health' | 'metrics' | 'preflight' };

const callPath = /^\/v1\/workers\/(0x[0-9a-f]{64})\/call$/;

const sessionPath = /^\/v1\/workers\/(0x[0-9a-f]{64})\/session$/;

/** The worker that an upgrade request asks for a session with; undefined where it asks for something else. */
export function sessionWorkerOf(target: string): Bytes32 | undefined {
  return sessionPath.exec(target)?.[1] as Bytes32 | undefined;
}

/** Reads method and path. Throws ProblemError: not-found, method-not-allowed, bad-request. */
export function routeOf(request: IncomingMessage): Route {
  const { method = '', url: target = '' } = request;
  // Most requests by far, so without the way through URL.
  const workerId = callPath.exec(target)?.[1];
  if (workerId !== undefined && method === 'POST') return { name: 'call', workerId: workerId as Bytes32 };
  if (method === 'OPTIONS') return { name: 'preflight' };
  const url = target.startsWith('/') ? URL.parse(target, 'http://gateway.invalid') : null;
  if (url === null || url.host !== 'gateway.invalid')
    throw new ProblemError('bad-request', 'Expected a path beginning with "/"');
  const [, version, kind, id, action, ...rest] = url.pathname.split('/');
  if (url.pathname === '/healthz') return allowed(method, ['GET', 'HEAD'], { name: 'health' });
  if (url.pathname === '/metrics') return allowed(method, ['GET'], { name: 'metrics' });
  if (version === 'v1' && rest.length === 0) {
    if (kind === 'about' && id === undefined) return allowed(method, ['GET', 'HEAD'], { name: 'about' });
    if (kind === 'workers' && id !== undefined && action === 'call')
      return allowed(method, ['POST'], { name: 'call', workerId: bytes32Of(id, 'the worker id') });
    if (kind === 'workers' && id === undefined)
      return allowed(method, ['GET', 'HEAD'], { name: 'directory', query: url.searchParams });
    if (kind === 'workers' && id !== undefined && action === undefined)
      return allowed(method, ['GET', 'HEAD'], { name: 'announcement', workerId: bytes32Of(id, 'the worker id') });
    if (kind === 'blobs' && id !== undefined && action === undefined)
      return allowed(method, ['GET', 'HEAD', 'PUT'], { name: 'blob', id: blobIdOf(id) });
    if (kind === 'claims' && id === undefined) return allowed(method, ['POST'], { name: 'claims' });
    if (kind === 'storage' && id !== undefined && action === undefined)
      return allowed(method, ['GET', 'HEAD'], { name: 'storage', app: bytes32Of(id, 'the app id') });
    if (kind === 'statements' && id !== undefined && action === undefined)
      return allowed(method, ['GET', 'HEAD'], { name: 'statement', signer: signerOf(id) });
  }
  throw new ProblemError('not-found', `Nothing is served at "${url.pathname.slice(0, 200)}"`);
}

function allowed(method: string, methods: readonly string[], route: Route): Route {
  if (methods.includes(method)) return route;
  const allow = [...methods, 'OPTIONS'].join(', ');
  throw new ProblemError('method-not-allowed', `Only ${methods.join(', ')} is served here`, { headers: { allow } });
}

function bytes32Of(segment: string, what: string): Bytes32 {
  try {
    return asBytes32(segment, what);
  } catch (error) {
    throw new ProblemError('bad-request', error instanceof CloisterError ? error.message : `Expected ${what}`);
  }
}

function signerOf(segment: string): Address {
  if (isHexOf(segment, 20) && !/^0x(0{40}|f{40})$/i.test(segment)) return asAddress(segment);
  throw new ProblemError('bad-request', `Expected the address of a receipt signer, got "${segment.slice(0, 80)}"`);
}

/** 64 hexadecimal digits, with 0x before them or without. */
function blobIdOf(segment: string): string {
  const [, digits] = /^(?:0x)?([0-9a-f]{64})$/.exec(segment) ?? [];
  if (digits !== undefined) return digits;
  throw new ProblemError(
    'bad-request',
    `Expected a blob id of 64 lower-case hexadecimal digits, got "${segment.slice(0, 80)}"`,
  );
}
