import { utf8 } from '@cloister/crypto';
import type { InvocationRequest } from '@cloister/sandbox';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GatewayTown, type WorkerProcess } from './gatewayTown.ts';

const MiB = 1024 * 1024;
let town: GatewayTown;
let worker: WorkerProcess;

beforeEach(async () => {
  town = await GatewayTown.start(1);
  [worker] = town.processes as [WorkerProcess];
  town.run = (request) => ({ body: counted(request) });
});
afterEach(() => town.stop());

async function* counted({ input }: InvocationRequest): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const part of input ?? []) length += part.length;
  yield utf8(String(length));
}

/** A client that knows a key of the worker's which is over. */
async function stale() {
  const { app, client } = await town.deploy({ inputBytes: 64 * MiB });
  await client.call(app);
  worker.stub.keys.wipe();
  worker.stub.announcement = { ...worker.stub.announcement, keyConfigs: [await worker.stub.newKey()] };
  await worker.announce();
  worker.ran.length = 0;
  return { app, client };
}

function bodyOf(parts: number, bytes: number, betweenMs = 0): ReadableStream<Uint8Array> {
  let left = parts;
  return new ReadableStream(
    {
      async pull(controller) {
        if (betweenMs > 0) await new Promise((resolve) => setTimeout(resolve, betweenMs));
        if (left-- === 0) controller.close();
        else controller.enqueue(new Uint8Array(bytes));
      },
    },
    { highWaterMark: 0 },
  );
}

describe('over a real gateway, a streamed request to a key that is over', () => {
  test.each([
    ['that is through before it is refused', 3, 1_000, 0],
    ['that still comes when it is refused', 20, 1_000, 25],
    ['that is larger than what is on the way at once', 4, MiB, 0],
  ])('%s goes to the new key, all of it', async (_, parts, bytes, betweenMs) => {
    const { app, client } = await stale();
    const result = await client.call(app, { method: 'POST', body: bodyOf(parts, bytes, betweenMs) });
    expect(new TextDecoder().decode(result.body)).toBe(String(parts * bytes));
    expect(result.receipt.details.request).toMatchObject({ whole: true });
    expect(worker.ran).toEqual(['/']);
  });

  test('of a session is begun with again before anything is said', async () => {
    town.run = () => ({ status: 426 });
    const { app, client } = await stale();
    const socket = client.connectWebSocket(app, '/');
    const error = await new Promise<unknown>((resolve) => {
      socket.onerror = (event) => resolve(event.error);
    });
    expect(error).toMatchObject({ code: 'CALL_NOT_UPGRADED' });
    expect(worker.ran).toEqual(['/']);
  });
});
