import { connect } from 'node:net';
import {
  encodeSocketFrame,
  maxSocketMessageBytes,
  type SocketFrame,
  SocketFrameError,
  SocketFrameReader,
} from '@cloister/core';
import { WebSocket } from 'ws';
import type { Exchange, ExchangeHandlers, UnixRequest } from './exchange.ts';

const handshakeMs = 10_000;
/** How long the other end may take to answer a close. */
const closeWithinMs = 2_000;
/** Codes by which an end may close (RFC 6455 §7.4.1); others stand for there being none. */
const isSendable = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || code >= 3000;

/**
 * A request for a WebSocket over a Unix socket, as an exchange like any other: its input and its answer are frames. Where the other end
 * answers anything but 101, that is the answer, and no input is read.
 */
export function openSocketSession(
  socketPath: string,
  { path, headers, input }: UnixRequest,
  handlers: ExchangeHandlers,
  ended: () => void,
): Exchange {
  const fields = fieldsOf(headers);
  const { host = 'app.invalid', 'sec-websocket-protocol': protocols, ...others } = fields;
  const webSocket = new WebSocket(`ws://socket.invalid${path}`, protocolsOf(protocols), {
    createConnection: () => connect(socketPath),
    headers: { ...others, host: String(host) },
    handshakeTimeout: handshakeMs,
    maxPayload: maxSocketMessageBytes,
    perMessageDeflate: false,
    followRedirects: false,
    closeTimeout: closeWithinMs,
  } as ConstructorParameters<typeof WebSocket>[2]);
  const frames = input?.[Symbol.asyncIterator]();
  let isOver = false;
  let isUpgraded = false;
  let closedBy: Extract<SocketFrame, { type: 'close' }> | undefined;

  const leave = (): void => {
    if (isOver) return;
    isOver = true;
    frames?.return?.().then(undefined, () => undefined);
    ended();
  };
  const fail = (error: Error): void => {
    if (isOver) return;
    leave();
    webSocket.terminate();
    handlers.failed(error, true);
  };
  webSocket.on('upgrade', ({ headers: given, statusCode = 101 }) => {
    isUpgraded = true;
    if (!isOver) handlers.head({ status: statusCode, headers: headersOf(given) });
  });
  webSocket.on('unexpected-response', (_request, answer) => {
    if (isOver) return answer.destroy();
    handlers.head({ status: answer.statusCode ?? 500, headers: headersOf(answer.headers) });
    answer.on('data', (chunk: Uint8Array) => isOver || handlers.data(chunk));
    answer.on('error', fail);
    answer.on('end', () => {
      if (isOver) return;
      leave();
      handlers.end();
    });
  });
  webSocket.on('message', (data, isBinary) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat([data].flat() as Uint8Array[]);
    const frame: SocketFrame = isBinary ? { type: 'binary', bytes } : { type: 'text', text: bytes.toString('utf8') };
    if (!isOver) handlers.data(encodeSocketFrame(frame));
  });
  webSocket.on('error', (error) => isUpgraded || fail(error));
  webSocket.on('close', (code, reason) => {
    if (isOver) return;
    // 1006: the connection ended without a close, unless that was ours and the other end only did not answer it.
    if (code === 1006 && closedBy === undefined) return fail(new Error('The connection was closed'));
    const said: SocketFrame = closedBy ?? { type: 'close', code, reason: reason.toString('utf8') };
    handlers.data(encodeSocketFrame(code === 1006 ? said : { ...said, code, reason: reason.toString('utf8') }));
    leave();
    handlers.end();
  });
  webSocket.on('open', () => {
    if (frames !== undefined) void pump(frames);
  });

  /** Passes the caller's frames on, each once the one before was taken. */
  async function pump(parts: AsyncIterator<Uint8Array>): Promise<void> {
    const reader = new SocketFrameReader();
    try {
      for (let next = await parts.next(); !next.done && !isOver; next = await parts.next())
        for (const frame of reader.push(next.value)) await pass(frame);
      if (closedBy === undefined && !isOver) await pass({ type: 'close', code: 1000, reason: '' });
    } catch (error) {
      // The caller does not keep to the form: RFC 6455's "protocol error", or "message too big".
      if (error instanceof SocketFrameError)
        return pass({
          type: 'close',
          code: error.code === 'SOCKET_MESSAGE_TOO_LARGE' ? 1009 : 1002,
          reason: error.code,
        });
      fail(error instanceof Error ? error : new Error('The input could not be read'));
    }
  }

  async function pass(frame: SocketFrame): Promise<void> {
    // What comes after a close is not for anyone.
    if (closedBy !== undefined) return;
    if (frame.type === 'close') {
      closedBy = frame;
      if (isSendable(frame.code)) webSocket.close(frame.code, frame.reason);
      else webSocket.close();
      return;
    }
    const data = frame.type === 'text' ? frame.text : frame.bytes;
    await new Promise<void>((resolve, reject) => {
      webSocket.send(data, { binary: frame.type === 'binary' }, (error) => (error ? reject(error) : resolve()));
    });
  }

  return {
    pause: () => webSocket.readyState === WebSocket.OPEN && webSocket.pause(),
    resume: () => webSocket.isPaused && webSocket.resume(),
    abort() {
      leave();
      webSocket.terminate();
    },
  };
}

function fieldsOf(headers: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase() ?? '';
    const value = headers[index + 1] ?? '';
    // The handshake has its own of these.
    if (/^sec-websocket-(?:key|version|accept|extensions)$/.test(name)) continue;
    const before = fields[name];
    fields[name] = before === undefined ? value : [...[before].flat(), value];
  }
  return fields;
}

function protocolsOf(value: string | string[] | undefined): string[] {
  return [value ?? []]
    .flat()
    .flatMap((text) => text.split(','))
    .map((text) => text.trim());
}

function headersOf(headers: NodeJS.Dict<string | string[]>): (readonly [string, string])[] {
  return Object.entries(headers)
    .filter(([name]) => !/^(?:upgrade|connection|sec-websocket-(?:accept|extensions))$/.test(name))
    .flatMap(([name, value]) => [value ?? []].flat().map((one) => [name, one] as const));
}
