import { constants, generateKeyPairSync, type KeyObject, type SigningOptions, sign } from 'node:crypto';
import { sha256, toBase64Url, utf8 } from '@cloister/crypto';
import { now } from '../synthetic.ts';

/** A made-up issuer's key, and its public half as a JWK. */
export type SigningKey = {
  readonly algorithm: 'ES256' | 'ES384' | 'RS256' | 'PS384';
  readonly privateKey: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
};

export const issuer = 'https://issuer.example';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

export function makeSigningKey(algorithm: SigningKey['algorithm'], kid: string): SigningKey {
  const { privateKey, publicKey } = algorithm.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: algorithm === 'ES256' ? 'P-256' : 'P-384' })
    : rsa;
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: algorithm };
  return { algorithm, privateKey, jwk };
}

export const keys = {
  ES256: makeSigningKey('ES256', 'es256'),
  ES384: makeSigningKey('ES384', 'es384'),
  RS256: makeSigningKey('RS256', 'rs256'),
  PS384: makeSigningKey('PS384', 'ps384'),
} as const;

export const jwks = JSON.stringify({ keys: Object.values(keys).map(({ jwk }) => jwk) });

export type MintTokenOptions = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
};

/** A token with good dates and issuer: good unless the options say otherwise. */
export function mintToken(key: SigningKey, options: MintTokenOptions = {}): string {
  const header = { alg: key.algorithm, typ: 'JWT', kid: key.jwk.kid, ...options.header };
  const claims = { iss: issuer, iat: now - 10, nbf: now - 10, exp: now + 3600, ...options.claims };
  const head = `${encode(header)}.${encode(claims)}`;
  return `${head}.${toBase64Url(signatureOf(key, utf8(head)))}`;
}

export function encode(json: unknown): string {
  return toBase64Url(utf8(JSON.stringify(json)));
}

export function signatureOf({ algorithm, privateKey }: SigningKey, message: Uint8Array): Uint8Array {
  const hash = algorithm.endsWith('384') ? 'sha384' : 'sha256';
  const options: Readonly<Record<SigningKey['algorithm'], SigningOptions>> = {
    ES256: { dsaEncoding: 'ieee-p1363' },
    ES384: { dsaEncoding: 'ieee-p1363' },
    RS256: { padding: constants.RSA_PKCS1_PADDING },
    PS384: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 },
  };
  return Uint8Array.from(sign(hash, message, { key: privateKey, ...options[algorithm] }));
}

export const nonce = 'ab'.repeat(32);

/** The claims of a GPU that is as it should be, in the form of NVIDIA's real ones. */
export const gpuClaims = {
  dbgstat: 'disabled',
  eat_nonce: nonce,
  hwmodel: 'GH100 A01 GSP BROM',
  measres: 'success',
  oemid: '5703',
  secboot: true,
  ueid: '457723480349051719100670602112458195243836813799',
  'x-nvidia-device-type': 'gpu',
  'x-nvidia-gpu-arch-check': true,
  'x-nvidia-gpu-attestation-report-nonce-match': true,
  'x-nvidia-gpu-attestation-report-signature-verified': true,
  'x-nvidia-gpu-driver-version': '580.159.03',
  'x-nvidia-gpu-vbios-version': '96.00.D9.00.01',
} as const;

export type GpuAnswerOptions = {
  readonly overall?: Readonly<Record<string, unknown>>;
  readonly gpu?: Readonly<Record<string, unknown>>;
  readonly count?: number;
  readonly overallKey?: SigningKey;
  readonly gpuKey?: SigningKey;
  /** Changes to the tokens after the overall token was made. */
  readonly tokens?: (tokens: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
};

/** The answer of an attestation service: good unless the options say otherwise. */
export function mintGpuAnswer(options: GpuAnswerOptions = {}): string {
  const { count = 1, overallKey = keys.ES384, gpuKey = keys.ES384 } = options;
  const ids = Array.from({ length: count }, (_, index) => `GPU-${index}`);
  const tokens = Object.fromEntries(
    ids.map((id) => [id, mintToken(gpuKey, { claims: { ...gpuClaims, ...options.gpu } })]),
  );
  const submods = Object.fromEntries(
    Object.entries(tokens).map(([id, token]) => [
      id,
      ['DIGEST', ['SHA256', Buffer.from(sha256(utf8(token))).toString('hex')]],
    ]),
  );
  const claims = {
    sub: 'NVIDIA-PLATFORM-ATTESTATION',
    'x-nvidia-ver': '3.0',
    'x-nvidia-overall-att-result': true,
    eat_nonce: nonce,
    submods,
    ...options.overall,
  };
  return JSON.stringify([['JWT', mintToken(overallKey, { claims })], options.tokens?.(tokens) ?? tokens]);
}
