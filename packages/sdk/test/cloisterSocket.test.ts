import { encodeSocketFrame, type SocketFrame, SocketFrameReader } from '@cloister/core';
import { describe, expect, test } from 'vitest';
import type { Call } from '../src/call.ts';
import { CallError } from '../src/callError.ts';
import type { AnswerEvent, SessionRequest } from '../src/callTypes.ts';
import { CloisterSocket, type SocketCloseEvent, type SocketErrorEvent } from '../src/cloisterSocket.ts';
import { bytes32 } from './simulatedNetwork.ts';

/** What the worker's side does: it gets the caller's frames and says what comes back. */
type Side = (frames: AsyncGenerator<SocketFrame>, request: SessionRequest) => AsyncGenerator<AnswerEvent>;

function socketTo(side: Side, protocols: readonly string[] = []) {
  const socket = new CloisterSocket(bytes32(1), '/room', { protocols }, async (request) => {
    const call = { streamed: (signal: AbortSignal) => untilAborted(side(framesOf(request.body), request), signal) };
    return call as unknown as Call;
  });
  const events: Event[] = [];
  for (const type of ['open', 'message', 'error', 'close'])
    socket.addEventListener(type, (event) => events.push(event));
  const closed = new Promise<SocketCloseEvent>((resolve) => {
    socket.onclose = resolve;
  });
  return { socket, events, closed };
}

async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<SocketFrame> {
  const reader = new SocketFrameReader();
  for await (const bytes of body) yield* reader.push(bytes);
}

async function* untilAborted(events: AsyncGenerator<AnswerEvent>, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  for (;;) {
    const next = await Promise.race([events.next(), aborted]);
    if (next.done) return;
    yield next.value;
  }
}

const head = (status = 101, headers: [string, string][] = []) => ({ type: 'head', status, headers }) as const;
const body = (...frames: SocketFrame[]) =>
  ({ type: 'body', bytes: Buffer.concat(frames.map(encodeSocketFrame)) }) as const;
const done = (status = 'ok', details: object = {}) =>
  ({
    type: 'done',
    receipt: { details },
    verified: { status, payment: { scheme: 'free' }, steps: [] },
    route: { worker: { steps: [] } },
  }) as unknown as AnswerEvent;

describe('a session', () => {
  test('has the events, states and messages of a WebSocket, and a receipt', async () => {
    const { socket, events, closed } = socketTo(
      async function* (frames, { headers, path }) {
        expect([path, headers]).toEqual(['/room', [['sec-websocket-protocol', 'chat, other']]]);
        yield head(101, [['sec-websocket-protocol', 'chat']]);
        for await (const frame of frames) {
          yield body(frame);
          if (frame.type === 'close') break;
        }
        yield done();
      },
      ['chat', 'other'],
    );
    expect(socket.readyState).toBe(CloisterSocket.CONNECTING);
    expect(() => socket.send('early')).toThrow(expect.objectContaining({ name: 'InvalidStateError' }));
    const heard: unknown[] = [];
    socket.onmessage = ({ data }) => {
      heard.push(data);
      if (heard.length === 2) socket.close(4000, 'through');
    };
    socket.onopen = () => {
      expect([socket.readyState, socket.protocol]).toEqual([CloisterSocket.OPEN, 'chat']);
      socket.send('hello');
      socket.send(Uint8Array.of(1, 2));
    };
    expect(await closed).toMatchObject({ code: 4000, reason: 'through', wasClean: true });
    expect(heard).toEqual(['hello', Uint8Array.of(1, 2).buffer]);
    expect(events.map(({ type }) => type)).toEqual(['open', 'message', 'message', 'close']);
    expect(socket.readyState).toBe(CloisterSocket.CLOSED);
    expect(await socket.receipt).toMatchObject({ outcome: 'ok' });
    socket.send('late');
    socket.close();
  });

  test('ended by the app has its code, whatever is still said', async () => {
    const { socket, closed } = socketTo(async function* () {
      yield head();
      yield body({ type: 'close', code: 4321, reason: 'enough' }, { type: 'text', text: 'after' });
      yield done();
    });
    const heard: unknown[] = [];
    socket.onmessage = ({ data }) => heard.push(data);
    expect(await closed).toMatchObject({ code: 4321, reason: 'enough', wasClean: true });
    expect(heard).toEqual([]);
  });

  test.each([
    ['limit', { limit: 'wall' }, 1008, 'wall'],
    ['app-error', {}, 1011, 'app-error'],
  ])('that ended with "%s" says so by its code', async (status, details, code, reason) => {
    const { closed, socket } = socketTo(async function* () {
      yield head();
      yield done(status, details);
    });
    expect(await closed).toMatchObject({ code, reason, wasClean: false });
    expect(await socket.receipt).toMatchObject({ outcome: status });
  });

  test.each<[string, Side, string]>([
    [
      'broke off',
      async function* () {
        yield head();
        throw new CallError('CALL_BODY_CONSUMED', 'worker killed', false);
      },
      'CALL_BODY_CONSUMED',
    ],
    [
      'was not upgraded',
      async function* () {
        yield head(426);
      },
      'CALL_NOT_UPGRADED',
    ],
    [
      'said what is no message',
      async function* () {
        yield head();
        yield { type: 'body', bytes: Uint8Array.of(9, 0, 0, 0, 0) };
      },
      'SOCKET_FRAME_MALFORMED',
    ],
  ])('that %s has an error and is closed with 1006 and its name', async (_, side, code) => {
    const { socket, events, closed } = socketTo(side);
    expect(await closed).toMatchObject({ code: 1006, reason: code, wasClean: false });
    const error = events.find(({ type }) => type === 'error') as SocketErrorEvent;
    expect(error.error).toMatchObject({ code });
    expect(await socket.receipt).toBeUndefined();
  });

  test('takes no message, code or reason beyond what a session has', async () => {
    const { socket, closed } = socketTo(async function* (frames) {
      yield head();
      for await (const frame of frames) yield body(frame);
      yield done();
    });
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    expect(() => socket.send(new Uint8Array(1_048_577))).toThrow(
      expect.objectContaining({ code: 'SOCKET_MESSAGE_TOO_LARGE' }),
    );
    for (const code of [1001, 2999, 5000]) expect(() => socket.close(code)).toThrow(DOMException);
    expect(() => socket.close(3000, 'x'.repeat(124))).toThrow(DOMException);
    socket.close(3000, 'fine');
    expect(await closed).toMatchObject({ code: 3000, reason: 'fine' });
  });

  test('whose messages nobody takes is closed before they fill the memory', async () => {
    const { socket, closed } = socketTo(async function* () {
      yield head();
      await new Promise(() => {});
    });
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    for (let sent = 0; sent < 17; sent++) socket.send(new Uint8Array(1_048_576));
    expect(await closed).toMatchObject({ code: 1006, reason: 'CALL_BODY_TOO_LARGE' });
  });
});
