import { asBytes32, type Bytes32, isHexOf } from '@cloister/core';
import type { Directory } from './directory.ts';
import { begin, drained, type Exchange, sendJson } from './exchange.ts';
import { ProblemError } from './problem.ts';

const maxPageSize = 256;

/**
 * `GET /v1/workers`: `[{ workerId, announcement }]`, ordered by id, announcements exactly as the workers pushed them.
 * `?limit=` (1 to 256, default 256) and `?after=` page through it; a next page is named in the Link header.
 */
export async function sendDirectory(exchange: Exchange, directory: Directory, query: URLSearchParams): Promise<void> {
  const { request, response } = exchange;
  const limit = pageSize(query.get('limit'));
  const after = startAfter(query.get('after'));
  const { workers, more } = directory.page(limit, after);
  const last = workers.at(-1)?.workerId;
  const link = more && last !== undefined ? { link: `</v1/workers?limit=${limit}&after=${last}>; rel="next"` } : {};
  begin(exchange, 200, { 'content-type': 'application/json', 'cache-control': 'no-cache', ...link });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.write('[');
  for (const [index, { workerId, announcement }] of workers.entries()) {
    const entry = `${index === 0 ? '' : ','}{"workerId":"${workerId}","announcement":${announcement}}`;
    if (!response.write(entry) && !(await drained(response))) return;
  }
  response.end(']');
}

/** `GET /v1/workers/{workerId}`: that worker's announcement exactly as it pushed it. */
export function sendAnnouncement(exchange: Exchange, directory: Directory, workerId: Bytes32): void {
  const announcement = directory.get(workerId)?.announcement;
  if (announcement === undefined)
    throw new ProblemError('worker-unknown', `The worker "${workerId}" is not in this gateway's directory`);
  sendJson(exchange, 200, announcement);
}

function pageSize(value: string | null): number {
  if (value === null) return maxPageSize;
  if (/^[1-9][0-9]{0,2}$/.test(value) && Number(value) <= maxPageSize) return Number(value);
  throw new ProblemError(
    'bad-request',
    `Expected "limit" to be a whole number from 1 to ${maxPageSize}, got "${value.slice(0, 40)}"`,
  );
}

function startAfter(value: string | null): Bytes32 | undefined {
  if (value === null) return undefined;
  if (isHexOf(value, 32)) return asBytes32(value);
  throw new ProblemError('bad-request', `Expected "after" to be a worker id, got "${value.slice(0, 80)}"`);
}
