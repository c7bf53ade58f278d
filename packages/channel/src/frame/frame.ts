import { CloisterError } from '@cloister/core';
import {
  frameHeaderBytes,
  maxChunkBytes,
  maxControlBytes,
  maxCreditBytes,
  maxHeaderBytes,
  maxReasonBytes,
} from './limits.ts';

/**
 * One frame of the relay: `payload length u24 | type u8 | stream id u32 | payload`, integers big endian. A message of
 * the transport carries one or more whole frames.
 *
 * - `open` begins a stream; payload: the opener's header. `head`: the acceptor's header, at most once, before its data.
 * - `data` 1 to 64 kB, within the credit that the other side gave. `end`: half-close, with 0 to 64 kB of last data.
 * - `reset`: code u16, then a reason in UTF-8; closes both directions.
 * - `credit`: u32, so many more bytes may be sent on this stream.
 * - `ping`, `pong` (8 bytes, echoed) and `control` (one JSON message) belong to the connection: stream id 0.
 */
export type Frame = { readonly type: FrameType; readonly streamId: number; readonly payload: Uint8Array };

export const frameTypes = ['open', 'head', 'data', 'end', 'reset', 'credit', 'ping', 'pong', 'control'] as const;
export type FrameType = (typeof frameTypes)[number];

type PayloadRule = { readonly code: number; readonly min: number; readonly max: number; readonly connection: boolean };

const rules: Record<FrameType, PayloadRule> = {
  open: { code: 1, min: 0, max: maxHeaderBytes, connection: false },
  head: { code: 2, min: 0, max: maxHeaderBytes, connection: false },
  data: { code: 3, min: 1, max: maxChunkBytes, connection: false },
  end: { code: 4, min: 0, max: maxChunkBytes, connection: false },
  reset: { code: 5, min: 2, max: 2 + maxReasonBytes, connection: false },
  credit: { code: 6, min: 4, max: 4, connection: false },
  ping: { code: 7, min: 8, max: 8, connection: true },
  pong: { code: 8, min: 8, max: 8, connection: true },
  control: { code: 9, min: 1, max: maxControlBytes, connection: true },
};

/** The bytes of a frame. The payload is copied. Throws FrameError where the other side would refuse it. */
export function encodeFrame(type: FrameType, streamId: number, payload: Uint8Array): Uint8Array {
  checkRule(type, streamId, payload.length);
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  bytes[0] = payload.length >>> 16;
  bytes[1] = payload.length >>> 8;
  bytes[2] = payload.length;
  bytes[3] = rules[type].code;
  bytes[4] = streamId >>> 24;
  bytes[5] = streamId >>> 16;
  bytes[6] = streamId >>> 8;
  bytes[7] = streamId;
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

/**
 * Reads the frame that begins at `offset`; it takes `frameHeaderBytes` and its payload, which is a view of `bytes`.
 * Throws FrameError for anything that {@link encodeFrame} can't have made.
 */
export function parseFrame(bytes: Uint8Array, offset = 0): Frame {
  const payloadAt = offset + frameHeaderBytes;
  const missing = payloadAt - bytes.length;
  if (missing > 0)
    throw new FrameError(
      'FRAME_TOO_SHORT',
      `Expected the ${frameHeaderBytes} bytes of a frame's header, got "${frameHeaderBytes - missing}"`,
    );
  const byte = (index: number): number => bytes[offset + index] as number;
  const length = (byte(0) << 16) | (byte(1) << 8) | byte(2);
  const type = frameTypes[byte(3) - 1];
  if (type === undefined)
    throw new FrameError('FRAME_UNKNOWN_TYPE', `Expected a known frame type, got "${byte(3)}"`, { type: byte(3) });
  const streamId = ((byte(4) << 24) | (byte(5) << 16) | (byte(6) << 8) | byte(7)) >>> 0;
  checkRule(type, streamId, length);
  if (payloadAt + length > bytes.length)
    throw new FrameError('FRAME_TOO_SHORT', `Expected "${length}" bytes of payload, got ${bytes.length - payloadAt}`, {
      type,
      length,
    });
  return { type, streamId, payload: bytes.subarray(payloadAt, payloadAt + length) };
}

/** Payload of a `credit` frame. */
export function encodeCredit(bytes: number): Uint8Array {
  return new Uint8Array([bytes >>> 24, bytes >>> 16, bytes >>> 8, bytes]);
}

/** 1 to 256 kB. Throws FRAME_BAD_CREDIT. */
export function parseCredit(payload: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = payload;
  const credit = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  if (credit === 0 || credit > maxCreditBytes)
    throw new FrameError('FRAME_BAD_CREDIT', `Expected a credit of 1 to ${maxCreditBytes} bytes, got "${credit}"`, {
      credit,
    });
  return credit;
}

/** Why a stream was reset. */
export const resetCodes = ['cancelled', 'refused', 'internal', 'too-large', 'deadline', 'idle', 'unavailable'] as const;
export type ResetCode = (typeof resetCodes)[number];

/** Payload of a `reset` frame; a reason longer than 256 bytes is cut. */
export function encodeReset(code: ResetCode, reason: string): Uint8Array {
  const payload = new Uint8Array(2 + maxReasonBytes);
  payload[1] = resetCodes.indexOf(code) + 1;
  const { written } = new TextEncoder().encodeInto(reason, payload.subarray(2));
  return payload.subarray(0, 2 + written);
}

/** A code of a later version reads as `internal`; a reason that isn't UTF-8 is FRAME_BAD_RESET. */
export function parseReset(payload: Uint8Array): { code: ResetCode; reason: string } {
  const [high = 0, low = 0] = payload;
  try {
    const reason = new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(2));
    return { code: resetCodes[((high << 8) | low) - 1] ?? 'internal', reason };
  } catch (cause) {
    throw new FrameError('FRAME_BAD_RESET', 'Expected the reason of a reset to be UTF-8', {}, cause);
  }
}

