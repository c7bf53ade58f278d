import { type Bytes32, sgxImageId } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { check } from '../checks.ts';
import type { SgxClaims } from '../claims.ts';
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
  const { checks, now } = options;
  const quote = check(checks, 'form', 'The quote has its form', () => {
    const parsed = parseQuote(quoteBytes);
    if (parsed.body.kind !== 'sgx') throw wrongTeeType('sgx', parsed.body.kind);
    return parsed;
  });
  const report = readEnclaveReport(quote.body.bytes);
  const { tcbInfo, qeIdentity } = collateral;
  const { platform, qe, notAfter } = await verifyQuoteChain(quote, collateral, options);
  const verdict = check(checks, 'tcb', "The platform's TCB reaches a level", (inner) => {
    const merged = mergeTcb(matchSgxLevel(platform, tcbInfo), qe);
    inner?.note([merged.status, ...merged.advisories].join(' '));
    return merged;
  });

  return {
    teeType: 'sgx',
    simulated: collateral.trustRoot.simulated,
    tcbStatus: verdict.status,
    advisories: verdict.advisories,
    tcbDate: verdict.tcbDate,
    outOfDateSince: verdict.outOfDateSince,
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
    imageId: sgxImageId(report.mrEnclave),
    configId: configIdOf(report.configId),
    verifiedAt: now,
    notAfter,
  };
}

/** The 32 bytes of a configuration's id, which 32 zero bytes follow; null for any other use of CONFIGID. */
export function configIdOf(configId: Uint8Array): Bytes32 | null {
  return configId.subarray(32).every((byte) => byte === 0) ? toHex(configId.subarray(0, 32)) : null;
}
