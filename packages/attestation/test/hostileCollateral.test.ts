import { describe, expect, test } from 'vitest';
import {
  bareHex,
  type CertificateSpec,
  type CertifiedKey,
  createSimulatedPlatform,
  extension,
  generateP256Key,
  issueCertificate,
  issueCrl,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  randomSerial,
  type SimulatedRoot,
  signDocument,
  signsCertificates,
  signsData,
  toPem,
} from '../src/unsafe-simulated/index.ts';
import { type Collateral, commonNameOf, intelSgxRoot, type TrustRoot, verifyCollateral } from '../src/verify/index.ts';
import { makeWorld, measurements, now, outcome, outcomeOf, sharedRoot, type World } from './synthetic.ts';

const { root: rootKey, tcbSigner, pckCa } = sharedRoot;
const good = mintCollateral(sharedRoot, { issuedAt: now - 3600 });

async function verdict(
  collateral: Collateral,
  roots: readonly TrustRoot[] = [sharedRoot.trustRoot],
  at = now,
): Promise<string> {
  return outcome(async () => (await verifyCollateral(collateral, { roots, now: at })).tcbInfo.id);
}

/** A certificate below the shared root with the given changes. */
function certify(
  commonName: string,
  changes: Partial<CertificateSpec>,
  like: 'ca' | 'signer' = 'signer',
): CertifiedKey {
  const key = generateP256Key();
  const spec: CertificateSpec = {
    subject: commonName,
    issuer: rootKey.commonName,
    publicKey: key.publicKey,
    signer: rootKey.key,
    serial: randomSerial(),
    notBefore: now - 86_400,
    notAfter: now + 86_400,
    isCa: like === 'ca',
    pathLength: like === 'ca' ? 0 : undefined,
    keyUsage: like === 'ca' ? signsCertificates : signsData,
    issuerPublicKey: rootKey.key.publicKey,
    ...changes,
  };
  return { key, commonName, serial: spec.serial, certificate: issueCertificate(spec) };
}

/** The good collateral, its TCB info signed by another signer. */
function signedBy(signer: CertifiedKey, top: Uint8Array = rootKey.certificate): Collateral {
  return {
    ...good,
    ...signDocument('tcb_info', good.tcb_info, signer.key),
    tcb_info_issuer_chain: toPem(signer.certificate, top),
  };
}

const signerName = commonNameOf('tcbSigning', 'dev');
const place = 'collateral.tcb_info_issuer_chain[0]';

test('good collateral verifies', async () => {
  expect(await verdict(good)).toBe('TDX');
  expect(await verdict(signedBy(certify(signerName, {})))).toBe('TDX');
});

