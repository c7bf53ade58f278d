import { concatBytes } from '@cloister/crypto';
import { der, integer, oid, sequence } from '../../src/unsafe-simulated/derWriter.ts';
import { extension } from '../../src/unsafe-simulated/index.ts';
import {
  type AnyCertificateSpec,
  type AnyCrlSpec,
  type AnyKey,
  issue,
  issueList,
  makeKey,
  signP384,
} from '../../src/unsafe-simulated/vendorCertificate.ts';
import { devPrefix, type SnpProduct, type TrustRoot, trustRootOfSpki } from '../../src/verify/index.ts';
import type { SnpCertificates } from '../../src/verify/snp/verifySnpKey.ts';
import { now } from '../synthetic.ts';
import { certificateSpec } from '../syntheticX509.ts';

/** A made-up AMD: keys once, since RSA keys cost time. */
export const amdKeys = { ark: makeKey('rsa'), ask: makeKey('rsa'), leaf: makeKey('p384') };

export const amdRoot: TrustRoot = trustRootOfSpki(amdKeys.ark.spki, 'amd');

/** 8 bytes in each layout: bootloader 3, tee 1, snp 8, microcode 115; of Turin FMC 2 besides. */
export const tcbBytes = {
  Milan: Uint8Array.of(3, 1, 0, 0, 0, 0, 8, 115),
  Genoa: Uint8Array.of(3, 1, 0, 0, 0, 0, 8, 115),
  Turin: Uint8Array.of(2, 3, 1, 8, 0, 0, 0, 115),
} as const;

export const chipId = Uint8Array.from({ length: 64 }, (_, index) => index + 1);

/** CPUID family, model and stepping by product. */
const cpuids = { Milan: [0x19, 1, 1], Genoa: [0x19, 0x11, 1], Turin: [0x1a, 2, 1] } as const;

export type SnpWorldOptions = {
  readonly product?: SnpProduct;
  readonly signer?: 'vcek' | 'vlek';
  /** Default: 2 for Milan, 3 for Genoa, 5 for Turin. */
  readonly version?: number;
  readonly ark?: Partial<AnyCertificateSpec>;
  readonly ask?: Partial<AnyCertificateSpec>;
  readonly leaf?: Partial<AnyCertificateSpec>;
  readonly crl?: Partial<AnyCrlSpec>;
  /** Extensions of the leaf in place of the right ones, by the end of their OID. */
  readonly extensions?: Readonly<Record<string, Uint8Array | undefined>>;
  /** Changes to the report before it is signed. */
  readonly edit?: (report: Uint8Array) => void;
  /** Signs the report in place of the leaf's key. */
  readonly reportSigner?: AnyKey;
};

export type SnpWorld = { readonly report: Uint8Array; readonly certificates: SnpCertificates };

/** A made-up chip, its certificates and a report of it: good unless the options say otherwise. */
export function makeSnpWorld(options: SnpWorldOptions = {}): SnpWorld {
  const { product = 'Milan', signer = 'vcek' } = options;
  const { ark, ask, leaf } = amdKeys;
  const names = {
    ark: `${devPrefix}ARK-${product}`,
    ask: `${devPrefix}SEV-${signer === 'vlek' ? 'VLEK-' : ''}${product}`,
    leaf: `${devPrefix}SEV-${signer.toUpperCase()}`,
  };
  const root = issue(
    certificateSpec({ subject: names.ark, issuer: names.ark, key: ark, signer: ark, isCa: true, ...options.ark }),
  );
  const askSpec = certificateSpec({
    subject: names.ask,
    issuer: names.ark,
    key: ask,
    signer: ark,
    isCa: true,
    pathLength: 0,
    keyUsage: 0x04,
    issuerKey: ark,
    ...options.ask,
  });
  const leafSpec = certificateSpec({
    subject: names.leaf,
    issuer: names.ask,
    key: leaf,
    signer: ask,
    isCa: undefined,
    serial: Uint8Array.of(0),
    extensions: endorsementExtensions(product, signer, options.extensions ?? {}),
    ...options.leaf,
  });
  const crl = issueList({
    issuer: names.ark,
    signer: ark,
    thisUpdate: now - 3600,
    nextUpdate: now + 86_400,
    revoked: [],
    ...options.crl,
  });
  return {
    report: mintReport(product, signer, options),
    certificates: { leaf: issue(leafSpec), intermediate: issue(askSpec), root, crl },
  };
}

/** The extensions of a leaf, each an OID's end and its DER value. */
function endorsementExtensions(
  product: SnpProduct,
  signer: 'vcek' | 'vlek',
  changes: Readonly<Record<string, Uint8Array | undefined>>,
): readonly Uint8Array[] {
  const all: Record<string, Uint8Array | undefined> = {
    '1': integer(1),
    '2': der(0x16, Buffer.from(product === 'Turin' ? 'Turin' : `${product}-B0`)),
    '3.1': integer(3),
    '3.2': integer(1),
    '3.3': integer(8),
    '3.5': integer(0),
    '3.8': integer(115),
    ...(product === 'Turin' ? { '3.9': integer(2) } : {}),
    ...(signer === 'vcek'
      ? { '4': chipId.subarray(0, product === 'Turin' ? 8 : 64) }
      : { '5': der(0x16, Buffer.from('cloud.example')) }),
    ...changes,
  };
  return Object.entries(all).flatMap(([id, value]) =>
    value === undefined ? [] : [extension(`1.3.6.1.4.1.3704.1.${id}`, value)],
  );
}

function mintReport(product: SnpProduct, signer: 'vcek' | 'vlek', options: SnpWorldOptions): Uint8Array {
  const version = options.version ?? { Milan: 2, Genoa: 3, Turin: 5 }[product];
  const report = new Uint8Array(1184);
  const view = new DataView(report.buffer);
  view.setUint32(0x00, version, true);
  view.setUint32(0x04, 7, true);
  view.setBigUint64(0x08, 0x3001fn, true);
  view.setUint32(0x34, 1, true);
  view.setUint32(0x48, signer === 'vlek' ? 1 << 2 : 0, true);
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) report.set(tcbBytes[product], at);
  report.fill(0xd0, 0x50, 0x90);
  report.fill(0xa1, 0x90, 0xc0);
  report.fill(0xc0, 0xc0, 0xe0);
  report.fill(0x11, 0x140, 0x160);
  report.fill(0xff, 0x160, 0x180);
  if (version > 2) report.set(cpuids[product], 0x188);
  report.set(product === 'Turin' ? chipId.subarray(0, 8) : chipId, 0x1a0);
  options.edit?.(report);
  return signReport(report, options.reportSigner ?? amdKeys.leaf);
}

/** The report with its signature made anew, R and S little-endian in 72 bytes each. */
export function signReport(report: Uint8Array, key: AnyKey): Uint8Array {
  const signature = signP384(key, report.subarray(0, 0x2a0));
  const signed = report.slice();
  signed.set(signature.slice(0, 48).reverse(), 0x2a0);
  signed.set(signature.slice(48).reverse(), 0x2e8);
  return signed;
}

/** An OID and what stands under it, for extensions that nobody knows. */
export function strangeExtension(critical: boolean): Uint8Array {
  return extension('1.2.3.4', concatBytes(sequence(oid('1.2.3'))), critical);
}
