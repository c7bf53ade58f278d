import { createHmac } from 'node:crypto';
import { toBase64Url, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  nvidiaIssuer,
  readTokenKeys,
  type TokenKey,
  type VerifyTokenOptions,
  verifyGpuTokens,
  verifyToken,
} from '../../src/verify/index.ts';
import { fixtureJson, hasFixtures } from '../fixtures.ts';
import { now, outcome } from '../synthetic.ts';
import {
  encode,
  type GpuAnswerOptions,
  issuer,
  jwks,
  keys,
  makeSigningKey,
  mintGpuAnswer,
  mintToken,
  nonce,
  signatureOf,
} from './syntheticToken.ts';

const trusted = readTokenKeys(jwks);
const only = (id: string): readonly TokenKey[] => trusted.filter((key) => key.id === id);

/** `ok`, or `CODE at place`. */
async function verdict(token: string, options: Partial<VerifyTokenOptions> = {}): Promise<string> {
  return outcome(async () => {
    await verifyToken(token, { keys: trusted, now, issuer, ...options });
    return 'ok';
  });
}

describe('tokens', () => {
  test.each(Object.values(keys))('by $algorithm', async (key) => {
    const token = mintToken(key, { claims: { hello: 'world' } });
    const verified = await verifyToken(token, { keys: trusted, now, issuer });
    expect(verified.claims.member('hello').text(10)).toBe('world');
    expect(verified).toMatchObject({ issuedAt: now - 10, notAfter: now + 3600 });
    expect(await verdict(token, { keys: only(String(key.jwk.kid)) })).toBe('ok');
    const [header, payload, signature = ''] = token.split('.');
    const changed = `${signature.slice(0, 20)}${signature[20] === 'A' ? 'B' : 'A'}${signature.slice(21)}`;
    expect(await verdict(`${header}.${payload}.${changed}`)).toBe('SIGNATURE_INVALID at token');
    expect(await verdict(`${header}.${encode({ iss: issuer })}.${signature}`)).toBe('SIGNATURE_INVALID at token');
    expect(await verdict(`${header}.${payload}.`)).toBe('SIGNATURE_INVALID at token');
  });

  test('by a key without an id, where it is the only one', async () => {
    const token = mintToken(keys.ES384, { header: { kid: undefined } });
    expect(await verdict(token, { keys: only('es384') })).toBe('ok');
    expect(await verdict(token)).toBe('KEY_UNKNOWN at token.header.kid');
  });

  test('unsigned ones are refused, however "none" is written', async () => {
    const unsigned = (alg: string): string => `${encode({ alg })}.${encode({ iss: issuer, iat: now, exp: now + 60 })}.`;
    for (const alg of ['none', 'None', 'NONE', 'nOnE', ''])
      expect(await verdict(unsigned(alg), { keys: only('es384') })).toBe('UNSUPPORTED_TOKEN at token.header.alg');
  });

  test("one signed with the issuer's public key as a shared secret", async () => {
    const head = `${encode({ alg: 'HS256', kid: 'es256' })}.${encode({ iss: issuer, iat: now, exp: now + 60 })}`;
    const mac = createHmac('sha256', JSON.stringify(keys.ES256.jwk)).update(head).digest();
    expect(await verdict(`${head}.${toBase64Url(mac)}`)).toBe('UNSUPPORTED_TOKEN at token.header.alg');
  });

  test("the header can't choose the algorithm: it is the key's", async () => {
    for (const alg of ['RS256', 'ES256', 'ES384'])
      expect(await verdict(mintToken(keys.PS384, { header: { alg } }))).toBe('UNSUPPORTED_TOKEN at token.header.alg');
    for (const alg of ['RS384', 'RS512', 'PS256', 'ES512', 'EdDSA', 'HS384', 'dir'])
      expect(await verdict(mintToken(keys.ES384, { header: { alg } }))).toBe('UNSUPPORTED_TOKEN at token.header.alg');
    // The same RSA key under both algorithms: each of the two keys takes its own only.
    expect(await verdict(mintToken({ ...keys.RS256, algorithm: 'PS384' }, { header: { kid: 'rs256' } }))).toBe(
      'UNSUPPORTED_TOKEN at token.header.alg',
    );
  });

  test('a key that the token brings itself is not read', async () => {
    const stranger = makeSigningKey('ES384', 'stranger');
    const header = { jwk: stranger.jwk, jku: 'https://stranger.example', x5c: ['AAAA'] };
    expect(await verdict(mintToken(stranger, { header }))).toBe('KEY_UNKNOWN at token.header.kid');
    expect(await verdict(mintToken(stranger, { header: { ...header, kid: 'es384' } }))).toBe(
      'SIGNATURE_INVALID at token',
    );
  });

  test('two keys of one name are none', async () => {
    const twice = [...only('es384'), ...only('es384')];
    expect(await verdict(mintToken(keys.ES384), { keys: twice })).toBe('KEY_UNKNOWN at token.header.kid');
    expect(await verdict(mintToken(keys.ES384), { keys: [] })).toBe('KEY_UNKNOWN at token.header.kid');
  });

  test('critical extensions', async () => {
    expect(await verdict(mintToken(keys.ES384, { header: { crit: ['b64'], b64: false } }))).toBe(
      'UNSUPPORTED_TOKEN at token.header.crit',
    );
    expect(await verdict(mintToken(keys.ES384, { header: { crit: [] } }))).toBe(
      'UNSUPPORTED_TOKEN at token.header.crit',
    );
  });

  test.each([
    ['expired', { iat: now - 100, nbf: undefined, exp: now - 61 }, 'EXPIRED at token.payload.exp'],
    ['expired within the skew', { iat: now - 100, nbf: undefined, exp: now - 59 }, 'ok'],
    ['expired before it begins', { nbf: now + 5, exp: now + 5 }, 'EXPIRED at token.payload.exp'],
    ['not valid yet', { nbf: now + 61 }, 'NOT_YET_VALID at token.payload.nbf'],
    ['not valid yet within the skew', { nbf: now + 59 }, 'ok'],
    ['from the future', { iat: now + 61 }, 'NOT_YET_VALID at token.payload.iat'],
    ['without nbf', { nbf: undefined }, 'ok'],
    ['without exp', { exp: undefined }, 'MALFORMED_TOKEN at token.payload.exp'],
    ['without iat', { iat: undefined }, 'MALFORMED_TOKEN at token.payload.iat'],
    ['with a date as text', { exp: String(now + 60) }, 'MALFORMED_TOKEN at token.payload.exp'],
    ['with a date beyond all time', { exp: 1e300 }, 'MALFORMED_TOKEN at token.payload.exp'],
    ['with a fraction of a second', { exp: now + 60.5 }, 'MALFORMED_TOKEN at token.payload.exp'],
    ['of another issuer', { iss: `${issuer}/` }, 'ISSUER_MISMATCH at token.payload.iss'],
    ['of no issuer', { iss: undefined }, 'MALFORMED_TOKEN at token.payload.iss'],
    ['of a list of issuers', { iss: [issuer] }, 'MALFORMED_TOKEN at token.payload.iss'],
    ['for somebody', { aud: 'https://somebody.example' }, 'AUDIENCE_MISMATCH at token.payload.aud'],
  ])('%s', async (_, claims, expected) => {
    expect(await verdict(mintToken(keys.ES384, { claims }))).toBe(expected);
  });

  test('for an audience', async () => {
    const audience = 'https://us.example';
    const of = async (aud: unknown) => verdict(mintToken(keys.ES384, { claims: { aud } }), { audience });
    expect(await of(audience)).toBe('ok');
    expect(await of(['https://somebody.example', audience])).toBe('ok');
    expect(await of(undefined)).toBe('AUDIENCE_MISMATCH at token.payload.aud');
    expect(await of([])).toBe('AUDIENCE_MISMATCH at token.payload.aud');
    expect(await of('https://us.example.org')).toBe('AUDIENCE_MISMATCH at token.payload.aud');
    expect(await of(7)).toBe('MALFORMED_TOKEN at token.payload.aud');
    expect(await of(Array.from({ length: 17 }, () => audience))).toBe('MALFORMED_TOKEN at token.payload.aud');
  });

  test('a skew and a time that are none', async () => {
    const token = mintToken(keys.ES384);
    expect(await verdict(token, { now: Number.NaN })).toBe('INVALID_TIME at now');
    expect(await verdict(token, { maxSkewSeconds: Number.POSITIVE_INFINITY })).toBe('INVALID_TIME at now');
  });

  const good = mintToken(keys.ES384);
  const [header = '', payload = '', signature = ''] = good.split('.');
  test.each([
    ['nothing', '', 'MALFORMED_TOKEN at token'],
    ['one part', header, 'MALFORMED_TOKEN at token'],
    ['two parts', `${header}.${payload}`, 'MALFORMED_TOKEN at token'],
    ['four parts', `${good}.`, 'MALFORMED_TOKEN at token'],
    ['five parts, as encrypted ones have', `${good}.${header}.${header}`, 'MALFORMED_TOKEN at token'],
    ['padding', `${header}=.${payload}.${signature}`, 'MALFORMED_TOKEN at token.header'],
    ['plain base64', `${header}.${payload}.++++`, 'MALFORMED_TOKEN at token.signature'],
    ['a space', `${header}. ${payload}.${signature}`, 'MALFORMED_TOKEN at token.payload'],
    ['a header that is no JSON', `${toBase64Url(utf8('{'))}.${payload}.${signature}`, 'MALFORMED_JSON at token.header'],
    ['a header that is a list', `${encode([])}.${payload}.${signature}`, 'MALFORMED_TOKEN at token.header'],
    [
      'a header that is no UTF-8',
      `${toBase64Url(Uint8Array.of(0xff))}.${payload}.${signature}`,
      'MALFORMED_TOKEN at token.header',
    ],
    [
      'a payload too deep',
      `${header}.${toBase64Url(utf8('['.repeat(100)))}.${signature}`,
      'MALFORMED_JSON at token.payload',
    ],
    ['no algorithm', `${encode({ kid: 'es384' })}.${payload}.${signature}`, 'MALFORMED_TOKEN at token.header.alg'],
    ['too long', 'a'.repeat(70_000), 'TOO_LARGE at token'],
  ])('%s', async (_, token, expected) => {
    expect(await verdict(token)).toBe(expected);
  });

  test('the same signature in DER', async () => {
    const head = `${header}.${payload}`;
    const raw = signatureOf(keys.ES384, utf8(head));
    expect(await verdict(`${head}.${toBase64Url(raw)}`)).toBe('ok');
    expect(await verdict(`${head}.${toBase64Url(Uint8Array.of(0x30, 0x64, ...raw))}`)).toBe(
      'SIGNATURE_INVALID at token',
    );
  });
});

