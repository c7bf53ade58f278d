import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { encodeFrame, parseCallOpen } from '@cloister/channel/frame';
import { utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  answerType,
  bytesOf,
  echo,
  gatewaysOfTests,
  problemOf,
  requestType,
  sendHead,
  small,
  streamOf,
  until,
} from './testGateway.ts';

const gateway = gatewaysOfTests();

describe('a call', () => {
  test.each([0, 1, 1_024, 65_536, 65_537, 1_000_000, 8_000_000])(
    'of %i bytes comes back as the worker answers it',
    async (length) => {
      const net = await gateway();
      const { workerId, streams } = await net.dial({ serve: echo });
      const body = bytesOf(length);
      const response = await net.call(workerId, body);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(answerType);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), body)).toBe(0);
      expect(parseCallOpen(streams[0]?.header ?? new Uint8Array())).toEqual({
        method: 'call',
        contentLength: length,
      });
    },
  );

  test('from a page in a browser is answered so that the page may read it', async () => {
    const net = await gateway();
    const { workerId } = await net.dial({ serve: echo });
    const headers = { 'content-type': requestType, origin: 'https://app.example' };
    const response = await net.call(workerId, bytesOf(10), { headers });
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-expose-headers')).toContain('content-type');
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    expect((await response.arrayBuffer()).byteLength).toBe(10);
  });

  test('without a declared length is streamed as well', async () => {
    const net = await gateway();
    const { workerId, streams } = await net.dial({ serve: echo });
    const chunks = [bytesOf(10), bytesOf(200_000), bytesOf(3)];
    const response = await net.call(workerId, streamOf(chunks));
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), Buffer.concat(chunks))).toBe(0);
    expect(parseCallOpen(streams[0]?.header ?? new Uint8Array())).toEqual({
      method: 'call',
      contentLength: null,
    });
  });

  test('with a streamed body is said to be one, and has a bound of its own', async () => {
    const net = await gateway({ callBytes: 1_024, streamedCallBytes: 400_000 });
    const { workerId, streams } = await net.dial({ serve: echo });
    const headers = { 'content-type': 'message/cloister-req-stream' };
    const chunks = [bytesOf(10), bytesOf(200_000), bytesOf(3)];
    const response = await net.call(workerId, streamOf(chunks), { headers });
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), Buffer.concat(chunks))).toBe(0);
    expect(parseCallOpen(streams[0]?.header ?? new Uint8Array()).method).toBe('stream');
    const tooMuch = net.call(workerId, streamOf([bytesOf(300_000), bytesOf(300_000)]), { headers });
    // Refused, or broken off where the answer had begun before.
    const status = tooMuch.then(async (answer) => (await answer.arrayBuffer()) && answer.status);
    expect(await status.catch(() => 413)).toBe(413);
  });

  test('streams: each part of the answer arrives before the next is made', async () => {
    const net = await gateway();
    const { workerId, streams } = await net.dial();
    const pending = net.call(workerId, small);
    await until(() => streams.length === 1);
    const stream = streams[0] ?? expect.fail();
    sendHead(stream);
    const response = await pending;
    const reader = (response.body ?? expect.fail()).getReader();
    for (const token of ['one', 'two', 'three']) {
      await stream.write(utf8(token));
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe(token);
    }
    await stream.end();
    expect((await reader.read()).done).toBe(true);
  });

  test('many at once over one worker keep apart', async () => {
    const net = await gateway();
    const { workerId } = await net.dial({ serve: echo });
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const body = bytesOf(1_000 + index * 5_000);
        const response = await net.call(workerId, body);
        expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), body)).toBe(0);
      }),
    );
    expect(await (await fetch(`${net.url}/metrics`)).text()).toContain(
      'cloister_gateway_requests_total{route="call",status="200"} 40',
    );
  });

  test("passes the worker's own refusal on", async () => {
    const net = await gateway();
    const { workerId } = await net.dial({
      serve: async (stream) => {
        sendHead(stream, { status: 400, contentType: 'application/problem+json' });
        await stream.end(utf8('{"type":"https://iana.org/assignments/http-problem-types#ohttp-key"}'));
      },
    });
    const response = await net.call(workerId, small);
    expect(response.status).toBe(400);
    expect((await response.json()).type).toContain('ohttp-key');
  });

  test('a worker may answer before it has read the request', async () => {
    const net = await gateway();
    const { workerId } = await net.dial({
      serve: async (stream) => {
        sendHead(stream, { status: 413, contentType: 'application/problem+json' });
        await stream.end(utf8('{}'));
        stream.reset('cancelled', 'enough');
      },
    });
    for (let round = 0; round < 5; round++) {
      const response = await net.call(workerId, bytesOf(5_000_000));
      expect([response.status, await response.text()]).toEqual([413, '{}']);
    }
  });
});

