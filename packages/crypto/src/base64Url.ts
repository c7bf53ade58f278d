import { CryptoError } from './errors.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const values = new Map(Array.from(alphabet, (character, value) => [character.charCodeAt(0), value]));

/** The bytes in base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += alphabet[(held >> bits) & 63];
    }
  }
  if (bits > 0) text += alphabet[(held << (6 - bits)) & 63];
  return text;
}

/**
 * The bytes of base64url text without padding. One text for one value: characters outside the alphabet, padding, an
 * impossible length and unused bits that are not zero are all INVALID_BASE64URL.
 */
export function fromBase64Url(text: string): Uint8Array {
  if (text.length % 4 === 1) throw invalidBase64Url(text);
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const value = values.get(text.charCodeAt(i));
    if (value === undefined) throw invalidBase64Url(text);
    held = ((held << 6) | value) & 0xfff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 255;
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw invalidBase64Url(text);
  return bytes;
}

function invalidBase64Url(text: string): CryptoError {
  return new CryptoError({
    code: 'INVALID_BASE64URL',
    // The text may be a bearer secret: only its length is said.
    message: `Expected canonical base64url without padding, got ${text.length} characters that are not`,
    meta: { length: text.length },
  });
}
