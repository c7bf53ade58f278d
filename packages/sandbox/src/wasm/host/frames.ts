/**
 * How the program inside the walls says what a call answers: frames of a kind, a length in four bytes and so many bytes.
 * First a head (JSON {status, headers}), unless the call failed before; then data; at last a report (JSON, `RunReport`).
 */
export const frameKinds = { head: 1, data: 2, report: 3 } as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];
export const frameHeadBytes = 5;
/** The most that one frame holds. */
export const maxFrameBytes = 1024 * 1024;

/** How a run ended, as the program inside the walls saw it. */
export type RunReport = {
  readonly status: 'ok' | 'app-error' | 'limit';
  readonly limit?: 'memory' | 'fuel' | 'stack';
  readonly message?: string;
  /** Units of fuel that were used, where they are counted. */
  readonly fuel?: number;
};

export function frame(kind: FrameKind, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(frameHeadBytes + payload.length);
  bytes[0] = kind;
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes.set(payload, frameHeadBytes);
  return bytes;
}

export function jsonFrame(kind: FrameKind, value: unknown): Uint8Array<ArrayBuffer> {
  return frame(kind, new TextEncoder().encode(JSON.stringify(value)));
}
