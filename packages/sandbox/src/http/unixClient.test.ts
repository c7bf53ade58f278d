import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { UnixHttpClient } from './unixClient.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloister-client-'));
const opened: { server: Server; client: UnixHttpClient; sockets: Set<Socket> }[] = [];
afterEach(() => {
  for (const { server, client, sockets } of opened.splice(0)) {
    client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
/** A client, and a server that does as it's told with each request's bytes. */
async function connected(answer: (request: string, socket: Socket, index: number) => void) {
  count += 1;
  const path = join(directory, `${count}.sock`);
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0);
      const head = text.indexOf('\r\n\r\n');
      if (head === -1 || text.length < head + 4 + length) return;
      const request = text;
      text = '';
      requests += 1;
      answer(request, socket, requests);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new UnixHttpClient(path);
  opened.push({ server, client, sockets });
  return { client, sockets };
}

type Outcome = { status?: number; body?: string; error?: string; sent?: boolean };

function exchange(client: UnixHttpClient, method = 'GET', body = ''): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = {};
    client.send(
      { method, path: '/', headers: ['host', 'a.invalid'], body: Buffer.from(body) },
      {
        head: ({ status }) => {
          outcome.status = status;
          outcome.body = '';
        },
        data: (chunk) => {
          outcome.body += Buffer.from(chunk).toString('latin1');
        },
        end: () => resolve(outcome),
        failed: (error, sent) => resolve({ ...outcome, error: error.message, sent }),
      },
    );
  });
}

const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

test('uses a connection again, and sends bodies large and small', async () => {
  const { client, sockets } = await connected((request, socket) => socket.write(ok(String(request.length))));
  const first = await exchange(client, 'POST', 'x'.repeat(100));
  const second = await exchange(client, 'POST', 'x'.repeat(1_000_000));
  expect(Number(second.body) - Number(first.body)).toBe(999_900 + 4);
  expect((await exchange(client)).status).toBe(200);
  expect(sockets.size).toBe(1);
});

test('calls at once get connections of their own, and their own answers', async () => {
  const { client, sockets } = await connected((_request, socket, index) => {
    setTimeout(() => socket.write(ok(`${index}`)), 5);
  });
  const bodies = (await Promise.all([1, 2, 3].map(() => exchange(client)))).map(({ body }) => body);
  expect(bodies.sort()).toEqual(['1', '2', '3']);
  expect(sockets.size).toBe(3);
});

test('does not use a connection again that the server will close, or that had bytes left over', async () => {
  const closing = await connected((_request, socket) =>
    socket.end(ok('x').replace('OK\r\n', 'OK\r\nConnection: close\r\n')),
  );
  await exchange(closing.client);
  expect((await exchange(closing.client)).body).toBe('x');
  expect(closing.sockets.size).toBe(2);
  // Bytes after the end would be taken for the answer to the next request.
  const chatty = await connected((_request, socket) => socket.write(ok('x') + ok('forged')));
  const first = await exchange(chatty.client);
  expect(first.error).toContain('after the answer');
  expect((await exchange(chatty.client)).body).not.toBe('forged');
});

test.each([
  ['nothing', ''],
  ['a part of the head', 'HTTP/1.1 200'],
  ['a part of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'],
  ['something else', 'SSH-2.0-x\r\n\r\n'],
])('a server that sends %s and hangs up is a failure', async (_what, bytes) => {
  const { client } = await connected((_request, socket) => socket.end(bytes));
  expect(await exchange(client)).toMatchObject({ error: expect.any(String), sent: true });
});

test('says that nothing was sent where nobody listens', async () => {
  const client = new UnixHttpClient(join(directory, 'nobody.sock'));
  expect(await exchange(client)).toMatchObject({ error: expect.any(String), sent: false });
});

test('an aborted exchange says nothing more, and its connection is gone', async () => {
  const { client, sockets } = await connected(() => {});
  const events: string[] = [];
  const note = (event: string) => () => void events.push(event);
  const handlers = { head: note('head'), data: note('data'), end: note('end'), failed: note('failed') };
  const running = client.send({ method: 'GET', path: '/', headers: [], body: new Uint8Array() }, handlers);
  await expect.poll(() => sockets.size).toBe(1);
  const closed = new Promise((resolve) => [...sockets][0]?.once('close', resolve));
  running.abort();
  await closed;
  expect(events).toEqual([]);
});
