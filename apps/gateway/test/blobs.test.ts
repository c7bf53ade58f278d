import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesOf, gatewaysOfTests, problemOf, streamOf, TestGateway, until } from './testGateway.ts';

const gateway = gatewaysOfTests();

const idOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const put = (net: TestGateway, id: string, body: Uint8Array | ReadableStream): Promise<Response> =>
  fetch(`${net.url}/v1/blobs/${id}`, {
    method: 'PUT',
    body: body as BodyInit,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  } as RequestInit);
const get = (net: TestGateway, id: string, init?: RequestInit): Promise<Response> =>
  fetch(`${net.url}/v1/blobs/${id}`, init);

function filesOf(net: TestGateway): string[] {
  return readdirSync(join(net.folder, 'blobs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /[0-9a-f]{24}$/.test(name),
  );
}

describe('blobs', () => {
  test.each([0, 1, 65_536, 3_000_001])(
    'of %i bytes come back, with headers that let them be kept for ever',
    async (length) => {
      const net = await gateway();
      const body = bytesOf(length);
      const id = idOf(body);
      const stored = await put(net, id, body);
      expect([stored.status, await stored.json()]).toEqual([201, { sha256: id, size: length, kept: 'free' }]);
      const response = await get(net, id);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-length')).toBe(String(length));
      expect(response.headers.get('cache-control')).toContain('immutable');
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), body)).toBe(0);
      const known = await get(net, id, { headers: { 'if-none-match': response.headers.get('etag') ?? '' } });
      expect(known.status).toBe(304);
      const head = await get(net, id, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, String(length), '']);
    },
  );

  test('stored again change nothing, also at the same time', async () => {
    const net = await gateway();
    const body = bytesOf(100_000);
    const answers = await Promise.all(Array.from({ length: 6 }, () => put(net, idOf(body), body)));
    for (const { status } of answers) expect([200, 201]).toContain(status);
    expect((await put(net, `0x${idOf(body)}`, body)).status).toBe(200);
    expect((await get(net, `0x${idOf(body)}`)).status).toBe(200);
    expect(filesOf(net).length).toBe(1);
    expect(await (await fetch(`${net.url}/metrics`)).text()).toContain('cloister_gateway_blob_bytes 102400\n');
  });

  test('are refused where content and id differ, and leave nothing', async () => {
    const net = await gateway();
    const body = bytesOf(1_000);
    const id = idOf(body);
    expect(await problemOf(await put(net, id, bytesOf(1_001)))).toMatchObject({
      code: 'blob-hash-mismatch',
      status: 422,
    });
    expect(await problemOf(await get(net, id))).toMatchObject({ code: 'blob-unknown', status: 404 });
    await put(net, id, body);
    expect(await problemOf(await put(net, id, bytesOf(999)))).toMatchObject({ code: 'blob-hash-mismatch' });
    expect((await get(net, id)).status).toBe(200);
    expect(filesOf(net).length).toBe(1);
  });

  test('are bounded: size, length, the store, the client, the id', async () => {
    const net = await gateway({ blobBytes: 10_000, blobStoreBytes: 20_000, blobBytesPerClientPerDay: 17_000 });
    const body = bytesOf(10_001);
    expect(await problemOf(await put(net, idOf(body), body))).toMatchObject({ code: 'request-too-large', status: 413 });
    expect(await problemOf(await put(net, idOf(bytesOf(3)), streamOf([bytesOf(3)])))).toMatchObject({
      code: 'length-required',
      status: 411,
    });
    for (const id of ['', 'x', '../../etc/passwd', `${idOf(body)}0`, idOf(body).toUpperCase(), '%2e%2e'])
      expect((await get(net, id)).status).toBeGreaterThanOrEqual(400);
    expect((await put(net, idOf(bytesOf(8_000)), bytesOf(8_000))).status).toBe(201);
    expect((await put(net, idOf(bytesOf(8_001)), bytesOf(8_001))).status).toBe(201);
    const refused = await put(net, idOf(bytesOf(1)), bytesOf(1));
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await problemOf(refused)).toMatchObject({ code: 'rate-limited', status: 429 });
    expect((await put(net, idOf(bytesOf(8_000)), bytesOf(8_000))).status).toBe(200);

    const small = await gateway({ blobStoreBytes: 10_000 });
    expect(await problemOf(await put(small, idOf(bytesOf(12_000)), bytesOf(12_000)))).toMatchObject({
      code: 'blob-store-full',
      status: 507,
    });
    expect(filesOf(small).length).toBe(0);
  });

  test('fetched beyond the rate are refused', async () => {
    const net = await gateway({ blobReadBytesPerSecondPerClient: 100 });
    const body = bytesOf(3_000);
    await put(net, idOf(body), body);
    expect((await get(net, idOf(body))).status).toBe(200);
    expect(await problemOf(await get(net, idOf(body)))).toMatchObject({ code: 'rate-limited' });
  });

  test('whose file was changed are not served, and storing them again repairs it', async () => {
    const net = await gateway();
    const body = bytesOf(5_000);
    const id = idOf(body);
    await put(net, id, body);
    const damaged = Buffer.from(body);
    damaged[4_999] = (damaged[4_999] ?? 0) ^ 1;
    writeFileSync(join(net.folder, 'blobs', id.slice(0, 2), id), damaged);
    expect(await problemOf(await get(net, id))).toMatchObject({ code: 'blob-unknown', status: 404 });
    expect(net.logLines.join('')).toContain('corrupt');
    expect((await put(net, id, body)).status).toBe(200);
    expect((await get(net, id)).status).toBe(200);
  });

  test('outlast a restart; unfinished uploads do not', async () => {
    const first = await new TestGateway().start();
    const body = bytesOf(5_000);
    await put(first, idOf(body), body);
    writeFileSync(join(first.folder, 'blobs', 'incoming', 'a'.repeat(24)), 'half');
    await first.stop({ keepFolder: true });
    const second = await gateway({}, first.folder);
    expect((await get(second, idOf(body))).status).toBe(200);
    expect(filesOf(second).length).toBe(1);
    expect(await (await fetch(`${second.url}/metrics`)).text()).toContain('cloister_gateway_blob_bytes 8192\n');
  });

  test('whose upload breaks off leave nothing and give their room back', async () => {
    const net = await gateway({ blobStoreBytes: 300_000 });
    const body = bytesOf(200_000);
    for (let round = 0; round < 3; round++) {
      const request = httpRequest(`${net.url}/v1/blobs/${idOf(body)}`, {
        method: 'PUT',
        headers: { 'content-length': body.length },
      });
      request.on('error', () => {});
      request.write(body.subarray(0, 100_000));
      await until(() => filesOf(net).length === 1);
      request.destroy();
      await until(() => filesOf(net).length === 0);
    }
    await until(async () => (await put(net, idOf(body), body)).status === 201);
  });
});
