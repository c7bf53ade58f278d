import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { frameKinds, jsonFrame, type RunReport } from './frames.ts';
import type { GuestRequest } from './metaVariables.ts';
import { maxThreads } from './runThread.ts';
import { ThreadPool } from './threadPool.ts';

/** Makes what the driver gives a process ready to run, or says why it can't be run. Throws nothing. */
export type Prepare<Prepared extends object> = (head: unknown, bytes: Uint8Array) => Promise<Prepared | RunReport>;

/**
 * The program of a tenant's process: it takes what the tenant runs once, by the control socket, and from then on runs each
 * call in an instance of its own, on a thread of its own. Both sockets' paths are its arguments; what it says on descriptor
 * 3 tells the driver that it listens.
 */
export function serveProgram<Prepared extends object>(
  [dataPath = '', controlPath = '']: readonly string[],
  prepare: Prepare<Prepared>,
): void {
  const threads = new ThreadPool<Prepared>(process.argv[1] ?? '', maxThreads);
  let preparing: Promise<Prepared | RunReport> | undefined;
  const control: RequestListener = async (request, response) => {
    const { head, bytes } = await readMessage(request);
    const loads = request.url === '/load' && preparing === undefined;
    if (request.url === '/warm') await warm(threads, prepare, head, bytes);
    // Not before this turn of the loop has ended: the answer to the load comes first.
    else if (loads) preparing = new Promise((resolve) => setImmediate(resolve)).then(() => prepare(head, bytes));
    response.writeHead(loads || request.url !== '/load' ? 204 : 409).end();
  };
  const data: RequestListener = async (request, response) => {
    const { head, bytes } = await readMessage(request);
    if (preparing === undefined) return void response.writeHead(409).end();
    answer(threads, preparing, { ...(head as Omit<GuestRequest, 'body'>), body: bytes }, response);
  };
  let listening = 0;
  for (const [path, listener] of [
    [dataPath, data],
    [controlPath, control],
  ] as const) {
    const server = createServer({ requestTimeout: 0, headersTimeout: 0 }, listener);
    server.listen(path, () => {
      listening += 1;
      if (listening === 2) writeSync(3, 'listening\n');
    });
  }
}

/** Has a thread ready: one that has run what the message holds, where it holds anything. */
async function warm<Prepared extends object>(
  threads: ThreadPool<Prepared>,
  prepare: Prepare<Prepared>,
  head: unknown,
  bytes: Uint8Array,
): Promise<void> {
  const prepared = head === undefined ? undefined : await prepare(head, bytes);
  if (prepared === undefined || isReport(prepared)) return threads.warm();
  const request = { method: 'GET', path: '/', headers: [], body: new Uint8Array() };
  const inFlight = new Int32Array(new SharedArrayBuffer(4));
  await new Promise<void>((ended) => {
    threads.run(prepared, { request, inFlight }, (_, taken) => taken(), ended);
  });
}

async function answer<Prepared extends object>(
  threads: ThreadPool<Prepared>,
  preparing: Promise<Prepared | RunReport>,
  request: GuestRequest,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200);
  let abort = (): void => {};
  let gone = false;
  response.on('close', () => {
    gone = true;
    abort();
  });
  const prepared = await preparing;
  if (gone) return;
  if (isReport(prepared)) return void response.end(jsonFrame(frameKinds.report, prepared));
  const inFlight = new Int32Array(new SharedArrayBuffer(4));
  const running = threads.run(
    prepared,
    { request, inFlight },
    (bytes, taken) => void response.write(bytes, () => taken()),
    () => response.end(),
  );
  abort = running.abort;
}

/** A message of the driver: the length of a JSON head in four bytes, the head, bytes. */
async function readMessage(request: IncomingMessage): Promise<{ readonly head: unknown; readonly bytes: Uint8Array }> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const message = Buffer.concat(parts);
  if (message.length === 0) return { head: undefined, bytes: message };
  const end = 4 + message.readUInt32BE(0);
  return { head: JSON.parse(message.subarray(4, end).toString('utf8')), bytes: new Uint8Array(message.subarray(end)) };
}

function isReport(prepared: object): prepared is RunReport {
  return 'status' in prepared;
}
