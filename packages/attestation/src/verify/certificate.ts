import { equalBytes } from '@cloister/crypto';
import { assertAtMost, bounds } from './bounds.ts';
import { DerReader, hexOf, tags } from './der.ts';
import { AttestationError } from './errors.ts';
import { readTime, type Validity } from './times.ts';

/** The bits of KeyUsage (RFC 5280 §4.2.1.3), bit 0 as the highest of a byte. */
export const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

/** What the verifier needs of an X.509 v3 certificate with a P-256 key and an ECDSA-SHA256 signature. Nothing in it is trusted yet. */
export type Certificate = {
  /** What it is called in errors. */
  readonly place: string;
  readonly der: Uint8Array;
  /** The signed part, header included. */
  readonly tbs: Uint8Array;
  /** 64 bytes, r ‖ s. */
  readonly signature: Uint8Array;
  /** Hexadecimal without leading zero bytes. */
  readonly serial: string;
  /** DER of the names: compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly validity: Validity;
  /** 64 bytes, x ‖ y. */
  readonly publicKey: Uint8Array;
  readonly isCa: boolean;
  /** Undefined: no limit. */
  readonly pathLength: number | undefined;
  /** Bits as in {@link keyUsages}. */
  readonly keyUsage: number;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  /** DER of Intel's SGX extension (OID 1.2.840.113741.1.13.1), where there is one. */
  readonly sgxExtension: Uint8Array | undefined;
};

const oids = {
  ecPublicKey: '2a8648ce3d0201',
  prime256v1: '2a8648ce3d030107',
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  authorityKeyId: '551d23',
  intelSgx: '2a864886f84d010d01',
} as const;

/**
 * Reads a certificate (RFC 5280 §4.1) strictly: v3, DER, P-256, ECDSA with SHA-256, each extension once, no critical
 * extension that it does not know. Throws MALFORMED_DER, MALFORMED_CERTIFICATE, UNSUPPORTED_CERTIFICATE.
 */
export function parseCertificate(der: Uint8Array, place: string): Certificate {
  assertAtMost(der.length, bounds.certificateChain, place);
  const outer = new DerReader(der, place);
  const body = outer.enter(tags.sequence, 'the certificate');
  outer.finish('the certificate');

  const tbs = body.element(tags.sequence, 'the signed part');
  readEcdsaWithSha256(body, 'UNSUPPORTED_CERTIFICATE');
  const signature = readSignature(body);
  body.finish('the certificate');

  const reader = new DerReader(tbs, place).enter(tags.sequence, 'the signed part');
  const version = reader.enter(tags.context0Constructed, 'the version');
  if (version.smallInteger(255, 'the version') !== 2)
    throw unsupported(place, 'Expected an X.509 certificate of version 3');
  version.finish('the version');
  const serial = readSerial(reader);
  readEcdsaWithSha256(reader, 'UNSUPPORTED_CERTIFICATE');
  const issuer = reader.element(tags.sequence, 'the issuer');
  const dates = reader.enter(tags.sequence, 'the validity');
  const notBefore = readTime(dates, 'notBefore');
  const notAfter = readTime(dates, 'notAfter');
  dates.finish('the validity');
  const subject = reader.element(tags.sequence, 'the subject');
  const publicKey = readP256Key(reader);
  const wrapper = reader.enter(tags.context3Constructed, 'the extensions');
  const extensions = readExtensions(wrapper, place);
  reader.finish('the signed part');

  return {
    place,
    der,
    tbs,
    signature,
    serial,
    issuer,
    subject,
    commonName: readCommonName(subject, place),
    validity: { place, notBefore, notAfter },
    publicKey,
    ...extensions,
  };
}

/** A serial number: positive, at most 20 bytes (RFC 5280 §4.1.2.2), in hexadecimal. */
export function readSerial(reader: DerReader): string {
  const at = reader.position;
  const bytes = reader.unsigned('the serial number');
  if (bytes.length > 20 || (bytes.length === 1 && bytes[0] === 0))
    throw reader.fail('Expected a serial number of 1 to 20 bytes', at);
  return hexOf(bytes);
}

