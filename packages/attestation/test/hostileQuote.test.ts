import { fromHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  type CertifiedKey,
  createSimulatedPlatform,
  issueCertificate,
  type JsonObject,
  mintQuote,
  signsCertificates,
} from '../src/unsafe-simulated/index.ts';
import type { PckExtension } from '../src/verify/dcap/pckExtension.ts';
import { matchSgxLevel } from '../src/verify/dcap/platformTcb.ts';
import { parseTcbInfo } from '../src/verify/dcap/tcbInfo.ts';
import { verifyCollateral } from '../src/verify/dcap/verifyCollateral.ts';
import { verifySgxQuote } from '../src/verify/index.ts';
import {
  makeWorld,
  measurements,
  now,
  outcome,
  outcomeOf,
  sharedRoot,
  type World,
  type WorldOptions,
} from './synthetic.ts';

const good = makeWorld();
const v5 = makeWorld({ quote: { version: 5 } });

/** The world with some bytes of its quote replaced. */
function patched(at: number, bytes: readonly number[], world: World = good): World {
  const quote = Uint8Array.from(world.quote);
  quote.set(bytes, at);
  return { ...world, quote };
}

/** Offsets in a version-4 quote. */
const at = {
  signatureLength: 632,
  certificationType: 764,
  certificationLength: 766,
  authLength: 1218,
  chainType: 1252,
  chainLength: 1254,
};
const u32 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];

describe('the form of a quote', () => {
  const size = good.quote.length;
  const cases: readonly (readonly [string, World, string])[] = [
    ['version 2', patched(0, [2]), 'UNSUPPORTED_QUOTE at quote.version'],
    ['version 6', patched(0, [6]), 'UNSUPPORTED_QUOTE at quote.version'],
    ['version 3 of TDX', patched(0, [3]), 'UNSUPPORTED_QUOTE at quote.version'],
    ['version 4 of SGX', patched(4, [0]), 'UNSUPPORTED_QUOTE at quote.version'],
    ['a P-384 key', patched(2, [3]), 'UNSUPPORTED_QUOTE at quote.attestationKeyType'],
    ['another TEE type', patched(4, [0x82]), 'UNSUPPORTED_QUOTE at quote.teeType'],
    ['the type of an SGX body', patched(48, [1], v5), 'UNSUPPORTED_QUOTE at quote.bodyType'],
    ['a body of another length', patched(50, u32(585), v5), 'MALFORMED_QUOTE at quote @ 50'],
    ['a body beyond the quote', patched(50, u32(0xffffffff), v5), 'MALFORMED_QUOTE at quote @ 50'],
    ['signature data beyond the quote', patched(at.signatureLength, u32(size)), 'MALFORMED_QUOTE at quote @ 636'],
    ['signature data that ends early', patched(at.signatureLength, u32(size - 636 - 1)), 'UNKNOWN'],
    ['signature data of no length', patched(at.signatureLength, u32(0)), 'MALFORMED_QUOTE at quote @ 636'],
    [
      'certification data of another type',
      patched(at.certificationType, [5]),
      'UNSUPPORTED_QUOTE at quote.certificationData',
    ],
    ['certification data that ends early', patched(at.certificationLength, u32(size - 770 - 1)), 'UNKNOWN'],
    ['authentication data beyond all', patched(at.authLength, [0xff, 0xff]), `MALFORMED_QUOTE at quote @ 1220`],
    ['a chain by platform id', patched(at.chainType, [3]), 'UNSUPPORTED_QUOTE at quote.certificationData'],
    ['a chain beyond all', patched(at.chainLength, u32(0xffffffff)), `MALFORMED_QUOTE at quote @ 1258`],
    [
      'a chain that ends early',
      patched(at.chainLength, u32(size - 1258 - 1)),
      `MALFORMED_QUOTE at quote @ ${size - 1}`,
    ],
    ['bytes after it', { ...good, quote: Uint8Array.from([...good.quote, 1]) }, `MALFORMED_QUOTE at quote @ ${size}`],
  ];
  test.each(cases)('%s', async (_, world, refusal) => {
    const got = await outcomeOf(world);
    if (refusal === 'UNKNOWN') expect(got).toMatch(/^MALFORMED_QUOTE at quote @ \d+$/);
    else expect(got).toBe(refusal);
  });

  test('too long, even where all of it is zero', async () => {
    expect(await outcomeOf({ ...good, quote: new Uint8Array(70_000) })).toBe('TOO_LARGE at quote');
  });

  test('a TDX quote is no SGX quote', async () => {
    const verified = await verifyCollateral(good.collateral, { roots: [good.root.trustRoot], now });
    const got = await outcome(async () => (await verifySgxQuote(good.quote, verified, { now })).teeType);
    expect(got).toBe('TEE_TYPE_MISMATCH at quote.teeType');
  });
});

