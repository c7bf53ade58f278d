import { concatBytes, fromHex, sha256, utf8 } from '@cloister/crypto';
import {
  bitString,
  der,
  derTrue,
  integer,
  integerOfBytes,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from './derWriter.ts';
import { type P256Key, signP256 } from './p256Key.ts';

/** A certificate to be made. Every field is free: what is not consistent makes a hostile variant. */
export type CertificateSpec = {
  readonly subject: string;
  readonly issuer: string;
  /** 64 bytes, x ‖ y. */
  readonly publicKey: Uint8Array;
  readonly signer: P256Key;
  /** Big-endian, at most 20 bytes, not negative. */
  readonly serial: Uint8Array;
  /** Unix seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  readonly pathLength?: number | undefined;
  /** First byte of the bits: 0xc0 signs data, 0x06 signs certificates and CRLs. */
  readonly keyUsage: number;
  /** x ‖ y of the issuer's key: its id goes into the authority key id. Left out where undefined. */
  readonly issuerPublicKey?: Uint8Array | undefined;
  /** Further extensions, whole. */
  readonly extensions?: readonly Uint8Array[];
};

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const p256SpkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** An X.509 v3 certificate in DER. */
export function issueCertificate(spec: CertificateSpec): Uint8Array {
  const constraints = spec.isCa
    ? sequence(derTrue, ...(spec.pathLength === undefined ? [] : [integer(spec.pathLength)]))
    : sequence();
  const tbs = sequence(
    der(0xa0, integer(2)),
    integerOfBytes(spec.serial),
    ecdsaWithSha256,
    distinguishedName(spec.issuer),
    sequence(time(spec.notBefore), time(spec.notAfter)),
    distinguishedName(spec.subject),
    concatBytes(p256SpkiPrefix, spec.publicKey),
    der(
      0xa3,
      sequence(
        ...(spec.issuerPublicKey === undefined ? [] : [authorityKeyId(spec.issuerPublicKey)]),
        extension('2.5.29.14', octetString(keyId(spec.publicKey))),
        extension('2.5.29.15', bitString(Uint8Array.of(spec.keyUsage), unusedBits(spec.keyUsage)), true),
        extension('2.5.29.19', constraints, true),
        ...(spec.extensions ?? []),
      ),
    ),
  );
  return signed(tbs, spec.signer);
}

/** A CRL to be made. */
export type CrlSpec = {
  readonly issuer: string;
  readonly signer: P256Key;
  /** Unix seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial numbers, big-endian. */
  readonly revoked: readonly Uint8Array[];
  /** x ‖ y: its id goes into the authority key id. Default: the signer's. */
  readonly issuerPublicKey?: Uint8Array;
  /** Further extensions of the list, whole. */
  readonly extensions?: readonly Uint8Array[];
};

/** A CRL v2 in DER. */
export function issueCrl(spec: CrlSpec): Uint8Array {
  const entries = spec.revoked.map((serial) =>
    sequence(
      integerOfBytes(serial),
      time(spec.thisUpdate),
      sequence(extension('2.5.29.21', der(0x0a, Uint8Array.of(1)))),
    ),
  );
  const tbs = sequence(
    integer(1),
    ecdsaWithSha256,
    distinguishedName(spec.issuer),
    time(spec.thisUpdate),
    time(spec.nextUpdate),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    der(
      0xa0,
      sequence(
        extension('2.5.29.20', integer(1)),
        authorityKeyId(spec.issuerPublicKey ?? spec.signer.publicKey),
        ...(spec.extensions ?? []),
      ),
    ),
  );
  return signed(tbs, spec.signer);
}

/** One Extension around its DER value. */
export function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(oid(id), ...(critical ? [derTrue] : []), octetString(value));
}

/** DER certificates as one PEM text, each followed by a line break. */
export function toPem(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map((certificate) => {
      const lines =
        Buffer.from(certificate)
          .toString('base64')
          .match(/.{1,64}/g) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
    })
    .join('');
}

function distinguishedName(commonName: string): Uint8Array {
  const part = (id: string, text: string): Uint8Array => set(sequence(oid(id), utf8String(text)));
  return sequence(part('2.5.4.3', commonName), part('2.5.4.10', 'Cloister DEV, unsafe simulated'));
}

function keyId(publicKey: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8('key id'), publicKey)).subarray(0, 20);
}

function authorityKeyId(publicKey: Uint8Array): Uint8Array {
  return extension('2.5.29.35', sequence(der(0x80, keyId(publicKey))));
}

function unusedBits(byte: number): number {
  let unused = 0;
  while (unused < 7 && ((byte >> unused) & 1) === 0) unused++;
  return unused;
}

function signed(tbs: Uint8Array, signer: P256Key): Uint8Array {
  const signature = signP256(signer, tbs);
  const pair = sequence(integerOfBytes(signature.subarray(0, 32)), integerOfBytes(signature.subarray(32)));
  return sequence(tbs, ecdsaWithSha256, bitString(pair));
}
