import { encodeSocketFrame, type SocketFrame, SocketFrameReader } from '@cloister/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFunctionDriver, type FunctionDriver, type Invocation, type Tenant } from '../src/index.ts';
import { never, readAnswer } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

const source = `
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/no' || request.headers.get('upgrade') !== 'websocket') return new Response('no', { status: 426 });
    const [client, server] = Object.values(new WebSocketPair());
    server.binaryType = 'arraybuffer';
    server.accept();
    if (pathname === '/end') server.close(4321, 'enough');
    if (pathname === '/spin') server.addEventListener('message', () => { for (;;); });
    server.addEventListener('message', ({ data }) => server.send(data));
    return new Response(null, { status: 101, webSocket: client });
  },
};`;

const text = (value: string): SocketFrame => ({ type: 'text', text: value });

/** The caller's side of a session. */
function session() {
  const queue: Uint8Array[] = [];
  let wake = (): void => {};
  async function* input() {
    for (;;) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return {
    input: input(),
    send(frame: SocketFrame) {
      queue.push(encodeSocketFrame(frame));
      wake();
    },
  };
}

async function* framesOf({ body }: Invocation): AsyncGenerator<SocketFrame> {
  const reader = new SocketFrameReader();
  for await (const bytes of body) yield* reader.push(bytes);
}

behindWalls((set) => {
  let driver: FunctionDriver;
  let tenant: Tenant;
  beforeAll(async () => {
    driver = createFunctionDriver(driverOptions(set));
    await driver.start({ signal: never });
    tenant = await driver.open(functionWorkload(source, { limits: { wallMs: 15_000, cpuMs: 300 } }), {
      signal: never,
    });
  });
  afterAll(() => driver.stop());

  const connect = (path: string, input: AsyncIterable<Uint8Array>, to = tenant) =>
    to.invoke(
      { method: 'GET', path, headers: [], body: new Uint8Array(), input, upgrade: 'websocket' },
      { signal: never },
    );

  test('messages go both ways, and the code of the close too', async () => {
    const { input, send } = session();
    const answer = await connect('/', input);
    expect(answer.status).toBe(101);
    const heard = framesOf(answer);
    for (const frame of [text('hello'), { type: 'binary', bytes: new Uint8Array(300_000).fill(3) }] as const) {
      send(frame);
      expect((await heard.next()).value).toEqual(frame);
    }
    send({ type: 'close', code: 4000, reason: 'through' });
    expect((await heard.next()).value).toEqual({ type: 'close', code: 4000, reason: 'through' });
    expect((await heard.next()).done).toBe(true);
    expect(await answer.finished).toMatchObject({ status: 'ok' });
  });

  test('the app may end it, or not begin it', async () => {
    const answer = await connect('/end', session().input);
    expect((await framesOf(answer).next()).value).toEqual({ type: 'close', code: 4321, reason: 'enough' });
    const refused = await connect('/no', session().input);
    expect(refused.status).toBe(426);
    expect(Buffer.from((await readAnswer(refused)).body).toString()).toBe('no');
    const plain = await tenant.invoke(
      { method: 'GET', path: '/', headers: [], body: new Uint8Array() },
      { signal: never },
    );
    expect(plain.status).toBe(426);
  });

  test('it ends with its deadline, and with the processor time of the app', async () => {
    const short = await driver.open(functionWorkload(source, { limits: { wallMs: 1_000 } }), { signal: never });
    const answer = await connect('/', session().input, short);
    for await (const _ of answer.body);
    expect(await answer.finished).toMatchObject({ status: 'limit', limit: 'wall' });
    await short.close();
    const { input, send } = session();
    const busy = await connect('/spin', input);
    send(text('go'));
    for await (const _ of busy.body);
    expect(await busy.finished).toMatchObject({ status: 'limit', limit: 'cpu' });
  });

  test('what is no message ends it', async () => {
    async function* input() {
      yield Uint8Array.of(7, 0, 0, 0, 0);
      await new Promise(() => {});
    }
    const heard = framesOf(await connect('/', input()));
    expect((await heard.next()).value).toMatchObject({ type: 'close', code: 1002 });
  });
});