describe('what the gateway refuses', () => {
  test('by name, with CORS headers and a hint', async () => {
    const net = await gateway({ callBytes: 10_000 });
    const { workerId } = await net.dial({ serve: echo });
    const url = `${net.url}/v1/workers/${workerId}/call`;
    const headers = { 'content-type': requestType };
    const cases: [string, number, Promise<Response>][] = [
      ['worker-not-connected', 502, net.call(`0x${'00'.repeat(32)}`, small)],
      ['request-too-large', 413, net.call(workerId, bytesOf(10_001))],
      ['request-too-large', 413, net.call(workerId, streamOf([bytesOf(9_000), bytesOf(9_000)]))],
      ['plaintext-call', 415, fetch(url, { method: 'POST', body: 'x' })],
      ['plaintext-call', 415, fetch(url, { method: 'POST', body: 'x', headers: { 'content-type': 'text/html' } })],
      [
        'plaintext-call',
        415,
        fetch(url, { method: 'POST', body: 'x', headers: { ...headers, 'payment-signature': 'x' } }),
      ],
      ['plaintext-call', 415, fetch(url, { method: 'POST', body: 'x', headers: { ...headers, 'x-payment': 'x' } })],
      ['method-not-allowed', 405, fetch(url)],
      ['method-not-allowed', 405, fetch(`${net.url}/healthz`, { method: 'DELETE' })],
      ['bad-request', 400, fetch(`${net.url}/v1/workers/0x12/call`, { method: 'POST', body: 'x', headers })],
      ['not-found', 404, fetch(`${net.url}/v1/workers/${workerId}/call/more`, { method: 'POST', body: 'x', headers })],
      ['not-found', 404, fetch(`${net.url}/v2/workers`)],
      ['not-found', 404, fetch(`${net.url}/`)],
    ];
    for (const [code, status, answer] of cases) {
      const response = await answer;
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(await problemOf(response)).toMatchObject({
        code,
        status,
        hint: expect.any(String),
        detail: expect.any(String),
      });
    }
  });

  test('a call in plain text, before a worker hears of it, with what to do', async () => {
    const net = await gateway();
    let heard = 0;
    const { workerId } = await net.dial({
      serve: async (stream) => {
        heard += 1;
        await echo(stream);
      },
    });
    const response = await fetch(`${net.url}/v1/workers/${workerId}/call`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'payment-signature': 'e30=' },
      body: '{"question":"secret"}',
    });
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ code: 'plaintext-call', hint: expect.stringMatching(/fetchFor.*cloister proxy/) });
    expect(JSON.stringify(problem)).not.toContain('secret');
    expect(heard).toBe(0);
  });

  test('a page of any origin gets permission for all that a client sends, and never to send who its user is', async () => {
    const net = await gateway();
    let heard = 0;
    const { workerId } = await net.dial({
      serve: async (stream) => {
        heard += 1;
        await echo(stream);
      },
    });
    const blob = `0x${'00'.repeat(32)}`;
    for (const [path, method, names] of [
      [`/v1/workers/${workerId}/call`, 'POST', 'content-type'],
      [`/v1/blobs/${blob}`, 'PUT', 'cloister-claim,content-type'],
      [`/v1/blobs/${blob}`, 'GET', 'if-none-match'],
      ['/v1/claims', 'POST', 'content-type'],
    ] as const) {
      const response = await fetch(`${net.url}${path}`, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': method,
          'access-control-request-headers': names,
        },
      });
      const allowed = (what: string) => response.headers.get(`access-control-allow-${what}`)?.split(', ');
      expect([response.status, await response.text()]).toEqual([204, '']);
      expect(allowed('origin')).toEqual(['*']);
      expect(allowed('methods')).toContain(method);
      expect(allowed('headers')).toEqual(expect.arrayContaining(names.split(',')));
      expect(allowed('headers')).not.toContain('authorization');
      expect(allowed('credentials')).toBeUndefined();
    }
    expect(heard).toBe(0);
  });

  test('calls beyond the rate, with Retry-After', async () => {
    const net = await gateway({ callBurstPerClient: 3, callsPerSecondPerClient: 1 });
    const { workerId } = await net.dial({ serve: echo });
    for (let call = 0; call < 3; call++) expect((await net.call(workerId, small)).status).toBe(200);
    const response = await net.call(workerId, small);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await problemOf(response)).toMatchObject({ code: 'rate-limited', status: 429 });
    expect((await fetch(`${net.url}/healthz`)).status).toBe(200);
  });

  test('reads beyond the rate', async () => {
    const net = await gateway({ readBurstPerClient: 2, readsPerSecondPerClient: 1 });
    await fetch(`${net.url}/v1/workers`);
    await fetch(`${net.url}/v1/workers`);
    expect(await problemOf(await fetch(`${net.url}/v1/workers`))).toMatchObject({ code: 'rate-limited' });
    await expect(net.dial()).rejects.toThrow();
  });

  test('too many calls at once, of one client and to one worker', async () => {
    const net = await gateway({ callsAtOncePerClient: 2 });
    const { workerId, streams } = await net.dial();
    const waiting = [net.call(workerId, small), net.call(workerId, small)];
    await until(() => streams.length === 2);
    expect(await problemOf(await net.call(workerId, small))).toMatchObject({ code: 'too-many-calls', status: 429 });
    for (const stream of streams) await echo(stream);
    for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
    await until(
      async () =>
        (await net.call(workerId, small, { signal: AbortSignal.timeout(50) }).catch(() => undefined)) === undefined,
    );

    const narrow = await gateway({ callsAtOncePerWorker: 1 });
    const busy = await narrow.dial();
    const first = narrow.call(busy.workerId, small);
    await until(() => busy.streams.length === 1);
    expect(await problemOf(await narrow.call(busy.workerId, small))).toMatchObject({
      code: 'worker-busy',
      status: 503,
    });
    await echo(busy.streams[0] ?? expect.fail());
    expect((await first).status).toBe(200);
  });
});

