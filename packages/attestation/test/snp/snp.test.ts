import { snpImageId } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  amdRoots,
  appraise,
  EvidenceVerifier,
  parseEvidence,
  pinnedRoots,
  productOfCpuid,
  serialiseEvidence,
  snpEvidenceDocument,
  trustRootOfCertificate,
  verifyEvidenceFile,
} from '../../src/verify/index.ts';
import { readEndorsementExtensions } from '../../src/verify/snp/endorsementExtensions.ts';
import { parseSnpReport } from '../../src/verify/snp/report.ts';
import { belowFloor, readSnpTcb } from '../../src/verify/snp/tcb.ts';
import { verifySnpKey } from '../../src/verify/snp/verifySnpKey.ts';
import { verifySnpReport } from '../../src/verify/snp/verifySnpReport.ts';
import { parseCertificate } from '../../src/verify/x509/certificate.ts';
import { verifyIssued, verifyRoot } from '../../src/verify/x509/chain.ts';
import { readPemChain } from '../../src/verify/x509/pem.ts';
import { amdProfile } from '../../src/verify/x509/profile.ts';
import { verifySignature } from '../../src/verify/x509/signature.ts';
import { fixture, hasFixtures } from '../fixtures.ts';
import { now } from '../synthetic.ts';
import { amdRoot, chipId, makeSnpWorld, type SnpWorld, type SnpWorldOptions } from './syntheticSnp.ts';

const roots = [amdRoot];

async function claimsOf({ report, certificates }: SnpWorld) {
  return verifySnpReport(report, await verifySnpKey(certificates, { roots, now }), { now });
}

describe('synthetic reports verify', () => {
  const kinds = (['Milan', 'Genoa', 'Turin'] as const).flatMap((product) =>
    (['vcek', 'vlek'] as const).map((signer) => ({ product, signer })),
  );

  test.each(kinds)('$product by its $signer', async ({ product, signer }) => {
    const claims = await claimsOf(makeSnpWorld({ product, signer }));
    const chip = product === 'Turin' ? new Uint8Array(64).fill(0) : chipId.slice();
    if (product === 'Turin') chip.set(chipId.subarray(0, 8));
    expect(claims).toMatchObject({
      teeType: 'sev-snp',
      simulated: true,
      tcbStatus: null,
      product,
      signer,
      cspId: signer === 'vlek' ? 'cloud.example' : null,
      chipId: toHex(chip),
      debug: false,
      migratable: false,
      vmpl: 0,
      guestSvn: 7,
      reportData: `0x${'d0'.repeat(64)}`,
      measurement: `0x${'a1'.repeat(48)}`,
      hostData: `0x${'c0'.repeat(32)}`,
      configId: `0x${'c0'.repeat(32)}`,
      imageId: snpImageId(new Uint8Array(48).fill(0xa1)),
      reportedTcb: { fmc: product === 'Turin' ? 2 : null, bootloader: 3, tee: 1, snp: 8, microcode: 115 },
      verifiedAt: now,
      notAfter: now + 86_400,
    });
    expect(claims.platformId).toMatch(/^0x[0-9a-f]{32}$/);
  });

  test.each([2, 3, 5])('a report of version %i', async (version) => {
    expect(await claimsOf(makeSnpWorld({ version }))).toMatchObject({ reportVersion: version });
  });

  test('version 5 has mitigation vectors where older ones have zero', async () => {
    const edit = (report: Uint8Array): void => void report.fill(1, 0x1f8, 0x208);
    expect(await claimsOf(makeSnpWorld({ version: 5, edit }))).toMatchObject({ reportVersion: 5 });
    await expect(claimsOf(makeSnpWorld({ version: 3, edit }))).rejects.toMatchObject({ code: 'MALFORMED_REPORT' });
  });

  test('a loaded key whose host hides the chip names no machine', async () => {
    const hide = (report: Uint8Array): void => void report.fill(0, 0x1a0, 0x1e0);
    expect(await claimsOf(makeSnpWorld({ signer: 'vlek', edit: hide }))).toMatchObject({
      chipId: null,
      platformId: null,
    });
  });

  test('two chips have two platform ids, one chip has one', async () => {
    const other = (report: Uint8Array): void => void report.fill(9, 0x1a0, 0x1e0);
    const of = async (options: SnpWorldOptions) =>
      (await claimsOf(makeSnpWorld({ signer: 'vlek', ...options }))).platformId;
    expect(await of({})).toBe(await of({}));
    expect(await of({ edit: other })).not.toBe(await of({}));
  });

  test('PSS with the trailer field left out, as Turin has it', async () => {
    const { pssAlgorithm } = await import('../../src/unsafe-simulated/vendorCertificate.ts');
    const algorithm = pssAlgorithm({ trailer: undefined });
    expect(await claimsOf(makeSnpWorld({ leaf: { algorithm } }))).toMatchObject({ product: 'Milan' });
  });
});

