import { encodeCallOpen, type FrameStream, parseCallHead, parseCallOpen } from '@cloister/channel/frame';
import { sha256, signDigest, toHex, utf8 } from '@cloister/crypto';
import { createFunctionDriver } from '@cloister/sandbox';
import { createClient } from '@cloister/sdk';
import { createLogger } from '@cloister/service';
import { afterEach, expect, test } from 'vitest';
import { framePair } from '../../../packages/channel/test/framePair.ts';
import { AppLoader } from '../src/appLoader.ts';
import { CallServer } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { ReceiptBook } from '../src/receiptBook.ts';
import { noGuests, noSecrets, startParts, type WorkerParts } from './workerParts.ts';

const never = new AbortController().signal;
const source = utf8(`
export default {
  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener('message', ({ data }) =>
      data === 'end' ? server.close(4242, 'as asked') : server.send('you said ' + data));
    return new Response(null, { status: 101, webSocket: client });
  },
};`);

let parts: WorkerParts;
const driver = createFunctionDriver({ pooled: 0 });
afterEach(async () => {
  await driver.stop();
  await parts.stop();
});

/** A gateway's WebSocket, as it relays a session: the head of the answer as text, then bytes, then its end. */
function socketTo(open: () => FrameStream): { new (url: string): WebSocket } {
  return class extends EventTarget {
    binaryType = 'arraybuffer';
    readyState = 1;
    bufferedAmount = 0;
    readonly #stream = open();
    constructor() {
      super();
      queueMicrotask(() => this.dispatchEvent(new Event('open')));
      void this.#relay();
    }
    send(bytes: Uint8Array): void {
      this.#stream.write(bytes).catch(() => {});
    }
    close(): void {
      this.#stream.reset('cancelled', 'left');
    }
    async #relay(): Promise<void> {
      const tell = (data: unknown) => this.dispatchEvent(new MessageEvent('message', { data }));
      const end = (code: number) => this.dispatchEvent(Object.assign(new Event('close'), { code, reason: '' }));
      try {
        tell(JSON.stringify(parseCallHead(await this.#stream.head())));
        for await (const part of this.#stream) tell(Uint8Array.from(part).buffer);
        end(1000);
      } catch {
        end(1011);
      }
    }
  } as unknown as { new (url: string): WebSocket };
}

test('a session reaches the function of an app, and its receipt holds to all that was said', async () => {
  parts = await startParts();
  const { network } = parts;
  const worker = await network.addWorker();
  await driver.start({ signal: never });
  network.gateway.store(source);
  const { app } = network.addApp({ code: { sha256: toHex(sha256(source)), bytes: source.length } });
  const blobs = async (id: string) => network.gateway.blobs.get(id) ?? expect.fail(id);
  const server = new CallServer({
    ...parts.components,
    apps: new AppLoader({ registry: network.reader(), drivers: [driver], secrets: noSecrets, guests: noGuests, blobs }),
    receipts: new ReceiptBook({
      domain: network.domain,
      workerId: worker.workerId,
      sign: (digest) => signDigest(worker.signer, digest),
    }),
    keys: worker.keys,
    kept: new KeptAnswers(),
    log: createLogger({ name: 'worker', level: 'error', write: () => {} }),
  });
  const pair = framePair({
    worker: { onStream: (stream) => void server.serve(stream, parseCallOpen(stream.header), never) },
  });
  const webSocket = socketTo(() =>
    pair.gateway.mux.openStream(encodeCallOpen({ method: 'stream', contentLength: null })),
  ) as unknown as typeof WebSocket;
  const client = createClient({ network: network.file, fetch: network.gateway.fetch, webSocket });
  const socket = client.connectWebSocket(app, '/room', { timeoutMs: 60_000 });
  const heard: unknown[] = [];
  socket.onopen = () => socket.send('hello');
  socket.onmessage = ({ data }) => {
    heard.push(data);
    socket.send('end');
  };
  const errors: unknown[] = [];
  socket.onerror = ({ error }) => errors.push(error);
  const closed = await new Promise((resolve) => {
    socket.onclose = resolve;
  });
  expect(errors).toEqual([]);
  expect(closed).toMatchObject({ code: 4242, reason: 'as asked', wasClean: true });
  expect(heard).toEqual(['you said hello']);
  const session = await socket.receipt;
  expect(session?.outcome).toBe('ok');
  expect(session?.receipt.details.request).toMatchObject({ chunks: expect.any(Number) });
}, 60_000);
