import { equalBytes } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { DerReader, hexOf, tags } from './der.ts';
import { type CertificateProfile, intelProfile } from './profile.ts';
import { type PublicKey, readPublicKey } from './publicKey.ts';
import { assertSameAlgorithm, readAlgorithm, readSignature, type SignatureAlgorithm } from './signature.ts';
import { readTime, type Validity } from './times.ts';

/** The bits of KeyUsage (RFC 5280 §4.2.1.3), bit 0 as the highest of a byte. */
export const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

/** What the verifier needs of an X.509 v3 certificate. Nothing in it is trusted yet. */
export type Certificate = {
  /** What it is called in errors. */
  readonly place: string;
  readonly der: Uint8Array;
  /** The signed part, header included. */
  readonly tbs: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  /** ECDSA: r ‖ s. */
  readonly signature: Uint8Array;
  /** Hexadecimal without leading zero bytes. */
  readonly serial: string;
  /** DER of the names: compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly validity: Validity;
  readonly publicKey: PublicKey;
  /** DER SubjectPublicKeyInfo of that key. */
  readonly spki: Uint8Array;
  readonly isCa: boolean;
  /** Undefined: no limit. */
  readonly pathLength: number | undefined;
  /** Bits as in {@link keyUsages}. */
  readonly keyUsage: number;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  /** Values of the extensions that are none of RFC 5280's, by their OID in hexadecimal; none of them critical. */
  readonly otherExtensions: ReadonlyMap<string, Uint8Array>;
};

const oids = {
  commonName: '550403',
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  authorityKeyId: '551d23',
} as const;

/**
 * Reads a certificate (RFC 5280 §4.1) strictly: v3, DER, keys and signatures of the profile, each extension once, no critical
 * extension that it does not know. Throws MALFORMED_DER, MALFORMED_CERTIFICATE, UNSUPPORTED_CERTIFICATE.
 */
export function parseCertificate(
  der: Uint8Array,
  place: string,
  profile: CertificateProfile = intelProfile,
): Certificate {
  assertAtMost(der.length, bounds.certificateChain, place);
  const outer = new DerReader(der, place);
  const body = outer.enter(tags.sequence, 'the certificate');
  outer.finish('the certificate');

  const tbs = body.element(tags.sequence, 'the signed part');
  const outerAlgorithm = readAlgorithm(body, profile.signatures, 'UNSUPPORTED_CERTIFICATE');
  const signature = readSignature(body, outerAlgorithm.algorithm);
  body.finish('the certificate');

  const reader = new DerReader(tbs, place).enter(tags.sequence, 'the signed part');
  const version = reader.enter(tags.context0Constructed, 'the version');
  if (version.smallInteger(255, 'the version') !== 2)
    throw unsupported(place, 'Expected an X.509 certificate of version 3');
  version.finish('the version');
  const serial = readSerial(reader, profile.bareLeaves);
  const innerAlgorithm = readAlgorithm(reader, profile.signatures, 'UNSUPPORTED_CERTIFICATE');
  assertSameAlgorithm(outerAlgorithm, innerAlgorithm, place, 'MALFORMED_CERTIFICATE');
  const issuer = reader.element(tags.sequence, 'the issuer');
  const dates = reader.enter(tags.sequence, 'the validity');
  const notBefore = readTime(dates, 'notBefore');
  const notAfter = readTime(dates, 'notAfter');
  dates.finish('the validity');
  const subject = reader.element(tags.sequence, 'the subject');
  const { publicKey, spki } = readPublicKey(reader, profile.keys);
  const wrapper = reader.enter(tags.context3Constructed, 'the extensions');
  const extensions = readExtensions(wrapper, place, profile);
  reader.finish('the signed part');

  return {
    place,
    der,
    tbs,
    algorithm: outerAlgorithm.algorithm,
    signature,
    serial,
    issuer,
    subject,
    commonName: readCommonName(subject, place),
    validity: { place, notBefore, notAfter },
    publicKey,
    spki,
    ...extensions,
  };
}

/** A serial number: positive, at most 20 bytes (RFC 5280 §4.1.2.2), in hexadecimal. */
export function readSerial(reader: DerReader, allowZero = false): string {
  const at = reader.position;
  const bytes = reader.unsigned('the serial number');
  const isZero = bytes.length === 1 && bytes[0] === 0;
  if (bytes.length > 20 || (isZero && !allowZero)) throw reader.fail('Expected a serial number of 1 to 20 bytes', at);
  return hexOf(bytes);
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
  'isCa' | 'pathLength' | 'keyUsage' | 'authorityKeyId' | 'subjectKeyId' | 'otherExtensions'
>;

function readExtensions(wrapper: DerReader, place: string, profile: CertificateProfile): Extensions {
  const list = wrapper.enter(tags.sequence, 'the extensions');
  wrapper.finish('the extensions');
  const seen = new Set<string>();
  let constraints: { isCa: boolean; pathLength: number | undefined } | undefined;
  let keyUsage: number | undefined;
  let authorityKeyId: Uint8Array | undefined;
  let subjectKeyId: Uint8Array | undefined;
  const otherExtensions = new Map<string, Uint8Array>();
  while (!list.done) {
    const { id, critical, value } = readExtension(list);
    if (seen.has(id)) throw malformed(place, `Expected extension "${id}" once`);
    seen.add(id);
    if (id === oids.basicConstraints) constraints = readBasicConstraints(value);
    else if (id === oids.keyUsage) keyUsage = readKeyUsage(value);
    else if (id === oids.authorityKeyId) authorityKeyId = readAuthorityKeyId(value);
    else if (id === oids.subjectKeyId) subjectKeyId = readSubjectKeyId(value);
    else if (critical) throw unsupported(place, `Expected no unknown critical extension, got "${id}"`);
    else otherExtensions.set(id, value.bytes.subarray(value.position, value.end));
  }
  if (profile.bareLeaves) {
    constraints ??= { isCa: false, pathLength: undefined };
    keyUsage ??= keyUsages.digitalSignature;
  }
  if (constraints === undefined || keyUsage === undefined)
    throw malformed(place, 'Expected basic constraints and key usage');
  return { ...constraints, keyUsage, authorityKeyId, subjectKeyId, otherExtensions };
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