describe('roots', () => {
  test('a stranger root', async () => {
    const stranger = makeSimulatedRoot(now);
    const at = 'collateral.tcb_info_issuer_chain[1]';
    expect(await verdict(mintCollateral(stranger, { issuedAt: now }))).toBe(`ROOT_UNTRUSTED at ${at}`);
    expect(await verdict(good, [intelSgxRoot])).toBe(`ROOT_UNTRUSTED at ${at}`);
  });

  test('two chains under two roots, both trusted', async () => {
    const other = makeSimulatedRoot(now);
    const mixed = {
      ...good,
      qe_identity_issuer_chain: mintCollateral(other, { issuedAt: now }).qe_identity_issuer_chain,
    };
    expect(await verdict(mixed, [sharedRoot.trustRoot, other.trustRoot])).toBe(
      'ROOT_UNTRUSTED at collateral.qe_identity_issuer_chain[1]',
    );
  });

  test('lists that trust nothing, lie or mix the worlds', async () => {
    const stranger = makeSimulatedRoot(now).trustRoot;
    expect(await verdict(good, [])).toBe('ROOTS_INVALID at roots');
    expect(await verdict(good, [{ ...sharedRoot.trustRoot, simulated: false }])).toBe('ROOTS_INVALID at roots');
    expect(await verdict(good, [{ ...intelSgxRoot, simulated: true }])).toBe('ROOTS_INVALID at roots');
    expect(await verdict(good, [stranger, intelSgxRoot])).toBe('ROOTS_INVALID at roots');
  });

  test("the trusted key under a certificate that it did not sign, is no CA, or bears another's name", async () => {
    const of = (changes: Partial<CertificateSpec>): Uint8Array =>
      certify(rootKey.commonName, { publicKey: rootKey.key.publicKey, pathLength: 1, ...changes }, 'ca').certificate;
    const chainOf = (top: Uint8Array): Collateral => ({
      ...good,
      tcb_info_issuer_chain: toPem(tcbSigner.certificate, top),
    });
    const at = 'collateral.tcb_info_issuer_chain[1]';
    expect(await verdict(chainOf(of({})))).toBe('TDX');
    expect(await verdict(chainOf(of({ signer: generateP256Key() })))).toBe(`SIGNATURE_INVALID at ${at}`);
    expect(await verdict(chainOf(of({ isCa: false, pathLength: undefined })))).toBe(`NOT_A_CA at ${at}`);
    expect(await verdict(chainOf(of({ keyUsage: signsData })))).toBe(`KEY_USAGE_FORBIDS at ${at}`);
    expect(await verdict(chainOf(of({ keyUsage: 0x04 })))).toBe(`KEY_USAGE_FORBIDS at ${at}`);
    expect(await verdict(chainOf(of({ issuer: 'DEV unsafe simulated other' })))).toBe(`ISSUER_NAME_MISMATCH at ${at}`);
    expect(await verdict(chainOf(of({ notAfter: now - 1 })))).toBe(`EXPIRED at ${at}`);
  });

  test('the same root in another chain, under a certificate that makes it no CA', async () => {
    const changes = { publicKey: rootKey.key.publicKey, isCa: false, pathLength: undefined };
    const { certificate } = certify(rootKey.commonName, changes, 'ca');
    const chain = toPem(pckCa.certificate, certificate);
    expect(await verdict({ ...good, pck_crl_issuer_chain: chain })).toBe(
      'NOT_A_CA at collateral.pck_crl_issuer_chain[1]',
    );
  });

  test('times that are no times', async () => {
    for (const at of [Number.NaN, Number.POSITIVE_INFINITY, 1.5, -1])
      expect(await verdict(good, [sharedRoot.trustRoot], at)).toBe('INVALID_TIME at now');
  });
});

describe('the TCB signer', () => {
  const cases: readonly (readonly [string, () => CertifiedKey, string])[] = [
    [
      "Intel's own name below a DEV root",
      () => certify(commonNameOf('tcbSigning', 'vendor'), {}),
      `WRONG_ROLE at ${place}`,
    ],
    ["a PCK CA's role", () => certify(commonNameOf('pckCa', 'dev'), {}), `WRONG_ROLE at ${place}`],
    ['a name that only begins right', () => certify(`${signerName} 2`, {}), `WRONG_ROLE at ${place}`],
    ['a CA', () => certify(signerName, {}, 'ca'), `CA_NOT_ALLOWED at ${place}`],
    ['a key usage without signatures', () => certify(signerName, { keyUsage: 0x40 }), `KEY_USAGE_FORBIDS at ${place}`],
    [
      "another issuer's name",
      () => certify(signerName, { issuer: 'DEV unsafe simulated other' }),
      `ISSUER_NAME_MISMATCH at ${place}`,
    ],
    [
      "another issuer's key id",
      () => certify(signerName, { issuerPublicKey: pckCa.key.publicKey }),
      `ISSUER_KEY_ID_MISMATCH at ${place}`,
    ],
    ["another issuer's signature", () => certify(signerName, { signer: pckCa.key }), `SIGNATURE_INVALID at ${place}`],
    ['expired', () => certify(signerName, { notAfter: now - 1 }), `EXPIRED at ${place}`],
    ['not yet valid', () => certify(signerName, { notBefore: now + 1 }), `NOT_YET_VALID at ${place}`],
    [
      'an unknown critical extension',
      () => certify(signerName, { extensions: [extension('1.2.3.4', Uint8Array.of(5, 0), true)] }),
      `UNSUPPORTED_CERTIFICATE at ${place}`,
    ],
    [
      'an extension twice',
      () =>
        certify(signerName, {
          extensions: [extension('1.2.3.4', Uint8Array.of(5, 0)), extension('1.2.3.4', Uint8Array.of(5, 0))],
        }),
      `MALFORMED_CERTIFICATE at ${place}`,
    ],
  ];
  test.each(cases)('%s', async (_, make, refusal) => {
    expect(await verdict(signedBy(make()))).toBe(refusal);
  });

  test('below the PCK CA in place of the root', async () => {
    const signer = certify(signerName, {
      issuer: pckCa.commonName,
      signer: pckCa.key,
      issuerPublicKey: pckCa.key.publicKey,
    });
    expect(await verdict(signedBy(signer, pckCa.certificate))).toBe(
      'ROOT_UNTRUSTED at collateral.tcb_info_issuer_chain[1]',
    );
    expect(await verdict(signedBy(signer))).toBe(`ISSUER_NAME_MISMATCH at ${place}`);
  });

  test('revoked by the root', async () => {
    const { tcbSigner: signer } = sharedRoot;
    const collateral = mintCollateral(sharedRoot, {
      issuedAt: now - 60,
      revokedBelowRoot: [randomSerial(), signer.serial],
    });
    expect(await verdict(collateral)).toBe(`REVOKED at ${place}`);
  });

  test('the QE identity has a signer of its own, checked alike', async () => {
    const signer = certify(commonNameOf('pck', 'dev'), {});
    const collateral = {
      ...good,
      ...signDocument('qe_identity', good.qe_identity, signer.key),
      qe_identity_issuer_chain: toPem(signer.certificate, rootKey.certificate),
    };
    expect(await verdict(collateral)).toBe('WRONG_ROLE at collateral.qe_identity_issuer_chain[0]');
  });
});

