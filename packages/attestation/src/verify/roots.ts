import type { Bytes32 } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { AttestationError } from './errors.ts';
import { parseCertificate } from './x509/certificate.ts';
import { readPemChain } from './x509/pem.ts';
import type { CertificateProfile } from './x509/profile.ts';
import { type KeyKind, p256Spki } from './x509/publicKey.ts';

/** Who vouches for hardware: Intel for TDX and SGX, AMD for SEV-SNP, AWS for Nitro, NVIDIA for GPUs. */
export type Vendor = 'intel' | 'amd' | 'aws' | 'nvidia';

/** Which names the certificates below a root bear: the vendor's own, or the same behind {@link devPrefix}. */
export type RoleTableName = 'vendor' | 'dev';

/** What every simulated certificate's common name begins with. */
export const devPrefix = 'DEV unsafe simulated ';

/** A root key that the caller trusts. Roots are always an argument: nothing is trusted by default. */
export type TrustRoot = {
  /** sha256 over the DER SubjectPublicKeyInfo. */
  readonly spkiSha256: Bytes32;
  /** False only for the keys pinned in this file; everything else makes simulated evidence, whatever it calls itself. */
  readonly simulated: boolean;
  /** Whose evidence it is trusted for, and no other's. Default: `intel`. */
  readonly vendor?: Vendor;
  /** Which names the signers below this root must bear. Default: `vendor` for a pinned root, `dev` for a simulated one. */
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
  vendor: 'intel',
  roles: 'vendor',
  name: 'Intel SGX Root CA',
};

/**
 * AMD's root keys (ARK), one for each line of processors, RSA of 4096 bits, as the certificates at
 * https://kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain bear them: serials 010000, 020000 and 030000, valid to
 * 2045-10-22, 2047-01-26 and 2048-05-15 (AMD, "VCEK Certificate and KDS Interface Specification", §4.2). VLEKs lead to the
 * same roots.
 */
export const amdRoots: readonly TrustRoot[] = [
  amdRoot('Milan', '0x9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9'),
  amdRoot('Genoa', '0x429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831'),
  amdRoot('Turin', '0x4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08'),
];

/**
 * AWS Nitro Enclaves Root G1, P-384, as the certificate at
 * https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip bears it: valid to 2049-10-28, sha256 over its DER
 * 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b (AWS, "Verifying the root of trust").
 */
export const awsNitroRoot: TrustRoot = {
  spkiSha256: '0xf2caf5ecc6190b4a8399b78bc58a2bbcd0382375db8a1bfd78a82743874fd225',
  simulated: false,
  vendor: 'aws',
  roles: 'vendor',
  name: 'AWS Nitro Enclaves Root G1',
};

/**
 * NVIDIA Device Identity CA, P-384, the root of the certificates of GPUs, as its certificate at
 * https://github.com/NVIDIA/nvtrust (`verifier/certs/verifier_device_root.pem`) bears it: serial 2d3670b1ca100411c1fec0e82a065b54, without
 * an end that matters, sha256 over its DER 102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48.
 */
export const nvidiaDeviceRoot: TrustRoot = {
  spkiSha256: '0xa90c4eb5acfd3e3d03a25db6a26b84f720ad0503196c627c21ddd48dd85b06a4',
  simulated: false,
  vendor: 'nvidia',
  roles: 'vendor',
  name: 'NVIDIA Device Identity CA',
};

/** The roots that make evidence real. */
export const pinnedRoots: readonly TrustRoot[] = [intelSgxRoot, ...amdRoots, awsNitroRoot, nvidiaDeviceRoot];

/** What a root certificate may hold, whoever's it is. */
const anyRoot: CertificateProfile = {
  keys: ['p256', 'rsa', 'p384'],
  signatures: ['ecdsa-sha256', 'rsa-pss-sha384', 'ecdsa-sha384'],
  bareLeaves: false,
};
/** Each vendor of processors has roots of a kind of key of its own. A root for GPUs is named as such: `trustRootOfSpki`. */
const vendorOf: Readonly<Record<KeyKind, Vendor>> = { p256: 'intel', rsa: 'amd', p384: 'aws' };

