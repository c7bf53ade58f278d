import { randomBytes } from 'node:crypto';
import { sha256 } from '@cloister/crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { type P256Key, signP256Der } from './p256.ts';
import type { AltName } from './tlsRequest.ts';

/** Who an app's certificates are issued by: the app itself, by a key that all its hosts derive and nobody else has. */
export type AppCa = { readonly key: P256Key; readonly certificate: Uint8Array; readonly commonName: string };

/** A certificate for a key of the app's. Times in unix seconds. */
export type LeafSpec = {
  readonly spki: Uint8Array;
  readonly commonName: string;
  readonly altNames: readonly AltName[];
  readonly serverAuth: boolean;
  readonly clientAuth: boolean;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Values of extensions of ours, by their object identifier. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
};

const id_ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const id_commonName = '2.5.4.3';
const caBegin = new Date('2026-01-01T00:00:00Z');
/** "No well-defined expiration" (RFC 5280 §4.1.2.5): the key ends with the app's key version. */
const noEnd = new Date('9999-12-31T23:59:59Z');

/** The app's own root, in DER: the same key, name and times on every host; each signs it anew. */
export function issueAppCa(key: P256Key, commonName: string): AppCa {
  const name = nameOf(commonName);
  const certificate = issue(key, {
    subject: name,
    issuer: name,
    serialNumber: serial(sha256(key.spki)),
    validity: new Validity({ notBefore: caBegin, notAfter: noEnd }),
    spki: key.spki,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign), true),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId(key.spki))),
    ],
  });
  return { key, certificate, commonName };
}

/** A certificate in DER. */
export function issueLeaf(ca: AppCa, spec: LeafSpec): Uint8Array {
  const usages = [...(spec.serverAuth ? [id_kp_serverAuth] : []), ...(spec.clientAuth ? [id_kp_clientAuth] : [])];
  const altNames = spec.altNames.map(({ kind, name }) =>
    kind === 'ip' ? new GeneralName({ iPAddress: name }) : new GeneralName({ dNSName: name }),
  );
  return issue(ca.key, {
    subject: nameOf(spec.commonName),
    issuer: nameOf(ca.commonName),
    serialNumber: serial(randomBytes(32)),
    validity: new Validity({
      notBefore: new Date(spec.notBefore * 1_000),
      notAfter: new Date(spec.notAfter * 1_000),
    }),
    spki: spec.spki,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
      ...(usages.length === 0 ? [] : [extension(id_ce_extKeyUsage, new ExtendedKeyUsage(usages))]),
      ...(altNames.length === 0 ? [] : [extension(id_ce_subjectAltName, new SubjectAlternativeName(altNames))]),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId(spec.spki))),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyId(ca.key.spki)) }),
      ),
      ...[...spec.extensions].map(([extnID, value]) => extension(extnID, new OctetString(value))),
    ],
  });
}

/** PEM (RFC 7468). */
export function certificatePem(certificate: Uint8Array): string {
  const lines =
    Buffer.from(certificate)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

type Issued = Pick<TBSCertificate, 'subject' | 'issuer' | 'serialNumber' | 'validity'> & {
  readonly spki: Uint8Array;
  readonly extensions: Extension[];
};

function issue(signer: P256Key, { spki, extensions, ...fields }: Issued): Uint8Array {
  const signature = new AlgorithmIdentifier({ algorithm: id_ecdsaWithSha256 });
  const tbsCertificate = new TBSCertificate({
    ...fields,
    version: Version.v3,
    signature,
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions(extensions),
  });
  const signed = signP256Der(signer, new Uint8Array(AsnConvert.serialize(tbsCertificate)));
  return new Uint8Array(
    AsnConvert.serialize(
      new Certificate({ tbsCertificate, signatureAlgorithm: signature, signatureValue: arrayBuffer(signed) }),
    ),
  );
}

function extension(extnID: string, value: unknown, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: id_commonName, value })])]);
}

/** 16 bytes of it, positive and of fixed length. */
function serial(from: Uint8Array): ArrayBuffer {
  const bytes = from.slice(0, 16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return arrayBuffer(bytes);
}

/** RFC 7093 §2, method 1: the leftmost 160 bits of the SHA-256 of the public key. */
function keyId(spki: Uint8Array): Uint8Array {
  return sha256(spki.subarray(spki.length - 65)).slice(0, 20);
}

function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
