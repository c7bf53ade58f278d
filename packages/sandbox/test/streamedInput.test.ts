import { CloisterError } from '@cloister/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFunctionDriver, type FunctionDriver, type Invocation, type Tenant } from '../src/index.ts';
import { never, readAnswer } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

const MiB = 1024 * 1024;
const source = `
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/echo') return new Response(request.body);
    if (pathname === '/early') return new Response('enough');
    let length = 0;
    for await (const part of request.body) length += part.length;
    return new Response(String(length));
  },
};`;

const post = (path: string, input: AsyncIterable<Uint8Array>) => ({
  ...{ method: 'POST', path, headers: [], body: new Uint8Array(), input },
});
const text = async (answer: Invocation) => Buffer.from((await readAnswer(answer)).body).toString();

behindWalls((set) => {
  let driver: FunctionDriver;
  let tenant: Tenant;
  beforeAll(async () => {
    driver = createFunctionDriver(driverOptions(set));
    await driver.start({ signal: never });
    tenant = await driver.open(functionWorkload(source, { limits: { memoryBytes: 32 * MiB, wallMs: 1_500 } }), {
      signal: never,
    });
  });
  afterAll(() => driver.stop());
  const invoke = (path: string, input: AsyncIterable<Uint8Array>) =>
    tenant.invoke(post(path, input), { signal: never });

  test('more than the app may hold passes through it', async () => {
    const part = new Uint8Array(MiB);
    async function* parts() {
      for (let sent = 0; sent < 100; sent++) yield part;
    }
    const limits = { memoryBytes: 32 * MiB, wallMs: 30_000 };
    const patient = await driver.open(functionWorkload(source, { limits }), { signal: never });
    const answer = await patient.invoke(post('/count', parts()), { signal: never });
    expect(await text(answer)).toBe(String(100 * MiB));
    await patient.close();
  });

  test('each part is answered before the next is made', async () => {
    let heard = Promise.withResolvers<void>();
    async function* parts() {
      yield Buffer.from('one ');
      await heard.promise;
      heard = Promise.withResolvers<void>();
      yield Buffer.from('two');
    }
    const answer = await invoke('/echo', parts());
    const body = answer.body[Symbol.asyncIterator]();
    expect(Buffer.from((await body.next()).value ?? []).toString()).toBe('one ');
    heard.resolve();
    expect(Buffer.from((await body.next()).value ?? []).toString()).toBe('two');
    expect((await body.next()).done).toBe(true);
    expect((await answer.finished).status).toBe('ok');
  });

  test('an answer may be over while there is more of the request: the rest is left', async () => {
    let isLeft = false;
    async function* parts() {
      try {
        for (;;) {
          yield new Uint8Array(1_000);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        isLeft = true;
      }
    }
    expect(await text(await invoke('/early', parts()))).toBe('enough');
    await expect.poll(() => isLeft).toBe(true);
    expect(await text(await invoke('/count', three()))).toBe('3');
  });

  test('what breaks off ends the call, not the app', async () => {
    async function* parts() {
      yield new Uint8Array(10);
      throw new CloisterError({ code: 'REQUEST_TRUNCATED', message: 'cut' });
    }
    const answer = await invoke('/count', parts());
    await readAnswer(answer);
    expect(await answer.finished).toMatchObject({
      status: 'app-error',
      message: 'The request broke off: REQUEST_TRUNCATED',
    });
    expect(await text(await invoke('/count', three()))).toBe('3');
  });

  test('who sends too slowly meets the deadline, and others in the same process do not', async () => {
    async function* slow() {
      yield new Uint8Array(10);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
    async function* parts() {
      yield new Uint8Array(1);
      await new Promise((resolve) => setTimeout(resolve, 600));
      yield new Uint8Array(2);
    }
    const answer = invoke('/count', slow());
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const other = text(await invoke('/count', parts()));
    await readAnswer(await answer);
    expect(await (await answer).finished).toMatchObject({ status: 'limit', limit: 'wall' });
    expect(await other).toBe('3');
  });

  test('a GET has none', async () => {
    const request = { ...post('/count', three()), method: 'GET' };
    await expect(tenant.invoke(request, { signal: never })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

async function* three() {
  yield new Uint8Array(3);
}
