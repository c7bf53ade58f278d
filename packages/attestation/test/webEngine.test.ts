import { expect, test, vi } from 'vitest';
import { engine as webEngine } from '../../crypto/src/engine.web.ts';

// What browsers have: WebCrypto in place of node:crypto, under everything that is verified.
vi.mock('@cloister/crypto', async (original) => ({ ...(await original<object>()), engine: webEngine }));

const { engine } = await import('@cloister/crypto');
const {
  EvidenceVerifier,
  evidenceDocument,
  nitroEvidenceDocument,
  readTokenKeys,
  sgxEvidenceDocument,
  snpEvidenceDocument,
  verifyGpuTokens,
  verifyToken,
} = await import('../src/verify/index.ts');
const { amdRoot, makeSnpWorld } = await import('./snp/syntheticSnp.ts');
const { awsRoot, makeNitroDocument } = await import('./nitro/syntheticNitro.ts');
const { makeWorld, now } = await import('./synthetic.ts');
const { sgxCollateral, sgxQuote } = await import('./syntheticSgx.ts');
const { issuer, jwks, keys, mintGpuAnswer, mintToken, nonce } = await import('./token/syntheticToken.ts');

const tdx = makeWorld();
const snp = makeSnpWorld();
const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

test('the engine is the one of browsers', () => {
  expect(engine.name).toBe('web');
});

test('evidence of every type', async () => {
  const verifier = new EvidenceVerifier({ roots: [tdx.root.trustRoot, amdRoot, awsRoot] });
  for (const document of [
    evidenceDocument(tdx.quote, tdx.collateral),
    sgxEvidenceDocument(sgxQuote(), sgxCollateral()),
    snpEvidenceDocument(snp.report, snp.certificates),
    nitroEvidenceDocument(makeNitroDocument()),
  ])
    expect(await verifier.verify(document, now)).toMatchObject({ teeType: document.teeType });
  for (const document of [
    evidenceDocument(flipped(tdx.quote, 600), tdx.collateral),
    snpEvidenceDocument(flipped(snp.report, 0x60), snp.certificates),
    snpEvidenceDocument(snp.report, {
      ...snp.certificates,
      crl: flipped(snp.certificates.crl, snp.certificates.crl.length - 1),
    }),
  ])
    await expect(verifier.verify(document, now)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
});

test('tokens by every algorithm', async () => {
  const trusted = readTokenKeys(jwks);
  for (const key of Object.values(keys)) {
    const token = mintToken(key);
    expect(await verifyToken(token, { keys: trusted, now, issuer })).toMatchObject({ notAfter: now + 3600 });
    const [header, payload] = token.split('.');
    const [, , signature] = mintToken(key, { claims: { other: 1 } }).split('.');
    await expect(
      verifyToken(`${header}.${payload}.${signature}`, { keys: trusted, now, issuer }),
    ).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
  }
  expect(await verifyGpuTokens(mintGpuAnswer(), { keys: trusted, now, nonce, issuer })).toHaveLength(1);
});