/** AlgorithmIdentifier of ECDSA with SHA-256: the OID and no parameters (RFC 5758 §3.2). */
export function readEcdsaWithSha256(reader: DerReader, code: 'UNSUPPORTED_CERTIFICATE' | 'UNSUPPORTED_CRL'): void {
  const algorithm = reader.enter(tags.sequence, 'the signature algorithm');
  if (algorithm.oid('the signature algorithm') !== oids.ecdsaWithSha256 || !algorithm.done)
    throw new AttestationError({
      code,
      place: `${reader.place} @ ${reader.position}`,
      message: `Expected "${reader.place}" to be signed by ECDSA with SHA-256`,
    });
}

/** ECDSA-Sig-Value in a BIT STRING (RFC 3279 §2.2.3) as r ‖ s, 64 bytes. */
export function readSignature(reader: DerReader): Uint8Array {
  const bits = reader.enter(tags.bitString, 'the signature');
  if (bits.done || bits.bytes[bits.position] !== 0) throw bits.fail('Expected a signature of whole bytes');
  bits.position += 1;
  const pair = bits.enter(tags.sequence, 'the signature');
  bits.finish('the signature');
  const signature = new Uint8Array(64);
  for (const offset of [0, 32]) {
    const part = pair.unsigned('a part of the signature');
    if (part.length > 32) throw pair.fail('Expected parts of the signature of at most 32 bytes');
    signature.set(part, offset + 32 - part.length);
  }
  pair.finish('the signature');
  return signature;
}

function readP256Key(reader: DerReader): Uint8Array {
  const { place, position: at } = reader;
  const info = reader.enter(tags.sequence, 'the public key');
  const algorithm = info.enter(tags.sequence, 'the key algorithm');
  const isP256 =
    algorithm.oid('the key algorithm') === oids.ecPublicKey &&
    algorithm.peek() === tags.oid &&
    algorithm.oid('the curve') === oids.prime256v1;
  if (!isP256 || !algorithm.done) throw unsupported(`${place} @ ${at}`, 'Expected a P-256 public key');
  const point = info.wholeBits('the public key');
  info.finish('the public key');
  if (point.length !== 65 || point[0] !== 4)
    throw unsupported(`${place} @ ${at}`, 'Expected an uncompressed P-256 point');
  return point.subarray(1);
}

function readCommonName(name: Uint8Array, place: string): string {
  const reader = new DerReader(name, place).enter(tags.sequence, 'the name');
  let commonName: string | undefined;
  while (!reader.done) {
    const set = reader.enter(tags.set, 'a part of the name');
    const pair = set.enter(tags.sequence, 'a part of the name');
    set.finish('a part of the name');
    const type = pair.oid('a type in the name');
    const at = pair.position;
    const tag = pair.peek();
    if (tag !== tags.utf8String && tag !== tags.printableString && tag !== tags.ia5String)
      throw pair.fail('Expected a string in the name');
    const value = pair.read(tag, 'a value in the name');
    pair.finish('a part of the name');
    if (type !== oids.commonName) continue;
    const printable = value.length <= 64 && value.every((byte) => byte >= 0x20 && byte < 0x7f);
    if (commonName !== undefined || !printable) throw pair.fail('Expected one common name in ASCII', at);
    commonName = String.fromCharCode(...value);
  }
  if (commonName === undefined) throw malformed(place, 'Expected a common name in the subject');
  return commonName;
}

type Extensions = Pick<
  Certificate,
  'isCa' | 'pathLength' | 'keyUsage' | 'authorityKeyId' | 'subjectKeyId' | 'sgxExtension'
>;