describe('the PCK CA', () => {
  const at = 'collateral.pck_crl_issuer_chain[0]';
  const name = commonNameOf('pckCa', 'dev');
  const crlOf = (ca: CertifiedKey, top: Uint8Array = rootKey.certificate): Partial<Collateral> => ({
    pck_crl_issuer_chain: toPem(ca.certificate, top),
    pck_crl: bareHex(
      issueCrl({ issuer: ca.commonName, signer: ca.key, thisUpdate: now - 60, nextUpdate: now + 60, revoked: [] }),
    ),
  });

  test.each([
    ['not a CA', { isCa: false, pathLength: undefined }, `NOT_A_CA at collateral.pck_crl_issuer_chain[0]`],
    ['a key usage without CRLs', { keyUsage: 0x04 }, `KEY_USAGE_FORBIDS at ${at}`],
    ['signed by a stranger', { signer: generateP256Key() }, `SIGNATURE_INVALID at ${at}`],
    ['expired', { notAfter: now - 1 }, `EXPIRED at ${at}`],
  ] as const)('%s', async (_, changes, refusal) => {
    expect(await verdict({ ...good, ...crlOf(certify(name, changes, 'ca')) })).toBe(refusal);
  });

  test('of another role', async () => {
    const ca = certify('DEV unsafe simulated PCK CA', {}, 'ca');
    expect(await verdict({ ...good, ...crlOf(ca) })).toBe(`WRONG_ROLE at ${at}`);
  });

  test('revoked by the root', async () => {
    const collateral = mintCollateral(sharedRoot, { issuedAt: now - 60, revokedBelowRoot: [pckCa.serial] });
    expect(await verdict(collateral)).toBe(`REVOKED at ${at}`);
  });

  test("the CRL of another CA says nothing about this CA's platforms", async () => {
    const processor = certify(commonNameOf('pckCa', 'dev', 'processor'), {}, 'ca');
    const collateral = { ...good, ...crlOf(processor) };
    expect(await verdict(collateral)).toBe('TDX');
    expect(await outcomeOf({ ...makeWorld(), collateral })).toBe('CRL_ISSUER_MISMATCH at collateral.pck_crl');
  });

  test('a root that allows no CA below it', async () => {
    const strict = withRootPathLength(0);
    const collateral = mintCollateral(strict, { issuedAt: now });
    expect(await verdict(collateral, [strict.trustRoot])).toBe(
      'PATH_LENGTH_EXCEEDED at collateral.tcb_info_issuer_chain[1]',
    );
    const { platform, quote } = makeWorld({ root: strict });
    const generous = withRootPathLength(1, strict);
    const renewed: World = { root: strict, platform, quote, collateral: mintCollateral(generous, { issuedAt: now }) };
    expect(await outcomeOf(renewed)).toBe('PATH_LENGTH_EXCEEDED at quote.pckChain[2]');
  });
});

