import { dstackImageId, readMrConfigId, tdxImageId } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { check } from '../checks.ts';
import type { TdxClaims } from '../claims.ts';
import { matchTdxLevel, verifyTdxModule } from './platformTcb.ts';
import { parseQuote } from './quote.ts';
import { mergeTcb } from './tcbStatus.ts';
import { readTdReport } from './tdReport.ts';
import type { VerifiedCollateral } from './verifyCollateral.ts';
import { type VerifyQuoteOptions, verifyQuoteChain, wrongTeeType } from './verifyQuoteChain.ts';

/**
 * Verifies a TDX quote against verified collateral: chain, quoting enclave, signature, TDX module, TCB. What it returns is
 * true of the TD; whether that is acceptable is for `appraise`, which must follow. Throws AttestationError.
 */
export async function verifyTdxQuote(
  quoteBytes: Uint8Array,
  collateral: VerifiedCollateral,
  options: VerifyQuoteOptions,
): Promise<TdxClaims> {
  const { checks, now } = options;
  const quote = check(checks, 'form', 'The quote has its form', () => {
    const parsed = parseQuote(quoteBytes);
    if (parsed.body.kind !== 'tdx') throw wrongTeeType('tdx', parsed.body.kind);
    return { ...parsed, body: parsed.body };
  });
  const report = readTdReport(quote.body);
  const { tcbInfo, qeIdentity } = collateral;
  const { platform, qe, notAfter } = await verifyQuoteChain(quote, collateral, options);

  const module = check(checks, 'tdx-module', 'The TDX module is one that Intel names', (inner) => {
    const verdict = verifyTdxModule(report, tcbInfo);
    if (verdict !== undefined) inner?.note(verdict.status);
    return verdict;
  });
  const verdict = check(checks, 'tcb', "The platform's TCB reaches a level", (inner) => {
    const level = matchTdxLevel(report, platform, tcbInfo);
    const merged = mergeTcb(module === undefined ? level : mergeTcb(level, module), qe);
    inner?.note([merged.status, ...merged.advisories].join(' '));
    return merged;
  });
  const image = { mrtd: report.mrTd, rtmr0: report.rtmr0, rtmr1: report.rtmr1, rtmr2: report.rtmr2 };
  const { configId, composeHash } = readMrConfigId(report.mrConfigId) ?? { configId: null, composeHash: null };

  return {
    teeType: 'tdx',
    quoteVersion: quote.version === 5 ? 5 : 4,
    tdVersion: quote.body.tdVersion,
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
    debug: ((report.tdAttributes[0] ?? 0) & 1) !== 0,
    tdAttributes: toHex(report.tdAttributes),
    xfam: toHex(report.xfam),
    seamAttributes: toHex(report.seamAttributes),
    teeTcbSvn: toHex(report.teeTcbSvn),
    mrSeam: toHex(report.mrSeam),
    mrSignerSeam: toHex(report.mrSignerSeam),
    mrtd: toHex(report.mrTd),
    mrConfigId: toHex(report.mrConfigId),
    configId,
    composeHash,
    mrOwner: toHex(report.mrOwner),
    mrOwnerConfig: toHex(report.mrOwnerConfig),
    rtmr0: toHex(report.rtmr0),
    rtmr1: toHex(report.rtmr1),
    rtmr2: toHex(report.rtmr2),
    rtmr3: toHex(report.rtmr3),
    reportData: toHex(report.reportData),
    serviceTd: report.mrServiceTd === undefined ? null : toHex(report.mrServiceTd),
    imageId: composeHash === null ? tdxImageId(image) : dstackImageId(image, composeHash),
    verifiedAt: now,
    notAfter,
  };
}