describe('a worker that fails', () => {
  test('disconnects before its answer: 502, worker-disconnected', async () => {
    const net = await gateway();
    const { workerId, streams, webSocket } = await net.dial();
    const pending = net.call(workerId, small);
    await until(() => streams.length === 1);
    webSocket.terminate();
    expect(await problemOf(await pending)).toMatchObject({ code: 'worker-disconnected', status: 502 });
    expect(await problemOf(await net.call(workerId, small))).toMatchObject({ code: 'worker-not-connected' });
  });

  test('disconnects within its answer: the answer breaks off and never ends well', async () => {
    const net = await gateway();
    const { workerId, webSocket } = await net.dial({
      serve: async (stream) => {
        sendHead(stream);
        await stream.write(bytesOf(50_000));
      },
    });
    const response = await net.call(workerId, small);
    const reader = (response.body ?? expect.fail()).getReader();
    await reader.read();
    webSocket.terminate();
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
  });

  test.each([
    ['deadline', { callDeadlineMs: 100 }],
    ['idle', { callIdleMs: 100 }],
  ])('does not answer in time (%s): 504, and hears that nobody waits', async (reason, limits) => {
    const net = await gateway(limits);
    const { workerId, streams } = await net.dial();
    const pending = net.call(workerId, small);
    await until(() => streams.length === 1);
    const { signal } = streams[0] ?? expect.fail();
    expect(await problemOf(await pending)).toMatchObject({ code: 'worker-timeout', status: 504 });
    await until(() => signal.aborted);
    expect(signal.reason).toMatchObject({ resetCode: reason });
  });

  test.each([
    ['refused', 'worker-busy', 503],
    ['unavailable', 'worker-busy', 503],
    ['internal', 'worker-failed', 502],
  ] as const)('resets the stream: %s', async (reset, code, status) => {
    const net = await gateway();
    const { workerId } = await net.dial({ serve: async (stream) => stream.reset(reset, 'no') });
    expect(await problemOf(await net.call(workerId, small))).toMatchObject({ code, status });
  });

  test('answers without a head, with a bad one, or with something for a browser', async () => {
    const net = await gateway();
    for (const serve of [
      async (stream: Parameters<typeof sendHead>[0]) => stream.write(utf8('x')),
      async (stream: Parameters<typeof sendHead>[0]) => stream.end(),
      async (stream: Parameters<typeof sendHead>[0]) => stream.sendHead(utf8('{"status":200}')),
      async (stream: Parameters<typeof sendHead>[0]) => sendHead(stream, { contentType: 'text/html' }),
    ]) {
      const { workerId } = await net.dial({ serve });
      expect(await problemOf(await net.call(workerId, small))).toMatchObject({
        code: 'worker-misbehaved',
        status: 502,
      });
    }
  });

  test('sends malformed frames: it is cut off, its clients get 502, others go on', async () => {
    const net = await gateway();
    const good = await net.dial({ serve: echo });
    for (const frame of [
      new Uint8Array([1, 2]),
      encodeFrame('data', 999, utf8('x')),
      encodeFrame('end', 2, utf8('')),
      new Uint8Array(5),
    ]) {
      const bad = await net.dial();
      const pending = net.call(bad.workerId, small);
      await until(() => bad.streams.length === 1);
      bad.webSocket.send(frame);
      expect(await problemOf(await pending)).toMatchObject({ code: 'worker-disconnected', status: 502 });
      await bad.closed;
    }
    const text = await net.dial();
    text.webSocket.send('text');
    await text.closed;
    const large = await net.dial();
    large.webSocket.send(new Uint8Array(600_000));
    await large.closed;
    const control = await net.dial();
    control.mux.sendControl(utf8('{"type":"hello"}'));
    await control.closed;
    expect((await net.call(good.workerId, small)).status).toBe(200);
  });

  test('opens streams of its own: they are refused', async () => {
    const net = await gateway();
    const { mux } = await net.dial();
    await expect(mux.openStream(utf8('')).head()).rejects.toMatchObject({ resetCode: 'refused' });
  });
});

