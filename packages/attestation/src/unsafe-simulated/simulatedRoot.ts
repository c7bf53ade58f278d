import { randomBytes } from '@cloister/crypto';
import { commonNameOf } from '../verify/dcap/roles.ts';
import { type TrustRoot, trustRootOfKey } from '../verify/roots.ts';
import { issueCertificate } from './issueCertificate.ts';
import { generateP256Key, type P256Key } from './p256Key.ts';

/** A key with the certificate that says what it is for. */
export type CertifiedKey = {
  readonly key: P256Key;
  readonly commonName: string;
  /** DER. */
  readonly certificate: Uint8Array;
  /** Big-endian. */
  readonly serial: Uint8Array;
};

/**
 * A whole manufacturer, made up: root, PCK CA, TCB signer. Every name in it begins with "DEV unsafe simulated"; its
 * signatures mean nothing but that somebody ran this code.
 */
export type SimulatedRoot = {
  readonly root: CertifiedKey;
  readonly pckCa: CertifiedKey;
  readonly tcbSigner: CertifiedKey;
  readonly trustRoot: TrustRoot;
};

const day = 86_400;
/** Certificates begin a day early: clocks of one machine differ less than those of several. */
const backdate = day;
const lifetime = 3650 * day;

/** Usage bits of certificates, as `issueCertificate` takes them. */
export const signsData = 0xc0;
export const signsCertificates = 0x06;

/** A fresh root with its PCK CA and TCB signer, in memory. @param now Unix seconds */
export function makeSimulatedRoot(now: number): SimulatedRoot {
  const rootKey = generateP256Key();
  const rootName = commonNameOf('root', 'dev');
  const rootSerial = randomSerial();
  const dates = { notBefore: now - backdate, notAfter: now + lifetime };
  const below = { ...dates, issuer: rootName, signer: rootKey, issuerPublicKey: rootKey.publicKey };
  const root: CertifiedKey = {
    key: rootKey,
    commonName: rootName,
    serial: rootSerial,
    certificate: issueCertificate({
      ...below,
      subject: rootName,
      publicKey: rootKey.publicKey,
      serial: rootSerial,
      isCa: true,
      pathLength: 1,
      keyUsage: signsCertificates,
    }),
  };
  const certify = (commonName: string, isCa: boolean): CertifiedKey => {
    const key = generateP256Key();
    const serial = randomSerial();
    const usage = isCa ? { isCa, pathLength: 0, keyUsage: signsCertificates } : { isCa, keyUsage: signsData };
    return {
      key,
      commonName,
      serial,
      certificate: issueCertificate({ ...below, ...usage, subject: commonName, publicKey: key.publicKey, serial }),
    };
  };
  return {
    root,
    pckCa: certify(commonNameOf('pckCa', 'dev'), true),
    tcbSigner: certify(commonNameOf('tcbSigning', 'dev'), false),
    trustRoot: { ...trustRootOfKey(rootKey.publicKey), name: rootName },
  };
}

/** 20 positive bytes. */
export function randomSerial(): Uint8Array {
  const serial = randomBytes(20);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}
