import { mkdtempSync, rmSync } from 'node:fs';
import { request as openRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { StateCommit, TenantServices } from '../services.ts';
import { encodeDoorMessage } from './message.ts';
import { maxServiceRequestBytes, maxServiceRequestsAtOnce, ServiceDoor } from './serviceDoor.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-door-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const doors: ServiceDoor[] = [];
let commits: StateCommit[] = [];
/** Awaited before a value is given. */
let before: () => Promise<void> = async () => {};
beforeEach(() => {
  commits = [];
  before = async () => {};
});
afterEach(() => Promise.all(doors.splice(0).map((door) => door.close())));

const services: TenantServices = {
  state: {
    async get({ key }) {
      await before();
      return { value: Buffer.from(key), tag: 'tag' };
    },
    list: async () => ({ keys: [], tag: 'tag' }),
    async commit(commit) {
      commits.push(commit);
    },
  },
};

let count = 0;
async function listening(): Promise<{ door: ServiceDoor; socketPath: string }> {
  const socketPath = join(folder, `${++count}.sock`);
  const door = new ServiceDoor();
  doors.push(door);
  await door.listen(socketPath);
  return { door, socketPath };
}

type Answer = { readonly status: number; readonly body: Buffer; readonly code: string | undefined };

/** One request as a tenant's code could send it by itself. */
function send(
  socketPath: string,
  name: string,
  token: string | undefined,
  body: Uint8Array,
  method = 'POST',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': body.length, ...(token === undefined ? {} : { 'cloister-invocation': token }) };
    const outgoing = openRequest({ socketPath, path: `/${name}`, method, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const text = Buffer.concat(parts);
        const code = response.statusCode === 200 ? undefined : (JSON.parse(text.toString()) as { code: string }).code;
        resolve({ status: response.statusCode ?? 0, body: text, code });
      });
      response.on('error', reject);
    });
    // The door may answer before it has read everything, and hang up then.
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const get = encodeDoorMessage({ partition: 0, key: 'k' });

test('answers a request of an open invocation', async () => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  const { status, body } = await send(socketPath, 'state.get', token, get);
  expect(status).toBe(200);
  expect(body.equals(encodeDoorMessage({ found: true, tag: 'tag' }, Buffer.from('k')))).toBe(true);
});

test('nobody comes in without the token of an invocation that is in progress at this very door', async () => {
  const [first, second] = [await listening(), await listening()];
  const invocation = first.door.open(services);
  second.door.open(services);
  for (const token of [undefined, '', 'constructor', '0'.repeat(32)])
    expect((await send(first.socketPath, 'state.get', token, get)).code).toBe('INVOCATION_OVER');
  expect((await send(second.socketPath, 'state.get', invocation.token, get)).code).toBe('INVOCATION_OVER');
  expect((await send(first.socketPath, 'state.get', invocation.token, get)).status).toBe(200);
  invocation.close();
  expect((await send(first.socketPath, 'state.get', invocation.token, get)).code).toBe('INVOCATION_OVER');
});

test('a service that this invocation is not given is refused', async () => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  expect((await send(socketPath, 'chain.block', token, encodeDoorMessage({}))).code).toBe('SERVICE_UNAVAILABLE');
});

test.each<[string, string, Buffer, string?]>([
  ['another service', 'state.drop', get],
  ['a name of all objects', 'constructor', get],
  ['another method', 'state.get', get, 'PUT'],
  ['nothing', 'state.get', Buffer.alloc(0)],
  ['a head longer than the message', 'state.get', Buffer.from([255, 255, 255, 255, 123, 125])],
  ['a head that is no JSON', 'state.get', Buffer.from('\0\0\0\x02{]')],
  ['a field too many', 'state.get', encodeDoorMessage({ partition: 0, key: 'k', app: '0x00' })],
  ['a partition below zero', 'state.get', encodeDoorMessage({ partition: -1, key: 'k' })],
  ['a key of a kind', 'state.get', encodeDoorMessage({ partition: 0, key: 7 })],
  ['half a surrogate', 'state.get', Buffer.from('\0\0\0\x20{"partition":0,"key":"\\ud800"}   ')],
  [
    'fewer bytes than its values have',
    'state.commit',
    encodeDoorMessage({ partition: 0, read: [], listed: [], changes: [{ key: 'k', length: 5 }] }, Buffer.from('1234')),
  ],
  [
    'a key changed twice',
    'state.commit',
    encodeDoorMessage({
      ...{ partition: 0, read: [], listed: [] },
      changes: [
        { key: 'k', length: null },
        { key: 'k', length: null },
      ],
    }),
  ],
])('refuses %s', async (_what, name, body, method) => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  expect((await send(socketPath, name, token, body, method)).code).toBe('SERVICE_REQUEST_INVALID');
  expect(commits).toEqual([]);
});

test('values of a commit are those that it names, in order', async () => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  const changes = [
    { key: 'a', length: 2 },
    { key: 'b', length: null },
    { key: 'c', length: 0 },
    { key: 'd', length: 1 },
  ];
  const head = { partition: 1, read: [{ key: 'a', tag: 't' }], listed: [], changes };
  await send(socketPath, 'state.commit', token, encodeDoorMessage(head, Buffer.from('xyz')));
  const values = commits[0]?.changes.map(({ key, value }) => [key, value && Buffer.from(value).toString()]);
  expect(values).toEqual([
    ['a', 'xy'],
    ['b', undefined],
    ['c', ''],
    ['d', 'z'],
  ]);
});

test('a request that is too large is cut off, and the door stays open', async () => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  const sent = send(socketPath, 'state.get', token, Buffer.alloc(maxServiceRequestBytes + 1));
  // By the answer, or by a connection that is closed while the rest was on its way.
  expect(
    await sent.then(
      ({ code }) => code,
      (error: { code: string }) => error.code,
    ),
  ).toMatch(/^(?:SERVICE_LIMIT|ECONNRESET|EPIPE)$/);
  expect((await send(socketPath, 'state.get', token, get)).status).toBe(200);
});

test('more at once than may be are refused, and have room again afterwards', async () => {
  const { door, socketPath } = await listening();
  const { token } = door.open(services);
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let inside = 0;
  before = () => {
    inside += 1;
    return held;
  };
  const waiting = Array.from({ length: maxServiceRequestsAtOnce }, () => send(socketPath, 'state.get', token, get));
  await expect.poll(() => inside).toBe(maxServiceRequestsAtOnce);
  expect((await send(socketPath, 'state.get', token, get)).code).toBe('SERVICE_BUSY');
  letGo();
  expect((await Promise.all(waiting)).every(({ status }) => status === 200)).toBe(true);
  expect((await send(socketPath, 'state.get', token, get)).status).toBe(200);
});
