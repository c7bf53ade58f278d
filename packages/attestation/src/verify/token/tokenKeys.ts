import { fromBase64Url, fromUtf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import type { PublicKey } from '../x509/publicKey.ts';

/** Algorithms of signed tokens (RFC 7518 §3.1) that are verified. */
export const tokenAlgorithms = ['ES256', 'ES384', 'RS256', 'PS384'] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

/** A key that signs tokens. It signs by one algorithm alone, whatever a token says. */
export type TokenKey = {
  readonly id: string | undefined;
  readonly algorithm: TokenAlgorithm;
  readonly publicKey: PublicKey;
};

const maxKeys = 64;
/** Curves with their algorithm, their kind here and the bytes of a coordinate. */
const curves = {
  'P-256': { algorithm: 'ES256', kind: 'p256', length: 32 },
  'P-384': { algorithm: 'ES384', kind: 'p384', length: 48 },
} as const;

/**
 * Reads a JWK set (RFC 7517), which the caller got from whom it trusts: nothing here fetches keys. A key's algorithm is its
 * `alg`, or what its type implies (RSA: RS256). Keys for other uses, and of types that are not verified, are passed over.
 * Throws MALFORMED_KEYS, MALFORMED_JSON, TOO_LARGE.
 */
export function readTokenKeys(jwks: Uint8Array | string, path = 'keys'): readonly TokenKey[] {
  assertAtMost(jwks.length, bounds.signedJson, path);
  const json = JsonValue.parse(typeof jwks === 'string' ? jwks : keysText(jwks, path), path, 'MALFORMED_KEYS');
  const keys = json.member('keys').items(maxKeys).flatMap(readKey);
  if (keys.length === 0) throw json.fail('Expected a key that can sign tokens');
  return keys;
}

function readKey(json: JsonValue): readonly TokenKey[] {
  const use = json.member('use');
  if (!use.absent && use.text(16) !== 'sig') return [];
  const kid = json.member('kid');
  const id = kid.absent ? undefined : kid.text(256);
  const type = json.member('kty').text(16);
  if (type === 'EC') return readEcKey(json, id);
  return type === 'RSA' ? readRsaKey(json, id) : [];
}

function readEcKey(json: JsonValue, id: string | undefined): readonly TokenKey[] {
  const name = json.member('crv').text(16);
  if (name !== 'P-256' && name !== 'P-384') return [];
  const { algorithm, kind, length } = curves[name];
  const alg = json.member('alg');
  if (!alg.absent) alg.oneOf([algorithm]);
  const point = new Uint8Array(2 * length);
  for (const [index, coordinate] of ['x', 'y'].entries()) {
    const bytes = readNumber(json.member(coordinate), length);
    if (bytes.length !== length) throw json.member(coordinate).fail(`Expected ${length} bytes`);
    point.set(bytes, index * length);
  }
  return [{ id, algorithm, publicKey: { kind, point } }];
}

function readRsaKey(json: JsonValue, id: string | undefined): readonly TokenKey[] {
  const alg = json.member('alg');
  const algorithm = alg.absent ? 'RS256' : alg.text(16);
  if (algorithm !== 'RS256' && algorithm !== 'PS384') return [];
  const [modulus, exponent] = [readNumber(json.member('n'), 512), readNumber(json.member('e'), 4)];
  return [{ id, algorithm, publicKey: { kind: 'rsa', modulus, exponent } }];
}

function readNumber(json: JsonValue, maxBytes: number): Uint8Array {
  const text = json.text(Math.ceil((maxBytes * 4) / 3));
  try {
    return fromBase64Url(text);
  } catch {
    throw json.fail('Expected a number in base64url');
  }
}

function keysText(bytes: Uint8Array, path: string): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({ code: 'MALFORMED_JSON', place: path, message: 'Expected the keys in UTF-8', cause });
  }
}
