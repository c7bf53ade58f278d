import type { Bytes32 } from '@cloister/core';
import type { Claims } from './claims.ts';
import type { AttestationErrorCode } from './errors.ts';
import { type AppraisalPolicy, defaultTcbStatuses } from './policy.ts';
import type { Refusal } from './refusal.ts';

export type Appraisal = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/** Bits of TDATTRIBUTES (Intel, "TDX Module ABI", table "ATTRIBUTES"). */
const septVeDisable = 1n << 28n;
const protectionKeys = 1n << 30n;
const keyLocker = 1n << 31n;
const perfmon = 1n << 63n;
const allowedAttributes = septVeDisable | protectionKeys | keyLocker | perfmon;
const zero48 = `0x${'0'.repeat(96)}`;

/**
 * Whether verified claims are acceptable under a policy: the last step, separate from verification. The first check that
 * does not hold is the refusal. Never throws.
 */
export function appraise(claims: Claims, policy: AppraisalPolicy = {}): Appraisal {
  return (
    checkTeeType(claims, policy) ??
    checkSimulated(claims, policy) ??
    checkTcb(claims, policy) ??
    checkTcbEvaluation(claims, policy) ??
    checkDebug(claims) ??
    checkAttributes(claims) ??
    checkServiceTd(claims, policy) ??
    checkImage(claims, policy) ??
    checkConfig(claims, policy) ??
    checkReportData(claims, policy) ?? { ok: true }
  );
}

type Check = Appraisal | undefined;

function checkTeeType({ teeType }: Claims, { teeTypes }: AppraisalPolicy): Check {
  if (teeTypes === undefined || teeTypes.includes(teeType)) return undefined;
  const message = `Expected TEE type "${teeTypes.join('" or "')}", got "${teeType}"`;
  return refuse('TEE_TYPE_REFUSED', 'claims.teeType', teeType, message);
}

function checkSimulated({ simulated }: Claims, { unsafeAllowSimulated }: AppraisalPolicy): Check {
  if (!simulated || unsafeAllowSimulated === true) return undefined;
  const message = 'Expected evidence of real hardware, got simulated evidence';
  return refuse('SIMULATED_REFUSED', 'claims.simulated', true, message);
}

function checkTcb({ tcbStatus, advisories }: Claims, { tcbStatuses = defaultTcbStatuses }: AppraisalPolicy): Check {
  // A policy can't list "Revoked", but one that comes from untyped code might.
  if (tcbStatus !== 'Revoked' && tcbStatuses.includes(tcbStatus)) return undefined;
  const because = advisories.length === 0 ? '' : ` because of ${advisories.join(', ')}`;
  const message = `Expected TCB status "${tcbStatuses.join('" or "')}", got "${tcbStatus}"${because}`;
  return refuse('TCB_STATUS_REFUSED', 'claims.tcbStatus', tcbStatus, message);
}

function checkTcbEvaluation(
  { tcbEvaluationDataNumber: number }: Claims,
  { minimumTcbEvaluationDataNumber: minimum = 0 }: AppraisalPolicy,
): Check {
  if (number >= minimum) return undefined;
  const message = `Expected TCB evaluation data number "${minimum}" or later, got "${number}"`;
  return refuse('TCB_EVALUATION_TOO_OLD', 'claims.tcbEvaluationDataNumber', number, message);
}

function checkDebug({ debug }: Claims): Check {
  if (!debug) return undefined;
  return refuse('DEBUG_REFUSED', 'claims.debug', true, 'Expected what its host cannot read, got debug mode');
}

function checkAttributes(claims: Claims): Check {
  if (claims.teeType !== 'tdx') return undefined;
  const { tdAttributes } = claims;
  const attributes = littleEndian(tdAttributes);
  if ((attributes & ~allowedAttributes) === 0n && (attributes & septVeDisable) !== 0n) return undefined;
  const message = `Expected TD attributes with SEPT_VE_DISABLE and otherwise only PKS, KL, PERFMON, got "${tdAttributes}"`;
  return refuse('ATTRIBUTES_REFUSED', 'claims.tdAttributes', tdAttributes, message);
}

function checkServiceTd(claims: Claims, { serviceTds = [] }: AppraisalPolicy): Check {
  const serviceTd = claims.teeType === 'tdx' ? claims.serviceTd : null;
  if (serviceTd === null || serviceTd === zero48) return undefined;
  if (serviceTds.some((allowed) => allowed.toLowerCase() === serviceTd)) return undefined;
  return refuse('SERVICE_TD_REFUSED', 'claims.serviceTd', serviceTd, `Expected no service TD, got "${serviceTd}"`);
}

/** Reference values are TDX images so far: a policy that has them refuses everything else. */
function checkImage(claims: Claims, { imageIds }: AppraisalPolicy): Check {
  const imageId = claims.teeType === 'tdx' ? claims.imageId : undefined;
  if (imageIds === undefined || imageIds.some((allowed) => allowed.toLowerCase() === imageId)) return undefined;
  const message = `Expected one of ${imageIds.length} allowed images, got "${imageId ?? claims.teeType}"`;
  return refuse('IMAGE_NOT_ALLOWED', 'claims.imageId', imageId, message);
}

function checkConfig(claims: Claims, { configId }: AppraisalPolicy): Check {
  const mrConfigId = claims.teeType === 'tdx' ? claims.mrConfigId : undefined;
  if (configId === undefined || mrConfigId === mrConfigIdText(configId)) return undefined;
  const message = `Expected configuration "${configId}", got MRCONFIGID "${mrConfigId ?? 'none'}"`;
  return refuse('CONFIG_MISMATCH', 'claims.mrConfigId', mrConfigId, message);
}

function checkReportData({ reportData }: Claims, { reportData: expected }: AppraisalPolicy): Check {
  if (expected === undefined || reportData === expected.toLowerCase()) return undefined;
  const message = `Expected report data "${expected}", got "${reportData}"`;
  return refuse('REPORT_DATA_MISMATCH', 'claims.reportData', reportData, message);
}

function mrConfigIdText(configId: Bytes32): string {
  return `${configId.toLowerCase()}${'0'.repeat(32)}`;
}

function littleEndian(hex: string): bigint {
  let value = 0n;
  for (let at = hex.length - 2; at >= 2; at -= 2) value = (value << 8n) | BigInt(`0x${hex.slice(at, at + 2)}`);
  return value;
}

function refuse(code: AttestationErrorCode, place: string, value: unknown, message: string): Appraisal {
  return { ok: false, refusal: { code, message, place, ...(value === undefined ? {} : { value }) } };
}
