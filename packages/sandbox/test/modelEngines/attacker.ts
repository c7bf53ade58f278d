// Code that has broken out of its runtime: it stands where an engine would, inside the walls of a real driver, and does what the
// path says. A path whose attack fails is answered with what stopped it.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { EngineAnswer, EngineRequest, OpenEngine } from '../../src/model/host/engine.ts';
import { census } from './census.ts';

let calls = 0;
const listening: unknown[] = [];

export const openEngine: OpenEngine = async () => attack;

async function attack({ path, headers }: EngineRequest): Promise<EngineAnswer> {
  const url = new URL(path, `http://${headers.host}`);
  switch (url.pathname) {
    case '/state':
      calls += 1;
      return text(String(calls));
    case '/census':
      return text(JSON.stringify(await census(Number(url.searchParams.get('port'))), undefined, 1));
    case '/listen':
      return text(await listenEverywhere());
    case '/busy':
      console.log(JSON.stringify({ level: 'log', message: process.env.SECRET ?? 'printed by the first' }));
      for (;;) fs.readdirSync('/');
    case '/files':
      return text(JSON.stringify(fillDirectory(url.searchParams.get('in') ?? '/run')));
    case '/descriptors':
      return text(JSON.stringify(openWithoutEnd()));
    case '/forks':
      return text(JSON.stringify(await forkWithoutEnd()));
    case '/memory': {
      const kept: Buffer[] = [];
      for (;;) kept.push(Buffer.alloc(4 * 1024 * 1024, 1));
    }
    case '/flood':
      return flood(Number(url.searchParams.get('size')), url.searchParams.get('end') ?? '');
    case '/abort':
      return process.abort();
    case '/exit':
      return process.exit(0);
    case '/stop':
      process.kill(process.pid, 'SIGSTOP');
      return text('went on');
    case '/kill-all':
      process.kill(-1, 'SIGKILL');
      return text('killed');
    case '/raw':
      return speakRaw(url.searchParams.get('what') ?? '');
  }
  return { ...text('no such attack'), status: 404 };
}

const text = (body: string): EngineAnswer => ({ status: 200, headers: { 'content-type': 'text/plain' }, body });

/** What stopped something, or 'done'. */
function attempt(work: () => unknown): string {
  try {
    work();
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** Where a neighbour would look. */
async function listenEverywhere(): Promise<string> {
  const ends: string[] = [];
  for (const place of [{ port: 47_311, host: '127.0.0.1' }, { path: '\0cloister-first-tenant' }]) {
    const server = createServer((socket) => socket.end('by the first'));
    listening.push(server);
    ends.push(
      await new Promise<string>((resolve) => {
        server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
        server.listen(place, () => resolve('listening'));
      }),
    );
  }
  return ends.join(', ');
}

/** Everything that takes room in a directory without one byte of a file. */
function fillDirectory(folder: string): object {
  const repeated = (make: (name: string) => unknown): { made: number; end: string } => {
    for (let made = 0; made < 2000; made += 1) {
      const end = attempt(() => make(`${folder}/${made}-${'x'.repeat(200)}`));
      if (end !== 'done') return { made, end };
    }
    return { made: 2000, end: 'never' };
  };
  return {
    directories: repeated((name) => fs.mkdirSync(name)),
    empty: repeated((name) => fs.closeSync(fs.openSync(name, 'w'))),
    links: repeated((name) => fs.symlinkSync('/weights', name)),
    hardLinks: repeated((name) => fs.linkSync(`${folder}/data.sock`, name)),
    sparse: attempt(() => fs.truncateSync(`${folder}/sparse`, 2 ** 40)),
    weights: attempt(() => fs.truncateSync('/weights', 0)),
    socketGone: attempt(() => fs.unlinkSync(`${folder}/data.sock`)),
    socketMoved: attempt(() => fs.renameSync(`${folder}/data.sock`, `${folder}/other.sock`)),
    opened: attempt(() => fs.chmodSync(folder, 0o777)),
  };
}

function openWithoutEnd(): object {
  const open: number[] = [];
  const end = attempt(() => {
    for (;;) open.push(fs.openSync('/weights', 'r'));
  });
  for (const descriptor of open) fs.closeSync(descriptor);
  return { opened: open.length, end };
}

async function forkWithoutEnd(): Promise<object> {
  let refused = 0;
  let started = 0;
  for (let index = 0; index < 300; index += 1) {
    // Without streams of its own: there is no /dev/null here to open.
    const child = spawn('/program', ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'inherit', detached: true });
    child.on('error', () => {
      refused += 1;
    });
    if (child.pid !== undefined) started += 1;
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { started, refused };
}

function flood(size: number, end: string): never {
  const piece = Buffer.from('x'.repeat(size) + end);
  for (;;) attempt(() => fs.writeSync(1, piece));
}

/** Answers with bytes of its own in the place of HTTP. */
function speakRaw(what: string): EngineAnswer {
  const { writeHead } = ServerResponse.prototype;
  ServerResponse.prototype.writeHead = function raw(this: ServerResponse, ...given: unknown[]): ServerResponse {
    const { socket } = this;
    // Its control socket answers as before: only what it answers to calls is no HTTP.
    if (!this.req.url?.startsWith('/raw')) return writeHead.apply(this, given as Parameters<typeof writeHead>);
    const repeat = (piece: string): void => {
      const bytes = Buffer.from(piece.repeat(Math.max(1, Math.floor(16_384 / piece.length))));
      const more = (): void => {
        while (socket?.writable === true && socket.write(bytes));
        socket?.once('drain', more);
      };
      more();
    };
    const ok = 'HTTP/1.1 200 OK\r\n';
    const chunked = `${ok}transfer-encoding: chunked\r\n\r\n`;
    if (what === 'headers') socket?.write(ok, () => repeat('a: b\r\n'));
    if (what === 'header') socket?.write(`${ok}a: `, () => repeat('b'));
    if (what === 'continue') repeat('HTTP/1.1 100 Continue\r\n\r\n');
    if (what === 'status') socket?.write('HTTP/1.1 99999 OK\r\ncontent-length: 0\r\n\r\n');
    if (what === 'length') socket?.write(`${ok}content-length: 99999999999999999999\r\n\r\n`);
    if (what === 'lengths') socket?.write(`${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`);
    if (what === 'both') socket?.write(`${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`);
    if (what === 'chunk') socket?.write(`${chunked}ffffffffffffffff\r\nx`);
    if (what === 'extension') socket?.write(`${chunked}1;`, () => repeat('e'));
    if (what === 'trailers') socket?.write(`${chunked}0\r\n`, () => repeat('a: b\r\n'));
    if (what === 'twice') socket?.write(`${ok}content-length: 1\r\n\r\nx${ok}content-length: 1\r\n\r\ny`);
    if (what === 'report')
      socket?.write(`${chunked}1\r\nx\r\n0\r\ncloister-report: ${'{"a":'.repeat(400)}1${'}'.repeat(400)}\r\n\r\n`);
    if (what === 'nothing') socket?.destroy();
    if (what === 'pieces') socket?.write(chunked, () => repeat('1\r\nx\r\n'));
    if (what === 'drip') {
      socket?.write(ok);
      setInterval(() => socket?.write('a'), 20);
    }
    // Whatever else is written goes nowhere.
    this.write = () => true;
    this.end = () => this;
    return this;
  };
  return text('never seen');
}