describe('as documents', () => {
  const { report, certificates } = makeSnpWorld();
  const document = snpEvidenceDocument(report, certificates);

  test('come back as they were, and verify', async () => {
    const bytes = serialiseEvidence(document);
    expect(parseEvidence(bytes)).toEqual(document);
    const policy = { unsafeAllowSimulated: true, snpMinimumTcb: { Milan: { microcode: 115 } } };
    const result = await verifyEvidenceFile({ evidenceBytes: bytes, at: now, roots, policy });
    expect(result).toMatchObject({ ok: true, teeType: 'sev-snp', tcbStatus: null, claims: { product: 'Milan' } });
  });

  test('are verified once for the same certificates; dates each time', async () => {
    const verifier = new EvidenceVerifier({ roots, maxChains: 1 });
    const first = await verifier.verify(document, now);
    expect(await verifier.verify(document, now + 60)).toEqual({ ...first, verifiedAt: now + 60 });
    await expect(verifier.verify(document, now + 2 * 86_400)).rejects.toMatchObject({ code: 'EXPIRED', place: 'crl' });
    const other = makeSnpWorld({ product: 'Genoa' });
    expect(await verifier.verify(snpEvidenceDocument(other.report, other.certificates), now)).toMatchObject({
      product: 'Genoa',
    });
  });

  test.each([
    ['a report too long', { report: 'A'.repeat(1600) }, 'MALFORMED_EVIDENCE'],
    [
      'a certificate too long',
      { certificates: { ...document.certificates, leaf: 'A'.repeat(20_000) } },
      'MALFORMED_EVIDENCE',
    ],
    ['no certificate', { certificates: { ...document.certificates, root: undefined } }, 'MALFORMED_EVIDENCE'],
    ['a further certificate', { certificates: { ...document.certificates, other: 'AAAA' } }, 'MALFORMED_EVIDENCE'],
    ['no base64', { crl: 'a*' }, 'MALFORMED_BASE64'],
    ['no revocation list', { crl: undefined }, 'COLLATERAL_MISSING'],
    ['an unknown member', { quote: '' }, 'MALFORMED_EVIDENCE'],
  ])('%s is refused', (_, changes, code) => {
    expect(() => parseEvidence(JSON.parse(JSON.stringify({ ...document, ...changes })) as object)).toThrow(
      expect.objectContaining({ name: 'AttestationError', code }),
    );
  });
});