describe('the form of collateral', () => {
  test.each([
    [
      'a signer alone',
      { tcb_info_issuer_chain: toPem(tcbSigner.certificate) },
      'CHAIN_LENGTH at collateral.tcb_info_issuer_chain',
    ],
    ['no certificate', { qe_identity_issuer_chain: '\n' }, 'CHAIN_LENGTH at collateral.qe_identity_issuer_chain'],
    ['a CRL that is not hexadecimal', { pck_crl: 'zz' }, 'MALFORMED_HEX at collateral.pck_crl'],
    ['a CRL of half a byte', { root_ca_crl: '300' }, 'MALFORMED_HEX at collateral.root_ca_crl'],
    [
      'a signature with a prefix',
      { tcb_info_signature: `0x${'1'.repeat(126)}` },
      'MALFORMED_HEX at collateral.tcb_info_signature',
    ],
    ['a signature of 63 bytes', { tcb_info_signature: '11'.repeat(63) }, 'SIGNATURE_INVALID at collateral.tcb_info'],
    ['a signature of 65 bytes', { tcb_info_signature: '11'.repeat(65) }, 'TOO_LARGE at collateral.tcb_info_signature'],
    ['a document beyond all bounds', { tcb_info: ' '.repeat(300_000) }, 'TOO_LARGE at collateral.tcb_info'],
    ['a CRL beyond all bounds', { pck_crl: '00'.repeat(1_100_000) }, 'TOO_LARGE at collateral.pck_crl'],
  ])('%s', async (_, parts, refusal) => {
    expect(await verdict({ ...good, ...parts })).toBe(refusal);
  });
});

describe('CRLs', () => {
  const crl = (changes: object, issuer = pckCa): string =>
    bareHex(
      issueCrl({
        issuer: issuer.commonName,
        signer: issuer.key,
        thisUpdate: now - 60,
        nextUpdate: now + 60,
        revoked: [],
        ...changes,
      }),
    );

  test.each([
    ['another issuer', { issuer: 'DEV unsafe simulated other' }, 'CRL_ISSUER_MISMATCH at collateral.pck_crl'],
    [
      "another issuer's key id",
      { issuerPublicKey: rootKey.key.publicKey },
      'ISSUER_KEY_ID_MISMATCH at collateral.pck_crl',
    ],
    ['in the future', { thisUpdate: now + 1 }, 'NOT_YET_VALID at collateral.pck_crl'],
    ['over', { nextUpdate: now - 1 }, 'EXPIRED at collateral.pck_crl'],
    [
      'a delta list',
      { extensions: [extension('2.5.29.27', Uint8Array.of(2, 1, 1), true)] },
      'UNSUPPORTED_CRL at collateral.pck_crl',
    ],
    [
      'a partial list',
      { extensions: [extension('2.5.29.28', Uint8Array.of(0x30, 0), true)] },
      'UNSUPPORTED_CRL at collateral.pck_crl',
    ],
  ])('%s', async (_, changes, refusal) => {
    expect(await verdict({ ...good, pck_crl: crl(changes) })).toBe(refusal);
  });

  test('exchanged for one another', async () => {
    expect(await verdict({ ...good, pck_crl: good.root_ca_crl })).toBe('CRL_ISSUER_MISMATCH at collateral.pck_crl');
    expect(await verdict({ ...good, root_ca_crl: good.pck_crl })).toBe('CRL_ISSUER_MISMATCH at collateral.root_ca_crl');
  });

  test('missing', async () => {
    for (const key of ['pck_crl', 'root_ca_crl'] as const) {
      const { [key]: _, ...rest } = good;
      expect(await verdict(rest as Collateral)).toBe(`COLLATERAL_MISSING at collateral.${key}`);
    }
  });

  test('a long list finds the one serial in it, and no other', async () => {
    const world = makeWorld();
    const others = Array.from({ length: 2000 }, randomSerial);
    const listed = { ...world.collateral, pck_crl: crl({ revoked: [...others, world.platform.pck.serial] }) };
    expect(await outcomeOf({ ...world, collateral: { ...listed } })).toBe('REVOKED at quote.pckChain[0]');
    expect(await outcomeOf({ ...world, collateral: { ...listed, pck_crl: crl({ revoked: others }) } })).toBe(
      'UpToDate',
    );
  });
});

