import { describe, expect, test } from 'vitest';
import {
  bareHex,
  type CertifiedKey,
  createSimulatedPlatform,
  generateP256Key,
  issueCertificate,
  issueCrl,
  mintCollateral,
  mintQuote,
  randomSerial,
  signDocument,
  signsData,
  toPem,
} from '../src/unsafe-simulated/index.ts';
import { commonNameOf } from '../src/verify/index.ts';
import { makeWorld, measurements, now, oracleOfWorld, outcomeOf, sharedRoot, type World } from './synthetic.ts';

/** What @phala/dcap-qvl 0.3.9 accepts and nobody should: each is built so that everything else in it is right. */
const forgeries: readonly (readonly [string, () => World, string])[] = [
  ['an empty PCK CRL', () => withCollateral({ pck_crl: '' }), 'COLLATERAL_MISSING at collateral.pck_crl'],
  [
    'both CRLs garbage',
    () => withCollateral({ pck_crl: 'deadbeef', root_ca_crl: 'deadbeef' }),
    'MALFORMED_DER at collateral.root_ca_crl @ 0',
  ],
  [
    'only the PCK CRL garbage',
    () => withCollateral({ pck_crl: 'deadbeef' }),
    'MALFORMED_DER at collateral.pck_crl @ 0',
  ],
  ['a PCK CRL signed by a stranger', strangersPckCrl, 'SIGNATURE_INVALID at collateral.pck_crl'],
  ['a root CRL signed by a stranger', strangersRootCrl, 'SIGNATURE_INVALID at collateral.root_ca_crl'],
  ['a PCK CRL of 2001', oldPckCrl, 'EXPIRED at collateral.pck_crl'],
  ['a root CRL of 2001', oldRootCrl, 'EXPIRED at collateral.root_ca_crl'],
  ['a PCK issued by what is not a CA', notACa, 'NOT_A_CA at quote.pckChain[1]'],
  ["an issuer's name that is not the CA's subject", otherIssuerName, 'ISSUER_NAME_MISMATCH at quote.pckChain[0]'],
  [
    'TCB info signed by a PCK, chain by way of its CA',
    tcbInfoByPck,
    'CHAIN_LENGTH at collateral.tcb_info_issuer_chain',
  ],
  [
    'TCB info signed by another leaf below the root',
    tcbInfoByOtherRole,
    'WRONG_ROLE at collateral.tcb_info_issuer_chain[0]',
  ],
  [
    "a TDX module of another signer than the quote's",
    () => makeWorld({ collateral: { editTcbInfo: withModules({ mrsigner: 'AB'.repeat(48) }) } }),
    'TDX_MODULE_MISMATCH at quote.body.mrSignerSeam',
  ],
  [
    'a TDX module that TCB info does not know',
    () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, tdxModuleIdentities: [] }) } }),
    'TDX_MODULE_UNKNOWN at collateral.tcb_info.tdxModuleIdentities',
  ],
  [
    'TCB info of another PCE',
    () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, pceId: '0001' }) } }),
    'PCE_ID_MISMATCH at collateral.tcb_info.pceId',
  ],
  [
    'nextUpdate that is no date, in TCB info',
    () => makeWorld({ collateral: { editTcbInfo: (info) => ({ ...info, nextUpdate: 'x' }) } }),
    'MALFORMED_COLLATERAL at collateral.tcb_info.nextUpdate',
  ],
  [
    'nextUpdate that is no date, in the QE identity',
    () => makeWorld({ collateral: { editQeIdentity: (identity) => ({ ...identity, nextUpdate: 'x' }) } }),
    'MALFORMED_COLLATERAL at collateral.qe_identity.nextUpdate',
  ],
];

