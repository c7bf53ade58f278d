import { utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  bareHex,
  type CertifiedKey,
  issueCertificate,
  makeSimulatedRoot,
  mintCollateral,
  type SimulatedRoot,
  signsCertificates,
  signsData,
  toPem,
} from '../src/unsafe-simulated/index.ts';
import {
  type AttestationError,
  commonNameOf,
  EvidenceVerifier,
  evidenceDocument,
  intelSgxRoot,
  parseEvidence,
  quoteOf,
  serialiseEvidence,
  trustRootOfCertificate,
  verifyEvidenceFile,
} from '../src/verify/index.ts';
import { makeWorld, now } from './synthetic.ts';

const world = makeWorld();
const document = evidenceDocument(world.quote, world.collateral);

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    return `${(error as AttestationError).code} at ${(error as AttestationError).place}`;
  }
}

describe('evidence documents', () => {
  test('come back as they were', () => {
    const parsed = parseEvidence(serialiseEvidence(document));
    expect(parsed).toEqual(document);
    expect(quoteOf(parsed)).toEqual(world.quote);
    expect(parseEvidence(JSON.parse(JSON.stringify(document)) as object)).toEqual(document);
  });

  test.each([
    ['another format', { ...document, format: 'cloister-evidence-2' }, 'MALFORMED_EVIDENCE at evidence.format'],
    ['another TEE type', { ...document, teeType: 'sev' }, 'MALFORMED_EVIDENCE at evidence.teeType'],
    ['an unknown field', { ...document, simulated: false }, 'MALFORMED_EVIDENCE at evidence'],
    ['a quote that is no base64', { ...document, quote: 'a*' }, 'MALFORMED_BASE64 at evidence.quote @ 1'],
    ['a quote beyond all bounds', { ...document, quote: 'A'.repeat(200_000) }, 'MALFORMED_EVIDENCE at evidence.quote'],
    ['no collateral', { ...document, collateral: undefined }, 'MALFORMED_COLLATERAL at evidence.collateral'],
    [
      'a CRL missing',
      { ...document, collateral: { ...document.collateral, pck_crl: undefined } },
      'COLLATERAL_MISSING at evidence.collateral.pck_crl',
    ],
    [
      'a CRL that is no text',
      { ...document, collateral: { ...document.collateral, pck_crl: 1 } },
      'MALFORMED_COLLATERAL at evidence.collateral.pck_crl',
    ],
    [
      'unknown collateral',
      { ...document, collateral: { ...document.collateral, trust_me: '' } },
      'MALFORMED_COLLATERAL at evidence.collateral',
    ],
    ['a list', [document], 'MALFORMED_EVIDENCE at evidence'],
  ])('%s is refused', (_, json, refusal) => {
    expect(codeOf(() => parseEvidence(utf8(JSON.stringify(json))))).toBe(refusal);
  });

  test('bytes that are no JSON, too many, too deep', () => {
    expect(codeOf(() => parseEvidence(Uint8Array.of(0xff)))).toBe('MALFORMED_JSON at evidence');
    expect(codeOf(() => parseEvidence(utf8('{')))).toBe('MALFORMED_JSON at evidence');
    expect(codeOf(() => parseEvidence(utf8('['.repeat(100_000))))).toBe('MALFORMED_JSON at evidence');
    expect(codeOf(() => parseEvidence(new Uint8Array(5 * 1024 * 1024)))).toBe('TOO_LARGE at evidence');
  });
});