describe('the platform certificate', () => {
  const leaf = 'quote.pckChain[0]';
  test.each([
    ['expired', { notAfter: now - 1 }, `EXPIRED at ${leaf}`],
    ['not yet valid', { notBefore: now + 1 }, `NOT_YET_VALID at ${leaf}`],
    ['a CA', { isCa: true, keyUsage: signsData }, `CA_NOT_ALLOWED at ${leaf}`],
    ['no signatures allowed', { keyUsage: 0x08 }, `KEY_USAGE_FORBIDS at ${leaf}`],
    ['another role', { subject: signerName }, `WRONG_ROLE at ${leaf}`],
    ["Intel's name", { subject: commonNameOf('pck', 'vendor') }, `WRONG_ROLE at ${leaf}`],
    ['no SGX extension', { extensions: [] }, `MALFORMED_CERTIFICATE at ${leaf}`],
    ["a stranger's signature", { signer: generateP256Key() }, `SIGNATURE_INVALID at ${leaf}`],
  ])('%s', async (_, certificate, refusal) => {
    expect(await outcomeOf(makeWorld({ platform: { certificate } }))).toBe(refusal);
  });

  test('a chain of another root, or without one', async () => {
    const { platform } = makeWorld();
    const stranger = makeSimulatedRoot(now);
    const of = (...chain: Uint8Array[]): World => ({
      ...makeWorld(),
      quote: mintQuote(platform, measurements, { chain }),
    });
    const { certificate } = platform.pck;
    expect(await outcomeOf(of(certificate, pckCa.certificate, stranger.root.certificate))).toBe(
      'ROOT_UNTRUSTED at quote.pckChain[2]',
    );
    expect(await outcomeOf(of(certificate, stranger.pckCa.certificate, rootKey.certificate))).toMatch(
      /^(SIGNATURE_INVALID|ISSUER_KEY_ID_MISMATCH)/,
    );
    expect(await outcomeOf(of(certificate, pckCa.certificate))).toBe('CHAIN_LENGTH at quote.pckChain');
  });

  test('a CA revoked by the root of the collateral', async () => {
    const other = certify(commonNameOf('pckCa', 'dev', 'processor'), {}, 'ca');
    const platform = createSimulatedPlatform(sharedRoot, { now, issuer: other });
    const quote = mintQuote(platform, measurements, {
      chain: [platform.pck.certificate, other.certificate, rootKey.certificate],
    });
    const collateral = mintCollateral(sharedRoot, { issuedAt: now - 60, revokedBelowRoot: [other.serial] });
    expect(await outcomeOf({ root: sharedRoot, platform, quote, collateral })).toBe('REVOKED at quote.pckChain[1]');
  });
});

