// Guest sockets as a worker gives them to containers: whose they are, how long they live, and what one of them can do to the others.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as openRequest } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ContainerList, containerListBytes, type Manifest, manifestOfKind } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import type { GuestAgent } from '@cloister/guest';
import type { ContainerSource } from '@cloister/sandbox';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { agentWith, b32 } from '../../../packages/guest/test/guestParts.ts';
import { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { AppLoader, type AppLoaderComponents, type AppLoaderInit } from '../src/appLoader.ts';
import { GuestSockets, type OpenGuestSocket } from '../src/guest/guestSockets.ts';
import { StubDriver } from './stubDriver.ts';
import { noSecrets } from './workerParts.ts';

let folder: string;
let directory: string;
let ending: AbortController;
let sockets: GuestSockets;
const { signal } = new AbortController();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-sockets-'));
  directory = join(folder, 'guest');
  ending = new AbortController();
  sockets = new GuestSockets(directory, ending.signal);
});
afterEach(() => {
  vi.useRealTimers();
  ending.abort();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = { readonly status: number; readonly body: string };

function ask({ path: socketPath }: Pick<OpenGuestSocket, 'path'>, to: string, body = '{}'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': Buffer.byteLength(body) };
    const outgoing = openRequest({ socketPath, path: to, method: 'POST', headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
const keyFrom = async (socket: Pick<OpenGuestSocket, 'path'>) => (await ask(socket, '/GetKey', '{"path":"a"}')).body;

/** A connection that says this and no more. */
function stall(socket: OpenGuestSocket, said: string): { readonly closed: Promise<void> } {
  const connection = createConnection({ path: socket.path });
  connection.on('error', () => {});
  connection.resume();
  connection.write(said);
  return { closed: new Promise((resolve) => connection.on('close', () => resolve())) };
}

describe('the sockets of a worker', () => {
  test('lie in a folder that is its alone, each under a name of its own', async () => {
    const [one, other] = [await sockets.open(await agentWith()), await sockets.open(await agentWith())];
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory).sort()).toEqual([one, other].map(({ path }) => path.slice(-21)).sort());
    expect(one.path).not.toBe(other.path);
  });

  test('are opened at once in one folder, which is emptied once', async () => {
    mkdirSync(directory);
    writeFileSync(join(directory, 'left.sock'), 'by a worker that was killed');
    const opened = await Promise.all([1, 2, 3].map(async () => sockets.open(await agentWith())));
    expect(existsSync(join(directory, 'left.sock'))).toBe(false);
    for (const socket of opened) expect((await ask(socket, '/Version')).status).toBe(200);
  });

  test('where their folder can not be made, none opens, and later ones do when it can', async () => {
    writeFileSync(join(folder, 'file'), '');
    const blocked = new GuestSockets(join(folder, 'file', 'guest'), ending.signal);
    await expect(blocked.open(await agentWith())).rejects.toMatchObject({ code: 'ENOTDIR' });
    rmSync(join(folder, 'file'));
    expect((await ask(await blocked.open(await agentWith()), '/Version')).status).toBe(200);
  });

  test('of a folder whose name is too long for a socket are refused by name', async () => {
    const deep = new GuestSockets(join(folder, 'x'.repeat(100)), ending.signal);
    await expect(deep.open(await agentWith())).rejects.toMatchObject({ code: 'GUEST_SOCKET_UNUSABLE' });
  });

  test('end with the worker, and one that is open then is cut off', async () => {
    const socket = await sockets.open(await agentWith());
    const { closed } = stall(socket, 'POST /Info HTTP/1.1\r\n');
    expect((await ask(socket, '/Version')).status).toBe(200);
    ending.abort();
    await closed;
    await expect(ask(socket, '/Version')).rejects.toThrow();
    await expect(sockets.open(await agentWith())).rejects.toThrow();
  });

  test('answer for one app each: another one’s key is at no path of it', async () => {
    const [one, other] = [
      await sockets.open(await agentWith({ rootByte: 1, app: b32(1) })),
      await sockets.open(await agentWith({ rootByte: 2, app: b32(2) })),
    ];
    const [own, foreign] = [await keyFrom(one), await keyFrom(other)];
    expect(JSON.parse(own).key).not.toBe(JSON.parse(foreign).key);
    expect(await keyFrom(one)).toBe(own);
    await one.close();
    expect(existsSync(one.path)).toBe(false);
    await expect(keyFrom(one)).rejects.toThrow();
    expect(await keyFrom(other)).toBe(foreign);
  });

  test('one whose app sends too much, or never ends what it says, does nothing to another’s', async () => {
    const [hostile, other] = [await sockets.open(await agentWith()), await sockets.open(await agentWith())];
    const slow = Array.from({ length: 70 }, () => stall(hostile, 'POST /Info HTTP/1.1\r\ncontent-length: 9\r\n\r\n{'));
    const large = await ask(other, '/Sign', 'x'.repeat(1024 * 1024)).catch(() => ({ status: 413, body: '' }));
    expect(large.status).toBe(413);
    expect((await ask(other, '/Version')).status).toBe(200);
    await hostile.close();
    await Promise.all(slow.map(({ closed }) => closed));
    expect(existsSync(hostile.path)).toBe(false);
    expect((await ask(other, '/Version')).status).toBe(200);
  });
});

describe('an app in containers', () => {
  let network: SimulatedNetwork;
  let driver: StubDriver;
  let asked: number;
  beforeEach(async () => {
    network = await SimulatedNetwork.start();
    driver = new StubDriver('container');
    asked = 0;
  });
  afterEach(() => network.stop());

  const compose = 'services:\n  web: {image: "notes:1", ports: ["8080"]}\n';
  const source: ContainerSource = { port: 8080, services: [] };
  const secrets: AppLoaderComponents['secrets'] = { ...noSecrets, assertPlaced: async () => {} };
  /** As `AppGuests` does: an agent where the manifest names one, with keys of the app's own. */
  const guests: AppLoaderComponents['guests'] = {
    open: async ({ app, manifest }) => {
      if (!manifest.outbound.includes('worker:guest')) return undefined;
      asked += 1;
      return agentWith({ app, rootByte: Number.parseInt(app.slice(2, 4), 16) });
    },
  };
  const identity = { engine: 'podman', engineVersion: '1', runtime: 'runc', images: {} };

  const loader = (changes: Partial<AppLoaderComponents> = {}, init?: AppLoaderInit) =>
    new AppLoader(
      {
        ...{ registry: network.reader(), drivers: [driver], secrets, guests, guestSockets: sockets },
        containers: { load: async () => ({ source, identity }) },
        blobs: async (id) => network.gateway.blobs.get(id) ?? new Uint8Array(),
        ...changes,
      },
      init,
    );

  function sample(name: string, outbound: readonly string[] = ['worker:guest'], changes: Partial<Manifest> = {}) {
    const images: ContainerList['images'] = {
      'notes:1': { sha256: b32(1), bytes: 10, chunkBytes: 1_024, chunks: [b32(2)] },
    };
    const code = containerListBytes({ format: 'cloister-containers-1', compose, images });
    network.gateway.store(code);
    const manifest = manifestOfKind('container', {
      ...{ name, code: { sha256: toHex(sha256(code)), bytes: code.length } },
      ...{ container: { service: 'web', port: 8080 }, outbound, ...changes },
    });
    return network.addApp(manifest as object).app;
  }
  const socketsOpen = () => (existsSync(directory) ? readdirSync(directory).length : 0);

  test('finds its own agent at the socket that its containers get', async () => {
    const apps = loader();
    const [one, other] = [await apps.load(sample('one'), signal), await apps.load(sample('other'), signal)];
    const given = driver.tenants.map(({ workload }) => workload.container?.guestSocket ?? '');
    expect(given).toEqual([one.guestSocket?.path, other.guestSocket?.path]);
    for (const [index, { app }] of [one, other].entries())
      expect(JSON.parse((await ask({ path: given[index] ?? '' }, '/Info')).body).app_id).toBe(app.slice(2));
    expect(await keyFrom({ path: given[0] ?? '' })).not.toBe(await keyFrom({ path: given[1] ?? '' }));
  });

  test('without "worker:guest" gets no agent and no socket', async () => {
    const loaded = await loader().load(sample('plain', []), signal);
    expect([loaded.guest, loaded.guestSocket, asked, socketsOpen()]).toEqual([undefined, undefined, 0, 0]);
    expect(driver.tenants[0]?.workload.container).toEqual(source);
  });

  test('on a worker without sockets is refused, and no agent is left', async () => {
    const agent = await agentWith();
    const close = vi.spyOn(agent, 'close');
    const app = sample('none');
    const apps = loader({ guestSockets: undefined, guests: { open: async () => agent as GuestAgent } });
    await expect(apps.load(app, signal)).rejects.toMatchObject({ code: 'APP_FEATURE_UNAVAILABLE' });
    expect(close).toHaveBeenCalledOnce();
    expect(driver.counts.opened).toBe(0);
  });

  test('that does not open leaves no socket', async () => {
    driver.opening = () => {
      driver.tenants.pop();
      throw new Error('no engine');
    };
    await expect(loader().load(sample('broken'), signal)).rejects.toThrow('no engine');
    await vi.waitFor(() => expect(socketsOpen()).toBe(0));
    expect(asked).toBe(1);
  });

  test('that another one replaces loses its socket, and the agent behind it', async () => {
    const apps = loader({}, { maxTenants: 1, recheckMs: 60_000, drainMs: 0 });
    const first = await apps.load(sample('first'), signal);
    const second = await apps.load(sample('second'), signal);
    await vi.waitFor(() => expect(existsSync(first.guestSocket?.path ?? '')).toBe(false));
    expect((await ask({ path: second.guestSocket?.path ?? '' }, '/Version')).status).toBe(200);
    await expect(first.guest?.givenKey({ path: 'a', purpose: '', algorithm: '' })).rejects.toMatchObject({
      code: 'GUEST_CLOSED',
    });
  });

  test('that makes room where memory is promised loses them, too', async () => {
    const { SandboxError } = await import('@cloister/sandbox');
    const apps = loader({}, { maxTenants: 64, recheckMs: 3_600_000 });
    driver.opening = () => {
      if (driver.counts.open <= 1) return;
      driver.tenants.pop();
      throw new SandboxError({ code: 'SANDBOX_FULL', message: 'full', retry: true });
    };
    const first = await apps.load(sample('first'), signal);
    vi.useFakeTimers({ now: Date.now() + 600_000, toFake: ['Date'] });
    await apps.load(sample('second'), signal);
    await vi.waitFor(() => expect(existsSync(first.guestSocket?.path ?? '')).toBe(false));
    await expect(first.guest?.givenKey({ path: 'a', purpose: '', algorithm: '' })).rejects.toMatchObject({
      code: 'GUEST_CLOSED',
    });
  });
});
