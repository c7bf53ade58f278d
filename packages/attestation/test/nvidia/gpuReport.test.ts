import { concatBytes, fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { makeKey } from '../../src/unsafe-simulated/vendorCertificate.ts';
import { bounds } from '../../src/verify/bounds.ts';
import {
  AttestationError,
  CheckList,
  type GpuEvidence,
  gpuEvidenceJson,
  gpuNonceOf,
  nvidiaDeviceRoot,
  parseGpuReport,
  pinnedRoots,
  readGpuEvidence,
  trustRootOfSpki,
  type VerifyGpuReportOptions,
  verifyGpuReport,
  verifyGpusOf,
} from '../../src/verify/index.ts';
import { fixture, hasFixture } from '../fixtures.ts';
import { now, outcome } from '../synthetic.ts';
import {
  basicConstraintsOfCa,
  deviceIdOf,
  digestOf,
  driverVersion,
  firmware,
  type GpuOptions,
  gpuRoot,
  makeChain,
  makeGpu,
  makeReport,
  measuredIndices,
  nonce,
} from './syntheticGpu.ts';

const long = process.env.CLOISTER_LONG === '1';
if (long) vi.setConfig({ testTimeout: 900_000 });
const reference = new Map(measuredIndices.map((index) => [index, [toHex(digestOf(index))]]));
const good: VerifyGpuReportOptions = { roots: [gpuRoot], now, nonce, reference: () => reference };
const stranger = makeKey('p384');

const verify = (options: GpuOptions = {}, changes: Partial<VerifyGpuReportOptions> = {}) =>
  verifyGpuReport(makeGpu(options), { ...good, ...changes });
/** `ok`, or `CODE at place`. */
const verdict = (options: GpuOptions = {}, changes: Partial<VerifyGpuReportOptions> = {}) =>
  outcome(async () => {
    await verify(options, changes);
    return 'ok';
  });

describe("a GPU's report", () => {
  test('says which GPU it is, with what on it, and what was compared', async () => {
    const checks = new CheckList();
    expect(await verify({}, { checks })).toEqual({
      simulated: true,
      model: 'DEV unsafe simulated GH100 A01 GSP BROM',
      ueid: expect.stringMatching(/^\d+$/),
      driverVersion,
      vbiosVersion: '96.00.9F.00.01',
      nonce: toHex(nonce),
      compared: [2, 3, 4, 22],
      uncompared: [],
      notAfter: expect.any(Number),
    });
    expect(checks.nodes.map(({ id, ok }) => [id, ok])).toEqual(
      ['form', 'root', 'chain', 'dates', 'signature', 'nonce', 'firmware', 'measurements'].map((id) => [id, true]),
    );
  });

  test('with measurements that the reference does not name says so', async () => {
    const fewer = new Map([...reference].slice(0, 2));
    expect(await verify({}, { reference: () => fewer })).toMatchObject({ compared: [2, 3], uncompared: [4, 22] });
  });

  test('is held against the reference of its own versions, of which several digests may be good', async () => {
    const asked: unknown[] = [];
    const referenceOf: VerifyGpuReportOptions['reference'] = (versions) => {
      asked.push(versions);
      return either;
    };
    const either = new Map([[3, ['ab'.repeat(48), toHex(digestOf(3)).toUpperCase().replace('0X', '0x')]]]);
    await verify({}, { reference: referenceOf });
    expect(asked).toEqual([{ driverVersion, vbiosVersion: '96.00.9F.00.01' }]);
  });

  test('may have a driver version of 64 characters, with or without a zero behind it', async () => {
    for (const text of ['1'.repeat(64), `${'~'.repeat(64)}\0`])
      expect((await verify({ fields: { 3: utf8(text) } })).driverVersion).toBe(text.replace('\0', ''));
  });

  test('is held against no reference with more indices, or others, than a report can have', async () => {
    const digest = [toHex(digestOf(2))];
    const of = (indices: readonly number[]) => new Map(indices.map((index) => [index, digest]));
    const said = async (indices: readonly number[]) => verdict({}, { reference: () => of(indices) });
    const all = Array.from({ length: bounds.gpuMeasurements + 1 }, (_, at) => at + 1);
    const refusals = await Promise.all([said(all), said([0]), said([1.5]), said([256])]);
    expect(new Set(refusals).size).toBe(1);
    expect(refusals[0]).not.toBe('ok');
    // Refused for what is in it, not for its form.
    const most = await said(all.slice(0, -1));
    expect([most, await said([255])].map((each) => each === refusals[0])).toEqual([false, false]);
  });

  const report = 'gpu.report';
  test.each<[string, GpuOptions, string]>([
    ['of another nonce', { nonce: new Uint8Array(32) }, `NONCE_MISMATCH at ${report}.nonce`],
    ['by another key', { signer: stranger }, `SIGNATURE_INVALID at ${report}`],
    [
      'with firmware that the key was not made for',
      { fields: { 20: new Uint8Array(48) } },
      `GPU_NOT_ATTESTED at ${report}.firmwareId`,
    ],
    ['with another measurement', { measurements: { 4: digestOf(5) } }, `GPU_NOT_ATTESTED at ${report}.measurements.4`],
    [
      'with a part not measured',
      { measurements: { 22: new Uint8Array(48) } },
      `GPU_NOT_ATTESTED at ${report}.measurements.22`,
    ],
    ['without a driver version', { fields: { 3: undefined } }, `MALFORMED_REPORT at ${report}.driverVersion`],
    [
      'with an empty driver version',
      { fields: { 3: Uint8Array.of(0) } },
      `MALFORMED_REPORT at ${report}.driverVersion`,
    ],
    ['with more behind the version', { fields: { 3: utf8('1\x002') } }, `MALFORMED_REPORT at ${report}.driverVersion`],
    [
      'with 65 characters of it',
      { fields: { 3: utf8('1'.repeat(65)) } },
      `MALFORMED_REPORT at ${report}.driverVersion`,
    ],
    ['with a space in it', { fields: { 3: utf8('1 2') } }, `MALFORMED_REPORT at ${report}.driverVersion`],
    ['with what is no text in it', { fields: { 3: utf8('1\x7f') } }, `MALFORMED_REPORT at ${report}.driverVersion`],
    ['without a VBIOS version', { fields: { 6: undefined } }, `MALFORMED_REPORT at ${report}.vbiosVersion`],
    [
      'with a VBIOS version of 7 bytes',
      { fields: { 6: new Uint8Array(7) } },
      `MALFORMED_REPORT at ${report}.vbiosVersion`,
    ],
    ['without a firmware id', { fields: { 20: undefined } }, `MALFORMED_REPORT at ${report}.firmwareId`],
    [
      'with a firmware id of 32 bytes',
      { fields: { 20: new Uint8Array(32) } },
      `MALFORMED_REPORT at ${report}.firmwareId`,
    ],
  ])('%s is refused', async (_, options, expected) => {
    expect(await verdict(options)).toBe(expected);
  });

  test.each<[string, GpuOptions, RegExp]>([
    ['a field twice', { more: [[3, utf8('1')]] }, /MALFORMED_REPORT at gpu.report.response.opaque/],
    [
      'more fields than are read',
      { more: Array.from({ length: 64 }, (_, at) => [100 + at, new Uint8Array()] as const) },
      /MALFORMED_REPORT/,
    ],
    [
      'a digest of 32 bytes',
      { measurements: { 3: new Uint8Array(32) } },
      /UNSUPPORTED_REPORT at gpu.report.response.record.measurements.3/,
    ],
    ['bytes after it', { message: (bytes) => concatBytes(bytes, Uint8Array.of(0)) }, /MALFORMED_REPORT/],
    ['another version of SPDM', { message: (bytes) => bytes.with(0, 0x12) }, /UNSUPPORTED_REPORT/],
    ['another request', { message: (bytes) => bytes.with(1, 0xe1) }, /UNSUPPORTED_REPORT/],
    ['no signature asked for', { message: (bytes) => bytes.with(2, 0) }, /UNSUPPORTED_REPORT/],
    ['one measurement asked for', { message: (bytes) => bytes.with(3, 1) }, /UNSUPPORTED_REPORT/],
    ['an error as the answer', { message: (bytes) => bytes.with(38, 0x7f) }, /UNSUPPORTED_REPORT/],
    ['no measurements', { message: (bytes) => bytes.with(41, 0) }, /MALFORMED_REPORT/],
    ['more measurements than it says', { message: (bytes) => bytes.with(41, 23) }, /MALFORMED_REPORT/],
    ['a record beyond its end', { message: (bytes) => bytes.with(44, 0xff) }, /MALFORMED_REPORT/],
    ['an index of 0', { message: (bytes) => bytes.with(45, 0) }, /MALFORMED_REPORT/],
    ['an index twice', { message: (bytes) => bytes.with(45, 2) }, /MALFORMED_REPORT/],
    ['a measurement by others than DMTF', { message: (bytes) => bytes.with(46, 2) }, /UNSUPPORTED_REPORT/],
    ['a raw bit stream', { message: (bytes) => bytes.with(49, 0x81) }, /UNSUPPORTED_REPORT/],
  ])('with %s is refused, though signed', async (_, options, expected) => {
    expect(await verdict(options)).toMatch(expected);
  });

  test('too long is refused before it is read', async () => {
    const { certificates } = makeGpu();
    const verifying = verifyGpuReport({ report: new Uint8Array(40_000), certificates }, good);
    await expect(verifying).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('every byte counts', async () => {
    const evidence = makeGpu();
    const accepted: number[] = [];
    const step = long ? 1 : 13;
    for (let at = 0; at < evidence.report.length; at += step) {
      const report = Uint8Array.from(evidence.report);
      report[at] = (report[at] ?? 0) ^ 1;
      const found = await outcome(async () => String((await verifyGpuReport({ ...evidence, report }, good)).simulated));
      if (found === 'true') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });
});

describe('certificates of a GPU', () => {
  const at = (index: number): string => `gpu.certificates[${index}]`;
  const other = 'DEV unsafe simulated other';
  test.each<[string, GpuOptions, string]>([
    ['a root that it did not sign', { root: { signer: stranger } }, `SIGNATURE_INVALID at ${at(4)}`],
    ['a root that is no CA', { root: { isCa: false } }, `NOT_A_CA at ${at(4)}`],
    ['a family by a stranger', { family: { signer: stranger } }, `SIGNATURE_INVALID at ${at(3)}`],
    ['a provisioner of another issuer', { provisioner: { issuer: other } }, `ISSUER_NAME_MISMATCH at ${at(2)}`],
    [
      'a provisioner that names another key',
      { provisioner: { issuerKey: stranger } },
      `ISSUER_KEY_ID_MISMATCH at ${at(2)}`,
    ],
    ['a device that is no CA', { device: { isCa: false } }, `NOT_A_CA at ${at(1)}`],
    ['a device that may sign no certificates', { device: { keyUsage: 0x80 } }, `KEY_USAGE_FORBIDS at ${at(1)}`],
    ['a family too short for the chain', { family: { pathLength: 1 } }, `PATH_LENGTH_EXCEEDED at ${at(3)}`],
    ['a leaf by a stranger', { leaf: { signer: stranger } }, `SIGNATURE_INVALID at ${at(0)}`],
    ['a leaf that has ended', { leaf: { notAfter: now - 1 } }, `EXPIRED at ${at(0)}`],
    ['a device that is not valid yet', { device: { notBefore: now + 1 } }, `NOT_YET_VALID at ${at(1)}`],
    ['a leaf without firmware', { leaf: { extensions: [] } }, `MALFORMED_CERTIFICATE at ${at(0)}`],
    [
      'a leaf of other firmware',
      { leaf: { extensions: [deviceIdOf(new Uint8Array(48))] } },
      'GPU_NOT_ATTESTED at gpu.report.firmwareId',
    ],
    [
      'a leaf with a firmware id of 32 bytes',
      { leaf: { extensions: [deviceIdOf(new Uint8Array(32))] } },
      'MALFORMED_DER at gpu.certificates[0].deviceId @',
    ],
    [
      'a leaf that is a CA',
      { leaf: { extensions: [basicConstraintsOfCa, deviceIdOf(firmware)] } },
      `CA_NOT_ALLOWED at ${at(0)}`,
    ],
    ['no root', { bundle: (chain) => chain.slice(0, -1) }, `ROOT_UNTRUSTED at ${at(3)}`],
    ['the leaf alone', { bundle: (chain) => chain.slice(0, 1) }, 'CHAIN_LENGTH at gpu.certificates'],
    ['nothing', { bundle: () => [] }, 'CHAIN_LENGTH at gpu.certificates'],
    ['the root first', { bundle: (chain) => [...chain].reverse() }, `ROOT_UNTRUSTED at ${at(4)}`],
    [
      'two roots',
      { bundle: (chain) => [...chain, ...chain.slice(-1), ...chain.slice(-1)] },
      'CHAIN_LENGTH at gpu.certificates',
    ],
  ])('%s', async (_, options, expected) => {
    expect(await verdict(options)).toContain(expected);
  });

  test('a key that the device did not vouch for', async () => {
    const leaf = { key: stranger };
    expect(await verdict({ leaf })).toBe('SIGNATURE_INVALID at gpu.report');
    expect(await verdict({ leaf, signer: stranger })).toBe('ok');
    expect(await verdict({ leaf: { ...leaf, signer: stranger }, signer: stranger })).toBe(
      'SIGNATURE_INVALID at gpu.certificates[0]',
    );
  });

  test('roots are an argument: none, strangers, other vendors, and the real one', async () => {
    const at = 'ROOT_UNTRUSTED at gpu.certificates[4]';
    expect(await verdict({}, { roots: [] })).toBe('ROOTS_INVALID at roots');
    expect(await verdict({}, { roots: [trustRootOfSpki(stranger.spki, 'nvidia')] })).toBe(at);
    expect(await verdict({}, { roots: [{ ...gpuRoot, vendor: 'aws' }] })).toBe(at);
    expect(await verdict({}, { roots: [{ ...gpuRoot, simulated: false }] })).toBe('ROOTS_INVALID at roots');
    expect(await verdict({}, { roots: pinnedRoots })).toBe(at);
    expect(pinnedRoots).toContain(nvidiaDeviceRoot);
  });
});

describe('what is asked of a report', () => {
  test('no reference is no GPU', async () => {
    expect(await verdict({}, { reference: () => undefined })).toBe('GPU_NOT_ATTESTED at gpu.report');
    expect(await verdict({}, { reference: () => new Map() })).toBe('MALFORMED_POLICY at gpu.reference');
  });

  test.each<[string, ReadonlyMap<number, readonly string[]>]>([
    ['an index of 0', new Map([[0, ['ab'.repeat(48)]]])],
    ['half an index', new Map([[1.5, ['ab'.repeat(48)]]])],
    ['no digest', new Map([[3, []]])],
    ['a short digest', new Map([[3, ['ab'.repeat(32)]]])],
    ['no hexadecimal', new Map([[3, ['xy'.repeat(48)]]])],
  ])('%s in the reference is refused', async (_, odd) => {
    expect(await verdict({}, { reference: () => odd })).toBe('MALFORMED_POLICY at gpu.reference');
  });

  test('a nonce of another length and a time that is none are refused', async () => {
    expect(await verdict({}, { nonce: new Uint8Array(31) })).toBe('NONCE_MISMATCH at gpu.nonce');
    expect(await verdict({}, { now: Number.NaN })).toBe('INVALID_TIME at now');
  });
});

describe('GPUs beside the evidence of a guest', () => {
  const reportData = new Uint8Array(64).fill(0xd0);
  const claims = { reportData: toHex(reportData), simulated: true };
  const bound = { nonce: gpuNonceOf(reportData) };
  const options = { roots: [gpuRoot], now, reference: () => reference };
  const refusal = (evidence: readonly GpuEvidence[], of: Parameters<typeof verifyGpusOf>[0] = claims) =>
    outcome(async () => String((await verifyGpusOf(of, evidence, options)).length));

  test('answer a nonce that its report data make', async () => {
    expect(toHex(bound.nonce)).toBe(toHex(sha256(concatBytes(utf8('cloister/gpu-nonce: v1'), reportData))));
    expect(await refusal([makeGpu(bound), makeGpu(bound)])).toBe('2');
    expect(await refusal([makeGpu(bound)], { ...claims, reportData: `0x${'d1'.repeat(64)}` })).toBe(
      'NONCE_MISMATCH at gpuEvidence[0].report.nonce',
    );
    expect(await refusal([makeGpu(bound), makeGpu()])).toBe('NONCE_MISMATCH at gpuEvidence[1].report.nonce');
  });

  test('are there, not too many, and none twice', async () => {
    const gpu = makeGpu(bound);
    expect(await refusal([])).toBe('GPU_NOT_ATTESTED at gpuEvidence');
    expect(await refusal(Array.from({ length: 17 }, () => gpu))).toBe('GPU_NOT_ATTESTED at gpuEvidence');
    expect(await refusal([gpu, gpu])).toBe('GPU_NOT_ATTESTED at gpuEvidence[1]');
    const again = { certificates: gpu.certificates, report: makeReport(bound) };
    expect(await refusal([gpu, again])).toBe('GPU_NOT_ATTESTED at gpuEvidence[1]');
  });

  test('are as real as it is', async () => {
    expect(await refusal([makeGpu(bound)], { ...claims, simulated: false })).toBe(
      'SIMULATED_REFUSED at gpuEvidence[0]',
    );
  });

  test('of evidence without report data are none of its', async () => {
    expect(await refusal([makeGpu(bound)], { ...claims, reportData: null })).toBe(
      'REPORT_DATA_MISMATCH at claims.reportData',
    );
    expect(await refusal([makeGpu(bound)], { ...claims, reportData: '0xd0' })).toBe(
      'REPORT_DATA_MISMATCH at claims.reportData',
    );
  });

  test("travel in NVIDIA's layout", async () => {
    const evidence = [makeGpu(bound), makeGpu(bound)];
    const text = JSON.stringify(gpuEvidenceJson(evidence, bound.nonce));
    const read = readGpuEvidence(text);
    expect(read.map(({ report }) => report)).toEqual(evidence.map(({ report }) => report));
    expect(readGpuEvidence(utf8(text))).toEqual(read);
    expect(await refusal(read)).toBe('2');
  });

  const whole = gpuEvidenceJson([makeGpu()], nonce);
  const [one] = whole.evidence_list as readonly Record<string, string>[];
  test.each<[string, unknown, string]>([
    ['no object', [], 'MALFORMED_EVIDENCE at gpuEvidence'],
    ['a field too many', { ...whole, more: 1 }, 'MALFORMED_EVIDENCE at gpuEvidence'],
    ['a short nonce', { ...whole, nonce: 'ab' }, 'MALFORMED_EVIDENCE at gpuEvidence.nonce'],
    ['another family', { ...whole, arch: 'TURING' }, 'MALFORMED_EVIDENCE at gpuEvidence.arch'],
    [
      'too many GPUs',
      { ...whole, evidence_list: Array.from({ length: 17 }, () => one) },
      'MALFORMED_EVIDENCE at gpuEvidence.evidence_list',
    ],
    [
      'no report',
      { ...whole, evidence_list: [{ certificate: 'AAAA' }] },
      'MALFORMED_EVIDENCE at gpuEvidence.evidence_list[0].evidence',
    ],
    [
      'no base64',
      { ...whole, evidence_list: [{ ...one, evidence: '*' }] },
      'MALFORMED_BASE64 at gpuEvidence.evidence_list[0].evidence',
    ],
  ])('%s is refused', async (_, json, expected) => {
    expect(await outcome(() => String(readGpuEvidence(JSON.stringify(json)).length))).toContain(expected);
  });

  test('bytes that are no UTF-8, and too many of them, are refused', async () => {
    const read = (bytes: Uint8Array) => outcome(() => String(readGpuEvidence(bytes).length));
    expect(await read(Uint8Array.of(0xff))).toBe('MALFORMED_JSON at gpuEvidence');
    expect(await read(new Uint8Array(5 * 1024 * 1024))).toBe('TOO_LARGE at gpuEvidence');
  });
});

test('whatever stands in evidence, it is verified or refused, never failed', async () => {
  const evidence = makeGpu();
  const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 4 }), insert: fc.uint8Array({ maxLength: 4 }) });
  const edited = (
    bytes: Uint8Array,
    edits: readonly { at: number; remove: number; insert: Uint8Array }[],
  ): Uint8Array =>
    edits.reduce((all, { at, remove, insert }) => {
      const from = at % (all.length + 1);
      return concatBytes(all.subarray(0, from), insert, all.subarray(from + remove));
    }, bytes);
  const chain = makeChain();
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), fc.nat({ max: 2 }), async (edits, what) => {
      const changed =
        what === 0
          ? { ...evidence, report: edited(evidence.report, edits) }
          : what === 1
            ? { ...evidence, certificates: edited(utf8(evidence.certificates), edits) }
            : makeGpu({ bundle: () => chain.map((der, index) => (index === 0 ? edited(der, edits) : der)) });
      try {
        await verifyGpuReport(changed, good);
      } catch (error) {
        if (!(error instanceof AttestationError)) throw error;
        expect(error.message).not.toMatch(/\.$/);
      }
    }),
    { numRuns: long ? 20_000 : 150 },
  );
});

