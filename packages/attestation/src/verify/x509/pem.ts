import { utf8 } from '@cloister/crypto';
import { decodeBase64 } from '../base64.ts';
import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';

const begin = utf8('-----BEGIN CERTIFICATE-----');
const end = utf8('-----END CERTIFICATE-----');

/**
 * The certificates of a PEM chain (RFC 7468) in order, as DER. Between and after them only line breaks; in quotes also NUL
 * bytes at the end, as Intel's library writes them. Throws MALFORMED_PEM, MALFORMED_BASE64, TOO_LARGE, CHAIN_LENGTH.
 * @param maxCertificates refuses more than these before decoding them
 */
export function readPemChain(text: Uint8Array | string, maxCertificates: number, place: string): readonly Uint8Array[] {
  assertAtMost(text.length, bounds.certificateChain, place);
  const bytes = typeof text === 'string' ? asciiBytes(text, place) : text;
  const certificates: Uint8Array[] = [];
  let at = skipBlank(bytes, 0);
  while (at < bytes.length) {
    if (!startsWith(bytes, begin, at)) throw malformed(place, at);
    if (certificates.length === maxCertificates)
      throw new AttestationError({
        code: 'CHAIN_LENGTH',
        place,
        message: `Expected at most ${maxCertificates} certificates at "${place}"`,
      });
    const from = at + begin.length;
    let to = from;
    while (to < bytes.length && bytes[to] !== 0x2d) to++;
    if (!startsWith(bytes, end, to)) throw malformed(place, to);
    certificates.push(decodeBase64(bytes, from, to, true, place));
    at = skipBlank(bytes, to + end.length);
  }
  return certificates;
}

function skipBlank(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] === 0x0a || bytes[at] === 0x0d)) at++;
  let nul = at;
  while (nul < bytes.length && bytes[nul] === 0) nul++;
  return nul === bytes.length ? nul : at;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array, at: number): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[at + index] !== prefix[index]) return false;
  return true;
}

function asciiBytes(text: string, place: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) throw malformed(place, index);
    bytes[index] = code;
  }
  return bytes;
}

function malformed(place: string, at: number): AttestationError {
  return new AttestationError({
    code: 'MALFORMED_PEM',
    place: `${place} @ ${at}`,
    message: `Expected a PEM certificate at "${place} @ ${at}"`,
  });
}
