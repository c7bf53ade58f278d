import { CloisterError } from './errors.ts';

/** One message of a WebSocket session as it stands inside the seal, in either direction. */
export type SocketFrame =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'binary'; readonly bytes: Uint8Array }
  /** The last one of its direction. Code and reason as in RFC 6455 §7.4; 1005 stands for none. */
  | { readonly type: 'close'; readonly code: number; readonly reason: string };

/** Bytes of one message. */
export const maxSocketMessageBytes = 1_048_576;
/** Bytes of a reason as UTF-8 (RFC 6455 §5.5). */
export const maxCloseReasonBytes = 123;

// `kind u8 | length u32 | payload`, integers big endian; the kinds are the opcodes of RFC 6455 §5.2. A frame may lie across chunks.
const headerBytes = 5;
const kinds = { text: 1, binary: 2, close: 8 } as const;
const noBytes = new Uint8Array();

/** Throws SOCKET_MESSAGE_TOO_LARGE, and SOCKET_FRAME_MALFORMED for a code or reason that no close has. */
export function encodeSocketFrame(frame: SocketFrame): Uint8Array {
  if (frame.type === 'binary') return framed(kinds.binary, frame.bytes);
  if (frame.type === 'text') return framed(kinds.text, new TextEncoder().encode(frame.text));
  const { code, reason } = frame;
  const text = new TextEncoder().encode(reason);
  if (!Number.isInteger(code) || code < 1000 || code > 4999) throw malformed(`a close code of "${code}"`);
  if (text.length > maxCloseReasonBytes) throw malformed(`a close reason of "${text.length}" bytes`);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >>> 8;
  payload[1] = code;
  payload.set(text, 2);
  return framed(kinds.close, payload);
}

function framed(kind: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  if (length > maxSocketMessageBytes) throw tooLarge(length);
  const bytes = new Uint8Array(headerBytes + length);
  bytes.set([kind, length >>> 24, length >>> 16, length >>> 8, length]);
  bytes.set(payload, headerBytes);
  return bytes;
}

/** Reads the frames of one direction, in whatever pieces they come. Holds at most one message. */
export class SocketFrameReader {
  #held: Uint8Array = noBytes;

  /** The frames that are whole with these bytes. Throws SOCKET_FRAME_MALFORMED, SOCKET_MESSAGE_TOO_LARGE before a message is held. */
  push(bytes: Uint8Array): SocketFrame[] {
    let rest = this.#held.length === 0 ? bytes : joined(this.#held, bytes);
    const frames: SocketFrame[] = [];
    while (rest.length >= headerBytes) {
      const [kind = 0, a = 0, b = 0, c = 0, d = 0] = rest;
      const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      if (length > maxSocketMessageBytes) throw tooLarge(length);
      if (rest.length < headerBytes + length) break;
      // A copy also where the bytes are a Buffer, whose slice() is a view.
      frames.push(frameOf(kind, new Uint8Array(rest.subarray(headerBytes, headerBytes + length))));
      rest = rest.subarray(headerBytes + length);
    }
    this.#held = new Uint8Array(rest);
    return frames;
  }
}

function frameOf(kind: number, payload: Uint8Array): SocketFrame {
  if (kind === kinds.binary) return { type: 'binary', bytes: payload };
  if (kind === kinds.text) return { type: 'text', text: textOf(payload) };
  if (kind !== kinds.close || payload.length < 2 || payload.length > 2 + maxCloseReasonBytes)
    throw malformed(`kind "${kind}" with "${payload.length}" bytes`);
  const [high = 0, low = 0] = payload;
  const code = (high << 8) | low;
  if (code < 1000 || code > 4999) throw malformed(`a close code of "${code}"`);
  return { type: 'close', code, reason: textOf(payload.subarray(2)) };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformed('a text that is not UTF-8');
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function tooLarge(length: number): SocketFrameError {
  return new SocketFrameError(
    'SOCKET_MESSAGE_TOO_LARGE',
    `A message has at most "${maxSocketMessageBytes}" bytes, got "${length}"`,
  );
}

function malformed(what: string): SocketFrameError {
  return new SocketFrameError('SOCKET_FRAME_MALFORMED', `Expected a message of a WebSocket session, got ${what}`);
}

/** What no WebSocket session says. */
export class SocketFrameError extends CloisterError<'SOCKET_FRAME_MALFORMED' | 'SOCKET_MESSAGE_TOO_LARGE'> {
  override readonly name = 'SocketFrameError';
  constructor(code: 'SOCKET_FRAME_MALFORMED' | 'SOCKET_MESSAGE_TOO_LARGE', message: string) {
    super({ code, message });
  }
}
