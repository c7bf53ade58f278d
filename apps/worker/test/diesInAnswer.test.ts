import { parseCallOpen } from '@cloister/channel/frame';
import { announcementToJson } from '@cloister/core';
import { signDigest, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { createLogger } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { address, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { announce, TestGateway, until } from '../../gateway/test/testGateway.ts';
import { CallServer } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { ReceiptBook } from '../src/receiptBook.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

/** A worker's process as others see it: its calls, its connection, and its end. */
type Process = { readonly stub: StubWorker; readonly ran: string[]; die(): Promise<void> };

let parts: WorkerParts;
let net: TestGateway;
let processes: Process[];
/** Awaited in the middle of an answer. */
let middle: Promise<void>;

beforeEach(async () => {
  parts = await startParts();
  net = await new TestGateway().start();
  processes = [];
  middle = new Promise(() => {});
  for (const byte of [0x0a, 0x0b]) processes.push(await startProcess(byte));
});
afterEach(async () => {
  await net.stop();
  await parts.stop();
});

/** The call server of a worker, registered, connected to a real gateway and announced there. */
async function startProcess(operator: number): Promise<Process> {
  const { network, components, driver } = parts;
  const stub = await network.addWorker(address(operator));
  const { workerId, signer: secret, keys } = stub;
  const sign = (digest: Uint8Array) => signDigest(secret, digest);
  const receipts = new ReceiptBook({ domain: network.domain, workerId, sign });
  const log = createLogger({ name: 'worker', level: 'error', write: () => {} });
  const server = new CallServer({ ...components, receipts, keys, kept: new KeptAnswers(), log });
  const alive = new AbortController();
  const ran: string[] = [];
  net.registry.set(workerId, stub.receiptSigner);
  const worker = await net.dial({
    workerId,
    secret,
    serve: async (stream) => {
      driver.run = ({ path }) => {
        ran.push(path);
        return { body: answer() };
      };
      await server.serve(stream, parseCallOpen(stream.header), alive.signal);
    },
  });
  announce(worker, JSON.stringify(announcementToJson(stub.announcement)));
  const isListed = async () => (await (await fetch(`${net.url}/v1/workers`)).text()).includes(workerId);
  await until(isListed);
  return {
    stub,
    ran,
    die: async () => {
      worker.webSocket.terminate();
      alive.abort(new Error('killed'));
      await until(async () => !(await isListed()));
    },
  };
}

async function* answer(): AsyncGenerator<Uint8Array> {
  yield utf8('half of ');
  await middle;
  yield utf8('it');
}

async function deploy() {
  const { app } = parts.addApp({ limits: { wallMs: 20_000 } } as object);
  for (const [id, bytes] of parts.network.gateway.blobs)
    await fetch(`${net.url}/v1/blobs/${id}`, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> });
  const client = createClient({ network: parts.network.file, gateways: [net.url] });
  return { app, client };
}

const running = async () => {
  await until(() => processes.some(({ ran }) => ran.length > 0));
  return processes.find(({ ran }) => ran.length > 0) ?? expect.fail();
};
const ranInAll = () => processes.flatMap(({ ran }) => ran).length;

describe('a worker that dies in the middle of an answer', () => {
  test('breaks a streamed answer off by name: it never ends like a whole one, and is not begun elsewhere', async () => {
    const { app, client } = await deploy();
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
    const { app, client } = await deploy();
    const call = client.call(app);
    call.catch(() => {});
    await (await running()).die();
    await expect(call).rejects.toMatchObject({ code: 'CALL_WORKER_LOST', retry: false });
    expect(ranInAll()).toBe(1);
  });

  test('costs a call that may run twice nothing: another worker gives the whole answer, with its own receipt', async () => {
    const { app, client } = await deploy();
    const call = client.call(app, {}, { idempotent: true });
    const first = await running();
    middle = Promise.resolve();
    await first.die();
    const result = await call;
    expect(new TextDecoder().decode(result.body)).toBe('half of it');
    const [second] = processes.filter((one) => one !== first);
    expect([result.ok, result.worker.workerId]).toEqual([true, second?.stub.workerId]);
    expect([first.ran.length, second?.ran.length]).toEqual([1, 1]);
  });
});
