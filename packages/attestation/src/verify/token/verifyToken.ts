import { type Awaitable, engine, fromBase64Url, fromUtf8, utf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import { assertUnixTime, isoTime } from '../x509/times.ts';
import { type TokenKey, tokenAlgorithms } from './tokenKeys.ts';

export type VerifyTokenOptions = {
  /** Of the issuer, as the caller trusts them: see `readTokenKeys`. A token's own word on keys is never read. */
  readonly keys: readonly TokenKey[];
  /** Unix seconds. */
  readonly now: number;
  /** `iss`, exactly. */
  readonly issuer: string;
  /** `aud`. Default: none, and a token that is for somebody is refused. */
  readonly audience?: string | undefined;
  /** How far the issuer's clock may be off, in seconds. Default: 60. */
  readonly maxSkewSeconds?: number | undefined;
  /** What it is called in errors. Default: `token`. */
  readonly place?: string | undefined;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** A token that its issuer signed and that is valid now. */
export type VerifiedToken = {
  /** All claims; read strictly what you use. */
  readonly claims: JsonValue;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
};

const defaultSkewSeconds = 60;
const maxTime = 0xffffffffff;

/**
 * Verifies a JWT in compact JWS form (RFC 7519, RFC 8725): which algorithm counts is the key's matter, the header must agree
 * with it; `none`, critical extensions and encrypted tokens are refused; `exp` and `iat` must be there. Throws MALFORMED_TOKEN,
 * UNSUPPORTED_TOKEN, KEY_UNKNOWN, SIGNATURE_INVALID, EXPIRED, NOT_YET_VALID, ISSUER_MISMATCH, AUDIENCE_MISMATCH, TOO_LARGE,
 * INVALID_TIME.
 */
export async function verifyToken(token: string, options: VerifyTokenOptions): Promise<VerifiedToken> {
  const { keys, now, issuer, audience, place = 'token', checks } = options;
  assertUnixTime(now);
  const { header, payload, signedPart, signature } = check(checks, 'form', 'The token has its form', () =>
    parseToken(token, place),
  );
  const key = check(checks, 'key', 'Its issuer has a key that signs as its header says', () =>
    chooseKey(header, keys, place),
  );
  await check(checks, 'signature', 'That key signed it', async (inner) => {
    inner?.note(key.algorithm);
    if (!(await holds(key, signedPart, signature)))
      throw new AttestationError({
        code: 'SIGNATURE_INVALID',
        place,
        message: `Expected a valid signature of "${place}"`,
      });
  });
  check(checks, 'issuer', 'It is of the expected issuer', () => assertIssuer(payload, issuer));
  check(checks, 'audience', 'It is not meant for somebody else', () => assertAudience(payload, audience));
  const dates = check(checks, 'dates', 'It is valid now', (inner) => {
    const read = readDates(payload);
    assertDates(read, now, options.maxSkewSeconds ?? defaultSkewSeconds, place);
    inner?.note(`until ${isoTime(read.notAfter)}`);
    return read;
  });
  return { claims: payload, issuedAt: dates.issuedAt, notAfter: dates.notAfter };
}

type ParsedToken = {
  readonly header: JsonValue;
  readonly payload: JsonValue;
  readonly signedPart: Uint8Array;
  readonly signature: Uint8Array;
};

function parseToken(token: string, place: string): ParsedToken {
  assertAtMost(token.length, bounds.token, place);
  const [header, payload, signature, ...more] = token.split('.', 4);
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0)
    throw malformed(place, 'Expected three parts');
  const read = (part: string, name: string): Uint8Array => {
    try {
      return fromBase64Url(part);
    } catch (cause) {
      throw malformed(`${place}.${name}`, 'Expected base64url', cause);
    }
  };
  const parse = (part: string, name: string): JsonValue => {
    let text: string;
    try {
      text = fromUtf8(read(part, name));
    } catch (cause) {
      if (cause instanceof AttestationError) throw cause;
      throw malformed(`${place}.${name}`, 'Expected UTF-8', cause);
    }
    return JsonValue.parse(text, `${place}.${name}`, 'MALFORMED_TOKEN');
  };
  return {
    header: parse(header, 'header'),
    payload: parse(payload, 'payload'),
    signedPart: utf8(`${header}.${payload}`),
    signature: read(signature, 'signature'),
  };
}

/** The one key that the header names; it must sign by the algorithm that the header names. */
function chooseKey(header: JsonValue, keys: readonly TokenKey[], place: string): TokenKey {
  const alg = header.member('alg').text(16);
  if (!tokenAlgorithms.some((known) => known === alg))
    throw new AttestationError({
      code: 'UNSUPPORTED_TOKEN',
      place: `${place}.header.alg`,
      value: alg,
      message: `Expected a token signed by "${tokenAlgorithms.join('" or "')}", got "${alg}"`,
      ...(alg === 'none' ? { hint: 'It is not signed at all: anyone can have made it' } : {}),
    });
  const critical = header.member('crit');
  if (!critical.absent)
    throw new AttestationError({
      code: 'UNSUPPORTED_TOKEN',
      place: critical.path,
      message: 'Expected no critical extension of the header',
    });
  const kid = header.member('kid');
  const id = kid.absent ? undefined : kid.text(256);
  const named = keys.filter((key) => id === undefined || key.id === id);
  const [key, second] = named;
  if (key === undefined || second !== undefined)
    throw new AttestationError({
      code: 'KEY_UNKNOWN',
      place: `${place}.header.kid`,
      value: id,
      message: `Expected the header to name one of the issuer's ${keys.length} keys, got "${id ?? 'none'}"`,
      hint: "Get the issuer's keys anew",
    });
  if (key.algorithm !== alg)
    throw new AttestationError({
      code: 'UNSUPPORTED_TOKEN',
      place: `${place}.header.alg`,
      value: alg,
      message: `Expected "${key.algorithm}", by which this key signs, got "${alg}"`,
    });
  return key;
}

function holds({ algorithm, publicKey }: TokenKey, message: Uint8Array, signature: Uint8Array): Awaitable<boolean> {
  switch (algorithm) {
    case 'ES256':
      return publicKey.kind === 'p256' && engine.verifyP256(publicKey.point, message, signature);
    case 'ES384':
      return publicKey.kind === 'p384' && engine.verifyP384(publicKey.point, message, signature);
    case 'RS256':
      return publicKey.kind === 'rsa' && engine.verifyRsaPkcs1(publicKey, message, signature);
    case 'PS384':
      return publicKey.kind === 'rsa' && engine.verifyRsaPss(publicKey, message, signature);
  }
}

function assertIssuer(payload: JsonValue, expected: string): void {
  const iss = payload.member('iss');
  const issuer = iss.text(1024);
  if (issuer !== expected)
    throw new AttestationError({
      code: 'ISSUER_MISMATCH',
      place: iss.path,
      value: issuer,
      message: `Expected a token of "${expected}", got one of "${issuer}"`,
    });
}

/** RFC 7519 §4.1.3: a token with an audience is refused by whoever is not in it. */
function assertAudience(payload: JsonValue, expected: string | undefined): void {
  const aud = payload.member('aud');
  if (aud.absent && expected === undefined) return;
  const audiences = aud.absent
    ? []
    : Array.isArray(aud.raw)
      ? aud.items(16).map((item) => item.text(1024))
      : [aud.text(1024)];
  if (expected !== undefined && audiences.includes(expected)) return;
  throw new AttestationError({
    code: 'AUDIENCE_MISMATCH',
    place: aud.path,
    value: audiences.join(' '),
    message: `Expected a token for "${expected ?? 'anybody'}", got one for "${audiences.join('", "') || 'anybody'}"`,
  });
}

type Dates = { readonly issuedAt: number; readonly notBefore: number; readonly notAfter: number };

function readDates(payload: JsonValue): Dates {
  const issuedAt = payload.member('iat').integer(maxTime);
  const nbf = payload.member('nbf');
  return {
    issuedAt,
    notBefore: nbf.absent ? issuedAt : nbf.integer(maxTime),
    notAfter: payload.member('exp').integer(maxTime),
  };
}

function assertDates({ issuedAt, notBefore, notAfter }: Dates, now: number, skew: number, place: string): void {
  assertUnixTime(skew);
  for (const [claim, begin] of [
    ['iat', issuedAt],
    ['nbf', notBefore],
  ] as const)
    if (begin > now + skew)
      throw new AttestationError({
        code: 'NOT_YET_VALID',
        place: `${place}.payload.${claim}`,
        value: begin,
        message: `Expected "${place}" to be valid at "${isoTime(now)}", it begins at "${isoTime(begin)}"`,
        hint: 'Check the clock',
      });
  if (notAfter + skew <= now || notAfter <= notBefore)
    throw new AttestationError({
      code: 'EXPIRED',
      place: `${place}.payload.exp`,
      value: notAfter,
      message: `Expected "${place}" to be valid at "${isoTime(now)}", it ended at "${isoTime(notAfter)}"`,
      hint: 'Get a fresh token, or check the clock',
    });
}

function malformed(place: string, message: string, cause?: unknown): AttestationError {
  return new AttestationError({ code: 'MALFORMED_TOKEN', place, message: `${message} at "${place}"`, cause });
}