function readExtensions(wrapper: DerReader, place: string): Extensions {
  const list = wrapper.enter(tags.sequence, 'the extensions');
  wrapper.finish('the extensions');
  const seen = new Set<string>();
  let constraints: { isCa: boolean; pathLength: number | undefined } | undefined;
  let keyUsage: number | undefined;
  let authorityKeyId: Uint8Array | undefined;
  let subjectKeyId: Uint8Array | undefined;
  let sgxExtension: Uint8Array | undefined;
  while (!list.done) {
    const { id, critical, value } = readExtension(list);
    if (seen.has(id)) throw malformed(place, `Expected extension "${id}" once`);
    seen.add(id);
    if (id === oids.basicConstraints) constraints = readBasicConstraints(value);
    else if (id === oids.keyUsage) keyUsage = readKeyUsage(value);
    else if (id === oids.authorityKeyId) authorityKeyId = readAuthorityKeyId(value);
    else if (id === oids.subjectKeyId) subjectKeyId = readSubjectKeyId(value);
    else if (id === oids.intelSgx) sgxExtension = value.bytes.subarray(value.position, value.end);
    else if (critical) throw unsupported(place, `Expected no unknown critical extension, got "${id}"`);
  }
  if (constraints === undefined || keyUsage === undefined)
    throw malformed(place, 'Expected basic constraints and key usage');
  return { ...constraints, keyUsage, authorityKeyId, subjectKeyId, sgxExtension };
}

/** One Extension (RFC 5280 §4.1): its OID in hexadecimal, whether it is critical, and a reader over the value. */
export function readExtension(list: DerReader): { id: string; critical: boolean; value: DerReader } {
  const extension = list.enter(tags.sequence, 'an extension');
  const id = extension.oid('the id of an extension');
  const at = extension.position;
  const critical = extension.peek() === tags.boolean && extension.boolean('critical');
  if (!critical && extension.position !== at)
    throw extension.fail('Expected the default "critical: false" to be left out', at);
  const value = extension.enter(tags.octetString, 'the value of an extension');
  extension.finish('an extension');
  return { id, critical, value };
}

function readBasicConstraints(value: DerReader): { isCa: boolean; pathLength: number | undefined } {
  const reader = value.enter(tags.sequence, 'basic constraints');
  value.finish('basic constraints');
  const at = reader.position;
  const isCa = reader.peek() === tags.boolean && reader.boolean('CA');
  if (!isCa && reader.position !== at) throw reader.fail('Expected the default "CA: false" to be left out', at);
  const pathLength = reader.done ? undefined : reader.smallInteger(16, 'the path length');
  if (!isCa && pathLength !== undefined) throw reader.fail('Expected a path length in a CA only', at);
  reader.finish('basic constraints');
  return { isCa, pathLength };
}

function readKeyUsage(value: DerReader): number {
  const bits = value.read(tags.bitString, 'key usage');
  value.finish('key usage');
  const [unused, first] = bits;
  if (unused === undefined || first === undefined || unused > 7 || bits.length > 3)
    throw value.fail('Expected key usage of 1 to 9 bits');
  return first;
}

/** AuthorityKeyIdentifier: only the key id is used; issuer and serial must not stand there. */
export function readAuthorityKeyId(value: DerReader): Uint8Array {
  const reader = value.enter(tags.sequence, 'the authority key id');
  value.finish('the authority key id');
  const id = reader.read(0x80, 'the authority key id');
  reader.finish('the authority key id');
  return id;
}

function readSubjectKeyId(value: DerReader): Uint8Array {
  const id = value.read(tags.octetString, 'the subject key id');
  value.finish('the subject key id');
  return id;
}

/** Whether the certificate names itself as its issuer. */
export function isSelfIssued(certificate: Certificate): boolean {
  return equalBytes(certificate.issuer, certificate.subject);
}

function malformed(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'MALFORMED_CERTIFICATE', place, message: `${message} at "${place}"` });
}

function unsupported(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'UNSUPPORTED_CERTIFICATE', place, message: `${message} at "${place}"` });
}
