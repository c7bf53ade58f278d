import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../src/unsafe-simulated/index.ts';
import { claimsOf, makeWorld, now, oracleOfWorld, oursOf, type WorldOptions } from './synthetic.ts';

type Edit = (document: JsonObject) => JsonObject;

const withStatus =
  (tcbStatus: string, advisoryIDs: readonly string[] = []): Edit =>
  (tcbInfo) => {
    const [first, ...rest] = tcbInfo.tcbLevels as JsonObject[];
    return { ...tcbInfo, tcbLevels: [{ ...first, tcbStatus, advisoryIDs }, ...rest] };
  };
const outdatedQe: Edit = (identity) => ({
  ...identity,
  tcbLevels: [
    { tcb: { isvsvn: 1 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'OutOfDate', advisoryIDs: ['DEV-SA-9'] },
  ],
});

describe('synthetic evidence: we and @phala/dcap-qvl agree', () => {
  const lowPlatform = { components: [2, 2, 1, 1, 3, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0], pceSvn: 12 };
  const cases: readonly (readonly [string, WorldOptions, string])[] = [
    ['TDX v4', {}, 'UpToDate'],
    ['TDX v5, TD 1.0', { quote: { version: 5 } }, 'UpToDate'],
    ['TDX v5, TD 1.5', { quote: { version: 5, tdVersion: '1.5' } }, 'UpToDate'],
    [
      'SWHardeningNeeded',
      { collateral: { editTcbInfo: withStatus('SWHardeningNeeded', ['DEV-SA-7']) } },
      'SWHardeningNeeded DEV-SA-7',
    ],
    ['ConfigurationNeeded', { collateral: { editTcbInfo: withStatus('ConfigurationNeeded') } }, 'ConfigurationNeeded'],
    [
      'ConfigurationAndSWHardeningNeeded',
      { collateral: { editTcbInfo: withStatus('ConfigurationAndSWHardeningNeeded') } },
      'ConfigurationAndSWHardeningNeeded',
    ],
    ['OutOfDate by its second level', { platform: { tcb: lowPlatform } }, 'OutOfDate DEV-SA-00001'],
    ['OutOfDate by its quoting enclave', { collateral: { editQeIdentity: outdatedQe } }, 'OutOfDate DEV-SA-9'],
    ['below every level', { platform: { tcb: { components: new Array<number>(16).fill(0) } } }, 'refused'],
    ['another FMSPC', { platform: { tcb: { fmspc: new Uint8Array(6) } } }, 'refused'],
    ['a QE of another signer', { quote: { editQeReport: (report) => report.fill(1, 128, 160) } }, 'refused'],
    ['a QE of another product', { quote: { editQeReport: (report) => report.fill(9, 256, 257) } }, 'refused'],
    ['a QE in debug mode', { quote: { editQeReport: (report) => report.fill(0x17, 48, 49) } }, 'refused'],
    ['a QE below every level', { quote: { editQeReport: (report) => report.fill(0, 258, 260) } }, 'refused'],
    [
      'an attestation key that the QE does not bind',
      { quote: { editQeReport: (report) => report.fill(0, 320, 352) } },
      'refused',
    ],
  ];
  test.each(cases)('%s', async (_, options, expected) => {
    const world = makeWorld(options);
    expect(oracleOfWorld(world)).toBe(expected);
    expect(await oursOf(world)).toBe(expected);
  });

  test('before and after the windows', async () => {
    const world = makeWorld();
    for (const at of [now - 60 * 86_400, now + 60 * 86_400]) {
      expect(oracleOfWorld(world, at)).toBe('refused');
      expect(await oursOf(world, at)).toBe('refused');
    }
  });

  test('a listed PCK is refused by both', async () => {
    const { platform, root, quote } = makeWorld();
    const { collateral } = makeWorld({ root, collateral: { revokedPcks: [platform.pck.serial] } });
    const world = { root, platform, quote, collateral };
    expect(oracleOfWorld(world)).toBe('refused');
    expect(await oursOf(world)).toBe('refused');
  });
});

test('an outdated QE on a platform in need of configuration keeps both, as Intel merges them; the library drops one', async () => {
  const world = makeWorld({
    collateral: { editTcbInfo: withStatus('ConfigurationNeeded'), editQeIdentity: outdatedQe },
  });
  expect(oracleOfWorld(world)).toBe('OutOfDate DEV-SA-9');
  expect(await oursOf(world)).toBe('OutOfDateConfigurationNeeded DEV-SA-9');
});

test('claims say what went into the quote', async () => {
  const claims = await claimsOf(
    makeWorld({ quote: { version: 5, tdVersion: '1.5', mrServiceTd: new Uint8Array(48).fill(7) } }),
  );
  expect(claims).toMatchObject({
    teeType: 'tdx',
    quoteVersion: 5,
    tdVersion: '1.5',
    simulated: true,
    tcbStatus: 'UpToDate',
    tcbEvaluationDataNumber: 20,
    fmspc: '0xde5100000000',
    pceId: '0x0000',
    debug: false,
    mrtd: `0x${'a1'.repeat(48)}`,
    rtmr0: `0x${'b0'.repeat(48)}`,
    rtmr1: `0x${'b1'.repeat(48)}`,
    rtmr2: `0x${'b2'.repeat(48)}`,
    rtmr3: `0x${'00'.repeat(48)}`,
    mrConfigId: `0x${'c0'.repeat(32)}${'00'.repeat(16)}`,
    mrSignerSeam: `0x${'00'.repeat(48)}`,
    teeTcbSvn: '0x06010300000000000000000000000000',
    tdAttributes: '0x0000001000000000',
    reportData: `0x${'d0'.repeat(64)}`,
    serviceTd: `0x${'07'.repeat(48)}`,
    notAfter: now - 3600 + 30 * 86_400,
  });
  expect(claims.platformId).toBe(claims.ppid);
  expect(claims.ppid).toMatch(/^0x[0-9a-f]{32}$/);
});