describe('appraisal of SNP claims', async () => {
  const claims = await claimsOf(makeSnpWorld());
  const turin = await claimsOf(makeSnpWorld({ product: 'Turin' }));
  const allow = { unsafeAllowSimulated: true, snpMinimumTcb: { Milan: {} } } as const;
  const refusal = (of: typeof claims, policy: object): string => {
    const appraisal = appraise(of, policy);
    return appraisal.ok ? 'ok' : `${appraisal.refusal.code} at ${appraisal.refusal.place}`;
  };

  test('without a floor for its product it is refused', () => {
    expect(refusal(claims, { unsafeAllowSimulated: true })).toBe('TCB_FLOOR_MISSING at policy.snpMinimumTcb');
    expect(refusal(turin, allow)).toBe('TCB_FLOOR_MISSING at policy.snpMinimumTcb');
    expect(refusal(claims, allow)).toBe('ok');
  });

  test.each([
    ['bootloader', 3],
    ['tee', 1],
    ['snp', 8],
    ['microcode', 115],
  ])('a floor under %s', (part, version) => {
    expect(refusal(claims, { ...allow, snpMinimumTcb: { Milan: { [part]: version } } })).toBe('ok');
    expect(refusal(claims, { ...allow, snpMinimumTcb: { Milan: { [part]: version + 1 } } })).toBe(
      `TCB_TOO_OLD at claims.reportedTcb.${part}`,
    );
  });

  test('a floor under the FMC, which only Turin has', () => {
    expect(refusal(turin, { ...allow, snpMinimumTcb: { Turin: { fmc: 2 } } })).toBe('ok');
    expect(refusal(turin, { ...allow, snpMinimumTcb: { Turin: { fmc: 3 } } })).toBe(
      'TCB_TOO_OLD at claims.reportedTcb.fmc',
    );
    expect(refusal(claims, { ...allow, snpMinimumTcb: { Milan: { fmc: 1 } } })).toBe(
      'TCB_TOO_OLD at claims.reportedTcb.fmc',
    );
  });

  test('debug, migration agents and low privilege', async () => {
    const of = async (edit: (view: DataView) => void) =>
      claimsOf(makeSnpWorld({ edit: (report) => edit(new DataView(report.buffer)) }));
    const debug = await of((view) => view.setBigUint64(0x08, 0xb001fn, true));
    expect(refusal(debug, allow)).toBe('DEBUG_REFUSED at claims.debug');
    const migratable = await of((view) => view.setBigUint64(0x08, 0x7001fn, true));
    expect(refusal(migratable, allow)).toBe('ATTRIBUTES_REFUSED at claims.migratable');
    const low = await of((view) => view.setUint32(0x30, 2, true));
    expect(refusal(low, allow)).toBe('ATTRIBUTES_REFUSED at claims.vmpl');
    expect(refusal(low, { ...allow, snpMaximumVmpl: 2 })).toBe('ok');
  });

  test('image, configuration, report data, type', () => {
    const good = { imageIds: [claims.imageId], configId: claims.configId, reportData: claims.reportData };
    expect(refusal(claims, { ...allow, ...good, teeTypes: ['sev-snp'] })).toBe('ok');
    expect(refusal(claims, { ...allow, imageIds: [] })).toBe('IMAGE_NOT_ALLOWED at claims.imageId');
    expect(refusal(claims, { ...allow, configId: `0x${'00'.repeat(32)}` })).toBe('CONFIG_MISMATCH at claims.configId');
    expect(refusal(claims, { ...allow, reportData: `0x${'00'.repeat(64)}` })).toBe(
      'REPORT_DATA_MISMATCH at claims.reportData',
    );
    expect(refusal(claims, { ...allow, teeTypes: ['tdx'] })).toBe('TEE_TYPE_REFUSED at claims.teeType');
    expect(refusal(claims, { snpMinimumTcb: { Milan: {} } })).toBe('SIMULATED_REFUSED at claims.simulated');
  });
});

describe('small parts', () => {
  test.each([
    [0x19, 0x01, 'Milan'],
    [0x19, 0x0f, 'Milan'],
    [0x19, 0x11, 'Genoa'],
    [0x19, 0xa0, 'Genoa'],
    [0x19, 0x20, undefined],
    [0x19, 0xb0, undefined],
    [0x1a, 0x02, 'Turin'],
    [0x1a, 0x20, undefined],
    [0x17, 0x31, undefined],
  ])('family %i model %i is %s', (family, model, product) => {
    expect(productOfCpuid(family, model)).toBe(product);
  });

  test('a TCB with something in its reserved bytes is none', () => {
    expect(readSnpTcb(Uint8Array.of(3, 1, 1, 0, 0, 0, 8, 115), 'Milan')).toBeUndefined();
    expect(readSnpTcb(Uint8Array.of(3, 1, 0, 0, 0, 0, 8, 115), 'Turin')).toBeUndefined();
    expect(readSnpTcb(Uint8Array.of(2, 3, 1, 8, 0, 0, 1, 115), 'Turin')).toBeUndefined();
    const tcb = { fmc: null, bootloader: 3, tee: 1, snp: 8, microcode: 115 };
    expect(readSnpTcb(Uint8Array.of(3, 1, 0, 0, 0, 0, 8, 115), 'Genoa')).toEqual(tcb);
    expect(belowFloor(tcb, {})).toBeUndefined();
  });
});

