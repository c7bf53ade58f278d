// What one check of a GPU's report decides, where others refuse with the same code: the message tells them apart.

import { concatBytes, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { integer, octetString, oid, sequence } from '../../src/unsafe-simulated/derWriter.ts';
import { extension } from '../../src/unsafe-simulated/issueCertificate.ts';
import { bounds } from '../../src/verify/bounds.ts';
import {
  gpuEvidenceJson,
  gpuNonceOf,
  parseGpuReport,
  readGpuEvidence,
  verifyGpuReport,
  verifyGpusOf,
} from '../../src/verify/index.ts';
import {
  digestOf,
  firmware,
  type GpuOptions,
  gpuKeys,
  gpuRoot,
  makeGpu,
  makeReport,
  measuredIndices,
  nonce,
} from '../nvidia/syntheticGpu.ts';
import { now } from '../synthetic.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

const reference = new Map(measuredIndices.map((index) => [index, [toHex(digestOf(index))]]));
const options = { roots: [gpuRoot], now, nonce, reference: () => reference };
const verdict = (changes: GpuOptions, other: Partial<typeof options> = {}) =>
  laterMessageOf(() => verifyGpuReport(makeGpu(changes), { ...options, ...other }));

describe('the firmware that a certificate names', () => {
  const sha384 = oid('2.16.840.1.101.3.4.2.2');
  const id = (...parts: readonly Uint8Array[]) => sequence(sha384, octetString(firmware), ...parts);
  const verdictOf = (value: Uint8Array) => verdict({ leaf: { extensions: [extension('2.23.133.5.4.1', value)] } });
  const more = octetString(Uint8Array.of(1));
  const key = gpuKeys.device.spki;

  test('is read from just this form', async () => {
    expect(await verdictOf(sequence(integer(1), key, id()))).toBe('ok');
  });

  test.each<[string, Uint8Array, string]>([
    ['more behind it', concatBytes(sequence(integer(1), key, id()), more), 'the device id to end here'],
    ['version 2', sequence(integer(2), key, id()), 'version 1 of the device id'],
    ['more in it', sequence(integer(1), key, id(), more), 'the device id to end here'],
    [
      'another hash',
      sequence(integer(1), key, sequence(oid('2.16.840.1.101.3.4.2.1'), octetString(firmware))),
      'a firmware id by SHA-384',
    ],
    ['more behind the digest', sequence(integer(1), key, id(more)), 'the firmware id to end here'],
  ])('with %s is refused', async (_, value, message) => {
    expect(await verdictOf(value)).toContain(`Expected ${message} at "gpu.certificates[0].deviceId`);
  });
});

describe('the form of a report', () => {
  const little = (bytes: Uint8Array, at: number, value: number) =>
    bytes.with(at, value & 0xff).with(at + 1, value >> 8);
  /** The first measurement stands at 45: index, specification, size in two bytes, type, length in two, digest. */
  const firstBlock = 55;
  const recordLength = 24 * firstBlock;

  test('has nothing behind the digest of a measurement', () => {
    const longer = makeReport({
      message: (bytes) => {
        const sized = little(little(bytes, 42, recordLength + 1), 47, 52);
        return concatBytes(sized.subarray(0, 45 + firstBlock), Uint8Array.of(0), sized.subarray(45 + firstBlock));
      },
    });
    expect(messageOf(() => parseGpuReport(longer))).toMatch(
      /^MALFORMED_REPORT at gpuReport\.response\.record\.measurements\.1 @ \d+: Expected it to end here .* got "1 bytes more"$/,
    );
  });

  test('has a measurement', () => {
    const none = makeReport({
      message: (bytes) => {
        const sized = little(bytes.with(41, 0), 42, 0);
        return concatBytes(sized.subarray(0, 45), sized.subarray(45 + recordLength));
      },
    });
    expect(messageOf(() => parseGpuReport(none))).toContain('Expected a measurement at');
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array, string]>([
    ['the digest of its last measurement', (bytes) => little(bytes, 47, 50), 'Expected 48 bytes of value to fit'],
    ['its record', (bytes) => bytes.with(44, 1), `Expected ${65_536 + recordLength} bytes of response.record to fit`],
  ])('has room for %s', (_, message, expected) => {
    expect(messageOf(() => parseGpuReport(makeReport({ message })))).toContain(expected);
  });
});

describe('what is held against a report', () => {
  test.each([1, 2])('a chain of %i certificates is no chain, whoever signed', async (length) => {
    const bundle = (chain: readonly Uint8Array[]) => chain.slice(-length);
    expect(await verdict({ bundle })).toBe(
      `CHAIN_LENGTH at gpu.certificates: Expected at least 3 certificates at "gpu.certificates", got "${length}"`,
    );
  });

  test('a chain of 3 is one', async () => {
    const { root, device, leaf } = gpuKeys;
    const short: GpuOptions = {
      device: { issuer: 'DEV unsafe simulated NVIDIA Device Identity CA', signer: root, issuerKey: root, key: device },
      bundle: ([first, second, , , last]) => [first, second, last] as Uint8Array[],
      signer: leaf,
    };
    expect(await verdict(short)).toBe('ok');
  });

  test('a reference has no more indices than there are, whichever they are', async () => {
    const digest = [toHex(digestOf(2))];
    const many = new Map(Array.from({ length: bounds.gpuMeasurements + 1 }, (_, at) => [at + 1, digest]));
    expect(await verdict({}, { reference: () => many })).toContain(
      'Expected 1 to 255 indices at "gpu.reference", got "256"',
    );
  });
});

describe('GPUs beside evidence', () => {
  const reportData = new Uint8Array(64).fill(0xd0);
  const bound = { nonce: gpuNonceOf(reportData) };

  test('may be as many as the bound says', async () => {
    const evidence = Array.from({ length: bounds.gpus }, () => makeGpu(bound));
    const claims = { reportData: toHex(reportData), simulated: true };
    const { nonce: _, ...common } = options;
    expect(await verifyGpusOf(claims, evidence, common)).toHaveLength(16);
  });

  test('come with the members that are known', () => {
    const whole = gpuEvidenceJson([makeGpu()], nonce);
    const [one] = whole.evidence_list as readonly Record<string, string>[];
    const read = (more: object) =>
      messageOf(() => readGpuEvidence(utf8(JSON.stringify({ ...whole, evidence_list: [{ ...one, ...more }] }))));
    expect(read({ arch: 'HOPPER', firmware_version: '96.00.9F.00.01' })).toBe('ok');
    expect(read({ signature: '' })).toContain('MALFORMED_EVIDENCE at gpuEvidence.evidence_list[0]');
  });
});
