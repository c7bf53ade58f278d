import { concatBytes, utf8 } from '@cloister/crypto';
import {
  type AnyCertificateSpec,
  type AnyKey,
  issue,
  makeKey,
  signP384,
} from '../../src/unsafe-simulated/vendorCertificate.ts';
import { devPrefix, type TrustRoot, trustRootOfSpki } from '../../src/verify/index.ts';
import { now } from '../synthetic.ts';
import { certificateSpec } from '../syntheticX509.ts';

/** A made-up AWS: root, region, zone, instance, enclave. */
export const awsKeys = {
  root: makeKey('p384'),
  region: makeKey('p384'),
  instance: makeKey('p384'),
  leaf: makeKey('p384'),
};

export const awsRoot: TrustRoot = trustRootOfSpki(awsKeys.root.spki, 'aws');

export const moduleId = 'i-0123456789abcdef0-enc01';

/** CBOR as the Nitro Secure Module writes it; it writes whatever it is told. */
export const cbor = {
  head(major: number, value: number): Uint8Array {
    if (value < 24) return Uint8Array.of((major << 5) | value);
    if (value < 0x100) return Uint8Array.of((major << 5) | 24, value);
    if (value < 0x10000) return Uint8Array.of((major << 5) | 25, value >> 8, value & 0xff);
    const bytes = new Uint8Array(9);
    bytes[0] = (major << 5) | 27;
    new DataView(bytes.buffer).setBigUint64(1, BigInt(value));
    return bytes;
  },
  number: (value: number): Uint8Array => cbor.head(0, value),
  bytes: (value: Uint8Array): Uint8Array => concatBytes(cbor.head(2, value.length), value),
  text: (value: string): Uint8Array => concatBytes(cbor.head(3, utf8(value).length), utf8(value)),
  array: (items: readonly Uint8Array[]): Uint8Array => concatBytes(cbor.head(4, items.length), ...items),
  map: (entries: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array =>
    concatBytes(cbor.head(5, entries.length), ...entries.flat()),
  openMap: (entries: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array =>
    concatBytes(Uint8Array.of(0xbf), ...entries.flat(), Uint8Array.of(0xff)),
  null: Uint8Array.of(0xf6),
};

export type NitroWorldOptions = {
  readonly root?: Partial<AnyCertificateSpec>;
  readonly region?: Partial<AnyCertificateSpec>;
  readonly instance?: Partial<AnyCertificateSpec>;
  readonly leaf?: Partial<AnyCertificateSpec>;
  /** Members of the payload as CBOR, in place of the right ones; undefined leaves one out. */
  readonly payload?: Readonly<Record<string, Uint8Array | undefined>>;
  /** Whole entries after the payload's own. */
  readonly more?: readonly (readonly [Uint8Array, Uint8Array])[];
  /** Writes the payload's map. Default: of indefinite length, as AWS does. */
  readonly map?: typeof cbor.map;
  readonly protectedHeader?: Uint8Array;
  readonly unprotectedHeader?: Uint8Array;
  readonly documentSigner?: AnyKey;
  /** Changes the order or number of the bundle. */
  readonly bundle?: (bundle: readonly Uint8Array[]) => readonly Uint8Array[];
};

export const pcr = (byte: number): Uint8Array => new Uint8Array(48).fill(byte);
export const pcrsOf = (values: Readonly<Record<number, Uint8Array>>): Uint8Array =>
  cbor.map(Object.entries(values).map(([index, value]) => [cbor.number(Number(index)), cbor.bytes(value)]));

/** A made-up enclave's document: good unless the options say otherwise. */
export function makeNitroDocument(options: NitroWorldOptions = {}): Uint8Array {
  const { root, region, instance, leaf } = awsKeys;
  const names = {
    root: `${devPrefix}aws.nitro-enclaves`,
    region: `${devPrefix}test.aws.nitro-enclaves`,
    instance: `${devPrefix}i-0123456789abcdef0.test.aws.nitro-enclaves`,
    leaf: `${devPrefix}${moduleId}.test.aws`,
  };
  const ca = { isCa: true, keyUsage: 0x86 };
  const chain = [
    issue(
      certificateSpec({ subject: names.root, issuer: names.root, key: root, signer: root, ...ca, ...options.root }),
    ),
    issue(
      certificateSpec({
        subject: names.region,
        issuer: names.root,
        key: region,
        signer: root,
        issuerKey: root,
        ...ca,
        pathLength: 1,
        ...options.region,
      }),
    ),
    issue(
      certificateSpec({
        subject: names.instance,
        issuer: names.region,
        key: instance,
        signer: region,
        issuerKey: region,
        ...ca,
        pathLength: 0,
        ...options.instance,
      }),
    ),
  ];
  const certificate = issue(
    certificateSpec({ subject: names.leaf, issuer: names.instance, key: leaf, signer: instance, ...options.leaf }),
  );
  const members: Record<string, Uint8Array | undefined> = {
    module_id: cbor.text(moduleId),
    digest: cbor.text('SHA384'),
    timestamp: cbor.number(now * 1000 + 577),
    pcrs: pcrsOf({ 0: pcr(0xa0), 1: pcr(0xa1), 2: pcr(0xa2), 3: pcr(0), 4: pcr(0xa4) }),
    certificate: cbor.bytes(certificate),
    cabundle: cbor.array((options.bundle ?? ((bundle) => bundle))(chain).map(cbor.bytes)),
    public_key: cbor.null,
    user_data: cbor.bytes(new Uint8Array(64).fill(0xd0)),
    nonce: cbor.null,
    ...options.payload,
  };
  const entries = Object.entries(members).flatMap(([key, value]) =>
    value === undefined ? [] : [[cbor.text(key), value] as const],
  );
  const payload = (options.map ?? cbor.openMap)([...entries, ...(options.more ?? [])]);
  return signDocument(payload, options);
}

/** A COSE_Sign1 of any payload. */
export function signDocument(payload: Uint8Array, options: NitroWorldOptions = {}): Uint8Array {
  const header = options.protectedHeader ?? Uint8Array.of(0xa1, 0x01, 0x38, 0x22);
  const structure = cbor.array([
    cbor.text('Signature1'),
    cbor.bytes(header),
    cbor.bytes(new Uint8Array(0)),
    cbor.bytes(payload),
  ]);
  const signature = signP384(options.documentSigner ?? awsKeys.leaf, structure);
  return cbor.array([
    cbor.bytes(header),
    options.unprotectedHeader ?? cbor.map([]),
    cbor.bytes(payload),
    cbor.bytes(signature),
  ]);
}
