import { utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  ({ app } = network.addApp({ limits: { wallMs: 5_000, inputBytes: 1_000_000 } }));
  worker.run = ({ request }) => ({ body: [utf8('heard '), request.body] });
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const send = (body: ReadableStream<Uint8Array>) => client().call(app, { method: 'POST', body });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function streamOf(parts: Iterable<Uint8Array>, state: { cancelled?: boolean } = {}): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      const next = iterator.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel() {
      state.cancelled = true;
    },
  });
}

describe('a streamed body', () => {
  test('arrives whole, is bound by the receipt, and is not kept', async () => {
    const result = await send(streamOf([utf8('a'), utf8(''), utf8('bc'), new Uint8Array(200_000).fill(100)]));
    expect(result.ok).toBe(true);
    expect(text(result.body)).toBe(`heard abc${'d'.repeat(200_000)}`);
    expect(result.request.body).toEqual(new Uint8Array());
    expect(result.receipt.details.request).toMatchObject({ whole: true });
    expect(result.receipt.receipt.requestHash).toBe(result.attempt.requestHash);
  });

  test('through fetch, and an empty one', async () => {
    const sealed = client().fetchFor(app);
    const init = { method: 'POST', body: streamOf([utf8('x')]), duplex: 'half' } as RequestInit;
    expect(await (await sealed('https://app.example/', init)).text()).toBe('heard x');
    expect(text((await send(streamOf([]))).body)).toBe('heard ');
  });

  test('may be taken in part alone: the receipt is of that part', async () => {
    worker.takesBytes = 50_000;
    const result = await send(streamOf([new Uint8Array(50_000), new Uint8Array(50_000)]));
    expect(result.receipt.details.request).toMatchObject({ whole: false });
    expect(result.body.length).toBeLessThan(100_000);
  });

  test.each<[string, (receipt: { requestHash: `0x${string}`; inputCommitment: `0x${string}` }) => object]>([
    ['another request', (receipt) => ({ requestHash: receipt.inputCommitment })],
    ['another body', (receipt) => ({ inputCommitment: receipt.requestHash })],
  ])('with a receipt of %s is refused', async (_, change) => {
    worker.editReceipt = (receipt) => ({ ...receipt, ...change(receipt) });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('of which the receipt names more chunks than were sent is refused', async () => {
    const run = worker.run;
    worker.run = async (opened) => ({ ...(await run(opened)), details: { request: { chunks: 9, whole: true } } });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('is not sent twice: what breaks once it was taken is an error with a name', async () => {
    network.gateway.faults.push(async (to, bytes) => {
      await to.serveStreamed(bytes);
      throw new TypeError('fetch failed');
    });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'CALL_BODY_CONSUMED', retry: false });
    expect(network.gateway.calls).toHaveLength(1);
  });

  test('is bounded by the manifest, and its source is let go', async () => {
    const state = { cancelled: false };
    const parts = Array.from({ length: 30 }, () => new Uint8Array(50_000));
    await expect(send(streamOf(parts, state))).rejects.toMatchObject({ code: 'CALL_BODY_TOO_LARGE' });
    expect(state.cancelled).toBe(true);
    expect(worker.runs).toBe(0);
  });

  test('whose source fails says so, with the reason', async () => {
    const broken = new Error('disk gone');
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(broken);
      },
    });
    await expect(send(body)).rejects.toMatchObject({ code: 'CALL_BODY_FAILED', cause: broken });
    expect(worker.runs).toBe(0);
  });

  test('that is in use, or goes with a GET, is refused', async () => {
    const body = streamOf([utf8('x')]);
    await expect(client().call(app, { body })).rejects.toMatchObject({ code: 'CALL_BODY_REFUSED' });
    body.getReader();
    await expect(send(body)).rejects.toMatchObject({ code: 'CALL_BODY_REFUSED' });
  });
});