describe('keys', () => {
  const read = (json: unknown) => outcome(() => String(readTokenKeys(JSON.stringify(json)).length));
  const { jwk } = keys.ES384;

  test('are read with their one algorithm', () => {
    expect(trusted.map(({ id, algorithm }) => `${id} ${algorithm}`)).toEqual([
      'es256 ES256',
      'es384 ES384',
      'rs256 RS256',
      'ps384 PS384',
    ]);
    const { alg: _, kid: __, ...bare } = keys.RS256.jwk;
    expect(readTokenKeys(JSON.stringify({ keys: [bare] }))).toMatchObject([{ id: undefined, algorithm: 'RS256' }]);
    expect(readTokenKeys(utf8(jwks))).toEqual(trusted);
  });

  test.each([
    ['for other uses', { ...jwk, use: 'enc' }],
    ['of other types', { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }],
    ['that are shared secrets', { kty: 'oct', k: 'AAAA' }],
    ['on other curves', { ...jwk, crv: 'P-521' }],
    ['for other algorithms', { ...keys.RS256.jwk, alg: 'RS512' }],
  ])('%s are passed over', async (_, other) => {
    expect(await read({ keys: [other, jwk] })).toBe('1');
    expect(await read({ keys: [other] })).toBe('MALFORMED_KEYS at keys');
  });

  test.each([
    ['no keys', {}, 'MALFORMED_KEYS at keys.keys'],
    ['an empty list', { keys: [] }, 'MALFORMED_KEYS at keys'],
    ['too many', { keys: Array.from({ length: 65 }, () => jwk) }, 'MALFORMED_KEYS at keys.keys'],
    ['no type', { keys: [{ ...jwk, kty: undefined }] }, 'MALFORMED_KEYS at keys.keys[0].kty'],
    ["another curve's algorithm", { keys: [{ ...jwk, alg: 'ES256' }] }, 'MALFORMED_KEYS at keys.keys[0].alg'],
    ['a short coordinate', { keys: [{ ...jwk, x: 'AAAA' }] }, 'MALFORMED_KEYS at keys.keys[0].x'],
    ['a coordinate that is no base64url', { keys: [{ ...jwk, y: '+' }] }, 'MALFORMED_KEYS at keys.keys[0].y'],
    ['an exponent too long', { keys: [{ ...keys.RS256.jwk, e: 'AAAAAAAAAAAA' }] }, 'MALFORMED_KEYS at keys.keys[0].e'],
    ['a modulus too long', { keys: [{ ...keys.RS256.jwk, n: 'A'.repeat(1000) }] }, 'MALFORMED_KEYS at keys.keys[0].n'],
  ])('%s', async (_, json, expected) => {
    expect(await read(json)).toBe(expected);
  });

  test('what is no JSON, no UTF-8 or too long', async () => {
    expect(await outcome(() => String(readTokenKeys('{').length))).toBe('MALFORMED_JSON at keys');
    expect(await outcome(() => String(readTokenKeys(Uint8Array.of(0xff)).length))).toBe('MALFORMED_JSON at keys');
    expect(await outcome(() => String(readTokenKeys('x'.repeat(300_000)).length))).toBe('TOO_LARGE at keys');
  });

  test('a key of a kind that its algorithm is not for verifies nothing', async () => {
    const [es384] = only('es384');
    if (es384 === undefined) throw new Error('no key');
    for (const algorithm of ['ES256', 'RS256', 'PS384'] as const) {
      const token = mintToken({ ...keys.ES384, algorithm: 'ES384' }, { header: { alg: algorithm } });
      expect(await verdict(token, { keys: [{ ...es384, algorithm }] })).toBe('SIGNATURE_INVALID at token');
    }
    const [rs256] = only('rs256');
    if (rs256 === undefined) throw new Error('no key');
    const token = mintToken(keys.ES384, { header: { kid: 'rs256' } });
    expect(await verdict(token, { keys: [{ ...rs256, algorithm: 'ES384' }] })).toBe('SIGNATURE_INVALID at token');
  });
});

