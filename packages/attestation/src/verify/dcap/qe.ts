import { concatBytes, equalBytes, sha256, toHex } from '@cloister/crypto';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { verifySignature } from '../x509/signature.ts';
import type { EnclaveReport } from './enclaveReport.ts';
import type { QeIdentity } from './qeIdentity.ts';
import type { Quote } from './quote.ts';
import { judge, type TcbVerdict } from './tcbStatus.ts';

/** Intel's quoting enclaves (QE_ID of the quote header). */
const intelQeVendorId = Uint8Array.of(
  0x93,
  0x9a,
  0x72,
  0x33,
  0xf7,
  0x9c,
  0x4c,
  0xa9,
  0x94,
  0x0a,
  0x0d,
  0xb3,
  0x95,
  0x7f,
  0x06,
  0x07,
);

/**
 * That the platform's PCK signed the QE's report, the report binds the attestation key, and the enclave is the one that
 * Intel names; then the status of its SVN. Throws AttestationError.
 */
export async function verifyQe(
  quote: Quote,
  pck: Certificate,
  identity: QeIdentity,
  checks?: CheckList,
): Promise<TcbVerdict> {
  const { qeReport } = quote;
  check(checks, 'vendor', "The quoting enclave is Intel's", () => assertVendor(quote));
  await check(checks, 'signature', "The platform's key signed the quoting enclave's report", () =>
    verifySignature(pck.publicKey, 'ecdsa-sha256', qeReport.bytes, quote.qeReportSignature, 'quote.qeReport'),
  );
  check(checks, 'key', 'The report binds the attestation key', () => assertKeyBound(quote));
  check(checks, 'identity', 'The enclave is the one that Intel names', () => assertIdentity(qeReport, identity));
  return check(checks, 'level', 'Its version reaches a level', (inner) => {
    const level = judge(identity.levels, ({ isvSvn }) => qeReport.isvSvn >= isvSvn);
    if (level === undefined)
      throw new AttestationError({
        code: 'QE_LEVEL_NOT_FOUND',
        place: 'quote.qeReport.isvSvn',
        value: qeReport.isvSvn,
        message: `Expected the QE's SVN to reach a level of the QE identity, got "${qeReport.isvSvn}"`,
      });
    inner?.note(`SVN ${qeReport.isvSvn}: ${level.status}`);
    return level;
  });
}

function assertVendor({ qeVendorId }: Quote): void {
  if (!equalBytes(qeVendorId, intelQeVendorId))
    throw new AttestationError({
      code: 'QE_VENDOR_UNKNOWN',
      place: 'quote.qeVendorId',
      value: toHex(qeVendorId),
      message: `Expected Intel's quoting enclave, got vendor "${toHex(qeVendorId)}"`,
    });
}

function assertKeyBound({ attestationKey, qeAuthData, qeReport }: Quote): void {
  const bound = new Uint8Array(64);
  bound.set(sha256(concatBytes(attestationKey, qeAuthData)));
  if (!equalBytes(qeReport.reportData, bound))
    throw new AttestationError({
      code: 'QE_KEY_NOT_BOUND',
      place: 'quote.qeReport.reportData',
      value: toHex(qeReport.reportData),
      message: 'Expected the QE report to bind the attestation key',
    });
}

function assertIdentity(report: EnclaveReport, identity: QeIdentity): void {
  assertMasked(report.miscSelect, identity.miscSelect, identity.miscSelectMask, 'miscSelect');
  assertMasked(report.attributes, identity.attributes, identity.attributesMask, 'attributes');
  if ((report.attributes[0] ?? 0) & 0x02) throw mismatch('attributes', toHex(report.attributes), 'no debug enclave');
  if (!equalBytes(report.mrSigner, identity.mrSigner))
    throw mismatch('mrSigner', toHex(report.mrSigner), toHex(identity.mrSigner));
  if (report.isvProdId !== identity.isvProdId) throw mismatch('isvProdId', report.isvProdId, identity.isvProdId);
}

function assertMasked(actual: Uint8Array, expected: Uint8Array, mask: Uint8Array, field: string): void {
  if (!equalsMasked(actual, expected, mask))
    throw mismatch(field, toHex(actual), `${toHex(expected)} under mask ${toHex(mask)}`);
}

/** Whether the bits under the mask are the expected ones. */
export function equalsMasked(actual: Uint8Array, expected: Uint8Array, mask: Uint8Array): boolean {
  return actual.every((byte, index) => ((byte ^ (expected[index] ?? 0)) & (mask[index] ?? 0xff)) === 0);
}

function mismatch(field: string, value: string | number, expected: string | number): AttestationError {
  const place = `quote.qeReport.${field}`;
  return new AttestationError({
    code: 'QE_IDENTITY_MISMATCH',
    place,
    value,
    message: `Expected "${expected}" at "${place}", got "${value}"`,
  });
}
