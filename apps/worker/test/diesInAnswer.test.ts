import { utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../gateway/test/testGateway.ts';
import { GatewayTown } from './gatewayTown.ts';

let town: GatewayTown;
/** Awaited in the middle of an answer. */
let middle: Promise<void>;

beforeEach(async () => {
  town = await GatewayTown.start(2);
  town.run = () => ({ body: answer() });
  middle = new Promise(() => {});
});
afterEach(() => town.stop());

async function* answer(): AsyncGenerator<Uint8Array> {
  yield utf8('half of ');
  await middle;
  yield utf8('it');
}

const running = async () => {
  await until(() => town.processes.some(({ ran }) => ran.length > 0));
  return town.processes.find(({ ran }) => ran.length > 0) ?? expect.fail();
};
const ranInAll = () => town.processes.flatMap(({ ran }) => ran).length;

describe('a worker that dies in the middle of an answer', () => {
  test('breaks a streamed answer off by name: it never ends like a whole one, and is not begun elsewhere', async () => {
    const { app, client } = await town.deploy();
    const { response, receipt } = await client.exchangeFor(app)(new Request('https://app.example/'));
    const reader = response.body?.getReader() ?? expect.fail();
    expect((await reader.read()).value).toEqual(utf8('half of '));
    await (await running()).die();
    await expect(reader.read()).rejects.toMatchObject({
      code: 'CALL_ANSWER_INCOMPLETE',
      retry: false,
      hint: expect.stringContaining('only if running twice is safe'),
    });
    expect(await receipt).toBeUndefined();
    expect(ranInAll()).toBe(1);
  });

  test('costs a call that may run once an error by name, and nobody else is asked', async () => {
    const { app, client } = await town.deploy();
    const call = client.call(app);
    call.catch(() => {});
    await (await running()).die();
    await expect(call).rejects.toMatchObject({ code: 'CALL_WORKER_LOST', retry: false });
    expect(ranInAll()).toBe(1);
  });

  test('costs a call that may run twice nothing: another worker gives the whole answer, with its own receipt', async () => {
    const { app, client } = await town.deploy();
    const call = client.call(app, {}, { idempotent: true });
    const first = await running();
    middle = Promise.resolve();
    await first.die();
    const result = await call;
    expect(new TextDecoder().decode(result.body)).toBe('half of it');
    const [second] = town.processes.filter((one) => one !== first);
    expect([result.ok, result.worker.workerId]).toEqual([true, second?.stub.workerId]);
    expect([first.ran.length, second?.ran.length]).toEqual([1, 1]);
  });
});