describe.skipIf(!hasFixtures)('real SNP evidence', () => {
  const chains = hasFixtures
    ? ([
        ['Milan', 'vcek', 'ask_ark_milan.pem'],
        ['Milan', 'vlek', 'ask_ark_milan_vlek.pem'],
        ['Genoa', 'vcek', 'ask_ark_genoa.pem'],
        ['Genoa', 'vlek', 'ask_ark_genoa_vlek.pem'],
        ['Turin', 'vcek', 'ask_ark_turin_vcek.pem'],
        ['Turin', 'vlek', 'ask_ark_turin_vlek.pem'],
      ] as const)
    : [];
  const read = (file: string) => {
    const [askDer, arkDer] = readPemChain(fixture(file), 2, 'chain');
    return {
      ask: parseCertificate(askDer ?? new Uint8Array(0), 'ask', amdProfile),
      ark: parseCertificate(arkDer ?? new Uint8Array(0), 'ark', amdProfile),
    };
  };

  test.each(chains)("AMD's chain of %s for %ss leads to a pinned root", async (product, signer, file) => {
    const { ask, ark } = read(`snp/amd-roots/${file}`);
    expect(await verifyRoot(ark, pinnedRoots, 'amd')).toMatchObject({ simulated: false, name: `ARK-${product}` });
    expect(trustRootOfCertificate(ark.der)).toMatchObject({ simulated: false, vendor: 'amd', name: `ARK-${product}` });
    await verifyIssued(ask, ark, 1);
    expect(ask.commonName).toBe(signer === 'vlek' ? `SEV-VLEK-${product}` : `SEV-${product}`);
    expect([ask.isCa, ask.pathLength]).toEqual([true, 0]);
    await expect(verifyRoot(ark, pinnedRoots, 'intel')).rejects.toMatchObject({ code: 'ROOT_UNTRUSTED' });
    const others = amdRoots.filter(({ name }) => name !== `ARK-${product}`);
    await expect(verifyRoot(ark, others, 'amd')).rejects.toMatchObject({ code: 'ROOT_UNTRUSTED' });
    const forged = { ...ask, tbs: ask.tbs.map((byte, index) => (index === 400 ? byte ^ 1 : byte)) };
    await expect(verifyIssued(forged, ark, 1)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  test('a report of Milan under its own VCEK', async () => {
    const text = Buffer.from(fixture('snp/virtee/report_milan.hex')).toString('latin1').trim();
    const bytes = fromHex(text);
    const report = parseSnpReport(bytes);
    expect(report).toMatchObject({ version: 2, signer: 'vcek', debug: false, vmpl: 0 });
    const { ask } = read('snp/virtee/cert_chain_milan');
    const vcek = parseCertificate(fixture('snp/virtee/vcek_milan.der'), 'vcek', amdProfile);
    await verifyIssued(vcek, ask, 0);
    await verifySignature(vcek.publicKey, 'ecdsa-sha384', report.signedPart, report.signature, 'report');
    const extensions = readEndorsementExtensions(vcek, 'Milan', 'vcek');
    expect(extensions).toMatchObject({ productName: 'Milan-B0', cspId: undefined });
    expect(extensions.tcb).toEqual(readSnpTcb(report.reportedTcb, 'Milan'));
    expect(toHex(extensions.hwId ?? new Uint8Array(0))).toBe(toHex(report.chipId));

    const { ark } = read('snp/virtee/cert_chain_milan');
    const key = {
      ...extensions,
      product: 'Milan',
      signer: 'vcek',
      publicKey: vcek.publicKey,
      trustRoot: await verifyRoot(ark, pinnedRoots, 'amd'),
      validities: [vcek.validity],
      notAfter: vcek.validity.notAfter,
    } as const;
    const claims = await verifySnpReport(bytes, key, { now: 1_700_000_000 });
    expect(claims).toMatchObject({
      simulated: false,
      product: 'Milan',
      reportedTcb: { fmc: null, bootloader: 3, tee: 0, snp: 8, microcode: 115 },
    });
    const flipped = bytes.map((byte, index) => (index === 0x60 ? byte ^ 1 : byte));
    await expect(verifySnpReport(flipped, key, { now: 1_700_000_000 })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      place: 'report',
    });
  });

  test("Turin's VCEK", async () => {
    const { ask, ark } = read('snp/virtee/cert_chain_turin');
    await verifyRoot(ark, pinnedRoots, 'amd');
    await verifyIssued(ask, ark, 1);
    const vcek = parseCertificate(fixture('snp/virtee/vcek_turin.der'), 'vcek', amdProfile);
    await verifyIssued(vcek, ask, 0);
    expect(readEndorsementExtensions(vcek, 'Turin', 'vcek')).toMatchObject({
      productName: 'Turin',
      tcb: { fmc: 0, bootloader: 0, tee: 0, snp: 0, microcode: 9 },
      hwId: fromHex('1e550a8ee5cf9f4d'),
    });
    expect(() => readEndorsementExtensions(vcek, 'Genoa', 'vcek')).toThrow(
      expect.objectContaining({ code: 'MALFORMED_CERTIFICATE' }),
    );
  });
});
