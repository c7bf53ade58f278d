/** Bytes before a frame's payload: its length (u24, big endian), type (u8) and stream id (u32, big endian). */
export const frameHeaderBytes = 8;
/** The most payload that one `data` or `end` frame carries. */
export const maxChunkBytes = 65_536;
/** What each side of a new stream may send before any `credit` frame. Part of the protocol, not a choice. */
export const initialCreditBytes = 65_536;
/** The most credit that a stream can ever hold: its window. */
export const maxCreditBytes = 262_144;
/** The most payload of an `open` or `head` frame. */
export const maxHeaderBytes = 4_096;
/** The most payload of a `control` frame: an announcement of 256 kB as a JSON string, every character escaped once. */
export const maxControlBytes = 540_672;
/** The most bytes of a reset's reason, as UTF-8. */
export const maxReasonBytes = 256;
/** The largest frame there is; a transport may refuse anything longer before reading it. */
export const maxFrameBytes = frameHeaderBytes + maxControlBytes;

/** What one side of a connection is ready to hold. Each has a default; see {@link defaultFrameLimits}. */
export type FrameLimits = {
  /** Streams open at once, per side that opened them. @default 256 */
  readonly maxStreams: number;
  /**
   * Received bytes that no reader has taken yet, over all streams. At least `maxStreams` × 128 kB, so that a new stream
   * of either side always gets its first credit; what is above that is lent to streams that need larger windows.
   * @default 67_108_864
   */
  readonly maxBufferedBytes: number;
  /** A stream without progress in either direction for so long is reset with `idle`. ms. @default 120_000 */
  readonly streamIdleMs: number;
  /** A stream older than this is reset with `deadline`. ms. @default 600_000 */
  readonly streamDeadlineMs: number;
  /** A ping is sent when nothing was heard for so long; twice that in silence and the peer is taken for dead. ms. @default 15_000 */
  readonly heartbeatMs: number;
  /** Bytes of replies (credits, pongs, resets, heads) that may wait for a peer that does not read. @default 262_144 */
  readonly maxUnreadReplyBytes: number;
};

export const defaultFrameLimits: FrameLimits = {
  maxStreams: 256,
  maxBufferedBytes: 67_108_864,
  streamIdleMs: 120_000,
  streamDeadlineMs: 600_000,
  heartbeatMs: 15_000,
  maxUnreadReplyBytes: 262_144,
};

/** The clock and timers that a mux uses; tests give their own. */
export type FrameTimers = {
  /** Monotonic, ms. */
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
};

export const systemTimers: FrameTimers = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
};
