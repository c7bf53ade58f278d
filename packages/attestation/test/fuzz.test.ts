import { fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { readPckExtension } from '../src/verify/dcap/pckExtension.ts';
import { parseQeIdentity } from '../src/verify/dcap/qeIdentity.ts';
import { parseTcbInfo } from '../src/verify/dcap/tcbInfo.ts';
import {
  AttestationError,
  type Collateral,
  evidenceDocument,
  fromBase64,
  nitroEvidenceDocument,
  parseEvidence,
  parseGpuReport,
  parsePolicy,
  parseQuote,
  readTokenKeys,
  serialiseEvidence,
  snpEvidenceDocument,
  trustRootOfCertificate,
  verifyCollateral,
  verifyEvidenceFile,
  verifyGpuTokens,
  verifyRuntimeData,
  verifyTdxQuote,
  verifyToken,
} from '../src/verify/index.ts';
import { parseAttestationDocument } from '../src/verify/nitro/attestationDocument.ts';
import { readEndorsementExtensions } from '../src/verify/snp/endorsementExtensions.ts';
import { parseSnpReport } from '../src/verify/snp/report.ts';
import { parseCertificate } from '../src/verify/x509/certificate.ts';
import { parseCrl } from '../src/verify/x509/crl.ts';
import { readPemChain } from '../src/verify/x509/pem.ts';
import { amdProfile } from '../src/verify/x509/profile.ts';
import { awsRoot, makeNitroDocument } from './nitro/syntheticNitro.ts';
import { makeReport } from './nvidia/syntheticGpu.ts';
import { amdRoot, makeSnpWorld } from './snp/syntheticSnp.ts';
import { makeWorld, now } from './synthetic.ts';
import { encode, issuer, jwks, keys, mintGpuAnswer, mintToken, nonce } from './token/syntheticToken.ts';

const long = process.env.CLOISTER_LONG === '1';
const numRuns = long ? 20_000 : 400;
vi.setConfig({ testTimeout: long ? 900_000 : 120_000 });
const world = makeWorld();
const { collateral, quote, root, platform } = world;
const roots = [root.trustRoot];
const snp = makeSnpWorld();
const snpDocument = snpEvidenceDocument(snp.report, snp.certificates);
const nitro = makeNitroDocument();
const tokenKeys = readTokenKeys(jwks);

/** Runs a parser; anything but our error is a defect and escapes. */
function survives(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    expect(error.place).not.toBe('');
    expect(error.message).not.toMatch(/\.$/);
  }
}

/** As {@link survives} for what answers later. */
async function survivesLater(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    survives(() => {
      throw error;
    });
  }
}

/** A good input with some bytes replaced, removed or put in. */
function mutated(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat({ max: good.length }),
    remove: fc.nat({ max: 4 }),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let bytes = [...good];
    for (const { at, remove, insert } of edits) bytes = [...bytes.slice(0, at), ...insert, ...bytes.slice(at + remove)];
    return Uint8Array.from(bytes);
  });
}

