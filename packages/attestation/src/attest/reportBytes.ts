import { equalBytes } from '@cloister/crypto';
import { parseQuote, type Quote } from '../verify/dcap/quote.ts';
import { readTdReport } from '../verify/dcap/tdReport.ts';
import { DeviceError } from './deviceError.ts';

/** SEV-SNP ATTESTATION_REPORT (AMD, "SEV Secure Nested Paging Firmware ABI", table "ATTESTATION_REPORT"). */
const snp = { length: 1184, reportDataAt: 0x50 } as const;

/**
 * The quote in what a device returned, without the zeros that some hosts put behind it, its form checked and bound to what
 * was asked. Says nothing about who signed it. Throws DEVICE_REPLY_MALFORMED, REPORT_DATA_NOT_BOUND.
 */
export function tdxQuoteFrom(bytes: Uint8Array, reportData: Uint8Array, from: string): Uint8Array {
  const quote = parse(bytes, from);
  if (quote.body.kind !== 'tdx') throw malformed(from, `a TDX quote, got one of "${quote.body.kind}"`);
  assertBound(readTdReport(quote.body).reportData, reportData, from);
  const signedLength = quote.signedPart.length;
  const signatureLength = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(signedLength, true);
  return bytes.slice(0, signedLength + 4 + signatureLength);
}

/** The SNP report in what a device returned, bound to what was asked. Throws DEVICE_REPLY_MALFORMED, REPORT_DATA_NOT_BOUND. */
export function snpReportFrom(bytes: Uint8Array, reportData: Uint8Array, from: string): Uint8Array {
  if (bytes.length !== snp.length) throw malformed(from, `an SNP report of ${snp.length} bytes, got "${bytes.length}"`);
  assertBound(bytes.subarray(snp.reportDataAt, snp.reportDataAt + 64), reportData, from);
  return bytes.slice();
}

function parse(bytes: Uint8Array, from: string): Quote {
  try {
    return parseQuote(bytes);
  } catch (cause) {
    throw malformed(from, 'a quote', cause);
  }
}

function assertBound(found: Uint8Array, asked: Uint8Array, from: string): void {
  if (equalBytes(found, asked)) return;
  throw new DeviceError({
    code: 'REPORT_DATA_NOT_BOUND',
    message: `Expected evidence over what was asked from "${from}", got some over other report data`,
    hint: 'Something between this process and the TEE answers with evidence of others',
  });
}

function malformed(from: string, expected: string, cause?: unknown): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REPLY_MALFORMED',
    message: `Expected ${expected} from "${from}"`,
    ...(cause === undefined ? {} : { cause }),
  });
}
