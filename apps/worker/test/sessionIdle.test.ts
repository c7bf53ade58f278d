import { encodeSocketFrame, SocketFrameReader, sleep } from '@cloister/core';
import { expect, test } from 'vitest';
import { SessionIdle } from '../src/sessionIdle.ts';

const hello = encodeSocketFrame({ type: 'text', text: 'hello' });

test('a session in which nothing is said is closed, and not before', async () => {
  async function* source() {
    yield hello;
    await new Promise(() => {});
  }
  const idle = new SessionIdle(200);
  const startedAt = performance.now();
  const frames = idle.watched(source());
  expect((await frames.next()).value).toBe(hello);
  setTimeout(() => idle.touch(), 150);
  const last = (await frames.next()).value ?? expect.fail('ended');
  expect(performance.now() - startedAt).toBeGreaterThan(340);
  expect(new SocketFrameReader().push(last)).toEqual([{ type: 'close', code: 1001, reason: 'idle for 200 ms' }]);
  expect((await frames.next()).done).toBe(true);
});

test('what the caller says passes, and its end too', async () => {
  async function* source() {
    yield hello;
    await sleep(5);
    yield hello;
  }
  const seen: Uint8Array[] = [];
  for await (const frame of new SessionIdle(10_000).watched(source())) seen.push(frame);
  expect(seen).toEqual([hello, hello]);
});
