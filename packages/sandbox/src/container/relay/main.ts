// Runs beside an app's containers, in a container of its own that shares nothing with them but their network, which has no
// other way in or out: takes calls from the worker's socket to the app's port, and the app's requests to the worker's gate.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';

const [folder = '', gate = '', proxyPort = '', appPort = ''] = process.argv.slice(2);
const retryMs = 25;
const pingMs = 5_000;
const readyMs = 30_000;
const maxOutbound = 64;
/** Answers before the answer (RFC 9110 §15.2), of which an app may send none that ends it all. */
const maxInterim = 16;

/** Whether the app has taken a connection: until then it is starting, and is waited for. */
let listening = false;

const data = createServer({ keepAliveTimeout: 10_000, headersTimeout: 0, requestTimeout: 0 }, forward);
const control = createServer((asked, answer) => {
  asked.resume();
  (asked.url === '/ready' ? ready() : ping()).then(
    () => answer.writeHead(204).end(),
    () => answer.writeHead(503, { 'content-length': '0' }).end(),
  );
});
const out = createTcpServer({ allowHalfOpen: true }, (socket) =>
  join(socket, connect({ path: gate, allowHalfOpen: true })),
);
out.maxConnections = maxOutbound;

out.listen(Number(proxyPort), '127.0.0.1', () => {
  data.listen(`${folder}/data.sock`, () => control.listen(`${folder}/control.sock`));
});

/** A connection for one request: one that is used again may be closed by the app at just that moment. */
function reach(given: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const attempt = (): void => {
    const socket = connect({ port: Number(appPort), host: '127.0.0.1', allowHalfOpen: true });
    const stop = (): void => void socket.destroy(new Error('nobody waits any more'));
    given.addEventListener('abort', stop, { once: true });
    socket.once('connect', () => {
      given.removeEventListener('abort', stop);
      socket.removeAllListeners('error');
      listening = true;
      resolve(socket);
    });
    socket.once('error', (error) => {
      given.removeEventListener('abort', stop);
      const isStarting = !listening && 'code' in error && error.code === 'ECONNREFUSED';
      if (isStarting && !given.aborted) setTimeout(attempt, retryMs);
      else reject(error);
    });
  };
  if (given.aborted) reject(given.reason);
  else attempt();
  return promise;
}

const perConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'trailer',
]);

async function forward(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const left = new AbortController();
  answer.once('close', () => left.abort());
  // Whatever goes wrong on the other side: the worker sees that the answer breaks off.
  const fail = (): void => void asked.socket.destroy();
  try {
    const socket = await reach(left.signal);
    const outgoing = request({
      createConnection: () => socket,
      method: asked.method ?? 'GET',
      path: asked.url ?? '/',
      headers: [...kept(asked.rawHeaders), 'connection', 'close'],
      setHost: false,
      setDefaultHeaders: false,
      maxHeaderSize: 64 * 1024,
    });
    left.signal.addEventListener('abort', () => outgoing.destroy(), { once: true });
    outgoing.once('error', fail);
    outgoing.once('upgrade', fail);
    let interim = 0;
    outgoing.on('information', () => {
      interim += 1;
      if (interim > maxInterim) fail();
    });
    outgoing.once('response', (given) => {
      answer.sendDate = false;
      given.once('error', fail);
      given.once('aborted', fail);
      answer.writeHead(given.statusCode ?? 502, kept(given.rawHeaders));
      // The head goes out at once, also where the body takes its time.
      answer.flushHeaders();
      given.pipe(answer);
    });
    asked.pipe(outgoing);
  } catch {
    fail();
  }
}

/** All headers but those that concern one connection (RFC 9110 §7.6.1). */
function kept(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, index) => !perConnection.has((rawHeaders[index - (index % 2)] ?? '').toLowerCase()));
}

/** Whether the app takes connections by now. */
async function ready(): Promise<void> {
  (await reach(AbortSignal.timeout(readyMs))).destroy();
}

/** A request that asks for nothing (RFC 9110 §9.3.7): any answer says that the app answers. */
async function ping(): Promise<void> {
  const signal = AbortSignal.timeout(pingMs);
  const socket = await reach(signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { host: 'app.invalid', connection: 'close' };
  const outgoing = request({ createConnection: () => socket, method: 'OPTIONS', path: '*', headers, signal });
  outgoing.once('response', (given) => {
    given.resume();
    given.once('error', () => {});
    resolve();
  });
  outgoing.once('error', reject);
  outgoing.end();
  await promise.finally(() => socket.destroy());
}

function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', (broken) => {
      if (broken) to.destroy();
    });
    from.pipe(to);
  }
}
