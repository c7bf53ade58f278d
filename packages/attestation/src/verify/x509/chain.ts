import { equalBytes } from '@cloister/crypto';
import { AttestationError } from '../errors.ts';
import { hashOfSpki, type TrustRoot, type Vendor } from '../roots.ts';
import { type Certificate, isSelfIssued, keyUsages } from './certificate.ts';
import type { Crl } from './crl.ts';
import { verifySignature } from './signature.ts';

/**
 * The trust root of a root certificate: its key is trusted for this vendor's evidence, it is a CA for certificates and CRLs, and it signs itself (the
 * key is pinned, but dates and constraints are believed only because the key signed them).
 */
export async function verifyRoot(root: Certificate, roots: readonly TrustRoot[], vendor: Vendor): Promise<TrustRoot> {
  const id = hashOfSpki(root.spki);
  const trusted = roots.find(
    (candidate) => candidate.spkiSha256.toLowerCase() === id && (candidate.vendor ?? 'intel') === vendor,
  );
  if (trusted === undefined)
    throw new AttestationError({
      code: 'ROOT_UNTRUSTED',
      place: root.place,
      value: id,
      message: `Expected a trusted root at "${root.place}", got "${root.commonName}" with key "${id}"`,
      hint: 'Simulated evidence verifies only under the root of its own network',
    });
  if (!isSelfIssued(root)) throw nameMismatch(root.place, root.place);
  assertCa(root, keyUsages.keyCertSign | keyUsages.crlSign);
  await verifySignature(root.publicKey, root.algorithm, root.tbs, root.signature, root.place);
  return trusted;
}

/**
 * That `issuer` issued `certificate`: names, key ids, CA flag, key usage, path length, signature.
 * @param below how many CAs stand below `issuer` on the way to the leaf, `certificate` included where it is one
 */
export async function verifyIssued(certificate: Certificate, issuer: Certificate, below: number): Promise<void> {
  if (!equalBytes(certificate.issuer, issuer.subject)) throw nameMismatch(certificate.place, issuer.place);
  assertKeyId(certificate.authorityKeyId, issuer, certificate.place);
  assertCa(issuer, keyUsages.keyCertSign);
  if (issuer.pathLength !== undefined && issuer.pathLength < below)
    throw new AttestationError({
      code: 'PATH_LENGTH_EXCEEDED',
      place: issuer.place,
      value: issuer.pathLength,
      message: `Expected "${issuer.place}" to allow ${below} CAs below it, got a path length of "${issuer.pathLength}"`,
    });
  const { algorithm, tbs, signature, place } = certificate;
  await verifySignature(issuer.publicKey, algorithm, tbs, signature, place);
}

/** That `issuer` issued `crl`: name, key id, CA flag, key usage, signature. */
export async function verifyCrl(crl: Crl, issuer: Certificate): Promise<void> {
  if (!equalBytes(crl.issuer, issuer.subject))
    throw new AttestationError({
      code: 'CRL_ISSUER_MISMATCH',
      place: crl.place,
      message: `Expected "${crl.place}" to be issued by "${issuer.commonName}"`,
    });
  assertKeyId(crl.authorityKeyId, issuer, crl.place);
  assertCa(issuer, keyUsages.crlSign);
  await verifySignature(issuer.publicKey, crl.algorithm, crl.tbs, crl.signature, crl.place);
}

/** Refuses a CA where a leaf must stand, and a leaf that may not sign data. */
export function assertSigningLeaf(certificate: Certificate): void {
  if (certificate.isCa)
    throw new AttestationError({
      code: 'CA_NOT_ALLOWED',
      place: certificate.place,
      value: certificate.commonName,
      message: `Expected "${certificate.place}" not to be a CA`,
    });
  assertKeyUsage(certificate, keyUsages.digitalSignature);
}

/** Throws REVOKED where `crl` lists the certificate. The caller has verified that its issuer signs the CRL. */
export function assertNotRevoked(certificate: Certificate, crl: Crl): void {
  if (crl.revoked.has(certificate.serial))
    throw new AttestationError({
      code: 'REVOKED',
      place: certificate.place,
      value: certificate.serial,
      message: `Expected "${certificate.place}" not to be revoked, "${crl.place}" lists serial "${certificate.serial}"`,
    });
}

function assertCa(certificate: Certificate, usage: number): void {
  if (!certificate.isCa)
    throw new AttestationError({
      code: 'NOT_A_CA',
      place: certificate.place,
      value: certificate.commonName,
      message: `Expected "${certificate.place}" to be a CA, it says "CA: false"`,
    });
  assertKeyUsage(certificate, usage);
}

function assertKeyUsage(certificate: Certificate, usage: number): void {
  if ((certificate.keyUsage & usage) !== usage)
    throw new AttestationError({
      code: 'KEY_USAGE_FORBIDS',
      place: certificate.place,
      value: certificate.keyUsage,
      message: `Expected the key usage of "${certificate.place}" to include bits 0x${usage.toString(16)}, got "0x${certificate.keyUsage.toString(16)}"`,
    });
}

function assertKeyId(authorityKeyId: Uint8Array | undefined, issuer: Certificate, place: string): void {
  if (authorityKeyId === undefined || issuer.subjectKeyId === undefined) return;
  if (equalBytes(authorityKeyId, issuer.subjectKeyId)) return;
  throw new AttestationError({
    code: 'ISSUER_KEY_ID_MISMATCH',
    place,
    message: `Expected "${place}" to name the key of "${issuer.place}" as its issuer's`,
  });
}

function nameMismatch(place: string, issuerPlace: string): AttestationError {
  return new AttestationError({
    code: 'ISSUER_NAME_MISMATCH',
    place,
    message: `Expected the issuer's name in "${place}" to be the subject of "${issuerPlace}"`,
  });
}
