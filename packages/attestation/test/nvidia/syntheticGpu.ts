import { concatBytes, sha256, utf8 } from '@cloister/crypto';
import { der, derTrue, integer, octetString, oid, sequence } from '../../src/unsafe-simulated/derWriter.ts';
import { extension, toPem } from '../../src/unsafe-simulated/issueCertificate.ts';
import {
  type AnyCertificateSpec,
  type AnyKey,
  issue,
  makeKey,
  signP384,
} from '../../src/unsafe-simulated/vendorCertificate.ts';
import { devPrefix, type GpuEvidence, trustRootOfSpki } from '../../src/verify/index.ts';
import { certificateSpec } from '../syntheticX509.ts';

/** A made-up NVIDIA: root, family, provisioner, device, and the key of one GPU's firmware. */
export const gpuKeys = {
  root: makeKey('p384'),
  family: makeKey('p384'),
  provisioner: makeKey('p384'),
  device: makeKey('p384'),
  leaf: makeKey('p384'),
};
export const gpuRoot = trustRootOfSpki(gpuKeys.root.spki, 'nvidia');

export const nonce = new Uint8Array(32).fill(0x5a);
export const firmware = new Uint8Array(48).fill(0xf1);
export const driverVersion = '580.159.03';

/** Of index 2 and up; what has no digest here is zero. */
export const digestOf = (index: number): Uint8Array => concatBytes(sha256(Uint8Array.of(index)), new Uint8Array(16));
export const measuredIndices: readonly number[] = [2, 3, 4, 22];

export type GpuOptions = {
  readonly root?: Partial<AnyCertificateSpec>;
  readonly family?: Partial<AnyCertificateSpec>;
  readonly provisioner?: Partial<AnyCertificateSpec>;
  readonly device?: Partial<AnyCertificateSpec>;
  readonly leaf?: Partial<AnyCertificateSpec>;
  readonly signer?: AnyKey;
  readonly nonce?: Uint8Array;
  /** Digests by index, in place of the right ones. */
  readonly measurements?: Readonly<Record<number, Uint8Array>>;
  /** Opaque fields in place of the right ones; undefined leaves one out. */
  readonly fields?: Readonly<Record<number, Uint8Array | undefined>>;
  /** Fields after the others. */
  readonly more?: readonly (readonly [number, Uint8Array])[];
  /** Changes what is signed. */
  readonly message?: (message: Uint8Array) => Uint8Array;
  /** Changes number or order of the certificates, leaf first. */
  readonly bundle?: (chain: readonly Uint8Array[]) => readonly Uint8Array[];
};

const little = (value: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => Math.floor(value / 256 ** at) % 256);
const field = (type: number, value: Uint8Array): Uint8Array =>
  concatBytes(little(type, 2), little(value.length, 2), value);
export const block = (index: number, value: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(index, 1), little(value.length + 3, 2), Uint8Array.of(1), little(value.length, 2), value);

/** The digest of the firmware that a leaf is made for, as its certificate has it. */
export function deviceIdOf(digest: Uint8Array, key = gpuKeys.device): Uint8Array {
  const id = sequence(integer(1), key.spki, sequence(oid('2.16.840.1.101.3.4.2.2'), octetString(digest)));
  return extension('2.23.133.5.4.1', id);
}

/** A made-up GPU's evidence: good unless the options say otherwise. */
export function makeGpu(options: GpuOptions = {}): GpuEvidence & { readonly certificates: string } {
  return {
    report: makeReport(options),
    certificates: toPem(...(options.bundle ?? ((all) => all))(makeChain(options))),
  };
}

/** Leaf first, as the driver gives them. */
export function makeChain(options: GpuOptions = {}): readonly Uint8Array[] {
  const { root, family, provisioner, device, leaf } = gpuKeys;
  const names = {
    root: `${devPrefix}NVIDIA Device Identity CA`,
    family: `${devPrefix}GH100 Identity`,
    provisioner: `${devPrefix}GH100 Provisioner`,
    device: `${devPrefix}GH100 A01 GSP BROM`,
    leaf: `${devPrefix}GH100 A01 GSP FMC`,
  };
  const ca = { isCa: true, keyUsage: 0x06 };
  const made = [
    { subject: names.root, issuer: names.root, key: root, signer: root, ...ca, ...options.root },
    { subject: names.family, issuer: names.root, key: family, signer: root, issuerKey: root, ...ca, ...options.family },
    {
      ...{ subject: names.provisioner, issuer: names.family, key: provisioner, signer: family, issuerKey: family },
      ...{ ...ca, ...options.provisioner },
    },
    {
      ...{ subject: names.device, issuer: names.provisioner, key: device, signer: provisioner, issuerKey: provisioner },
      ...{ ...ca, keyUsage: 0x04, ...options.device },
    },
    {
      ...{ subject: names.leaf, issuer: names.device, key: leaf, signer: device, issuerKey: device },
      // As NVIDIA's: key usage without basic constraints.
      ...{ isCa: undefined, keyUsage: 0x80, extensions: [keyUsageOfLeaf, deviceIdOf(firmware)], ...options.leaf },
    },
  ];
  return made.map((spec) => issue(certificateSpec(spec))).reverse();
}

const keyUsageOfLeaf = extension('2.5.29.15', der(0x03, Uint8Array.of(0x07, 0x80)), true);
export const basicConstraintsOfCa = extension('2.5.29.19', sequence(derTrue), true);

export function makeReport(options: GpuOptions = {}): Uint8Array {
  const indices = [
    ...new Set([
      ...Array.from({ length: 24 }, (_, at) => at + 1),
      ...Object.keys(options.measurements ?? {}).map(Number),
    ]),
  ];
  const record = indices.map((index) =>
    block(
      index,
      options.measurements?.[index] ?? (measuredIndices.includes(index) ? digestOf(index) : new Uint8Array(48)),
    ),
  );
  const fields: Record<number, Uint8Array | undefined> = {
    6: Uint8Array.of(0x00, 0x9f, 0x00, 0x96, 0x01, 0, 0, 0),
    3: utf8(`${driverVersion}\0`),
    12: new Uint8Array(256),
    20: firmware,
    ...options.fields,
  };
  const opaque = [
    ...Object.entries(fields).flatMap(([type, value]) => (value === undefined ? [] : [field(Number(type), value)])),
    ...(options.more ?? []).map(([type, value]) => field(type, value)),
  ];
  const recordBytes = concatBytes(...record);
  const opaqueBytes = concatBytes(...opaque);
  const message = concatBytes(
    Uint8Array.of(0x11, 0xe0, 0x01, 0xff),
    options.nonce ?? nonce,
    Uint8Array.of(0),
    Uint8Array.of(0x11, 0x60, 0, 0, record.length),
    little(recordBytes.length, 3),
    recordBytes,
    new Uint8Array(32).fill(0x77),
    little(opaqueBytes.length, 2),
    opaqueBytes,
  );
  const said = (options.message ?? ((bytes) => bytes))(message);
  return concatBytes(said, signP384(options.signer ?? gpuKeys.leaf, said));
}
