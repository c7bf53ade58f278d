import { concatBytes } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { bitString, der, integer, oid, sequence, set, time, utf8String } from '../../src/unsafe-simulated/derWriter.ts';
import { extension } from '../../src/unsafe-simulated/index.ts';
import {
  type AppraisalPolicy,
  appraise,
  type Claims,
  readTokenKeys,
  verifyGpuTokens,
  verifyToken,
} from '../../src/verify/index.ts';
import { verifyNitroDocument } from '../../src/verify/nitro/verifyNitroDocument.ts';
import { verifySnpKey } from '../../src/verify/snp/verifySnpKey.ts';
import { verifySnpReport } from '../../src/verify/snp/verifySnpReport.ts';
import { parseCertificate } from '../../src/verify/x509/certificate.ts';
import { parseCrl } from '../../src/verify/x509/crl.ts';
import { amdProfile, type CertificateProfile, intelProfile } from '../../src/verify/x509/profile.ts';
import { awsRoot, cbor, makeNitroDocument, pcrsOf } from '../nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld } from '../snp/syntheticSnp.ts';
import { claimsOf, makeWorld, now } from '../synthetic.ts';
import { encode, issuer, jwks, keys, mintGpuAnswer, mintToken, nonce } from '../token/syntheticToken.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

const sha256 = sequence(oid('1.2.840.10045.4.3.2'));
const sha384 = sequence(oid('1.2.840.10045.4.3.3'));
const ecKey = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
const usage = extension('2.5.29.15', bitString(Uint8Array.of(0xc0), 6), true);
const constraints = extension('2.5.29.19', sequence(), true);
const name = sequence(set(sequence(oid('2.5.4.3'), utf8String('somebody'))));
const signature = bitString(sequence(integer(5), integer(7)));
const twoAlgorithms: CertificateProfile = { ...intelProfile, signatures: ['ecdsa-sha256', 'ecdsa-sha384'] };

describe('a certificate', () => {
  const read = (
    keyAlgorithm: Uint8Array,
    extensions: readonly Uint8Array[],
    profile: CertificateProfile,
    inner = sha256,
  ) => {
    const point = concatBytes(Uint8Array.of(4), new Uint8Array(64).fill(1));
    const tbs = sequence(
      der(0xa0, integer(2)),
      integer(7),
      inner,
      name,
      sequence(time(1_700_000_000), time(1_800_000_000)),
      name,
      sequence(keyAlgorithm, bitString(point)),
      der(0xa3, sequence(...extensions)),
    );
    return messageOf(() => parseCertificate(sequence(tbs, sha256, signature), 'it', profile));
  };

  test('with the curve of P-256 under another algorithm', () => {
    expect(read(ecKey, [usage, constraints], intelProfile)).toBe('ok');
    const other = sequence(oid('1.3.132.1.12'), oid('1.2.840.10045.3.1.7'));
    expect(read(other, [usage, constraints], intelProfile)).toContain('UNSUPPORTED_CERTIFICATE');
  });

  test('without constraints and key usage, which only some vendors leave out', () => {
    const expected = 'Expected basic constraints and key usage';
    const bare: CertificateProfile = { ...intelProfile, bareLeaves: true };
    const other = extension('1.2.3', der(0x05));
    expect(read(ecKey, [other], bare)).toBe('ok');
    expect(read(ecKey, [other], intelProfile)).toContain(expected);
    for (const one of [usage, constraints]) expect(read(ecKey, [one], intelProfile)).toContain(expected);
    expect(amdProfile.bareLeaves).toBe(true);
  });

  test('that names one algorithm inside and another one outside', () => {
    expect(read(ecKey, [usage, constraints], twoAlgorithms)).toBe('ok');
    expect(read(ecKey, [usage, constraints], twoAlgorithms, sha384)).toContain('the same signature algorithm');
  });
});

test('a CRL that names one algorithm inside and another one outside', () => {
  const read = (inner: Uint8Array) => {
    const tbs = sequence(integer(1), inner, name, time(1_700_000_000), time(1_800_000_000));
    return messageOf(() => parseCrl(sequence(tbs, sha256, signature), 'it', twoAlgorithms));
  };
  expect(read(sha256)).toBe('ok');
  expect(read(sha384)).toContain('the same signature algorithm');
});

test("an SNP report by a loaded key, where the chip's is masked", async () => {
  const outcome = (signer: 'vcek' | 'vlek') =>
    laterMessageOf(async () => {
      const edit = (report: Uint8Array) => report.set([(report[0x48] ?? 0) | 2], 0x48);
      const { report, certificates } = makeSnpWorld({ signer, edit });
      await verifySnpReport(report, await verifySnpKey(certificates, { roots: [amdRoot], now }), { now });
    });
  expect(await outcome('vlek')).toBe('ok');
  expect(await outcome('vcek')).toContain('SIGNING_KEY_MISMATCH at report.maskChipKey');
});

