import type { KeyKind } from './publicKey.ts';
import type { SignatureAlgorithm } from './signature.ts';

/** What certificates of one vendor may look like; everything else is refused before it is believed. */
export type CertificateProfile = {
  readonly keys: readonly KeyKind[];
  readonly signatures: readonly SignatureAlgorithm[];
  /**
   * Whether a certificate may come without basic constraints and key usage, and with serial number 0: AMD's for single chips
   * do, and NVIDIA's. One without constraints is no CA (RFC 5280 §4.2.1.9); one without key usage may sign data and nothing else.
   */
  readonly bareLeaves: boolean;
};

/** Intel's: P-256 throughout. */
export const intelProfile: CertificateProfile = { keys: ['p256'], signatures: ['ecdsa-sha256'], bareLeaves: false };

/** AMD's: RSA CAs that sign P-384 keys of chips (AMD, "VCEK Certificate and KDS Interface Specification", §3). */
export const amdProfile: CertificateProfile = {
  keys: ['rsa', 'p384'],
  signatures: ['rsa-pss-sha384'],
  bareLeaves: true,
};

/** AWS Nitro's: P-384 throughout. */
export const awsProfile: CertificateProfile = { keys: ['p384'], signatures: ['ecdsa-sha384'], bareLeaves: false };

/** NVIDIA's: P-384 throughout; the key that signs a GPU's reports has no basic constraints. */
export const nvidiaProfile: CertificateProfile = { keys: ['p384'], signatures: ['ecdsa-sha384'], bareLeaves: true };