describe.skipIf(!hasFixture('nvidia/hopperAttestationReport.txt'))('real evidence: a GPU of NVIDIA', () => {
  const read = (name: string): string => new TextDecoder().decode(fixture(`nvidia/${name}`)).trim();
  const evidence = () => ({
    report: fromHex(read('hopperAttestationReport.txt')),
    certificates: `${read('hopperCertChain.txt')}\n`,
  });
  const challenge = fromHex('931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb');

  test('verifies up to the pinned root, and not with one bit changed', async () => {
    const { report, certificates } = evidence();
    const measured = parseGpuReport(report).measurements;
    const all = new Map([...measured].map(([index, digest]) => [index, [toHex(digest)]]));
    const options = { roots: [nvidiaDeviceRoot], now, nonce: challenge, reference: () => all };
    expect(await verifyGpuReport({ report, certificates }, options)).toMatchObject({
      ...{ simulated: false, model: 'GH100 A01 GSP BROM', driverVersion: '550.90.07', vbiosVersion: '96.00.9F.00.01' },
      ...{ ueid: BigInt('0x53c22ba15e5d68088282da074ed9fb37aa585771').toString(), uncompared: [] },
    });
    for (const at of [0, 40, 100, report.length - 1]) {
      const changed = Uint8Array.from(report);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(verifyGpuReport({ report: changed, certificates }, options)).rejects.toThrow(AttestationError);
    }
  });
});