const parsers: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ['a certificate', platform.pck.certificate, (bytes) => readPckExtension(parseCertificate(bytes, 'it'))],
  ['a CRL', fromHex(collateral.pck_crl), (bytes) => parseCrl(bytes, 'it')],
  ['a quote', quote, parseQuote],
  ['a PEM chain', Buffer.from(collateral.tcb_info_issuer_chain), (bytes) => readPemChain(bytes, 2, 'it')],
  ['TCB info', Buffer.from(collateral.tcb_info), (bytes) => parseTcbInfo(Buffer.from(bytes).toString('utf8'), 'it')],
  [
    'a QE identity',
    Buffer.from(collateral.qe_identity),
    (bytes) => parseQeIdentity(Buffer.from(bytes).toString('utf8'), 'it'),
  ],
  [
    'a policy',
    Buffer.from('{"tcbStatuses":["UpToDate"],"imageIds":[],"snpMinimumTcb":{"Milan":{"snp":8}},"gpus":{"minimum":1}}'),
    parsePolicy,
  ],
  ['an evidence document', serialiseEvidence(evidenceDocument(quote, collateral)), parseEvidence],
  ['an SNP report', snp.report, parseSnpReport],
  [
    "a chip's certificate",
    snp.certificates.leaf,
    (bytes) => readEndorsementExtensions(parseCertificate(bytes, 'it', amdProfile), 'Milan', 'vcek'),
  ],
  ['an RSA certificate', snp.certificates.root, (bytes) => parseCertificate(bytes, 'it', amdProfile)],
  ["AMD's CRL", snp.certificates.crl, (bytes) => parseCrl(bytes, 'it', amdProfile)],
  ['a root of anybody', snp.certificates.root, trustRootOfCertificate],
  ['a Nitro document', nitro, parseAttestationDocument],
  ["a GPU's report", makeReport(), (bytes) => parseGpuReport(bytes)],
  ['keys of tokens', Buffer.from(jwks), (bytes) => readTokenKeys(bytes)],
  ['an SNP document', serialiseEvidence(snpDocument), parseEvidence],
  ['a Nitro evidence document', serialiseEvidence(nitroEvidenceDocument(nitro)), parseEvidence],
  ['base64', Buffer.from('AAECAwQFBgc='), (bytes) => fromBase64(Buffer.from(bytes).toString('latin1'), 'it')],
];

describe('parsers throw only our errors', () => {
  test.each(parsers)('%s, mutated', (_, good, parse) => {
    survives(() => parse(good));
    fc.assert(
      fc.property(mutated(good), (bytes) => survives(() => parse(bytes))),
      { numRuns },
    );
  });

  test.each(parsers)('%s, made of anything', (_, _good, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => survives(() => parse(bytes))),
      { numRuns },
    );
  });

  test.each(parsers)('%s, cut at every length', (_, good, parse) => {
    const step = long ? 1 : Math.max(1, Math.floor(good.length / 500));
    for (let length = 0; length < good.length; length += step) survives(() => parse(good.subarray(0, length)));
  });

  test.each([
    ['TCB info', collateral.tcb_info, (text: string) => parseTcbInfo(text, 'it')],
    ['a QE identity', collateral.qe_identity, (text: string) => parseQeIdentity(text, 'it')],
  ])('%s with any JSON in any place', (_, text, parse) => {
    const document = JSON.parse(text) as { [key: string]: unknown };
    const key = fc.constantFrom(...Object.keys(document));
    fc.assert(
      fc.property(key, fc.jsonValue({ maxDepth: 4 }), (name, value) =>
        survives(() => parse(JSON.stringify({ ...document, [name]: value }))),
      ),
      { numRuns },
    );
  });
});

const laterParsers: readonly (readonly [string, string, (text: string) => Promise<unknown>])[] = [
  ['a token', mintToken(keys.ES384), (text) => verifyToken(text, { keys: tokenKeys, now, issuer })],
  ['tokens of GPUs', mintGpuAnswer(), (text) => verifyGpuTokens(text, { keys: tokenKeys, now, nonce, issuer })],
  [
    'runtime data',
    '{"user-data":""}',
    async (text) => verifyRuntimeData(utf8(text), { reportData: `${toHex(sha256(utf8(text)))}${'00'.repeat(32)}` }),
  ],
];

describe('verifiers of text throw only our errors', () => {
  test.each(laterParsers)('%s, mutated', async (_, good, verify) => {
    await survivesLater(() => verify(good));
    await fc.assert(
      fc.asyncProperty(mutated(utf8(good)), (bytes) =>
        survivesLater(() => verify(Buffer.from(bytes).toString('latin1'))),
      ),
      { numRuns },
    );
  });

  test.each(laterParsers)('%s, made of anything', async (_, _good, verify) => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), (text) => survivesLater(() => verify(text))),
      { numRuns },
    );
  });

  test('a token of any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (header, claims) =>
        survivesLater(() => verifyToken(`${encode(header)}.${encode(claims)}.AAAA`, { keys: tokenKeys, now, issuer })),
      ),
      { numRuns },
    );
  });

  test('signed claims of any JSON', async () => {
    const record = fc.dictionary(
      fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'x'),
      fc.jsonValue({ maxDepth: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(record, (claims) =>
        survivesLater(() => verifyToken(mintToken(keys.ES384, { claims }), { keys: tokenKeys, now, issuer })),
      ),
      { numRuns: Math.floor(numRuns / 4) },
    );
  });
});

