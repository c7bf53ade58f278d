import { toHex } from '@cloister/crypto';
import type { SgxClaims } from './claims.ts';
import { readEnclaveReport } from './enclaveReport.ts';
import { matchSgxLevel } from './platformTcb.ts';
import { parseQuote } from './quote.ts';
import { mergeTcb } from './tcbStatus.ts';
import type { VerifiedCollateral } from './verifyCollateral.ts';
import { type VerifyQuoteOptions, verifyQuoteChain, wrongTeeType } from './verifyQuoteChain.ts';

/**
 * Verifies an SGX quote against verified collateral: chain, quoting enclave, signature, TCB. What it returns is true of the
 * enclave; whether that is acceptable is for `appraise`, which must follow. Throws AttestationError.
 */
export async function verifySgxQuote(
  quoteBytes: Uint8Array,
  collateral: VerifiedCollateral,
  options: VerifyQuoteOptions,
): Promise<SgxClaims> {
  const quote = parseQuote(quoteBytes);
  if (quote.body.kind !== 'sgx') throw wrongTeeType('sgx', quote.body.kind);
  const report = readEnclaveReport(quote.body.bytes);
  const { tcbInfo, qeIdentity } = collateral;
  const { platform, qe, notAfter } = await verifyQuoteChain(quote, collateral, options);
  const verdict = mergeTcb(matchSgxLevel(platform, tcbInfo), qe);

  return {
    teeType: 'sgx',
    simulated: collateral.trustRoot.simulated,
    tcbStatus: verdict.status,
    advisories: verdict.advisories,
    tcbEvaluationDataNumber: Math.min(tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber),
    fmspc: `0x${platform.fmspc}`,
    pceId: `0x${platform.pceId}`,
    ppid: `0x${platform.ppid}`,
    platformId: `0x${platform.ppid}`,
    debug: ((report.attributes[0] ?? 0) & 2) !== 0,
    attributes: toHex(report.attributes),
    miscSelect: toHex(report.miscSelect),
    mrEnclave: toHex(report.mrEnclave),
    mrSigner: toHex(report.mrSigner),
    isvProdId: report.isvProdId,
    isvSvn: report.isvSvn,
    reportData: toHex(report.reportData),
    notAfter,
  };
}