describe('the quoting enclave', () => {
  const cases: readonly (readonly [string, WorldOptions, string])[] = [
    ['of another vendor', { quote: { qeVendorId: new Uint8Array(16) } }, 'QE_VENDOR_UNKNOWN at quote.qeVendorId'],
    [
      'whose report another key signed',
      { quote: { qeReportSigner: sharedRoot.root.key } },
      'SIGNATURE_INVALID at quote.qeReport',
    ],
    [
      'that binds another key',
      { quote: { editQeReport: (report) => report.fill(0, 320, 352) } },
      'QE_KEY_NOT_BOUND at quote.qeReport.reportData',
    ],
    [
      'that binds more than the key',
      { quote: { editQeReport: (report) => report.fill(1, 383, 384) } },
      'QE_KEY_NOT_BOUND at quote.qeReport.reportData',
    ],
    [
      'of another MISCSELECT',
      { quote: { editQeReport: (report) => report.fill(1, 16, 17) } },
      'QE_IDENTITY_MISMATCH at quote.qeReport.miscSelect',
    ],
    [
      'of other attributes',
      { quote: { editQeReport: (report) => report.fill(0x31, 48, 49) } },
      'QE_IDENTITY_MISMATCH at quote.qeReport.attributes',
    ],
    [
      'of another signer',
      { quote: { editQeReport: (report) => report.fill(1, 128, 160) } },
      'QE_IDENTITY_MISMATCH at quote.qeReport.mrSigner',
    ],
    [
      'of another product',
      { quote: { editQeReport: (report) => report.fill(1, 256, 257) } },
      'QE_IDENTITY_MISMATCH at quote.qeReport.isvProdId',
    ],
    [
      'below every level',
      { quote: { editQeReport: (report) => report.fill(0, 258, 260) } },
      'QE_LEVEL_NOT_FOUND at quote.qeReport.isvSvn',
    ],
    [
      'in debug mode, under a mask that would allow it',
      {
        quote: { editQeReport: (report) => report.fill(0x17, 48, 49) },
        collateral: { editQeIdentity: (identity) => ({ ...identity, attributesMask: '00'.repeat(16) }) },
      },
      'QE_IDENTITY_MISMATCH at quote.qeReport.attributes',
    ],
  ];
  test.each(cases)('%s', async (_, options, refusal) => {
    expect(await outcomeOf(makeWorld(options))).toBe(refusal);
  });
});

describe('the TDX module', () => {
  const svn = (first: number, version: number): Uint8Array =>
    Uint8Array.of(first, version, 3, ...new Array<number>(13).fill(0));
  const outcomeOfModule = (first: number, version: number): Promise<string> =>
    outcomeOf(makeWorld({ quote: { teeTcbSvn: svn(first, version) } }));

  test('its own level, from version 1 on', async () => {
    expect(await outcomeOfModule(7, 1)).toBe('UpToDate');
    expect(await outcomeOfModule(6, 1)).toBe('UpToDate');
    expect(await outcomeOfModule(5, 1)).toBe('OutOfDate');
    expect(await outcomeOfModule(2, 1)).toBe('OutOfDate');
    expect(await outcomeOfModule(1, 1)).toBe('TDX_MODULE_LEVEL_NOT_FOUND at quote.body.teeTcbSvn[0]');
    expect(await outcomeOfModule(9, 3)).toBe('TDX_MODULE_UNKNOWN at collateral.tcb_info.tdxModuleIdentities');
    expect(await outcomeOfModule(9, 0x1f)).toBe('TDX_MODULE_UNKNOWN at collateral.tcb_info.tdxModuleIdentities');
  });

  test.each(['TDX_1a', 'TDX_1A'])('of version 26 is found under "%s"', async (id) => {
    const editTcbInfo = (info: JsonObject): JsonObject => ({
      ...info,
      tdxModuleIdentities: (info.tdxModuleIdentities as JsonObject[]).map((module) => ({ ...module, id })),
    });
    const collateral = { editTcbInfo };
    expect(await outcomeOf(makeWorld({ collateral, quote: { teeTcbSvn: svn(6, 0x1a) } }))).toBe('UpToDate');
    expect(await outcomeOf(makeWorld({ collateral, quote: { teeTcbSvn: svn(6, 1) } }))).toContain('TDX_MODULE_UNKNOWN');
  });

  test("the platform's level, at version 0", async () => {
    expect(await outcomeOfModule(5, 0)).toBe('UpToDate');
    expect(await outcomeOfModule(4, 0)).toBe('TCB_LEVEL_NOT_FOUND at collateral.tcb_info.tcbLevels');
  });

  test('of another signer or with other attributes, by its version', async () => {
    const mrSignerSeam = new Uint8Array(48).fill(1);
    const seamAttributes = fromHex('0100000000000000');
    for (const version of [0, 1]) {
      const teeTcbSvn = svn(6, version);
      expect(await outcomeOf(makeWorld({ quote: { teeTcbSvn, mrSignerSeam } }))).toBe(
        'TDX_MODULE_MISMATCH at quote.body.mrSignerSeam',
      );
      expect(await outcomeOf(makeWorld({ quote: { teeTcbSvn, seamAttributes } }))).toBe(
        'TDX_MODULE_MISMATCH at quote.body.seamAttributes',
      );
    }
  });

  test('attributes that the mask leaves out say nothing', async () => {
    const unmask = (module: JsonObject): JsonObject => ({ ...module, attributesMask: '00'.repeat(8) });
    const editTcbInfo = (info: JsonObject): JsonObject => ({
      ...info,
      tdxModuleIdentities: (info.tdxModuleIdentities as JsonObject[]).map(unmask),
    });
    const seamAttributes = fromHex('0100000000000000');
    expect(await outcomeOf(makeWorld({ quote: { seamAttributes }, collateral: { editTcbInfo } }))).toBe('UpToDate');
  });
});

