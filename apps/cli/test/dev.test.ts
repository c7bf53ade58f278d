import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

const program = path.resolve(import.meta.dirname, '../src/main.ts');
const source = (greeting: string) => `
export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    console.log('asked for ' + pathname);
    if (pathname === '/env') return Response.json(env);
    if (pathname === '/count') {
      const next = await ctx.state.transaction(async (inside) => {
        const count = Number((await inside.get('n', 'text')) ?? 0) + 1;
        inside.put('n', String(count));
        return count;
      });
      return new Response(String(next));
    }
    if (pathname === '/call') return ctx.call('0x${'ab'.repeat(32)}').catch(({ code }) => new Response(code));
    if (pathname === '/chain') return ctx.chain.block().catch(({ code }) => new Response(code));
    if (pathname === '/echo') return new Response(request.body);
    if (pathname === '/socket') {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener('message', ({ data }) => server.send('you said ' + data));
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response('${greeting}');
  },
};`;

let folder: string;
let child: ChildProcessByStdio<null, Readable, Readable>;
let url: string;
let said: string[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'cloister-dev-test-'));
  await writeFile(path.join(folder, 'app.js'), source('first'));
  await writeFile(path.join(folder, 'secrets.json'), JSON.stringify({ KEY: 'hidden' }));
  await start();
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  said = [];
  child = spawn(
    process.execPath,
    [
      ...[program, '--json', 'dev', 'app.js', '--state', '1', '--state-dir', 'kept', '--env', 'NAME=dev'],
      ...['--secrets-file', 'secrets.json', '--outbound', `app:0x${'ab'.repeat(32)}`, 'chain:read', '--input-mb', '1'],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  createInterface(child.stderr).on('line', (line) => said.push(line));
  const [ready] = await new Promise<[string]>((resolve) => {
    createInterface(child.stdout).once('line', (line) => resolve([line]));
  });
  ({ url } = JSON.parse(ready) as { url: string });
}

async function stop(): Promise<void> {
  const over = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await over;
}

const get = async (at: string, init?: RequestInit) => (await fetch(url + at, init)).text();

describe('cloister dev', () => {
  test('gives an app what a worker gives it, reloads it, and keeps its state', async () => {
    expect(await get('/')).toBe('first');
    expect(JSON.parse(await get('/env'))).toEqual({ NAME: 'dev', KEY: 'hidden' });
    expect([await get('/count'), await get('/count')]).toEqual(['1', '2']);
    expect(await get('/call')).toBe('DEV_NO_NETWORK');
    expect(await get('/chain')).toBe('DEV_NO_NETWORK');
    await expect.poll(() => said).toContain('  log: asked for /count');

    const streamed = new ReadableStream({
      async start(controller) {
        for (const part of ['a', 'b', 'c']) {
          controller.enqueue(new TextEncoder().encode(part));
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        controller.close();
      },
    });
    expect(await get('/echo', { method: 'POST', body: streamed, duplex: 'half' } as RequestInit)).toBe('abc');
    const large = fetch(`${url}/echo`, { method: 'POST', body: new Uint8Array(1_100_000) });
    expect(
      await large
        .then((answer) => answer.arrayBuffer())
        .then(
          ({ byteLength }) => byteLength,
          () => 0,
        ),
    ).toBeLessThan(1_100_000);

    const socket = new WebSocket(`${url.replace('http', 'ws')}/socket`);
    const heard = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
    socket.once('open', () => socket.send('hi'));
    expect(await heard).toBe('you said hi');
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.close(4000, 'through');
    expect(await closed).toBe(4000);

    await writeFile(path.join(folder, 'app.js'), source('second'));
    await expect.poll(() => get('/'), { timeout: 15_000 }).toBe('second');
    expect(said.some((line) => /^Reloaded \d+ ms after/.test(line))).toBe(true);
    expect(await get('/count')).toBe('3');
    await stop();
    await start();
    expect(await get('/count')).toBe('4');
  }, 60_000);
});
