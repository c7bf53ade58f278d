import assert from 'node:assert/strict';
import { receiptStatuses } from '@cloister/core';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction, textOf } from '../support/apps.ts';
import { refusedWith } from '../support/refusals.ts';
import { until } from '../support/until.ts';

const MiB = 1024 * 1024;
const uploadBytes = 34 * MiB;

/** Counts what it is sent; "/later" begins to read once "/go" was asked for, "/echo" answers each part as it comes. */
const source = `
let mayRead = false;
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/go') return new Response(String((mayRead = true)));
    if (pathname === '/echo') return new Response(request.body);
    if (pathname === '/later') while (!mayRead) await new Promise((resolve) => setTimeout(resolve, 50));
    if (pathname === '/socket') {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener('message', ({ data }) => (data === 'end' ? server.close(4242, 'as asked') : server.send(data)));
      return new Response(null, { status: 101, webSocket: client });
    }
    let length = 0;
    for await (const part of request.body) length += part.length;
    return new Response(String(length));
  },
};`;

export const scenario: Scenario = {
  title:
    'A function reads a body larger than its memory while it is sent, and answers before its end; the receipt is of all of it',
  async run({ network: start, note, signal }) {
    const network = await start();
    const client = clientOf(network);
    const limits = { memoryBytes: 32 * MiB, inputBytes: uploadBytes, wallMs: 100_000 };
    const { app } = await deployFunction(network, 'streaming-function', source, { limits });

    note('more than the app may hold goes through, and no faster than the app reads');
    let given = 0;
    const part = new Uint8Array(MiB / 4).fill(7);
    const body = () =>
      new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (given === uploadBytes) return controller.close();
            given += part.length;
            controller.enqueue(part);
          },
        },
        { highWaterMark: 0 },
      );
    const { worker } = await client.call(app, { path: '/echo' });
    const only = { worker: worker.workerId };
    const uploading = client.call(app, { method: 'POST', path: '/later', body: body() }, only);
    // Awaited below: what breaks before is for then.
    uploading.catch(() => {});
    let before = -1;
    const standsStill = () => {
      const isSame = given > 0 && given === before;
      before = given;
      return isSame;
    };
    await until('nothing more is taken', standsStill, { signal, everyMs: 500 });
    assert.ok(given < uploadBytes * 0.75, `"${given}" bytes were taken before the app read any`);
    await client.call(app, { path: '/go' }, only);
    const uploaded = await uploading;
    assert.equal(textOf(uploaded), String(uploadBytes));
    assert.equal(uploaded.receipt.receipt.status, receiptStatuses.ok);
    assert.equal((uploaded.receipt.details.request as { whole: boolean }).whole, true);
    const proven = await client.verify(client.proof(uploaded, { answer: true }));
    assert.deepEqual([proven.ok, proven.outcome], [true, 'ok']);

    note('each part is answered while the next is not yet there');
    let next: ReadableStreamDefaultController<Uint8Array> | undefined;
    const parts = new ReadableStream<Uint8Array>({
      start(controller) {
        next = controller;
      },
    });
    const init = { method: 'POST', body: parts, duplex: 'half' } as RequestInit;
    next?.enqueue(new TextEncoder().encode('one'));
    const answer = await client.fetchFor(app)('https://app.example/echo', init);
    const reader = answer.body?.getReader();
    for (const word of ['one', 'two', 'three']) {
      assert.equal(new TextDecoder().decode((await reader?.read())?.value), word);
      if (word === 'three') next?.close();
      else next?.enqueue(new TextEncoder().encode(word === 'one' ? 'two' : 'three'));
    }
    assert.equal((await reader?.read())?.done, true);

    note('a WebSocket: messages both ways, the code of the close, and a receipt of all that was said');
    const socket = client.connectWebSocket(app, '/socket');
    const heard: unknown[] = [];
    socket.onopen = () => socket.send('hello');
    socket.onmessage = ({ data }) => {
      heard.push(data);
      socket.send(heard.length === 1 ? 'again' : 'end');
    };
    const closed = await new Promise<{ code: number; reason: string; wasClean: boolean }>((resolve) => {
      socket.onclose = resolve;
    });
    assert.deepEqual(heard, ['hello', 'again']);
    assert.deepEqual([closed.code, closed.reason, closed.wasClean], [4242, 'as asked', true]);
    const session = await socket.receipt;
    assert.ok(session !== undefined);
    const sessionProof = await client.verify(client.proofOfExchange(session));
    assert.deepEqual([sessionProof.ok, sessionProof.outcome], [true, 'ok']);

    note('beyond the limit of the manifest nothing goes out, and a stream is sent once');
    given = -part.length;
    await refusedWith('CALL_BODY_TOO_LARGE', client.call(app, { method: 'POST', body: body() }));
  },
};