function checkRule(type: FrameType, streamId: number, length: number): void {
  const rule = rules[type];
  if (rule.connection !== (streamId === 0))
    throw new FrameError(
      'FRAME_BAD_STREAM_ID',
      `Expected a "${type}" frame ${rule.connection ? 'on stream 0' : 'on a stream'}, got "${streamId}"`,
      { type, streamId },
    );
  if (length < rule.min || length > rule.max)
    throw new FrameError(
      'FRAME_BAD_LENGTH',
      `Expected ${rule.min} to ${rule.max} bytes in a "${type}" frame, got "${length}"`,
      { type, length },
    );
}

export type FrameErrorCode =
  | 'FRAME_TOO_SHORT'
  | 'FRAME_UNKNOWN_TYPE'
  | 'FRAME_BAD_STREAM_ID'
  | 'FRAME_BAD_LENGTH'
  | 'FRAME_BAD_CREDIT'
  | 'FRAME_BAD_RESET'
  /** An `open` with an id that isn't higher than all before. */
  | 'STREAM_ID_REUSED'
  /** An `open` with an id that only the other side may use. */
  | 'STREAM_ID_OF_OTHER_SIDE'
  /** A frame for a stream that was never opened. */
  | 'STREAM_UNKNOWN'
  /** More data than the credit allows. */
  | 'CREDIT_OVERRUN'
  /** More credit than the window allows. */
  | 'CREDIT_OVERFLOW'
  | 'DATA_AFTER_END'
  /** A `head` from the opener, a second one, or one after data. */
  | 'HEAD_MISPLACED'
  /** The peer sends but does not read. */
  | 'PEER_NOT_READING'
  /** Nothing was heard from the peer for two heartbeats. */
  | 'PEER_SILENT'
  | 'TRANSPORT_FAILED'
  /** A handler of control messages or streams refused what it was given. */
  | 'HANDLER_FAILED';

/** The whole connection is broken and must be closed: the peer does not follow the protocol, or is gone. */
export class FrameError extends CloisterError<FrameErrorCode> {
  override readonly name = 'FrameError';
  constructor(code: FrameErrorCode, message: string, meta: Record<string, unknown> = {}, cause?: unknown) {
    super({ code, message, meta, cause, hint: 'Close the connection and dial again', retry: true });
  }
}
