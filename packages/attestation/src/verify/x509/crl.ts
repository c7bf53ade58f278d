import { assertAtMost, bounds } from '../bounds.ts';
import { AttestationError } from '../errors.ts';
import { readAuthorityKeyId, readExtension, readSerial } from './certificate.ts';
import { DerReader, tags } from './der.ts';
import { type CertificateProfile, intelProfile } from './profile.ts';
import { assertSameAlgorithm, readAlgorithm, readSignature, type SignatureAlgorithm } from './signature.ts';
import { readTime, type Validity } from './times.ts';

/** A certificate revocation list. Nothing in it is trusted yet. */
export type Crl = {
  readonly place: string;
  readonly tbs: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  /** ECDSA: r ‖ s. */
  readonly signature: Uint8Array;
  /** DER of the issuer's name. */
  readonly issuer: Uint8Array;
  /** thisUpdate to nextUpdate. */
  readonly validity: Validity;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Serial numbers in hexadecimal without leading zero bytes. */
  readonly revoked: ReadonlySet<string>;
};

const oids = { crlNumber: '551d14', authorityKeyId: '551d23', reasonCode: '551d15', invalidityDate: '551d18' } as const;

/**
 * Reads a CRL (RFC 5280 §5.1) strictly: v2, nextUpdate present, a complete and direct list (delta and indirect lists are
 * critical extensions that it does not know). Throws MALFORMED_DER, MALFORMED_CRL, UNSUPPORTED_CRL, TOO_LARGE.
 */
export function parseCrl(der: Uint8Array, place: string, profile: CertificateProfile = intelProfile): Crl {
  assertAtMost(der.length, bounds.crl, place);
  const outer = new DerReader(der, place);
  const body = outer.enter(tags.sequence, 'the CRL');
  outer.finish('the CRL');
  const tbs = body.element(tags.sequence, 'the signed part');
  const outerAlgorithm = readAlgorithm(body, profile.signatures, 'UNSUPPORTED_CRL');
  const { algorithm } = outerAlgorithm;
  const signature = readSignature(body, algorithm);
  body.finish('the CRL');

  const reader = new DerReader(tbs, place).enter(tags.sequence, 'the signed part');
  if (reader.smallInteger(255, 'the version') !== 1) throw unsupported(place, 'Expected a CRL of version 2');
  const innerAlgorithm = readAlgorithm(reader, profile.signatures, 'UNSUPPORTED_CRL');
  assertSameAlgorithm(outerAlgorithm, innerAlgorithm, place, 'MALFORMED_CRL');
  const issuer = reader.element(tags.sequence, 'the issuer');
  const notBefore = readTime(reader, 'thisUpdate');
  const notAfter = readTime(reader, 'nextUpdate');
  const revoked = reader.peek() === tags.sequence ? readRevoked(reader, place, profile.bareLeaves) : new Set<string>();
  const authorityKeyId = reader.done ? undefined : readCrlExtensions(reader, place);
  reader.finish('the signed part');
  const validity = { place, notBefore, notAfter };
  return { place, tbs, algorithm, signature, issuer, validity, authorityKeyId, revoked };
}

function readRevoked(reader: DerReader, place: string, allowZero: boolean): Set<string> {
  const list = reader.enter(tags.sequence, 'the revoked certificates');
  const revoked = new Set<string>();
  while (!list.done) {
    const entry = list.enter(tags.sequence, 'a revoked certificate');
    revoked.add(readSerial(entry, allowZero));
    readTime(entry, 'the date of a revocation');
    if (entry.done) continue;
    const extensions = entry.enter(tags.sequence, 'the extensions of a revocation');
    entry.finish('a revoked certificate');
    while (!extensions.done) {
      const { id, critical } = readExtension(extensions);
      if (critical && id !== oids.reasonCode && id !== oids.invalidityDate)
        throw unsupported(place, `Expected no unknown critical extension of a revocation, got "${id}"`);
    }
  }
  return revoked;
}

function readCrlExtensions(reader: DerReader, place: string): Uint8Array | undefined {
  const wrapper = reader.enter(tags.context0Constructed, 'the extensions');
  const list = wrapper.enter(tags.sequence, 'the extensions');
  wrapper.finish('the extensions');
  const seen = new Set<string>();
  let authorityKeyId: Uint8Array | undefined;
  while (!list.done) {
    const { id, critical, value } = readExtension(list);
    if (seen.has(id))
      throw new AttestationError({
        code: 'MALFORMED_CRL',
        place,
        message: `Expected extension "${id}" once at "${place}"`,
      });
    seen.add(id);
    if (id === oids.authorityKeyId) authorityKeyId = readAuthorityKeyId(value);
    else if (critical && id !== oids.crlNumber)
      throw unsupported(place, `Expected no unknown critical extension, got "${id}"`);
  }
  return authorityKeyId;
}

function unsupported(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'UNSUPPORTED_CRL', place, message: `${message} at "${place}"` });
}
