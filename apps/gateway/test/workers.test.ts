import { paidStorage } from '@cloister/chain';
import { encodeControl } from '@cloister/channel/frame';
import { gatewayHelloDigest, zeroAddress } from '@cloister/core';
import { fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import {
  announce,
  announcementOf,
  bytesOf,
  domain,
  echo,
  gatewaysOfTests,
  problemOf,
  sendHead,
  small,
  TestGateway,
  until,
} from './testGateway.ts';

const gateway = gatewaysOfTests();

describe('dialling in', () => {
  test('needs the signature of the registered signer: a squatter is refused', async () => {
    const net = await gateway();
    const honest = await net.dial({ serve: echo });
    await expect(net.dial({ workerId: honest.workerId, secret: generateSecp256k1() })).rejects.toMatchObject({
      code: 'bad-signature',
    });
    expect((await net.call(honest.workerId, small)).status).toBe(200);
  });

  test('is refused to workers that the registry does not name', async () => {
    const net = await gateway();
    await expect(net.dial({ secret: generateSecp256k1() })).rejects.toMatchObject({ code: 'unknown-worker' });
  });

  test('takes no hello made for another gateway, another nonce, or seen before', async () => {
    const net = await gateway();
    const secret = generateSecp256k1();
    const { workerId } = await net.dial();
    const sign = (gatewayUrl: string, nonce: `0x${string}`) => ({
      type: 'hello' as const,
      workerId,
      signature: toHex(
        signDigest(secret, fromHex(gatewayHelloDigest(domain, { workerId, gateway: gatewayUrl, nonce }))),
      ),
    });
    const { addressOf } = await import('@cloister/crypto');
    net.registry.set(workerId, addressOf(secret));
    let seen: ReturnType<typeof sign> | undefined;
    const dial = (hello: (challenge: { gateway: string; nonce: `0x${string}` }) => ReturnType<typeof sign>) =>
      net.dial({ workerId, secret, hello: (challenge) => hello(challenge) });
    await expect(dial(({ nonce }) => sign('http://127.0.0.1:1', nonce))).rejects.toMatchObject({
      code: 'bad-signature',
    });
    await expect(dial((challenge) => sign(challenge.gateway, `0x${'00'.repeat(32)}`))).rejects.toMatchObject({
      code: 'bad-signature',
    });
    await dial((challenge) => (seen = sign(challenge.gateway, challenge.nonce)));
    await expect(dial(() => seen ?? expect.fail())).rejects.toMatchObject({ code: 'bad-signature' });
  });

  test('begins with the hello, once', async () => {
    const net = await gateway();
    const { workerId } = await net.dial();
    await expect(
      net.dial({ hello: () => ({ type: 'announce', announcement: announcementOf(workerId) }) }),
    ).rejects.toThrow('closed');
    const again = await net.dial();
    again.mux.sendControl(encodeControl({ type: 'hello', workerId, signature: `0x${'11'.repeat(65)}` }));
    await again.closed;
  });

  test('must be quick, and waits for no registry for ever', async () => {
    const net = await gateway({ helloMs: 100 });
    await expect(net.dial({ hello: () => undefined })).rejects.toMatchObject({ code: 'too-slow' });
    net.resolveSigner = () => new Promise(() => {});
    await expect(net.dial()).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|too-slow/) });
    net.resolveSigner = async () => Promise.reject(new Error('no chain'));
    await expect(net.dial()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('is refused when the gateway is full', async () => {
    const net = await gateway({ workers: 1 });
    await net.dial();
    await expect(net.dial()).rejects.toMatchObject({ code: 'full' });
  });

  test('is only at /v1/dial', async () => {
    const net = await gateway();
    const webSocket = new WebSocket(`${net.url.replace('http', 'ws')}/v1/workers`);
    await expect(new Promise((_, reject) => webSocket.on('error', reject))).rejects.toThrow('404');
  });

  test('again replaces the older connection, and its end does not remove the newer', async () => {
    const net = await gateway();
    const secret = generateSecp256k1();
    const older = await net.dial({ serve: async () => {} });
    const { addressOf } = await import('@cloister/crypto');
    net.registry.set(older.workerId, addressOf(secret));
    announce(older, announcementOf(older.workerId, 'old'));
    const pending = net.call(older.workerId, small);
    await until(() => older.streams.length === 1);
    const newer = await net.dial({ workerId: older.workerId, secret, serve: echo });
    await older.closed;
    expect(older.heard).toMatchObject([{ type: 'refused', code: 'replaced' }]);
    expect(await problemOf(await pending)).toMatchObject({ code: 'worker-disconnected' });
    expect((await net.call(newer.workerId, small)).status).toBe(200);
    expect((await fetch(`${net.url}/v1/workers/${newer.workerId}`)).status).toBe(404);
    announce(newer, announcementOf(newer.workerId, 'new'));
    await until(async () => (await (await fetch(`${net.url}/v1/workers/${newer.workerId}`)).text()).includes('new'));
  });

  test('ends when the worker falls silent', async () => {
    const net = await gateway({ heartbeatMs: 100 });
    const worker = await net.dial();
    worker.webSocket.pause();
    await until(async () => (await (await fetch(`${net.url}/healthz`)).json()).workers === 0);
  });
});

describe('the directory', () => {
  test('serves announcements exactly as they were pushed, the newest', async () => {
    const net = await gateway();
    const worker = await net.dial();
    const url = `${net.url}/v1/workers/${worker.workerId}`;
    expect(await problemOf(await fetch(url))).toMatchObject({ code: 'worker-unknown', status: 404 });
    expect(await (await fetch(`${net.url}/v1/workers`)).text()).toBe('[]');
    const first = announcementOf(worker.workerId, 'first');
    announce(worker, first);
    await until(async () => (await fetch(url)).status === 200);
    expect(await (await fetch(url)).text()).toBe(first);
    expect(await (await fetch(`${net.url}/v1/workers`)).text()).toBe(
      `[{"workerId":"${worker.workerId}","announcement":${first}}]`,
    );
    announce(worker, announcementOf(worker.workerId, 'second'));
    await until(async () => (await (await fetch(url)).text()).includes('second'));
    worker.webSocket.terminate();
    await until(async () => (await fetch(url)).status === 404);
  });

  test('takes announcements up to 256 kB', async () => {
    const net = await gateway();
    const worker = await net.dial();
    const full = announcementOf(worker.workerId, 'x'.repeat(256 * 1024 - announcementOf(worker.workerId).length));
    announce(worker, full);
    await until(async () => (await (await fetch(`${net.url}/v1/workers/${worker.workerId}`)).text()) === full);
  });

  test.each([
    ['of another worker', (_: string) => announcementOf(`0x${'11'.repeat(32)}`)],
    ['that is not JSON', (id: string) => `${announcementOf(id as `0x${string}`)},{}`],
    ['that is no object', (_: string) => '[]'],
    ['of more than 256 kB in UTF-8', (id: string) => announcementOf(id as `0x${string}`, 'é'.repeat(140_000))],
  ])('refuses an announcement %s', async (_, make) => {
    const net = await gateway();
    const worker = await net.dial();
    announce(worker, make(worker.workerId));
    await worker.closed;
    expect(worker.heard).toMatchObject([{ type: 'refused', code: 'bad-announcement' }]);
    expect(await (await fetch(`${net.url}/v1/workers`)).text()).toBe('[]');
  });

  test('refuses announcements without end', async () => {
    const net = await gateway();
    const worker = await net.dial();
    for (let round = 0; round < 11; round++) announce(worker, announcementOf(worker.workerId, String(round)));
    await worker.closed;
    expect(worker.heard).toMatchObject([{ code: 'bad-announcement' }]);
  });

  test('comes in pages', async () => {
    const net = await gateway();
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const worker = await net.dial();
      announce(worker, announcementOf(worker.workerId));
      ids.push(worker.workerId);
    }
    const all = async () => (await (await fetch(`${net.url}/v1/workers`)).json()) as { workerId: string }[];
    await until(async () => (await all()).length === 5);
    ids.sort();
    expect((await all()).map(({ workerId }) => workerId)).toEqual(ids);
    const seen: string[] = [];
    for (let path: string | undefined = '/v1/workers?limit=2'; path !== undefined; ) {
      const response: Response = await fetch(`${net.url}${path}`);
      seen.push(...((await response.json()) as { workerId: string }[]).map(({ workerId }) => workerId));
      path = /<(.*)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(ids);
    for (const query of ['limit=0', 'limit=257', 'limit=x', 'after=x'])
      expect(await problemOf(await fetch(`${net.url}/v1/workers?${query}`))).toMatchObject({ code: 'bad-request' });
  });
});

describe('stopping', () => {
  test('lets a call end, takes no new ones, and tells the workers', async () => {
    const net = await new TestGateway().start();
    const worker = await net.dial();
    const pending = net.call(worker.workerId, small);
    await until(() => worker.streams.length === 1);
    const stopping = net.gateway.stop();
    const stream = worker.streams[0] ?? expect.fail();
    sendHead(stream);
    await stream.end(bytesOf(100));
    expect((await (await pending).arrayBuffer()).byteLength).toBe(100);
    await stopping;
    await worker.closed;
    expect(worker.heard).toMatchObject([{ type: 'refused', code: 'stopping' }]);
    await expect(fetch(`${net.url}/healthz`)).rejects.toThrow();
    await net.stop();
  });

  test('a port that is taken is named', async () => {
    const net = await gateway();
    const port = Number(new URL(net.url).port);
    const { Gateway } = await import('../src/gateway.ts');
    const { defaultGatewayLimits } = await import('../src/limits.ts');
    const { createMetrics, silentLogger } = await import('@cloister/service');
    const second = new Gateway(
      {
        gatekeepers: async () => [],
        ownerOf: async () => zeroAddress,
        isActiveSigner: async () => false,
        paidStorage: async () => paidStorage([], 0),
        resolveSigner: async () => undefined,
        domain,
        log: silentLogger,
        metrics: createMetrics(),
      },
      { host: '127.0.0.1', port, dataDir: net.folder, limits: defaultGatewayLimits },
    );
    await expect(second.start()).rejects.toMatchObject({
      code: 'GATEWAY_CANNOT_LISTEN',
      message: expect.stringContaining(String(port)),
    });
  });
});