describe('signed documents', () => {
  const edit = (name: 'tcb_info' | 'qe_identity', from: string, to: string): Collateral => ({
    ...good,
    [name]: good[name].replace(from, to),
  });

  test('edited after they were signed', async () => {
    expect(await verdict(edit('tcb_info', 'OutOfDate', 'UpToDate'))).toBe('SIGNATURE_INVALID at collateral.tcb_info');
    expect(await verdict(edit('tcb_info', '{', ' {'))).toBe('SIGNATURE_INVALID at collateral.tcb_info');
    expect(await verdict(edit('qe_identity', 'OutOfDate', 'UpToDate'))).toBe(
      'SIGNATURE_INVALID at collateral.qe_identity',
    );
    expect(await verdict({ ...good, qe_identity: good.tcb_info, qe_identity_signature: good.tcb_info_signature })).toBe(
      'MALFORMED_COLLATERAL at collateral.qe_identity.id',
    );
  });

  const minted = (tcbInfo: object, qeIdentity: object = {}): Collateral =>
    mintCollateral(sharedRoot, {
      issuedAt: now - 60,
      editTcbInfo: (info) => ({ ...info, ...tcbInfo }),
      editQeIdentity: (identity) => ({ ...identity, ...qeIdentity }),
    });
  test.each([
    ['another version', minted({ version: 2 }), 'UNSUPPORTED_COLLATERAL at collateral.tcb_info.version'],
    ['another TCB type', minted({ tcbType: 1 }), 'UNSUPPORTED_COLLATERAL at collateral.tcb_info.tcbType'],
    [
      'another QE identity version',
      minted({}, { version: 3 }),
      'UNSUPPORTED_COLLATERAL at collateral.qe_identity.version',
    ],
    ['TCB info of SGX', minted({ id: 'SGX' }), 'TEE_TYPE_MISMATCH at collateral.qe_identity.id'],
    ['QE identity of SGX', minted({}, { id: 'QE' }), 'TEE_TYPE_MISMATCH at collateral.qe_identity.id'],
    [
      'a date that is none',
      minted({ issueDate: '2026-02-30T00:00:00Z' }),
      'MALFORMED_COLLATERAL at collateral.tcb_info.issueDate',
    ],
    [
      'a date in another form',
      minted({ nextUpdate: '2030-01-01' }),
      'MALFORMED_COLLATERAL at collateral.tcb_info.nextUpdate',
    ],
    ['over', minted({ nextUpdate: '2026-01-01T00:00:00Z' }), 'EXPIRED at collateral.tcb_info'],
    ['not yet begun', minted({}, { issueDate: '2036-01-01T00:00:00Z' }), 'NOT_YET_VALID at collateral.qe_identity'],
    [
      'a status that Intel does not have',
      minted({ tcbLevels: [{ tcbStatus: 'Fine' }] }),
      'MALFORMED_COLLATERAL at collateral.tcb_info.tcbLevels[0].tcb',
    ],
    ['levels that are no list', minted({ tcbLevels: {} }), 'MALFORMED_COLLATERAL at collateral.tcb_info.tcbLevels'],
    [
      'an evaluation number that is text',
      minted({ tcbEvaluationDataNumber: '20' }),
      'MALFORMED_COLLATERAL at collateral.tcb_info.tcbEvaluationDataNumber',
    ],
    ['an FMSPC of 5 bytes', minted({ fmspc: '0011223344' }), 'MALFORMED_COLLATERAL at collateral.tcb_info.fmspc'],
    [
      '15 components',
      minted({ tcbLevels: [{ tcb: { sgxtcbcomponents: new Array(15).fill({ svn: 0 }), pcesvn: 0 } }] }),
      'MALFORMED_COLLATERAL at collateral.tcb_info.tcbLevels[0].tcb.sgxtcbcomponents',
    ],
    ['no levels', minted({ tcbLevels: [] }), 'TDX'],
  ])('%s', async (_, collateral, refusal) => {
    expect(await verdict(collateral)).toBe(refusal);
  });

  test('no levels match nothing', async () => {
    expect(await outcomeOf({ ...makeWorld(), collateral: minted({ tcbLevels: [] }) })).toBe(
      'TCB_LEVEL_NOT_FOUND at collateral.tcb_info.tcbLevels',
    );
    expect(await outcomeOf({ ...makeWorld(), collateral: minted({}, { tcbLevels: [] }) })).toBe(
      'QE_LEVEL_NOT_FOUND at quote.qeReport.isvSvn',
    );
  });

  test('a module twice', async () => {
    const { tdxModuleIdentities } = JSON.parse(good.tcb_info) as { tdxModuleIdentities: object[] };
    const twice = minted({ tdxModuleIdentities: [...tdxModuleIdentities, ...tdxModuleIdentities] });
    expect(await verdict(twice)).toBe('MALFORMED_COLLATERAL at collateral.tcb_info.tdxModuleIdentities');
    const [module] = tdxModuleIdentities;
    const inBothCases = minted({ tdxModuleIdentities: ['TDX_1a', 'TDX_1A'].map((id) => ({ ...module, id })) });
    expect(await verdict(inBothCases)).toBe('MALFORMED_COLLATERAL at collateral.tcb_info.tdxModuleIdentities');
  });
});

/** A root, or another certificate of a root's key, that allows that many CAs below it. */
function withRootPathLength(pathLength: number, made: SimulatedRoot = makeSimulatedRoot(now)): SimulatedRoot {
  const { key, commonName, serial } = made.root;
  const certificate = issueCertificate({
    subject: commonName,
    issuer: commonName,
    publicKey: key.publicKey,
    signer: key,
    serial,
    notBefore: now - 86_400,
    notAfter: now + 86_400,
    isCa: true,
    pathLength,
    keyUsage: signsCertificates,
  });
  return { ...made, root: { ...made.root, certificate } };
}
