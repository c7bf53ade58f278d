import { fromHex, randomBytes } from '@cloister/crypto';
import { commonNameOf } from '../verify/dcap/roles.ts';
import { type CertificateSpec, issueCertificate } from './issueCertificate.ts';
import { generateP256Key, type P256Key } from './p256Key.ts';
import { type PlatformTcb, sgxExtension } from './sgxExtension.ts';
import { type CertifiedKey, randomSerial, type SimulatedRoot, signsData } from './simulatedRoot.ts';

/** One made-up machine: its PCK, and the attestation key of its quoting enclave. */
export type SimulatedPlatform = {
  readonly root: SimulatedRoot;
  readonly pck: CertifiedKey;
  readonly tcb: PlatformTcb;
  readonly attestationKey: P256Key;
};

export type SimulatedPlatformOptions = {
  /** Unix seconds. */
  readonly now: number;
  readonly tcb?: Partial<PlatformTcb>;
  /** The CA that issues the PCK. Default: the root's. */
  readonly issuer?: CertifiedKey;
  /** Any field of the PCK certificate, for hostile variants. */
  readonly certificate?: Partial<CertificateSpec>;
};

/** SVNs that simulated platforms have and simulated TCB info asks for. */
export const simulatedTcb = {
  components: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
  pceId: fromHex('0000'),
  fmspc: fromHex('de5100000000'),
  /** SVN 6 of TDX module version 1. */
  teeTcbSvn: [6, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
} as const;

const day = 86_400;

/** A fresh machine below a simulated root, in memory. */
export function createSimulatedPlatform(root: SimulatedRoot, options: SimulatedPlatformOptions): SimulatedPlatform {
  const { now, issuer = root.pckCa } = options;
  const { components, pceSvn, pceId, fmspc } = simulatedTcb;
  const tcb: PlatformTcb = { ppid: randomBytes(16), components, pceSvn, pceId, fmspc, ...options.tcb };
  const key = generateP256Key();
  const spec: CertificateSpec = {
    subject: commonNameOf('pck', 'dev'),
    issuer: issuer.commonName,
    publicKey: key.publicKey,
    signer: issuer.key,
    serial: randomSerial(),
    notBefore: now - day,
    notAfter: now + 2555 * day,
    isCa: false,
    keyUsage: signsData,
    issuerPublicKey: issuer.key.publicKey,
    extensions: [sgxExtension(tcb)],
    ...options.certificate,
  };
  const pck: CertifiedKey = { key, commonName: spec.subject, serial: spec.serial, certificate: issueCertificate(spec) };
  return { root, pck, tcb, attestationKey: generateP256Key() };
}
