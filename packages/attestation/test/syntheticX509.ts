import { randomSerial, signsCertificates, signsData } from '../src/unsafe-simulated/index.ts';
import type { AnyCertificateSpec } from '../src/unsafe-simulated/vendorCertificate.ts';
import { now } from './synthetic.ts';

const day = 86_400;

/** A certificate that is right, but for the given fields. */
export function certificateSpec(
  fields: Pick<AnyCertificateSpec, 'subject' | 'issuer' | 'key' | 'signer'> & Partial<AnyCertificateSpec>,
): AnyCertificateSpec {
  const isCa = 'isCa' in fields ? fields.isCa : false;
  return {
    serial: randomSerial(),
    notBefore: now - day,
    notAfter: now + 30 * day,
    keyUsage: isCa === true ? signsCertificates : signsData,
    ...fields,
    isCa,
  };
}
