import { fromUtf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';

/** A GPU's attestation report: what it was asked, what it answered, and its signature over both. Views; nothing in it is trusted yet. */
export type GpuReport = {
  /** 32 bytes: what the GPU was challenged with. */
  readonly nonce: Uint8Array;
  /** By index, 1 to 255: a digest of 48 bytes for each part of firmware and settings, zero where the GPU has none. */
  readonly measurements: ReadonlyMap<number, Uint8Array>;
  /** As the driver has them: `550.90.07`. */
  readonly driverVersion: string;
  /** `96.00.9F.00.01`. */
  readonly vbiosVersion: string;
  /** 48 bytes: the digest of the firmware that holds the signing key. */
  readonly firmwareId: Uint8Array;
  readonly signedPart: Uint8Array;
  /** 96 bytes, r ‖ s, big-endian. */
  readonly signature: Uint8Array;
};

const spdmVersion = 0x11;
const codes = { getMeasurements: 0xe0, measurements: 0x60 } as const;
/** Of the request: ask for a signature, and for all measurements. */
const withSignature = 0x01;
const allMeasurements = 0xff;
const nonceBytes = 32;
const digestBytes = 48;
const signatureBytes = 96;
/** Measurement specification and value type (DSP0274, tables 44 and 45): DMTF's, a digest of any kind. */
const dmtf = 0x01;
const rawBit = 0x80;
/** Fields of the opaque data that are read (NVIDIA, nvtrust, `OPAQUE_DATA_TYPES`). */
const fields = { driverVersion: 3, vbiosVersion: 6, firmwareId: 20 } as const;
const maxFields = 64;

/**
 * Reads a report as NVIDIA's driver gives it: the SPDM request GET_MEASUREMENTS (37 bytes), and the response MEASUREMENTS with NVIDIA's
 * opaque data (DMTF DSP0274 1.1, §10.11; NVIDIA/nvtrust, `verifier/attestation`). Strictly: all measurements were asked for with a
 * signature, every length fits, nothing is left over, no index and no field stands twice. Throws MALFORMED_REPORT, UNSUPPORTED_REPORT,
 * TOO_LARGE.
 */
export function parseGpuReport(bytes: Uint8Array, place = 'gpuReport'): GpuReport {
  assertAtMost(bytes.length, bounds.gpuReport, place);
  const reader = new Reader(bytes, place);
  expectByte(reader, 'request.version', spdmVersion);
  expectByte(reader, 'request.code', codes.getMeasurements);
  expectByte(reader, 'request.attributes', withSignature);
  expectByte(reader, 'request.operation', allMeasurements);
  const nonce = reader.take(nonceBytes, 'request.nonce');
  reader.byte('request.slot');
  expectByte(reader, 'response.version', spdmVersion);
  expectByte(reader, 'response.code', codes.measurements);
  reader.take(2, 'response.parameters');
  const blocks = reader.byte('response.blocks');
  const record = reader.inside(reader.number(3, 'response.recordLength'), 'response.record');
  const measurements = readMeasurements(record, blocks);
  // The GPU's own, which makes no two answers the same.
  reader.take(nonceBytes, 'response.nonce');
  const opaque = readFields(reader.inside(reader.number(2, 'response.opaqueLength'), 'response.opaque'));
  const signedPart = bytes.subarray(0, reader.at);
  const signature = reader.take(signatureBytes, 'response.signature');
  reader.finish();
  return {
    nonce,
    measurements,
    driverVersion: textOf(required(opaque, 'driverVersion', place), `${place}.driverVersion`),
    vbiosVersion: vbiosVersionOf(required(opaque, 'vbiosVersion', place), `${place}.vbiosVersion`),
    firmwareId: digestOf(required(opaque, 'firmwareId', place), `${place}.firmwareId`),
    signedPart,
    signature,
  };
}

function readMeasurements(record: Reader, blocks: number): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let block = 0; block < blocks; block++) {
    const index = record.byte('index');
    if (index === 0 || found.has(index)) throw record.fail('Expected each index from 1 on once', index);
    const specification = record.byte('specification');
    if (specification !== dmtf) throw record.unsupported('measurements by DMTF (1)', specification);
    const measurement = record.inside(record.number(2, 'size'), `measurements.${index}`);
    const type = measurement.byte('type');
    if ((type & rawBit) !== 0) throw measurement.unsupported('a digest', type);
    const length = measurement.number(2, 'length');
    if (length !== digestBytes) throw measurement.unsupported(`a digest of ${digestBytes} bytes`, length);
    found.set(index, measurement.take(length, 'value'));
    measurement.finish();
  }
  record.finish();
  if (found.size === 0) throw record.fail('Expected a measurement', 0);
  return found;
}