describe('verification of mutated evidence', () => {
  test.each([
    ['SNP', serialiseEvidence(snpDocument), amdRoot],
    ['Nitro', serialiseEvidence(nitroEvidenceDocument(nitro)), awsRoot],
    ['a bare Nitro document', nitro, awsRoot],
  ])('%s, mutated: a result, never an exception', async (_, bytes, vendorRoot) => {
    const policy = { unsafeAllowSimulated: true, snpMinimumTcb: { Milan: {} } };
    const options = { at: now, roots: [vendorRoot], policy };
    expect(await verifyEvidenceFile({ evidenceBytes: bytes, ...options })).toMatchObject({ ok: true });
    await fc.assert(
      fc.asyncProperty(mutated(bytes), async (evidenceBytes) => {
        const result = await verifyEvidenceFile({ evidenceBytes, ...options });
        expect(result.ok).toBe(result.refusal === undefined);
      }),
      { numRuns: Math.floor(numRuns / 4) },
    );
  });

  test('whole files, mutated: a result, never an exception', async () => {
    const bytes = serialiseEvidence(evidenceDocument(quote, collateral));
    await fc.assert(
      fc.asyncProperty(mutated(bytes), async (evidenceBytes) => {
        const result = await verifyEvidenceFile({ evidenceBytes, at: now, roots });
        expect(result.ok).toBe(result.refusal === undefined);
      }),
      { numRuns: Math.floor(numRuns / 4) },
    );
  });

  test('every byte of a good quote counts', async () => {
    const verified = await verifyCollateral(collateral, { roots, now });
    expect((await verifyTdxQuote(quote, verified, { now })).tcbStatus).toBe('UpToDate');
    const masks = long ? [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] : [0x01];
    const accepted: number[] = [];
    for (const mask of masks) {
      for (let at = 0; at < quote.length; at++) {
        const flipped = Uint8Array.from(quote);
        flipped[at] = (flipped[at] ?? 0) ^ mask;
        try {
          await verifyTdxQuote(flipped, verified, { now });
          accepted.push(at);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      }
    }
    expect(accepted).toEqual([]);
  });

  test.each(Object.keys(collateral) as (keyof Collateral)[])(
    'bytes of %s count',
    async (key) => {
      const text = collateral[key];
      const isHex = /^[0-9a-f]+$/.test(text);
      const step = long ? 1 : Math.max(1, Math.floor(text.length / 60));
      const accepted: number[] = [];
      for (let at = 0; at < text.length; at += step) {
        const character = text.charCodeAt(at);
        // Another digit where the case of a digit says nothing; another character elsewhere.
        const other = isHex
          ? ((Number.parseInt(text.charAt(at), 16) + 1) % 16).toString(16)
          : String.fromCharCode(character ^ 1);
        const changed = { ...collateral, [key]: text.slice(0, at) + other + text.slice(at + 1) };
        try {
          await verifyCollateral(changed, { roots, now });
          accepted.push(at);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      }
      expect(accepted).toEqual([]);
    },
    120_000,
  );

  test('a quote with anything but zeros after it', async () => {
    const verified = await verifyCollateral(collateral, { roots, now });
    const padded = new Uint8Array(8000);
    padded.set(quote);
    expect((await verifyTdxQuote(padded, verified, { now })).tcbStatus).toBe('UpToDate');
    padded[7999] = 1;
    await expect(verifyTdxQuote(padded, verified, { now })).rejects.toMatchObject({ code: 'MALFORMED_QUOTE' });
    await expect(verifyTdxQuote(new Uint8Array(70_000), verified, { now })).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
  });
});