describe('GPU tokens', () => {
  const gpus = async (options: GpuAnswerOptions = {}, changes: object = {}) =>
    verifyGpuTokens(mintGpuAnswer(options), { keys: trusted, now, nonce, issuer, ...changes });
  const refusal = async (options: GpuAnswerOptions = {}, changes: object = {}) =>
    outcome(async () => String((await gpus(options, changes)).length));

  test('say what each GPU is', async () => {
    expect(await gpus({ count: 2 })).toEqual(
      ['GPU-0', 'GPU-1'].map((id) => ({
        id,
        model: 'GH100 A01 GSP BROM',
        driverVersion: '580.159.03',
        vbiosVersion: '96.00.D9.00.01',
        ueid: '457723480349051719100670602112458195243836813799',
        nonce,
        issuer,
        issuedAt: now - 10,
        notAfter: now + 3600,
      })),
    );
    expect(await refusal({}, { nonce: `0x${nonce.toUpperCase()}` })).toBe('1');
  });

  const at = 'gpuTokens.GPU-0.payload';
  test.each<[string, GpuAnswerOptions, string]>([
    ['measurements that failed', { gpu: { measres: 'fail' } }, `GPU_NOT_ATTESTED at ${at}.measres`],
    ['no measurements', { gpu: { measres: undefined } }, `GPU_NOT_ATTESTED at ${at}.measres`],
    ['no secure boot', { gpu: { secboot: false } }, `GPU_NOT_ATTESTED at ${at}.secboot`],
    ['secure boot as text', { gpu: { secboot: 'true' } }, `GPU_NOT_ATTESTED at ${at}.secboot`],
    ['secure boot as an object', { gpu: { secboot: {} } }, `GPU_NOT_ATTESTED at ${at}.secboot`],
    ['debugging enabled', { gpu: { dbgstat: 'enabled' } }, `GPU_NOT_ATTESTED at ${at}.dbgstat`],
    [
      'another architecture',
      { gpu: { 'x-nvidia-gpu-arch-check': false } },
      `GPU_NOT_ATTESTED at ${at}.x-nvidia-gpu-arch-check`,
    ],
    [
      'a report that nobody signed',
      { gpu: { 'x-nvidia-gpu-attestation-report-signature-verified': false } },
      `GPU_NOT_ATTESTED at ${at}.x-nvidia-gpu-attestation-report-signature-verified`,
    ],
    [
      'a report of another nonce',
      { gpu: { 'x-nvidia-gpu-attestation-report-nonce-match': false } },
      `GPU_NOT_ATTESTED at ${at}.x-nvidia-gpu-attestation-report-nonce-match`,
    ],
    ['another nonce of the GPU', { gpu: { eat_nonce: 'cd'.repeat(32) } }, `NONCE_MISMATCH at ${at}.eat_nonce`],
    [
      'another nonce of the whole',
      { overall: { eat_nonce: 'cd'.repeat(32) } },
      'NONCE_MISMATCH at gpuTokens.overall.payload.eat_nonce',
    ],
    ['no nonce', { overall: { eat_nonce: undefined } }, 'MALFORMED_TOKEN at gpuTokens.overall.payload.eat_nonce'],
    [
      'a result that is false',
      { overall: { 'x-nvidia-overall-att-result': false } },
      'GPU_NOT_ATTESTED at gpuTokens.overall.payload.x-nvidia-overall-att-result',
    ],
    [
      'no result',
      { overall: { 'x-nvidia-overall-att-result': undefined } },
      'GPU_NOT_ATTESTED at gpuTokens.overall.payload.x-nvidia-overall-att-result',
    ],
    ['no model', { gpu: { hwmodel: undefined } }, `MALFORMED_TOKEN at ${at}.hwmodel`],
    ['another issuer of the GPU', { gpu: { iss: 'https://x.example' } }, `ISSUER_MISMATCH at ${at}.iss`],
    [
      'another issuer of the whole',
      { overall: { iss: 'https://x.example' } },
      'ISSUER_MISMATCH at gpuTokens.overall.payload.iss',
    ],
    ['a GPU whose token has expired', { gpu: { exp: now - 100 } }, `EXPIRED at ${at}.exp`],
    ['no GPU at all', { count: 0 }, 'GPU_NOT_ATTESTED at gpuTokens.overall.payload.submods'],
    [
      'a GPU left out',
      { count: 2, tokens: ({ 'GPU-0': first = '' }) => ({ 'GPU-0': first }) },
      'GPU_NOT_ATTESTED at gpuTokens.overall.payload.submods',
    ],
    [
      'a GPU added',
      { tokens: (tokens) => ({ ...tokens, 'GPU-1': tokens['GPU-0'] ?? '' }) },
      'GPU_NOT_ATTESTED at gpuTokens.overall.payload.submods',
    ],
    [
      'a token of another answer',
      { tokens: () => ({ 'GPU-0': mintToken(keys.ES384) }) },
      'GPU_NOT_ATTESTED at gpuTokens.GPU-0',
    ],
    [
      'a digest of another kind',
      { overall: { submods: { 'GPU-0': ['DIGEST', ['SHA1', 'ab'.repeat(32)]] } } },
      'MALFORMED_TOKEN at gpuTokens.overall.payload.submods.GPU-0[1][0]',
    ],
    [
      'no digest',
      { overall: { submods: { 'GPU-0': ['DIGEST'] } } },
      'MALFORMED_TOKEN at gpuTokens.overall.payload.submods.GPU-0',
    ],
    [
      'too many GPUs',
      { overall: { submods: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`GPU-${index}`, []])) } },
      'MALFORMED_TOKEN at gpuTokens.overall.payload.submods',
    ],
  ])('%s', async (_, options, expected) => {
    expect(await refusal(options)).toBe(expected);
  });

  test('tokens by a stranger', async () => {
    const stranger = makeSigningKey('ES384', 'es384');
    expect(await refusal({ overallKey: stranger })).toBe('SIGNATURE_INVALID at gpuTokens.overall');
    expect(await refusal({ gpuKey: stranger })).toBe('SIGNATURE_INVALID at gpuTokens.GPU-0');
  });

  test("NVIDIA's service is the issuer where none is named", async () => {
    expect(await refusal({}, { issuer: undefined })).toBe('ISSUER_MISMATCH at gpuTokens.overall.payload.iss');
    const answer = { overall: { iss: nvidiaIssuer }, gpu: { iss: nvidiaIssuer } };
    expect(await refusal(answer, { issuer: undefined })).toBe('1');
  });

  test.each([
    ['no JSON', '[', 'MALFORMED_JSON at gpuTokens'],
    ['no list', '{}', 'MALFORMED_TOKEN at gpuTokens'],
    ['the overall token only', '[["JWT","a"]]', 'MALFORMED_TOKEN at gpuTokens'],
    ['another kind', '[["CWT","a"],{}]', 'MALFORMED_TOKEN at gpuTokens[0][0]'],
    ['no token', '[["JWT"],{}]', 'MALFORMED_TOKEN at gpuTokens[0]'],
    ['a list of GPUs', '[["JWT","a"],[]]', 'MALFORMED_TOKEN at gpuTokens[1]'],
    ['too long', 'x'.repeat(300_000), 'TOO_LARGE at gpuTokens'],
  ])('an answer with %s', async (_, answer, expected) => {
    expect(
      await outcome(async () => String((await verifyGpuTokens(answer, { keys: trusted, now, nonce })).length)),
    ).toBe(expected);
  });

  test('bytes that are no UTF-8', async () => {
    const answer = Uint8Array.of(0xff);
    expect(
      await outcome(async () => String((await verifyGpuTokens(answer, { keys: trusted, now, nonce })).length)),
    ).toBe('MALFORMED_JSON at gpuTokens');
  });

  test.skipIf(!hasFixtures)('the real answer of a local verifier is unsigned, and refused', async () => {
    const { detached_eat: answer } = fixtureJson<{ detached_eat: unknown }>('nvidia/gpu_attestation_h100.json');
    expect(
      await outcome(async () =>
        String(
          (
            await verifyGpuTokens(JSON.stringify(answer), {
              keys: trusted,
              now: 1_784_207_900,
              nonce: '11'.repeat(32),
              issuer: 'NVAT-LOCAL-VERIFIER',
            })
          ).length,
        ),
      ),
    ).toBe('UNSUPPORTED_TOKEN at gpuTokens.overall.header.alg');
  });

  test.skipIf(!hasFixtures)('the real claims, signed, are read', async () => {
    const { claims } = fixtureJson<{ claims: readonly Record<string, unknown>[] }>('nvidia/gpu_attestation_h100.json');
    const gpu = { ...claims[0] };
    expect(await gpus({ gpu, overall: { eat_nonce: '11'.repeat(32) } }, { nonce: '11'.repeat(32) })).toMatchObject([
      { id: 'GPU-0', model: 'GH100 A01 GSP BROM', driverVersion: '580.159.03' },
    ]);
  });
});