/** Type, length, value; types that are not known here are passed over. */
function readFields(opaque: Reader): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  while (!opaque.done) {
    const type = opaque.number(2, 'type');
    if (found.has(type)) throw opaque.fail('Expected each field once', type);
    if (found.size === maxFields) throw opaque.fail(`Expected at most ${maxFields} fields`, found.size + 1);
    found.set(type, opaque.take(opaque.number(2, 'size'), `field ${type}`));
  }
  return found;
}

function required(opaque: ReadonlyMap<number, Uint8Array>, name: keyof typeof fields, place: string): Uint8Array {
  const value = opaque.get(fields[name]);
  if (value === undefined) throw malformed(`${place}.${name}`, `Expected field ${fields[name]}`, 'none');
  return value;
}

/** ASCII, with zeros at its end. */
function textOf(bytes: Uint8Array, place: string): string {
  const end = bytes.indexOf(0);
  const [text, rest] = end < 0 ? [bytes, new Uint8Array()] : [bytes.subarray(0, end), bytes.subarray(end)];
  const isVersion = text.length > 0 && text.length <= 64 && text.every((byte) => byte > 0x20 && byte < 0x7f);
  if (!isVersion || rest.some((byte) => byte !== 0))
    throw malformed(place, 'Expected a version', `${bytes.length} bytes`);
  return fromUtf8(text);
}

/** Eight bytes, little-endian: four of the version, one of the board's maker. */
function vbiosVersionOf(bytes: Uint8Array, place: string): string {
  if (bytes.length !== 8) throw malformed(place, 'Expected 8 bytes', bytes.length);
  const order = [3, 2, 1, 0, 4].map((at) => (bytes[at] ?? 0).toString(16).padStart(2, '0').toUpperCase());
  return order.join('.');
}

function digestOf(bytes: Uint8Array, place: string): Uint8Array {
  if (bytes.length !== digestBytes) throw malformed(place, `Expected ${digestBytes} bytes`, bytes.length);
  return bytes;
}

function expectByte(reader: Reader, what: string, expected: number): void {
  const got = reader.byte(what);
  if (got !== expected) throw reader.unsupported(`0x${expected.toString(16)} at "${what}"`, got);
}

/** Reads forward; every failure is an error with the offset in the whole report. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #place: string;
  readonly #end: number;
  at: number;

  constructor(bytes: Uint8Array, place: string, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#place = place;
    this.at = at;
    this.#end = end;
  }

  get done(): boolean {
    return this.at === this.#end;
  }

  take(length: number, what: string): Uint8Array {
    if (length > this.#end - this.at)
      throw this.fail(`Expected ${length} bytes of ${what} to fit`, `${this.#end - this.at} left`);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  byte(what: string): number {
    return this.number(1, what);
  }

  /** Little-endian, of at most four bytes. */
  number(length: number, what: string): number {
    return this.take(length, what).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  /** The next bytes as a reader of their own, which this one has passed. */
  inside(length: number, what: string): Reader {
    const from = this.at;
    this.take(length, what);
    return new Reader(this.#bytes, `${this.#place}.${what}`, from, this.at);
  }

  finish(): void {
    if (!this.done) throw this.fail('Expected it to end here', `${this.#end - this.at} bytes more`);
  }

  fail(message: string, value: number | string): AttestationError {
    return malformed(`${this.#place} @ ${this.at}`, message, value);
  }

  unsupported(expected: string, value: number): AttestationError {
    const place = `${this.#place} @ ${this.at}`;
    return new AttestationError({
      code: 'UNSUPPORTED_REPORT',
      place,
      value,
      message: `Expected ${expected} at "${place}", got "${value}"`,
      hint: 'Reports of Hopper GPUs are verified: SPDM 1.1, ECDSA P-384',
    });
  }
}

function malformed(place: string, message: string, value: number | string): AttestationError {
  return new AttestationError({
    code: 'MALFORMED_REPORT',
    place,
    value,
    message: `${message} at "${place}", got "${value}"`,
  });
}
