import { CryptoError } from './errors.ts';

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes in lower-case hexadecimal with a 0x prefix. */
export function toHex(bytes: Uint8Array): `0x${string}` {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += hexPairs[bytes[i] as number];
  return `0x${text}`;
}

/** The bytes of a hexadecimal string, with or without a 0x prefix, in either case. Throws INVALID_HEX. */
export function fromHex(text: string): Uint8Array {
  const start = text.startsWith('0x') ? 2 : 0;
  const digits = text.length - start;
  if (digits % 2 !== 0) throw invalidHex(text);
  const bytes = new Uint8Array(digits / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = nibble(text.charCodeAt(start + 2 * i));
    const low = nibble(text.charCodeAt(start + 2 * i + 1));
    if (high < 0 || low < 0) throw invalidHex(text);
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

function nibble(charCode: number): number {
  if (charCode >= 48 && charCode <= 57) return charCode - 48;
  const lower = charCode | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Whether both hold the same bytes. The time taken depends on the lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** The UTF-8 bytes of a string. Throws INVALID_UTF8 for a lone surrogate, which has no UTF-8 form and would come back changed. */
export function utf8(text: string): Uint8Array {
  if (!text.isWellFormed())
    throw new CryptoError({ code: 'INVALID_UTF8', message: 'Expected text without lone surrogates' });
  return encoder.encode(text);
}

/** The string of UTF-8 bytes; a byte order mark stays in it. Throws INVALID_UTF8 for anything that is not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new CryptoError({
      code: 'INVALID_UTF8',
      message: `Expected UTF-8, got ${bytes.length} bytes that are not`,
      cause,
    });
  }
}

function invalidHex(text: string): CryptoError {
  return new CryptoError({
    code: 'INVALID_HEX',
    message: `Expected an even number of hexadecimal digits, got "${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`,
    meta: { length: text.length },
  });
}
