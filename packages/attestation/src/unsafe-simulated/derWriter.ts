import { concatBytes, utf8 } from '@cloister/crypto';

// DER as X.690 §10 has it, for making synthetic certificates. It writes whatever it is told: hostile variants are its purpose.

/** One element. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  return concatBytes(Uint8Array.of(tag), lengthOf(body.length), body);
}

export const sequence = (...contents: readonly Uint8Array[]): Uint8Array => der(0x30, ...contents);
export const set = (...contents: readonly Uint8Array[]): Uint8Array => der(0x31, ...contents);
export const octetString = (bytes: Uint8Array): Uint8Array => der(0x04, bytes);
export const utf8String = (text: string): Uint8Array => der(0x0c, utf8(text));
export const printableString = (text: string): Uint8Array => der(0x13, utf8(text));
export const derTrue = der(0x01, Uint8Array.of(0xff));

/** A BIT STRING; `unused` bits at its end. */
export function bitString(bytes: Uint8Array, unused = 0): Uint8Array {
  return der(0x03, Uint8Array.of(unused), bytes);
}

/** A non-negative INTEGER from big-endian bytes. */
export function integerOfBytes(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return der(0x02, (trimmed[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), trimmed);
}

/** A non-negative INTEGER, or ENUMERATED by `tag`, below 2^31. */
export function integer(value: number): Uint8Array {
  return integerOfBytes(
    Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff),
  );
}

export const enumerated = (value: number): Uint8Array => der(0x0a, Uint8Array.of(value));

/** An OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der(0x06, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(unixSeconds: number): Uint8Array {
  const digits = new Date(unixSeconds * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return Number(digits.slice(0, 4)) < 2050 ? der(0x17, utf8(digits.slice(2))) : der(0x18, utf8(digits));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left & 0xff);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}
