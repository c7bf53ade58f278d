import { AttestationError } from './errors.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const values = new Int8Array(256).fill(-1);
for (let value = 0; value < 64; value++) values[alphabet.charCodeAt(value)] = value;
const padding = 0x3d;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += alphabet.charAt(group >> 18) + alphabet.charAt((group >> 12) & 63);
    text += left > 1 ? alphabet.charAt((group >> 6) & 63) : '=';
    text += left > 2 ? alphabet.charAt(group & 63) : '=';
  }
  return text;
}

/**
 * Strict base64 (RFC 4648 §4): padded, no other characters, unused bits zero, so that one value has one text. Throws
 * MALFORMED_BASE64.
 * @param text ASCII
 */
export function fromBase64(text: string, place: string): Uint8Array {
  const ascii = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    ascii[index] = code < 128 ? code : 0;
  }
  return decodeBase64(ascii, 0, ascii.length, false, place);
}

/** As {@link fromBase64} over ASCII bytes from `start` to `end`, line breaks allowed where `lines` (RFC 7468). */
export function decodeBase64(ascii: Uint8Array, start: number, end: number, lines: boolean, place: string): Uint8Array {
  const out = new Uint8Array(Math.floor(((end - start) * 3) / 4));
  let length = 0;
  let held = 0;
  let count = 0;
  let pads = 0;
  for (let at = start; at < end; at++) {
    const byte = ascii[at] ?? 0;
    if (lines && (byte === lineFeed || byte === carriageReturn)) continue;
    if (byte === padding) {
      pads++;
      continue;
    }
    const value = values[byte] ?? -1;
    if (value < 0 || pads > 0) throw malformed(place, at);
    held = ((held << 6) | value) & 0xffffff;
    count++;
    if (count % 4 === 0) {
      out[length] = held >> 16;
      out[length + 1] = (held >> 8) & 0xff;
      out[length + 2] = held & 0xff;
      length += 3;
    }
  }
  const rest = count % 4;
  if (pads !== (4 - rest) % 4 || rest === 1) throw malformed(place, end);
  if (rest === 2) {
    if ((held & 0x0f) !== 0) throw malformed(place, end);
    out[length++] = (held >> 4) & 0xff;
  } else if (rest === 3) {
    if ((held & 0x03) !== 0) throw malformed(place, end);
    out[length++] = (held >> 10) & 0xff;
    out[length++] = (held >> 2) & 0xff;
  }
  return out.subarray(0, length);
}

function malformed(place: string, at: number): AttestationError {
  return new AttestationError({
    code: 'MALFORMED_BASE64',
    place: `${place} @ ${at}`,
    message: `Expected canonical base64 at "${place} @ ${at}"`,
  });
}