describe('TCB levels', () => {
  test('every component counts, and the PCE', async () => {
    const { components, pceSvn } = good.platform.tcb;
    const of = (tcb: object): Promise<string> => outcomeOf(makeWorld({ platform: { tcb } }));
    expect(await of({ pceSvn: pceSvn - 1 })).toBe('OutOfDate');
    expect(await of({ pceSvn: pceSvn - 2 })).toBe('TCB_LEVEL_NOT_FOUND at collateral.tcb_info.tcbLevels');
    for (let index = 0; index < 16; index++) {
      const lowered = components.map((svn, each) => (each === index ? Math.max(0, svn - 1) : svn));
      expect(await of({ components: lowered })).toBe(components[index] === 0 ? 'UpToDate' : 'OutOfDate');
    }
    const teeTcbSvn = Uint8Array.of(6, 1, 2, ...new Array<number>(13).fill(0));
    expect(await outcomeOf(makeWorld({ quote: { teeTcbSvn } }))).toBe('OutOfDate');
  });

  test('SGX platforms, too', () => {
    const level = (svn: number, tcbStatus: string): object => ({
      tcb: { sgxtcbcomponents: new Array(16).fill({ svn }), pcesvn: svn },
      tcbDate: '2026-01-01T00:00:00Z',
      tcbStatus,
    });
    const text = JSON.stringify({
      ...JSON.parse(good.collateral.tcb_info),
      id: 'SGX',
      tcbLevels: [level(5, 'UpToDate'), level(3, 'OutOfDate')],
    });
    const tcbInfo = parseTcbInfo(text, 'it');
    const platform = (svn: number): PckExtension => ({
      ppid: '',
      pceId: '',
      fmspc: '',
      platformInstanceId: undefined,
      components: new Array<number>(16).fill(svn),
      pceSvn: svn,
    });
    expect(matchSgxLevel(platform(5), tcbInfo).status).toBe('UpToDate');
    expect(matchSgxLevel(platform(4), tcbInfo).status).toBe('OutOfDate');
    expect(() => matchSgxLevel(platform(2), tcbInfo)).toThrow(expect.objectContaining({ code: 'TCB_LEVEL_NOT_FOUND' }));
  });
});

test("a PCK CA's key under another role's name", async () => {
  const { root, pckCa } = sharedRoot;
  const commonName = 'DEV unsafe simulated Intel SGX PCK Other CA';
  const certificate = issueCertificate({
    subject: commonName,
    issuer: root.commonName,
    publicKey: pckCa.key.publicKey,
    signer: root.key,
    serial: pckCa.serial,
    notBefore: now - 60,
    notAfter: now + 60,
    isCa: true,
    pathLength: 0,
    keyUsage: signsCertificates,
  });
  const issuer: CertifiedKey = { key: pckCa.key, serial: pckCa.serial, commonName, certificate };
  const platform = createSimulatedPlatform(sharedRoot, { now, issuer });
  const chain = [platform.pck.certificate, certificate, root.certificate];
  expect(await outcomeOf({ ...good, quote: mintQuote(platform, measurements, { chain }) })).toBe(
    'WRONG_ROLE at quote.pckChain[1]',
  );
});
