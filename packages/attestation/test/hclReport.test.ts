import { concatBytes, sha256, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import {
  AttestationError,
  parseHclReport,
  verifyRuntimeData,
  verifySnpKey,
  verifySnpReport,
} from '../src/verify/index.ts';
import { amdRoot, makeSnpWorld } from './snp/syntheticSnp.ts';
import { claimsOf, makeWorld, measurements, now, outcome } from './synthetic.ts';

const userData = '5a'.repeat(64);
const runtimeData = utf8(`{"keys":[],"vm-configuration":{"secure-boot":true},"user-data":"${userData}"}`);
const reportData = concatBytes(sha256(runtimeData), new Uint8Array(32));
const snp = makeSnpWorld({ edit: (report) => report.set(reportData, 0x50) });

type HclOptions = {
  readonly signature?: string;
  readonly version?: number;
  readonly reportType?: number;
  readonly hashType?: number;
  readonly size?: number;
  readonly padding?: Uint8Array;
};

/** As a paravisor writes it into the vTPM: SNP, SHA-256, padded, unless the options say otherwise. */
function makeHclReport(hardwareReport: Uint8Array, options: HclOptions = {}): Uint8Array {
  const { signature = 'HCLA', version = 1, reportType = 2, hashType = 1, size = runtimeData.length } = options;
  const fixed = new Uint8Array(1236);
  const view = new DataView(fixed.buffer);
  fixed.set(utf8(signature));
  view.setUint32(4, 2, true);
  view.setUint32(8, hardwareReport.length, true);
  view.setUint32(12, 2, true);
  fixed.set(hardwareReport, 32);
  view.setUint32(1216, 20 + runtimeData.length, true);
  view.setUint32(1220, version, true);
  view.setUint32(1224, reportType, true);
  view.setUint32(1228, hashType, true);
  view.setUint32(1232, size, true);
  const extension = new Uint8Array(version === 2 ? 4 : 0).fill(1);
  return concatBytes(fixed, extension, runtimeData, options.padding ?? new Uint8Array(256));
}

const good = makeHclReport(snp.report);

describe('a report of the host compatibility layer', () => {
  test('of SNP: the report verifies, and binds what the guest chose', async () => {
    const { teeType, hardwareReport, runtimeData: bound } = parseHclReport(good);
    expect(teeType).toBe('sev-snp');
    const key = await verifySnpKey(snp.certificates, { roots: [amdRoot], now });
    const claims = await verifySnpReport(hardwareReport, key, { now });
    expect(verifyRuntimeData(bound, claims).userData).toBe(`0x${userData}`);
  });

  test('of TDX: the quote that is made of its TDREPORT binds the same', async () => {
    const tdReport = new Uint8Array(1024).fill(7);
    const parsed = parseHclReport(makeHclReport(tdReport, { reportType: 4 }));
    expect(parsed.teeType).toBe('tdx');
    expect(parsed.hardwareReport).toEqual(tdReport);
    const world = makeWorld();
    const claims = await claimsOf({ ...world, quote: mintQuote(world.platform, { ...measurements, reportData }) });
    expect(verifyRuntimeData(parsed.runtimeData, claims).userData).toBe(`0x${userData}`);
  });

  test('with the extension that version 2 of the request has', () => {
    expect(parseHclReport(makeHclReport(snp.report, { version: 2 })).runtimeData).toEqual(runtimeData);
  });

  test('with nothing behind it, or anything', () => {
    for (const padding of [new Uint8Array(0), new Uint8Array(9).fill(0xff)])
      expect(parseHclReport(makeHclReport(snp.report, { padding })).runtimeData).toEqual(runtimeData);
  });

  test('in the middle of a larger buffer', () => {
    const inside = concatBytes(new Uint8Array(5).fill(9), good).subarray(5);
    expect(parseHclReport(inside)).toEqual(parseHclReport(good));
  });

  test('whose size lies binds nothing', async () => {
    const { hardwareReport, runtimeData: bound } = parseHclReport(makeHclReport(snp.report, { size: 40 }));
    const key = await verifySnpKey(snp.certificates, { roots: [amdRoot], now });
    const claims = await verifySnpReport(hardwareReport, key, { now });
    expect(await outcome(() => verifyRuntimeData(bound, claims).userData ?? 'none')).toBe(
      'RUNTIME_DATA_NOT_BOUND at claims.reportData',
    );
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'MALFORMED_REPORT at hclReport'],
    ['less than its fixed part', good.subarray(0, 1235), 'MALFORMED_REPORT at hclReport'],
    ['its fixed part alone', good.subarray(0, 1236), 'MALFORMED_REPORT at hclReport.runtimeData'],
    ['another signature', makeHclReport(snp.report, { signature: 'HCL\n' }), 'MALFORMED_REPORT at hclReport.signature'],
    ['version 0', makeHclReport(snp.report, { version: 0 }), 'UNSUPPORTED_REPORT at hclReport.version'],
    ['version 3', makeHclReport(snp.report, { version: 3 }), 'UNSUPPORTED_REPORT at hclReport.version'],
    ['a report of VBS', makeHclReport(snp.report, { reportType: 1 }), 'UNSUPPORTED_REPORT at hclReport.reportType'],
    ['no hardware', makeHclReport(snp.report, { reportType: 3 }), 'UNSUPPORTED_REPORT at hclReport.reportType'],
    ['a hash of SHA-384', makeHclReport(snp.report, { hashType: 2 }), 'UNSUPPORTED_REPORT at hclReport.hashType'],
    ['no runtime data', makeHclReport(snp.report, { size: 0 }), 'MALFORMED_REPORT at hclReport.runtimeData'],
    [
      'runtime data that ends behind it',
      makeHclReport(snp.report, { size: runtimeData.length + 1, padding: new Uint8Array(0) }),
      'MALFORMED_REPORT at hclReport.runtimeData',
    ],
    [
      'runtime data of 4 GB',
      makeHclReport(snp.report, { size: 0xffffffff }),
      'MALFORMED_REPORT at hclReport.runtimeData',
    ],
    ['more than all bounds', new Uint8Array(40_000), 'TOO_LARGE at hclReport'],
  ])('that has %s', async (_, bytes, expected) => {
    expect(await outcome(() => parseHclReport(bytes).teeType)).toBe(expected);
  });

  test('with runtime data up to its last byte', () => {
    const size = runtimeData.length;
    const tight = makeHclReport(snp.report, { size, padding: new Uint8Array(0) });
    expect(parseHclReport(tight).runtimeData).toEqual(runtimeData);
  });

  test('of any bytes throws nothing but our errors', () => {
    const edit = fc.record({ at: fc.nat({ max: 1240 }), byte: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat({ max: good.length }), (edits, length) => {
        const bytes = good.slice(0, length);
        for (const { at, byte } of edits) bytes[at] = byte;
        try {
          expect(parseHclReport(bytes).runtimeData.length).toBeLessThan(bytes.length);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