describe('EvidenceVerifier', () => {
  const roots = [world.root.trustRoot];

  test('remembers collateral and chains, and still checks dates each time', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const first = await verifier.verify(document, now);
    expect(await verifier.verify(document, now + 60)).toEqual({ ...first, verifiedAt: now + 60 });
    const later = verifier.verify(document, now + 60 * 86_400);
    await expect(later).rejects.toMatchObject({ code: 'EXPIRED', place: 'collateral.tcb_info' });
    await expect(verifier.verify(document, Number.NaN)).rejects.toMatchObject({ code: 'INVALID_TIME' });
  });

  test('a remembered chain is revoked by newer collateral', async () => {
    const verifier = new EvidenceVerifier({ roots });
    await verifier.verify(document, now);
    const newer = mintCollateral(world.root, { issuedAt: now - 60, revokedPcks: [world.platform.pck.serial] });
    await expect(verifier.verify({ ...document, collateral: newer }, now)).rejects.toMatchObject({ code: 'REVOKED' });
  });

  test('what failed is not remembered as good', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const bad = { ...document, collateral: { ...document.collateral, pck_crl: 'deadbeef' } };
    for (let round = 0; round < 2; round++)
      await expect(verifier.verify(bad, now)).rejects.toMatchObject({ code: 'MALFORMED_DER' });
    const quote = Uint8Array.from(world.quote);
    quote[600] = (quote[600] ?? 0) ^ 1;
    await verifier.verify(document, now);
    await expect(verifier.verify(evidenceDocument(quote, world.collateral), now)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
  });

  test('caches stay within their bounds', async () => {
    const verifier = new EvidenceVerifier({ roots, maxCollaterals: 1, maxChains: 1 });
    const other = makeWorld();
    for (const each of [world, other, world, other])
      expect(await verifier.verify(evidenceDocument(each.quote, each.collateral), now)).toMatchObject({
        tcbStatus: 'UpToDate',
      });
  });

  test('two parts of collateral can not trade bytes under one key', async () => {
    const verifier = new EvidenceVerifier({ roots });
    await verifier.verify(document, now);
    const { pck_crl, root_ca_crl } = document.collateral;
    const shifted = {
      ...document.collateral,
      root_ca_crl: root_ca_crl + pck_crl.slice(0, 2),
      pck_crl: pck_crl.slice(2),
    };
    await expect(verifier.verify({ ...document, collateral: shifted }, now)).rejects.toMatchObject({
      code: 'MALFORMED_DER',
    });
  });

  test('a quote beyond all bounds is not even decoded', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const long = { ...document, quote: 'A'.repeat(200_000) };
    await expect(verifier.verify(long, now)).rejects.toMatchObject({ code: 'TOO_LARGE', place: 'evidence.quote' });
  });

  test('a chain beside the quote is allowed and never read', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const collateral = { ...document.collateral, pck_certificate_chain: 'anything' };
    expect(await verifier.verify({ ...document, collateral }, now)).toMatchObject({ tcbStatus: 'UpToDate' });
  });

  test('text that has no UTF-8 form is refused like any other', async () => {
    const verifier = new EvidenceVerifier({ roots });
    const collateral = { ...document.collateral, tcb_info: '\ud800' };
    await expect(verifier.verify({ ...document, collateral }, now)).rejects.toMatchObject({
      code: 'MALFORMED_COLLATERAL',
    });
  });

  test('serves real evidence or simulated, not both', () => {
    expect(() => new EvidenceVerifier({ roots: [...roots, intelSgxRoot] })).toThrow(
      expect.objectContaining({ code: 'ROOTS_INVALID' }),
    );
    expect(() => new EvidenceVerifier({ roots: [] })).toThrow(expect.objectContaining({ code: 'ROOTS_INVALID' }));
  });
});

describe('verifyEvidenceFile', () => {
  const roots = [trustRootOfCertificate(world.root.root.certificate)];
  const collateral = utf8(JSON.stringify(world.collateral));

  test('reads a document, a raw quote, a quote in hexadecimal', async () => {
    for (const options of [
      { evidenceBytes: serialiseEvidence(document) },
      { evidenceBytes: world.quote, collateral },
      { evidenceBytes: utf8(`0x${bareHex(world.quote)}\n`), collateral },
    ]) {
      const result = await verifyEvidenceFile({ ...options, at: now, roots });
      expect(result).toMatchObject({
        ok: true,
        teeType: 'tdx',
        tcbStatus: 'UpToDate',
        advisories: [],
        claims: { simulated: true },
      });
      expect(result.refusal).toBeUndefined();
    }
  });

  test('collateral of its own replaces the one in the document', async () => {
    const revoking = mintCollateral(world.root, { issuedAt: now - 60, revokedPcks: [world.platform.pck.serial] });
    const options = {
      evidenceBytes: serialiseEvidence(document),
      collateral: utf8(JSON.stringify(revoking)),
      at: now,
      roots,
    };
    expect(await verifyEvidenceFile(options)).toMatchObject({ ok: false, claims: null, refusal: { code: 'REVOKED' } });
  });

  test('simulated evidence needs its root named, and a policy may refuse it still', async () => {
    const evidenceBytes = serialiseEvidence(document);
    expect(await verifyEvidenceFile({ evidenceBytes, at: now })).toMatchObject({
      ok: false,
      refusal: { code: 'ROOT_UNTRUSTED' },
    });
    const policy = utf8('{"tcbStatuses":["UpToDate"]}');
    expect(await verifyEvidenceFile({ evidenceBytes, at: now, roots, policy })).toMatchObject({
      ok: false,
      teeType: 'tdx',
      tcbStatus: 'UpToDate',
      refusal: { code: 'SIMULATED_REFUSED', place: 'claims.simulated', value: true },
    });
  });

  test('refusals are results', async () => {
    const of = async (options: object): Promise<string | undefined> =>
      (await verifyEvidenceFile({ evidenceBytes: world.quote, collateral, at: now, roots, ...options })).refusal?.code;
    expect(await of({ evidenceBytes: new Uint8Array(0) })).toBe('MALFORMED_QUOTE');
    expect(await of({ evidenceBytes: utf8('not evidence at all') })).toBe('MALFORMED_EVIDENCE');
    expect(await of({ evidenceBytes: utf8('{}') })).toBe('MALFORMED_EVIDENCE');
    expect(await of({ collateral: undefined })).toBe('COLLATERAL_MISSING');
    expect(await of({ collateral: utf8('{}') })).toBe('COLLATERAL_MISSING');
    expect(await of({ collateral: utf8('[') })).toBe('MALFORMED_JSON');
    expect(await of({ collateral: Uint8Array.of(0xff) })).toBe('MALFORMED_JSON');
    expect(await of({ evidenceBytes: utf8('ab'.repeat(100_000)) })).toBe('TOO_LARGE');
    expect(await of({ collateral: new Uint8Array(5 * 1024 * 1024).fill(0x20) })).toBe('TOO_LARGE');
    expect(await of({ policy: utf8('{"x":1}') })).toBe('MALFORMED_POLICY');
    expect(await of({ at: 0.5 })).toBe('INVALID_TIME');
    expect(await of({ roots: [] })).toBe('ROOTS_INVALID');
  });
});

