// Runs inside the walls, one process for each tenant: loads an engine at the first call and answers calls with it.
// Arguments: folder of the sockets, the engines, their packages, the weights, and where there is one the packages for a GPU.
import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Engine, EngineAnswer, EngineConfig, OpenEngine } from './engine.ts';
import { useEngineModules } from './engineModules.ts';

type Load = {
  readonly engine: string;
  readonly failureMark: string;
  readonly env: Readonly<Record<string, string>>;
  readonly config: Omit<EngineConfig, 'weights'>;
};

const [runDir = '', engines = '', modules = '', weights = '', gpuModules = ''] = process.argv.slice(2);
const maxControlBytes = 4 * 1024 * 1024;
let load: Load | undefined;
let opening: Promise<Engine> | undefined;

// There is no home in a jail, and packages ask for one as they load.
process.env.HOME = '/';
useEngineModules(modules, gpuModules);

// Opened by the first call, so that weights which break the engine do so in a call, whose receipt then says so.
function engine(given: Load): Promise<Engine> {
  opening ??= (async () => {
    const module: { openEngine: OpenEngine } = await import(pathToFileURL(join(engines, given.engine)).href);
    return module.openEngine({ ...given.config, weights });
  })();
  return opening;
}

async function control(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/load' && load === undefined)
    load = JSON.parse(Buffer.from(await bodyOf(request, maxControlBytes)).toString('utf8')) as Load;
  response.writeHead(204).end();
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (load === undefined) throw new Error('No model was named');
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('The caller has gone')));
  try {
    const body = await bodyOf(request, Number.POSITIVE_INFINITY);
    const opened = await engine(load);
    const { method = 'GET', url: path = '/' } = request;
    const given = await opened({
      ...{ method, path, body, env: load.env, signal: gone.signal },
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    });
    await send(response, given, gone.signal);
  } catch (error) {
    if (gone.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    // Too late to say anything: an answer that breaks off is a failure by itself.
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { 'cloister-failure': load.failureMark }).end(JSON.stringify({ message }));
  }
}

async function send(response: ServerResponse, given: EngineAnswer, signal: AbortSignal): Promise<void> {
  const { status, headers, body, report } = given;
  response.sendDate = false;
  response.writeHead(status, { ...headers, 'transfer-encoding': 'chunked', trailer: 'cloister-report' });
  const pieces = typeof body === 'string' || body instanceof Uint8Array ? [body] : body;
  for await (const piece of pieces) {
    if (piece.length === 0 || response.write(piece)) continue;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    if (signal.aborted) return;
  }
  await printed();
  const said = report?.();
  if (said !== undefined) response.addTrailers({ 'cloister-report': JSON.stringify(said) });
  response.end();
}

/** What was printed is out before the answer ends: a process without calls may be stopped. */
function printed(): Promise<void> {
  return new Promise((resolve) => process.stdout.write('', () => resolve()));
}

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) throw new Error(`A body of more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

for (const [name, handler] of Object.entries({ control, data: answer })) {
  const server = createServer({ keepAlive: true }, (request, response) => {
    handler(request, response).catch(() => response.destroy());
  });
  // Closing idle connections is the other end's business, which knows when it needs them.
  server.keepAliveTimeout = 10_000;
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(join(runDir, `${name}.sock`), resolve));
}
writeSync(3, 'listening\n');
