import { host } from './bridge.ts';

export type ByteSource = ArrayBuffer | ArrayBufferView;

/** Whether it is an ArrayBuffer or a view of one, whatever its prototype says. */
export function isByteSource(value: unknown): value is ByteSource {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

/** A copy of exactly these bytes. Throws TypeError for anything else. */
export function copyOf(value: unknown, what: string): ArrayBuffer {
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (!ArrayBuffer.isView(value)) throw new TypeError(`${what} is no ArrayBuffer and no view of one`);
  return (value.buffer as ArrayBuffer).slice(value.byteOffset, value.byteOffset + value.byteLength);
}

/** UTF-8, with U+FFFD for lone surrogates. */
export function utf8(text: string): ArrayBuffer {
  return host('encode', text.toWellFormed());
}

/** The text of UTF-8 bytes, with U+FFFD for what is malformed, without a byte order mark. */
export function textOf(bytes: ArrayBuffer): string {
  const text = host('decode', bytes, false) ?? '';
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