describe('roots of other makers', () => {
  test("a root without the DEV prefix has signers with Intel's own names, and its evidence is simulated all the same", async () => {
    const other = withIntelNames(makeSimulatedRoot(now));
    const trusted = trustRootOfCertificate(other.root.certificate);
    expect(trusted).toMatchObject({ simulated: true, roles: 'vendor', name: 'Somebody else' });
    const certificate = { subject: commonNameOf('pck', 'vendor') };
    const { quote, collateral } = makeWorld({ root: other, platform: { certificate } });
    const evidenceBytes = serialiseEvidence(evidenceDocument(quote, collateral));
    expect(await verifyEvidenceFile({ evidenceBytes, at: now, roots: [trusted] })).toMatchObject({
      ok: true,
      claims: { simulated: true },
    });
    const devNames = makeWorld({ root: other });
    const mixed = serialiseEvidence(evidenceDocument(devNames.quote, collateral));
    expect(await verifyEvidenceFile({ evidenceBytes: mixed, at: now, roots: [trusted] })).toMatchObject({
      refusal: { code: 'WRONG_ROLE' },
    });
    expect(await verifyEvidenceFile({ evidenceBytes, at: now, roots: [other.trustRoot] })).toMatchObject({
      refusal: { code: 'WRONG_ROLE' },
    });
  });

  test('a root file that is none', () => {
    expect(codeOf(() => trustRootOfCertificate(new Uint8Array(0)))).toBe('CHAIN_LENGTH at root');
    expect(codeOf(() => trustRootOfCertificate(utf8('x')))).toBe('MALFORMED_PEM at root @ 0');
    expect(codeOf(() => trustRootOfCertificate(Uint8Array.of(0x30, 0)))).toMatch(/^MALFORMED_DER at root/);
  });

  test('is DEV where its name says so', () => {
    const root = trustRootOfCertificate(utf8(toPem(world.root.root.certificate)));
    expect(root).toEqual(world.root.trustRoot);
    expect(root).toMatchObject({ simulated: true, roles: 'dev', name: 'DEV unsafe simulated Intel SGX Root CA' });
  });
});

/** The root's keys under a maker's own name for the root and Intel's names for its signers. */
function withIntelNames(made: SimulatedRoot): SimulatedRoot {
  const name = 'Somebody else';
  const certify = ({ key, serial }: CertifiedKey, commonName: string, pathLength?: number): CertifiedKey => {
    const isCa = pathLength !== undefined;
    const certificate = issueCertificate({
      subject: commonName,
      issuer: name,
      publicKey: key.publicKey,
      signer: made.root.key,
      serial,
      notBefore: now - 60,
      notAfter: now + 60,
      isCa,
      pathLength,
      keyUsage: isCa ? signsCertificates : signsData,
    });
    return { key, serial, commonName, certificate };
  };
  return {
    root: certify(made.root, name, 1),
    pckCa: certify(made.pckCa, commonNameOf('pckCa', 'vendor'), 0),
    tcbSigner: certify(made.tcbSigner, commonNameOf('tcbSigning', 'vendor')),
    trustRoot: made.trustRoot,
  };
}
