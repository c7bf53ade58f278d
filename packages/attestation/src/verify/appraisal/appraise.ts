import type { CheckList } from '../checks.ts';
import type { Claims, PlatformClaims } from '../claims.ts';
import type { TcbStatus } from '../dcap/tcbStatus.ts';
import type { AttestationErrorCode } from '../errors.ts';
import type { Refusal } from '../refusal.ts';
import { belowFloor } from '../snp/tcb.ts';
import type { GpuClaims } from '../token/gpuClaims.ts';
import { isoTime } from '../x509/times.ts';
import { type AssuranceLevel, assuranceLevels } from './assurance.ts';
import { type AppraisalPolicy, defaultTcbStatuses } from './policy.ts';

export type Appraisal = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/** What is known beside the evidence; the caller has verified it. */
export type AppraisalContext = {
  /** Of the machine, by whoever vouches for it. Default: nothing is said. */
  readonly assurance?: AssuranceLevel | undefined;
  /** GPUs, verified, for which the guest of this evidence vouches. Default: none. */
  readonly gpus?: readonly GpuClaims[] | undefined;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** Undefined where it holds. */
type AppraisalCheck = (claims: Claims, policy: AppraisalPolicy, context: AppraisalContext) => Refusal | undefined;

/** All that a policy decides, in order. */
const appraisalChecks: readonly { readonly id: string; readonly title: string; readonly refuse: AppraisalCheck }[] = [
  { id: 'tee-type', title: 'The type of TEE is accepted', refuse: checkTeeType },
  { id: 'simulated', title: 'It is real, or simulated evidence is accepted', refuse: checkSimulated },
  { id: 'tcb', title: 'Its TCB is accepted', refuse: checkTcb },
  { id: 'tcb-date', title: 'Its TCB is young enough', refuse: checkTcbDate },
  { id: 'advisories', title: 'No advisory stands against it', refuse: checkAdvisories },
  { id: 'tcb-evaluation', title: 'It was judged by data that is recent enough', refuse: checkTcbEvaluation },
  { id: 'debug', title: 'Its host cannot read it', refuse: checkDebug },
  { id: 'attributes', title: 'Nothing in its attributes weakens it', refuse: checkAttributes },
  { id: 'moving', title: 'Nobody may move it to another machine', refuse: checkMoving },
  { id: 'image', title: 'It runs an allowed image', refuse: checkImage },
  { id: 'config', title: 'It has the expected configuration', refuse: checkConfig },
  { id: 'report-data', title: 'It says what was asked', refuse: checkReportData },
  { id: 'assurance', title: 'Enough is known of where the machine stands', refuse: checkAssurance },
  { id: 'gpus', title: 'The GPUs beside it are attested', refuse: checkGpus },
];

/**
 * Whether verified claims are acceptable under a policy: the last step, separate from verification. The first check that
 * does not hold is the refusal. Never throws.
 */
export function appraise(claims: Claims, policy: AppraisalPolicy = {}, context: AppraisalContext = {}): Appraisal {
  for (const { id, title, refuse } of appraisalChecks) {
    const refusal = refuse(claims, policy, context);
    context.checks?.record(id, title, refusal?.message);
    if (refusal !== undefined) return { ok: false, refusal };
  }
  return { ok: true };
}

/** Bits of TDATTRIBUTES (Intel, "TDX Module ABI", table "ATTRIBUTES"). */
const septVeDisable = 1n << 28n;
const protectionKeys = 1n << 30n;
const keyLocker = 1n << 31n;
const perfmon = 1n << 63n;
const allowedAttributes = septVeDisable | protectionKeys | keyLocker | perfmon;
const zero48 = `0x${'0'.repeat(96)}`;

function checkTeeType({ teeType }: Claims, { teeTypes }: AppraisalPolicy): Refusal | undefined {
  if (teeTypes === undefined || teeTypes.includes(teeType)) return undefined;
  const message = `Expected TEE type "${teeTypes.join('" or "')}", got "${teeType}"`;
  return refusal('TEE_TYPE_REFUSED', 'claims.teeType', teeType, message);
}

function checkSimulated({ simulated }: Claims, { unsafeAllowSimulated }: AppraisalPolicy): Refusal | undefined {
  if (!simulated || unsafeAllowSimulated === true) return undefined;
  const message = 'Expected evidence of real hardware, got simulated evidence';
  return refusal('SIMULATED_REFUSED', 'claims.simulated', true, message);
}

/** Intel judges TCBs itself; of AMD's a policy has to know what is good; AWS keeps its hosts' firmware to itself. */
function checkTcb(claims: Claims, policy: AppraisalPolicy): Refusal | undefined {
  switch (claims.teeType) {
    case 'tdx':
    case 'sgx':
      return checkTcbStatus(claims, policy);
    case 'sev-snp':
      return checkSnpTcb(claims, policy);
    case 'nitro':
      return undefined;
  }
}

function checkTcbStatus(claims: PlatformClaims, policy: AppraisalPolicy): Refusal | undefined {
  const { tcbStatuses = defaultTcbStatuses } = policy;
  const { tcbStatus, advisories } = claims;
  const accepts = (status: TcbStatus): boolean =>
    // A policy can't list "Revoked", but one that comes from untyped code might.
    status !== 'Revoked' && tcbStatuses.includes(status);
  if (accepts(tcbStatus)) return undefined;
  const graceEnd = endOfGrace(claims, policy);
  const inTime = statusInTime[tcbStatus];
  const isInGrace = claims.verifiedAt <= graceEnd;
  if (inTime !== undefined && isInGrace && accepts(inTime)) return undefined;
  const because = advisories.length === 0 ? '' : ` because of ${advisories.join(', ')}`;
  const grace = graceEnd === 0 || isInGrace ? '' : `, its grace ended at "${isoTime(graceEnd)}"`;
  const message = `Expected TCB status "${tcbStatuses.join('" or "')}", got "${tcbStatus}"${because}${grace}`;
  return refusal('TCB_STATUS_REFUSED', 'claims.tcbStatus', tcbStatus, message);
}

/** What a status that is out of date was before. */
const statusInTime: Readonly<Partial<Record<TcbStatus, TcbStatus>>> = {
  OutOfDate: 'UpToDate',
  OutOfDateConfigurationNeeded: 'ConfigurationNeeded',
};

/** Unix seconds; 0 where there is no grace. */
function endOfGrace(claims: PlatformClaims, { outOfDateGraceSeconds = 0 }: AppraisalPolicy): number {
  const { outOfDateSince } = claims;
  if (outOfDateSince === null || outOfDateSince === 0 || !(outOfDateGraceSeconds > 0)) return 0;
  return outOfDateSince + outOfDateGraceSeconds;
}

function checkSnpTcb(
  { product, reportedTcb }: Extract<Claims, { teeType: 'sev-snp' }>,
  { snpMinimumTcb }: AppraisalPolicy,
): Refusal | undefined {
  const floor = snpMinimumTcb?.[product];
  if (floor === undefined) {
    const message = `Expected the policy to have a TCB floor for "${product}", it has none`;
    const hint = 'State "snpMinimumTcb" for it: AMD signs what firmware runs, not whether that is good';
    return { ...refusal('TCB_FLOOR_MISSING', 'policy.snpMinimumTcb', product, message), hint };
  }
  const part = belowFloor(reportedTcb, floor);
  if (part === undefined) return undefined;
  const message = `Expected ${part} version "${floor[part]}" or later of "${product}", got "${reportedTcb[part]}"`;
  return refusal('TCB_TOO_OLD', `claims.reportedTcb.${part}`, reportedTcb[part], message);
}

function checkTcbDate(claims: Claims, { minimumTcbDate: minimum }: AppraisalPolicy): Refusal | undefined {
  if (minimum === undefined || !isIntels(claims) || claims.tcbDate >= minimum) return undefined;
  const message = `Expected a TCB of "${isoTime(minimum)}" or later, got one of "${isoTime(claims.tcbDate)}"`;
  return refusal('TCB_TOO_OLD', 'claims.tcbDate', claims.tcbDate, message);
}

function checkAdvisories(
  { advisories }: Claims,
  { allowedAdvisories, deniedAdvisories = [] }: AppraisalPolicy,
): Refusal | undefined {
  const against = advisories.find(
    (advisory) => deniedAdvisories.includes(advisory) || allowedAdvisories?.includes(advisory) === false,
  );
  if (against === undefined) return undefined;
  const message = `Expected no advisory that the policy ${deniedAdvisories.includes(against) ? 'denies' : 'does not allow'}, got "${against}"`;
  return refusal('ADVISORY_REFUSED', 'claims.advisories', against, message);
}

function checkTcbEvaluation(
  claims: Claims,
  { minimumTcbEvaluationDataNumber: minimum = 0 }: AppraisalPolicy,
): Refusal | undefined {
  if (!isIntels(claims) || claims.tcbEvaluationDataNumber >= minimum) return undefined;
  const { tcbEvaluationDataNumber: number } = claims;
  const message = `Expected TCB evaluation data number "${minimum}" or later, got "${number}"`;
  return refusal('TCB_EVALUATION_TOO_OLD', 'claims.tcbEvaluationDataNumber', number, message);
}

function checkDebug({ debug }: Claims): Refusal | undefined {
  if (!debug) return undefined;
  return refusal('DEBUG_REFUSED', 'claims.debug', true, 'Expected what its host cannot read, got debug mode');
}

function checkAttributes(claims: Claims, { snpMaximumVmpl = 0 }: AppraisalPolicy): Refusal | undefined {
  if (claims.teeType === 'sev-snp') {
    const { vmpl } = claims;
    if (vmpl <= snpMaximumVmpl) return undefined;
    const message = `Expected a report asked for at VMPL ${snpMaximumVmpl} or more privileged, got "${vmpl}"`;
    return refusal('ATTRIBUTES_REFUSED', 'claims.vmpl', vmpl, message);
  }
  if (claims.teeType !== 'tdx') return undefined;
  const { tdAttributes } = claims;
  const attributes = littleEndian(tdAttributes);
  if ((attributes & ~allowedAttributes) === 0n && (attributes & septVeDisable) !== 0n) return undefined;
  const message = `Expected TD attributes with SEPT_VE_DISABLE and otherwise only PKS, KL, PERFMON, got "${tdAttributes}"`;
  return refusal('ATTRIBUTES_REFUSED', 'claims.tdAttributes', tdAttributes, message);
}

/** Whoever may migrate a guest has its memory: a service TD, an SNP migration agent. */
function checkMoving(claims: Claims, { serviceTds = [] }: AppraisalPolicy): Refusal | undefined {
  if (claims.teeType === 'sev-snp') {
    if (!claims.migratable) return undefined;
    const message = 'Expected a guest policy without a migration agent, it allows one';
    return refusal('ATTRIBUTES_REFUSED', 'claims.migratable', true, message);
  }
  const serviceTd = claims.teeType === 'tdx' ? claims.serviceTd : null;
  if (serviceTd === null || serviceTd === zero48) return undefined;
  if (serviceTds.some((allowed) => allowed.toLowerCase() === serviceTd)) return undefined;
  return refusal('SERVICE_TD_REFUSED', 'claims.serviceTd', serviceTd, `Expected no service TD, got "${serviceTd}"`);
}

function checkImage({ imageId }: Claims, { imageIds }: AppraisalPolicy): Refusal | undefined {
  if (imageIds === undefined || imageIds.some((allowed) => allowed.toLowerCase() === imageId)) return undefined;
  const message = `Expected one of ${imageIds.length} allowed images, got "${imageId}"`;
  return refusal('IMAGE_NOT_ALLOWED', 'claims.imageId', imageId, message);
}

function checkConfig(claims: Claims, { configId: expected }: AppraisalPolicy): Refusal | undefined {
  const { configId } = claims;
  if (expected === undefined || configId === expected.toLowerCase()) return undefined;
  const got = configId ?? (claims.teeType === 'tdx' ? claims.mrConfigId : 'none');
  const message = `Expected configuration "${expected}", got "${got}"`;
  return refusal('CONFIG_MISMATCH', 'claims.configId', got, message);
}

function checkReportData({ reportData }: Claims, { reportData: expected }: AppraisalPolicy): Refusal | undefined {
  if (expected === undefined || reportData === expected.toLowerCase()) return undefined;
  const message = `Expected report data "${expected}", got "${reportData ?? 'none'}"`;
  return refusal('REPORT_DATA_MISMATCH', 'claims.reportData', reportData ?? 'none', message);
}

function checkAssurance(
  _: Claims,
  { minimumAssurance }: AppraisalPolicy,
  { assurance }: AppraisalContext,
): Refusal | undefined {
  if (minimumAssurance === undefined) return undefined;
  const minimum = assuranceLevels.indexOf(minimumAssurance);
  const level = assurance === undefined ? -1 : assuranceLevels.indexOf(assurance);
  if (minimum >= 0 && level >= minimum) return undefined;
  const message = `Expected a machine that is "${minimumAssurance}" or better, got "${assurance ?? 'nothing said'}"`;
  return refusal('ASSURANCE_TOO_LOW', 'context.assurance', assurance, message);
}

function checkGpus(
  _: Claims,
  { gpus: expected }: AppraisalPolicy,
  { gpus = [] }: AppraisalContext,
): Refusal | undefined {
  if (expected === undefined) return undefined;
  const { minimum, models } = expected;
  const other = gpus.find(({ model }) => models !== undefined && !models.includes(model));
  if (other !== undefined) {
    const message = `Expected GPUs "${models?.join('" or "')}", got "${other.model}"`;
    return refusal('GPU_REFUSED', 'context.gpus', other.model, message);
  }
  if (gpus.length >= minimum) return undefined;
  const message = `Expected at least ${minimum} attested GPUs, got "${gpus.length}"`;
  return refusal('GPU_REFUSED', 'context.gpus', gpus.length, message);
}

function isIntels(claims: Claims): claims is Extract<Claims, PlatformClaims> {
  return claims.teeType === 'tdx' || claims.teeType === 'sgx';
}

function littleEndian(hex: string): bigint {
  let value = 0n;
  for (let at = hex.length - 2; at >= 2; at -= 2) value = (value << 8n) | BigInt(`0x${hex.slice(at, at + 2)}`);
  return value;
}

function refusal(code: AttestationErrorCode, place: string, value: unknown, message: string): Refusal {
  return { code, message, place, ...(value === undefined ? {} : { value }) };
}
