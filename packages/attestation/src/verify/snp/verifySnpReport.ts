import { snpImageId } from '@cloister/core';
import { concatBytes, equalBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { type CheckList, check } from '../checks.ts';
import type { SnpClaims } from '../claims.ts';
import { AttestationError } from '../errors.ts';
import { verifySignature } from '../x509/signature.ts';
import { assertUnixTime, assertValidAt } from '../x509/times.ts';
import { productOfCpuid } from './product.ts';
import { parseSnpReport, type SnpReport } from './report.ts';
import { readSnpTcb, type SnpTcb, snpTcbParts } from './tcb.ts';
import type { VerifiedSnpKey } from './verifySnpKey.ts';

export type VerifySnpReportOptions = {
  /** Unix seconds. */
  readonly now: number;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

const platformTag = utf8('cloister/snp-platform: v1');

/**
 * Verifies a SEV-SNP report under a verified key: that this key signed it, and that report and certificate speak of the same
 * kind of key, processor, chip and firmware. What it returns is true of the guest; whether that is acceptable is for
 * `appraise`, which must follow. Throws AttestationError.
 */
export async function verifySnpReport(
  bytes: Uint8Array,
  key: VerifiedSnpKey,
  options: VerifySnpReportOptions,
): Promise<SnpClaims> {
  const { now, checks } = options;
  assertUnixTime(now);
  const report = check(checks, 'form', 'The report has its form', (inner) => {
    const parsed = parseSnpReport(bytes);
    inner?.note(`version ${parsed.version}`);
    return parsed;
  });
  check(checks, 'key-dates', 'The certificates are valid now', () => assertValidAt(key.validities, now));
  check(checks, 'signing-key', 'The certificate is of the kind of key that the report names', (inner) => {
    assertSigner(report, key);
    inner?.note(key.signer);
  });
  await check(checks, 'signature', 'That key signed the report', () =>
    verifySignature(key.publicKey, 'ecdsa-sha384', report.signedPart, report.signature, 'report'),
  );
  check(checks, 'product', 'It comes from the processor that the certificate is of', (inner) => {
    assertProduct(report, key);
    inner?.note(key.product);
  });
  check(checks, 'tcb', 'Its reported TCB is the one that the key was derived for', (inner) => {
    const part = snpTcbParts.find((name) => readTcb(report, 'reportedTcb', key)[name] !== key.tcb[name]);
    if (part !== undefined) throw tcbMismatch(report, key, part);
    inner?.note(snpTcbParts.flatMap((name) => (key.tcb[name] === null ? [] : [`${name} ${key.tcb[name]}`])).join(', '));
  });
  check(checks, 'chip', 'It comes from the chip that the certificate is of', (inner) => {
    assertChip(report, key);
    if (key.hwId === undefined) inner?.note('a loaded key: no certificate names the chip');
  });
  return claimsOf(report, key, now);
}

function assertSigner(report: SnpReport, key: VerifiedSnpKey): void {
  if (report.signer !== key.signer)
    throw new AttestationError({
      code: 'SIGNING_KEY_MISMATCH',
      place: 'report.signingKey',
      value: report.signer,
      message: `Expected a report signed by a ${key.signer}, as its certificate is, got "${report.signer}"`,
    });
  if (report.signer === 'vcek' && report.chipKeyMasked)
    throw new AttestationError({
      code: 'SIGNING_KEY_MISMATCH',
      place: 'report.maskChipKey',
      value: true,
      message: "Expected no report by a chip's key from a host that has it masked",
    });
}

/** Reports of version 2 do not say which processor made them: then only the chain does. */
function assertProduct({ cpuid }: SnpReport, { product }: VerifiedSnpKey): void {
  if (cpuid === undefined || productOfCpuid(cpuid.family, cpuid.model) === product) return;
  throw new AttestationError({
    code: 'PRODUCT_MISMATCH',
    place: 'report.cpuid',
    value: `${cpuid.family}/${cpuid.model}`,
    message: `Expected a processor of "${product}", as the certificates are, got family "${cpuid.family}" model "${cpuid.model}"`,
  });
}

function readTcb(
  report: SnpReport,
  field: 'reportedTcb' | 'currentTcb' | 'committedTcb' | 'launchTcb',
  { product }: VerifiedSnpKey,
): SnpTcb {
  const tcb = readSnpTcb(report[field], product);
  if (tcb !== undefined) return tcb;
  throw new AttestationError({
    code: 'MALFORMED_REPORT',
    place: `report.${field}`,
    value: toHex(report[field]),
    message: `Expected a TCB of "${product}" at "report.${field}", got "${toHex(report[field])}"`,
  });
}

function tcbMismatch(report: SnpReport, key: VerifiedSnpKey, part: keyof SnpTcb): AttestationError {
  const got = readTcb(report, 'reportedTcb', key)[part];
  return new AttestationError({
    code: 'TCB_MISMATCH',
    place: `report.reportedTcb.${part}`,
    value: got,
    message: `Expected ${part} version "${key.tcb[part]}", for which the key was derived, got "${got}"`,
    hint: 'Fetch the certificate for the reported TCB',
  });
}

/** Turin names a chip by 8 bytes, of which the field has room for 64. */
function assertChip({ chipId }: SnpReport, { hwId }: VerifiedSnpKey): void {
  if (hwId === undefined || equalBytes(chipId.subarray(0, hwId.length), hwId)) return;
  throw new AttestationError({
    code: 'CHIP_ID_MISMATCH',
    place: 'report.chipId',
    value: toHex(chipId),
    message: `Expected the chip "${toHex(hwId)}" that the certificate is of, got "${toHex(chipId)}"`,
  });
}

function claimsOf(report: SnpReport, key: VerifiedSnpKey, now: number): SnpClaims {
  const { chipId } = report;
  const hidden = chipId.every((byte) => byte === 0);
  return {
    teeType: 'sev-snp',
    simulated: key.trustRoot.simulated,
    tcbStatus: null,
    advisories: [],
    reportVersion: report.version,
    product: key.product,
    signer: key.signer,
    cspId: key.cspId ?? null,
    chipId: hidden ? null : toHex(chipId),
    platformId: hidden ? null : toHex(sha256(concatBytes(platformTag, chipId)).subarray(0, 16)),
    debug: report.debug,
    policy: toHex(report.policy),
    guestSvn: report.guestSvn,
    vmpl: report.vmpl,
    migratable: report.migratable,
    reportedTcb: readTcb(report, 'reportedTcb', key),
    currentTcb: readTcb(report, 'currentTcb', key),
    committedTcb: readTcb(report, 'committedTcb', key),
    launchTcb: readTcb(report, 'launchTcb', key),
    platformInfo: toHex(report.platformInfo),
    measurement: toHex(report.measurement),
    idKeyDigest: toHex(report.idKeyDigest),
    authorKeyDigest: toHex(report.authorKeyDigest),
    hostData: toHex(report.hostData),
    reportId: toHex(report.reportId),
    familyId: toHex(report.familyId),
    guestImageId: toHex(report.imageId),
    reportData: toHex(report.reportData),
    imageId: snpImageId(report.measurement),
    configId: toHex(report.hostData),
    verifiedAt: now,
    notAfter: key.notAfter,
  };
}
