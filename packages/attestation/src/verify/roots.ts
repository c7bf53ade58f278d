import type { Bytes32 } from '@cloister/core';
import { concatBytes, fromHex, sha256, toHex } from '@cloister/crypto';
import { parseCertificate } from './certificate.ts';
import { AttestationError } from './errors.ts';
import { readPemChain } from './pem.ts';
import { devPrefix, type RoleTableName } from './roles.ts';

/** A root key that the caller trusts. Roots are always an argument: nothing is trusted by default. */
export type TrustRoot = {
  /** sha256 over the DER SubjectPublicKeyInfo. */
  readonly spkiSha256: Bytes32;
  /** False only for the keys pinned in this file; everything else makes simulated evidence, whatever it calls itself. */
  readonly simulated: boolean;
  /** Which names the signers below this root must bear. Default: `intel` for a pinned root, `dev` for a simulated one. */
  readonly roles?: RoleTableName;
  /** For people. */
  readonly name?: string;
};

/**
 * Intel SGX Root CA, the root of SGX and TDX provisioning certificates, as its certificate at
 * https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer bears it: serial
 * 22650cd65a9d3489f383b49552bf501b392706ac, valid to 2049-12-31, point
 * 040ba9c4c0…ae7394 (Intel, "Intel SGX PCK Certificate and Certificate Revocation List Profile Specification", §3.1).
 */
export const intelSgxRoot: TrustRoot = {
  spkiSha256: '0xa0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e',
  simulated: false,
  roles: 'intel',
  name: 'Intel SGX Root CA',
};

/** The roots that make evidence real. */
export const pinnedRoots: readonly TrustRoot[] = [intelSgxRoot];

const p256SpkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** sha256 over the DER SubjectPublicKeyInfo (RFC 5480) of a P-256 key given as x ‖ y. */
export function spkiSha256(publicKey: Uint8Array): Bytes32 {
  return toHex(sha256(concatBytes(p256SpkiPrefix, publicKey)));
}

/** The trust root of a P-256 key given as x ‖ y: simulated unless it is one of the pinned keys. */
export function trustRootOfKey(publicKey: Uint8Array, roles: RoleTableName = 'dev'): TrustRoot {
  const id = spkiSha256(publicKey);
  return pinnedRoots.find((root) => root.spkiSha256 === id) ?? { spkiSha256: id, simulated: true, roles };
}

/**
 * The trust root of a root certificate, DER or PEM: simulated unless its key is pinned. A root whose common name begins
 * with the DEV prefix asks the same of its signers; any other simulated root has signers with Intel's own names.
 * Throws AttestationError for what is not a certificate.
 */
export function trustRootOfCertificate(file: Uint8Array, place = 'root'): TrustRoot {
  const ders = file[0] === 0x30 ? [file] : readPemChain(file, 1, place);
  const [der] = ders;
  if (der === undefined)
    throw new AttestationError({ code: 'CHAIN_LENGTH', place, message: `Expected a certificate at "${place}"` });
  const certificate = parseCertificate(der, place);
  const root = trustRootOfKey(certificate.publicKey, certificate.commonName.startsWith(devPrefix) ? 'dev' : 'intel');
  return { ...root, name: certificate.commonName };
}

/**
 * Refuses a list that trusts nothing, a root that calls itself real without being pinned, and real roots beside simulated
 * ones: a verifier serves one world or the other. Throws ROOTS_INVALID.
 */
export function assertRoots(roots: readonly TrustRoot[]): void {
  const [first] = roots;
  if (first === undefined) throw invalid('Expected at least one trust root', undefined);
  for (const root of roots) {
    const pinned = pinnedRoots.some((known) => known.spkiSha256 === root.spkiSha256.toLowerCase());
    if (root.simulated === pinned)
      throw invalid(
        `Expected root "${root.spkiSha256}" to be marked ${pinned ? 'real' : 'simulated'}`,
        root.spkiSha256,
      );
    if (root.simulated !== first.simulated)
      throw invalid('Expected simulated and real roots not to be mixed', root.spkiSha256);
  }
}

function invalid(message: string, value: string | undefined): AttestationError {
  return new AttestationError({
    code: 'ROOTS_INVALID',
    place: 'roots',
    message,
    value,
    hint: 'Take the trust roots from the network file',
  });
}