describe('forgeries that @phala/dcap-qvl accepts are refused', () => {
  test.each(forgeries)('%s', async (_, make, refusal) => {
    const world = make();
    expect(oracleOfWorld(world)).toBe('UpToDate');
    expect(await outcomeOf(world)).toBe(refusal);
  });

  test('a TDX module that TCB info says is revoked', async () => {
    const revoked = { tcbLevels: [{ tcb: { isvsvn: 0 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'Revoked' }] };
    const world = makeWorld({ collateral: { editTcbInfo: withModules(revoked) } });
    expect(oracleOfWorld(world)).toBe('UpToDate');
    expect(await outcomeOf(world)).toBe('Revoked');
  });

  test('a TDX module that is out of date', async () => {
    const world = makeWorld({ quote: { teeTcbSvn: Uint8Array.of(5, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) } });
    expect(oracleOfWorld(world)).toBe('UpToDate');
    expect(await outcomeOf(world)).toBe('OutOfDate');
  });

  test('one extracted PCK does not make a universal forgery: neither another machine nor other TCB info', async () => {
    const world = makeWorld();
    const extracted = world.platform.pck;
    const forged = createSimulatedPlatform(world.root, {
      now,
      issuer: extracted,
      tcb: { ppid: new Uint8Array(16).fill(0xee) },
    });
    const chain = [
      forged.pck.certificate,
      extracted.certificate,
      world.root.pckCa.certificate,
      world.root.root.certificate,
    ];
    const long: World = { ...world, quote: mintQuote(forged, measurements, { chain }) };
    expect(oracleOfWorld(long)).toBe('UpToDate');
    expect(await outcomeOf(long)).toBe('CHAIN_LENGTH at quote.pckChain');
    const short: World = {
      ...world,
      quote: mintQuote(forged, measurements, { chain: chain.filter((_, index) => index !== 2) }),
    };
    expect(await outcomeOf(short)).toBe('ISSUER_NAME_MISMATCH at quote.pckChain[1]');
  });
});

function withCollateral(parts: Partial<World['collateral']>): World {
  const world = makeWorld();
  return { ...world, collateral: { ...world.collateral, ...parts } };
}

function withModules(
  changes: object,
): (info: { readonly [key: string]: unknown }) => { readonly [key: string]: unknown } {
  return (info) => ({
    ...info,
    tdxModule: { ...(info.tdxModule as object), ...changes, tcbLevels: undefined },
    tdxModuleIdentities: (info.tdxModuleIdentities as object[]).map((module) => ({ ...module, ...changes })),
  });
}

function crlOf(issuer: CertifiedKey, changes: Partial<Parameters<typeof issueCrl>[0]>): string {
  const spec = {
    issuer: issuer.commonName,
    signer: issuer.key,
    thisUpdate: now - 60,
    nextUpdate: now + 86_400,
    revoked: [],
  };
  return bareHex(issueCrl({ ...spec, ...changes }));
}

function strangersPckCrl(): World {
  const { pckCa } = sharedRoot;
  return withCollateral({ pck_crl: crlOf(pckCa, { signer: generateP256Key(), issuerPublicKey: pckCa.key.publicKey }) });
}

function strangersRootCrl(): World {
  const { root } = sharedRoot;
  return withCollateral({
    root_ca_crl: crlOf(root, { signer: generateP256Key(), issuerPublicKey: root.key.publicKey }),
  });
}

function oldPckCrl(): World {
  return withCollateral({ pck_crl: crlOf(sharedRoot.pckCa, { thisUpdate: 990_000_000, nextUpdate: 992_000_000 }) });
}

function oldRootCrl(): World {
  return withCollateral({ root_ca_crl: crlOf(sharedRoot.root, { thisUpdate: 990_000_000, nextUpdate: 992_000_000 }) });
}

/** A certificate below the shared root, with whatever usage it is given. */
function belowRoot(commonName: string, isCa: boolean, keyUsage: number): CertifiedKey {
  const { root } = sharedRoot;
  const key = generateP256Key();
  const serial = randomSerial();
  const certificate = issueCertificate({
    subject: commonName,
    issuer: root.commonName,
    publicKey: key.publicKey,
    signer: root.key,
    serial,
    notBefore: now - 86_400,
    notAfter: now + 86_400,
    isCa,
    pathLength: isCa ? 0 : undefined,
    keyUsage,
    issuerPublicKey: root.key.publicKey,
  });
  return { key, commonName, certificate, serial };
}

function notACa(): World {
  const issuer = belowRoot(commonNameOf('pckCa', 'dev'), false, signsData);
  const platform = createSimulatedPlatform(sharedRoot, { now, issuer });
  const chain = [platform.pck.certificate, issuer.certificate, sharedRoot.root.certificate];
  return { ...makeWorld(), platform, quote: mintQuote(platform, measurements, { chain }) };
}

function otherIssuerName(): World {
  return makeWorld({ platform: { certificate: { issuer: 'DEV unsafe simulated somebody else' } } });
}

function tcbInfoByPck(): World {
  const world = makeWorld();
  const { platform, root, collateral } = world;
  return {
    ...world,
    collateral: {
      ...collateral,
      ...signDocument('tcb_info', collateral.tcb_info, platform.pck.key),
      tcb_info_issuer_chain: toPem(platform.pck.certificate, root.pckCa.certificate, root.root.certificate),
    },
  };
}

function tcbInfoByOtherRole(): World {
  const world = makeWorld();
  const signer = belowRoot(commonNameOf('pck', 'dev'), false, signsData);
  return {
    ...world,
    collateral: {
      ...mintCollateral(world.root, { issuedAt: now }),
      ...signDocument('tcb_info', world.collateral.tcb_info, signer.key),
      tcb_info_issuer_chain: toPem(signer.certificate, world.root.root.certificate),
    },
  };
}