describe('a Nitro document', () => {
  const verify = (bytes: Uint8Array) => verifyNitroDocument(bytes, { roots: [awsRoot], now });

  test('with registers that have a byte of zero', async () => {
    const register = new Uint8Array(48).fill(7).fill(0, 3, 4);
    const claims = await verify(
      makeNitroDocument({
        payload: { pcrs: pcrsOf({ 0: register, 1: register, 2: register, 3: new Uint8Array(48), 4: register }) },
      }),
    );
    expect(claims.debug).toBe(false);
    expect(Object.keys(claims.pcrs)).toEqual(['0', '1', '2', '4']);
  });

  test('with a signature that is too short, and a time beyond what numbers hold', async () => {
    const bytes = makeNitroDocument();
    const short = concatBytes(bytes.subarray(0, -98), cbor.bytes(bytes.subarray(-96, -1)));
    expect(await laterMessageOf(() => verify(short))).toContain(
      'at document.signature: Expected a signature of 96 bytes',
    );
    const late = makeNitroDocument({ payload: { timestamp: cbor.number(2 ** 60) } });
    expect(await laterMessageOf(() => verify(late))).toContain('below 2^53');
  });
});

describe('a token', () => {
  const trusted = readTokenKeys(jwks);
  const verify = (token: string, audience?: string) =>
    laterMessageOf(() =>
      verifyToken(token, { keys: trusted, now, issuer, ...(audience === undefined ? {} : { audience }) }),
    );
  const claiming = (claims: Readonly<Record<string, unknown>>, audience?: string) =>
    verify(mintToken(keys.ES384, { claims }), audience);

  test('up to a minute ahead of its time or behind it', async () => {
    expect(await claiming({ iat: now + 60, nbf: now + 60 })).toBe('ok');
    expect(await claiming({ iat: now + 61, nbf: now })).toContain('NOT_YET_VALID at token.payload.iat');
    expect(await claiming({ exp: now - 59, iat: now - 100, nbf: now - 100 })).toBe('ok');
    expect(await claiming({ exp: now - 60, iat: now - 100, nbf: now - 100 })).toContain('EXPIRED');
  });

  test('for somebody, for somebody else, for nobody in particular', async () => {
    expect(await claiming({})).toBe('ok');
    expect(await claiming({ aud: ['me', 'you'] }, 'me')).toBe('ok');
    expect(await claiming({ aud: 'you' }, 'me')).toContain('Expected a token for "me", got one for "you"');
    expect(await claiming({ aud: 'you' })).toContain('Expected a token for "anybody", got one for "you"');
    expect(await claiming({}, 'me')).toContain('Expected a token for "me", got one for "anybody"');
  });

  test('says what it is refused for: the algorithm, base64url, UTF-8', async () => {
    const [header = '', payload = '', signed = ''] = mintToken(keys.ES384).split('.');
    const other = encode({ alg: 'HS256', kid: 'es384' });
    expect(await verify(`${other}.${payload}.${signed}`)).toContain('Expected a token signed by');
    expect(await verify(`${header}.!.${signed}`)).toContain('Expected base64url');
    expect(await verify(`${header}._w.${signed}`)).toContain('Expected UTF-8');
  });

  test.each([
    ['without a digest', ['DIGEST', ['SHA256']]],
    ['without an algorithm', ['DIGEST', []]],
    ['with nothing', []],
    ['that is none', ['HASH', ['SHA256', '00'.repeat(32)]]],
  ])('of GPUs with an entry %s', async (_, entry) => {
    const answer = mintGpuAnswer({ overall: { submods: { 'GPU-0': entry } } });
    expect(await laterMessageOf(() => verifyGpuTokens(answer, { keys: trusted, now, nonce, issuer }))).toContain(
      'MALFORMED_TOKEN at gpuTokens.overall.payload.submods.GPU-0',
    );
  });
});

describe('appraisal', async () => {
  const claims = await claimsOf(makeWorld());
  const verdict = (changes: object, policy: AppraisalPolicy) => {
    const appraisal = appraise({ ...claims, ...changes } as Claims, { unsafeAllowSimulated: true, ...policy });
    return appraisal.ok ? 'ok' : appraisal.refusal.code;
  };

  test('of what is out of date speaks of grace where there was any', () => {
    const outdated = { ...claims, tcbStatus: 'OutOfDate', outOfDateSince: now - 100 } as Claims;
    const refused = (policy: AppraisalPolicy) => {
      const appraisal = appraise(outdated, { unsafeAllowSimulated: true, ...policy });
      return appraisal.ok ? 'ok' : appraisal.refusal.message;
    };
    expect(refused({})).toMatch(/got "OutOfDate"$/);
    expect(refused({ outOfDateGraceSeconds: 99 })).toMatch(/, its grace ended at "2026-/);
    expect(refused({ outOfDateGraceSeconds: 100 })).toBe('ok');
  });

  test('of a service TD that is not the one on the list', () => {
    const serviceTd = `0x${'ab'.repeat(48)}` as const;
    expect(verdict({ serviceTd }, { serviceTds: [serviceTd] })).toBe('ok');
    expect(verdict({ serviceTd }, { serviceTds: [`0x${'cd'.repeat(48)}`] })).toBe('SERVICE_TD_REFUSED');
  });

  test('of the date of a TCB, which only Intel has', async () => {
    const nitro = await verifyNitroDocument(makeNitroDocument(), { roots: [awsRoot], now });
    const minimumTcbDate = claims.tcbDate + 1;
    expect(verdict({}, { minimumTcbDate })).toBe('TCB_TOO_OLD');
    expect(verdict({ teeType: 'sgx' }, { minimumTcbDate })).toBe('TCB_TOO_OLD');
    const appraisal = appraise(nitro, { unsafeAllowSimulated: true, minimumTcbDate });
    expect(appraisal.ok ? 'ok' : appraisal.refusal.code).toBe('ok');
  });
});