/** sha256 over a DER SubjectPublicKeyInfo. */
export function hashOfSpki(spki: Uint8Array): Bytes32 {
  return toHex(sha256(spki));
}

/** sha256 over the DER SubjectPublicKeyInfo (RFC 5480) of a P-256 key given as x ‖ y. */
export function spkiSha256(publicKey: Uint8Array): Bytes32 {
  return hashOfSpki(p256Spki(publicKey));
}

/** The trust root of a P-256 key given as x ‖ y: simulated unless it is one of the pinned keys. */
export function trustRootOfKey(publicKey: Uint8Array, roles: RoleTableName = 'dev'): TrustRoot {
  return trustRootOfSpki(p256Spki(publicKey), 'intel', roles);
}

/** The trust root of any vendor's key: simulated unless it is one of the pinned keys. @param spki DER */
export function trustRootOfSpki(spki: Uint8Array, vendor: Vendor, roles: RoleTableName = 'dev'): TrustRoot {
  const id = hashOfSpki(spki);
  return pinnedRoots.find((root) => root.spkiSha256 === id) ?? { spkiSha256: id, simulated: true, vendor, roles };
}

/**
 * The trust root of a root certificate, DER or PEM: simulated unless its key is pinned. Its kind of key says whose evidence it
 * is for: P-256 Intel's, RSA AMD's, P-384 AWS's. A root whose common name begins with the DEV prefix asks the same of its
 * signers; any other simulated root has signers with the vendor's own names. Throws AttestationError for what is not a
 * certificate.
 */
export function trustRootOfCertificate(file: Uint8Array, place = 'root'): TrustRoot {
  const ders = file[0] === 0x30 ? [file] : readPemChain(file, 1, place);
  const [der] = ders;
  if (der === undefined)
    throw new AttestationError({ code: 'CHAIN_LENGTH', place, message: `Expected a certificate at "${place}"` });
  const { publicKey, spki, commonName } = parseCertificate(der, place, anyRoot);
  const roles = commonName.startsWith(devPrefix) ? 'dev' : 'vendor';
  return { ...trustRootOfSpki(spki, vendorOf[publicKey.kind], roles), name: commonName };
}

/** The names that the signers below a root must bear. */
export function rolesOf(root: TrustRoot): RoleTableName {
  return root.roles ?? (root.simulated ? 'dev' : 'vendor');
}

/**
 * Refuses a list that trusts nothing, a root that calls itself real without being pinned, and real roots beside simulated
 * ones: a verifier serves one world or the other. Throws ROOTS_INVALID.
 */
export function assertRoots(roots: readonly TrustRoot[]): void {
  const [first] = roots;
  if (first === undefined) throw invalid('Expected at least one trust root', undefined);
  for (const root of roots) {
    const pinned = pinnedRoots.find((known) => known.spkiSha256 === root.spkiSha256.toLowerCase());
    if (root.simulated === (pinned !== undefined))
      throw invalid(
        `Expected root "${root.spkiSha256}" to be marked ${pinned === undefined ? 'simulated' : 'real'}`,
        root.spkiSha256,
      );
    if (pinned !== undefined && (root.vendor ?? 'intel') !== pinned.vendor)
      throw invalid(`Expected root "${root.spkiSha256}" to be marked as of "${pinned.vendor}"`, root.spkiSha256);
    if (root.simulated !== first.simulated)
      throw invalid('Expected simulated and real roots not to be mixed', root.spkiSha256);
  }
}

function amdRoot(product: string, spkiSha256: Bytes32): TrustRoot {
  return { spkiSha256, simulated: false, vendor: 'amd', roles: 'vendor', name: `ARK-${product}` };
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
