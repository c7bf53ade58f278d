import type { Hex } from '@cloister/core';
import { keccak256 } from '@cloister/crypto';
import { readPckExtension } from '../verify/dcap/pckExtension.ts';
import { parseQuote } from '../verify/dcap/quote.ts';
import { AttestationError } from '../verify/errors.ts';
import { parseCertificate } from '../verify/x509/certificate.ts';
import { readPemChain } from '../verify/x509/pem.ts';

/** The platform that a quote names by its PCK certificate. Nothing in it is verified. */
export type QuotedPlatform = {
  /** DER. */
  readonly certificate: Uint8Array;
  /** 64 bytes, x ‖ y. */
  readonly publicKey: Uint8Array;
  /** keccak256 of the public key: what PckRegistry knows the platform by. */
  readonly platformKey: Uint8Array;
  /** 6 and 2 bytes: the kind of platform, which TCB info is about. */
  readonly fmspc: Hex;
  readonly pceId: Hex;
};

const place = 'quote.pckChain';
const maxCertificates = 3;

/** Reads the platform's certificate in a quote. Throws AttestationError. */
export function platformOfQuote(quote: Uint8Array): QuotedPlatform {
  const [certificate] = readPemChain(parseQuote(quote).pckChain, maxCertificates, place);
  if (certificate === undefined)
    throw new AttestationError({ code: 'CHAIN_LENGTH', place, message: `Expected a certificate at "${place}"` });
  const leaf = parseCertificate(certificate, `${place}[0]`);
  const { fmspc, pceId } = readPckExtension(leaf);
  if (leaf.publicKey.kind !== 'p256')
    throw new AttestationError({
      code: 'UNSUPPORTED_CERTIFICATE',
      place,
      value: leaf.publicKey.kind,
      message: `Expected a P-256 key at "${place}"`,
    });
  const { point } = leaf.publicKey;
  return { certificate, publicKey: point, platformKey: keccak256(point), fmspc: `0x${fmspc}`, pceId: `0x${pceId}` };
}
