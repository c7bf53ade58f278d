import { once } from 'node:events';
import { parseCallOpen } from '@cloister/channel/frame';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { answerType, bytesOf, echo, gatewaysOfTests, sendHead, type TestGateway, until } from './testGateway.ts';

const gateway = gatewaysOfTests();

/** A client of a session: what it hears, and how it was closed. */
function connect(net: TestGateway, workerId: string) {
  const socket = new WebSocket(`${net.url.replace('http', 'ws')}/v1/workers/${workerId}/session`);
  const heard: (string | Buffer)[] = [];
  socket.on('message', (data, isBinary) => heard.push(isBinary ? (data as Buffer) : data.toString()));
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }));
  const opened = once(socket, 'open');
  // One that is refused neither opens nor closes.
  for (const end of [opened, closed]) end.catch(() => {});
  return { socket, heard, closed, opened };
}

describe('a session', () => {
  test('carries bytes both ways, after the head of the answer, and ends when the worker does', async () => {
    const net = await gateway();
    const { workerId, streams } = await net.dial({
      serve: async (stream) => {
        sendHead(stream);
        let left = 300_000;
        for await (const part of stream) {
          await stream.write(Uint8Array.from(part));
          left -= part.length;
          if (left === 0) break;
        }
        await stream.end();
      },
    });
    const { socket, heard, closed, opened } = connect(net, workerId);
    await opened;
    const sent = [bytesOf(100_000), bytesOf(200_000)];
    for (const part of sent) socket.send(part);
    expect(await closed).toEqual({ code: 1000, reason: '' });
    expect(JSON.parse(String(heard[0]))).toEqual({ status: 200, contentType: answerType });
    expect(Buffer.compare(Buffer.concat(heard.slice(1) as Buffer[]), Buffer.concat(sent))).toBe(0);
    expect(parseCallOpen(streams[0]?.header ?? new Uint8Array())).toEqual({ method: 'stream', contentLength: null });
  });

  test('whose worker is gone is closed by that name', async () => {
    const net = await gateway();
    const { workerId, webSocket, streams } = await net.dial({ serve: async (stream) => sendHead(stream) });
    const { closed, opened, heard } = connect(net, workerId);
    await opened;
    await until(() => streams.length === 1 && heard.length === 1);
    webSocket.terminate();
    expect(await closed).toEqual({ code: 1011, reason: 'worker-disconnected' });
  });

  test('whose client is gone ends at the worker, with what came', async () => {
    const net = await gateway();
    const got: number[] = [];
    const { workerId } = await net.dial({
      serve: async (stream) => {
        sendHead(stream);
        for await (const part of stream) got.push(part.length);
        got.push(-1);
      },
    });
    const { socket, opened } = connect(net, workerId);
    await opened;
    socket.send(bytesOf(10));
    await until(() => got.length === 1);
    socket.terminate();
    await until(() => got.at(-1) === -1);
  });

  test('is bounded, binary, and of workers that are connected', async () => {
    const net = await gateway({ streamedCallBytes: 100_000, callsAtOncePerClient: 1 });
    const { workerId } = await net.dial({ serve: echo });
    const large = connect(net, workerId);
    await large.opened;
    const second = connect(net, workerId);
    expect(String((await once(second.socket, 'error'))[0])).toMatch(/429/);
    large.socket.send(bytesOf(60_000));
    large.socket.send(bytesOf(60_000));
    expect(await large.closed).toEqual({ code: 1011, reason: 'request-too-large' });
    const text = connect(net, workerId);
    await text.opened;
    text.socket.send('text');
    expect(await text.closed).toMatchObject({ code: 1011 });
    const nobody = connect(net, `0x${'12'.repeat(32)}`);
    expect(String((await once(nobody.socket, 'error'))[0])).toMatch(/502/);
  });
});