describe('a client', () => {
  test('that leaves ends the call at the worker', async () => {
    const net = await gateway();
    const { workerId, streams } = await net.dial();
    const abort = new AbortController();
    const pending = net.call(workerId, small, { signal: abort.signal });
    await until(() => streams.length === 1);
    const { signal } = streams[0] ?? expect.fail();
    abort.abort();
    await expect(pending).rejects.toThrow();
    await until(() => signal.aborted);
    expect(signal.reason).toMatchObject({ resetCode: 'cancelled', meta: { by: 'peer' } });
  });

  test('that leaves in mid-request ends the call at the worker', async () => {
    const net = await gateway();
    const { workerId, streams } = await net.dial();
    const request = httpRequest(`${net.url}/v1/workers/${workerId}/call`, {
      method: 'POST',
      headers: { 'content-type': requestType, 'content-length': 200_000 },
    });
    request.on('error', () => {});
    request.write(bytesOf(100_000));
    await until(() => streams.length === 1);
    const { signal } = streams[0] ?? expect.fail();
    request.destroy();
    await until(() => signal.aborted);
  });

  test('that does not read slows the worker down instead of filling the gateway', async () => {
    const net = await gateway();
    const offered = 64 * 1_048_576;
    let taken = 0;
    const { workerId, streams } = await net.dial({
      serve: async (stream) => {
        sendHead(stream);
        const chunk = bytesOf(65_536);
        for (; taken < offered; taken += chunk.length) await stream.write(chunk);
        await stream.end();
      },
    });
    const socket = connect(Number(new URL(net.url).port), '127.0.0.1');
    socket.pause();
    socket.write(
      `POST /v1/workers/${workerId}/call HTTP/1.1\r\nhost: x\r\ncontent-type: ${requestType}\r\ncontent-length: ${small.length}\r\n\r\n`,
    );
    socket.write(small);
    let last = -1;
    await until(() => streams.length === 1 && taken > 0);
    while (taken !== last) {
      last = taken;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    // What stands still is in the kernel's socket buffers and in the stream's window.
    expect(taken).toBeLessThan(offered / 3);
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    socket.resume();
    await until(() => received > offered);
    expect(taken).toBe(offered);
    socket.destroy();
  });

  test('that sends faster than the worker reads is slowed down', async () => {
    const net = await gateway({ callBytes: 64 * 1_048_576 });
    const { workerId, streams } = await net.dial();
    const length = 48 * 1_048_576;
    const request = httpRequest(`${net.url}/v1/workers/${workerId}/call`, {
      method: 'POST',
      headers: { 'content-type': requestType, 'content-length': length },
    });
    const chunk = bytesOf(65_536);
    let sent = 0;
    const sending = (async () => {
      for (; sent < length; sent += chunk.length) if (!request.write(chunk)) await once(request, 'drain');
      request.end();
    })();
    await until(() => streams.length === 1);
    for (let last = -1; sent !== last; ) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(sent).toBeLessThan(length / 3);
    const stream = streams[0] ?? expect.fail();
    let received = 0;
    for await (const part of stream) received += part.length;
    expect(received).toBe(length);
    const answered = once(request, 'response');
    sendHead(stream);
    await stream.end();
    const [response] = await answered;
    expect(response.statusCode).toBe(200);
    response.resume();
    await sending;
  });

  test('that sends its headers too slowly is cut off', async () => {
    const net = await gateway({ headersMs: 200 });
    const socket = connect(Number(new URL(net.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n');
    socket.resume();
    await once(socket, 'close');
  });

  test('appears neither with address nor with body in the log', async () => {
    const net = await gateway();
    const { workerId } = await net.dial({ serve: echo });
    await (await net.call(workerId, small)).arrayBuffer();
    await net.call(`0x${'00'.repeat(32)}`, small);
    const log = net.logLines.join('');
    expect(log).toContain('gateway: worker connected');
    expect(log).not.toContain('127.0.0.1');
    expect(log).not.toContain('sealed');
  });
});
