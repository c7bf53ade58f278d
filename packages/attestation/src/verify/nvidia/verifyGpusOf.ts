import type { Json } from '@cloister/core';
import { concatBytes, fromHex, fromUtf8, sha256, toHex, utf8 } from '@cloister/crypto';
import { fromBase64, toBase64 } from '../base64.ts';
import { assertAtMost, bounds } from '../bounds.ts';
import { check } from '../checks.ts';
import type { Claims } from '../claims.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import {
  type GpuEvidence,
  type GpuReportClaims,
  type VerifyGpuReportOptions,
  verifyGpuReport,
} from './verifyGpuReport.ts';

export type VerifyGpusOptions = Pick<VerifyGpuReportOptions, 'roots' | 'now' | 'reference' | 'checks'>;

const nonceTag = utf8('cloister/gpu-nonce: v1');
/** What NVIDIA calls the families whose reports are read. */
const architecture = 'HOPPER';
const place = 'gpuEvidence';

/**
 * What the GPUs of a guest have to be challenged with: sha256("cloister/gpu-nonce: v1" ‖ report data), the report data being the 64 bytes in
 * the guest's own evidence. They name its keys and a recent block, so a report with this nonce was made for that evidence, after that block.
 */
export function gpuNonceOf(reportData: Uint8Array): Uint8Array {
  if (reportData.length !== 64) throw unbound(`${reportData.length} bytes`);
  return sha256(concatBytes(nonceTag, reportData));
}

/**
 * Reads NVIDIA's layout of evidence, as its tools and services take it (and `nvidia_payload` in reports of NEAR AI and RedPill):
 * `{"nonce": hex, "arch": "HOPPER", "evidence_list": [{"certificate": base64 of PEM, "evidence": base64 of the report}]}`. The nonce in it
 * is only for people: what counts is in the reports. Throws MALFORMED_EVIDENCE, MALFORMED_JSON, MALFORMED_BASE64, TOO_LARGE.
 */
export function readGpuEvidence(bytes: Uint8Array | string): readonly GpuEvidence[] {
  assertAtMost(bytes.length, bounds.evidenceDocument, place);
  const json = JsonValue.parse(typeof bytes === 'string' ? bytes : textOf(bytes), place, 'MALFORMED_EVIDENCE');
  json.onlyMembers(['nonce', 'arch', 'evidence_list']);
  json.member('nonce').bytes(32);
  json.member('arch').oneOf([architecture]);
  return json
    .member('evidence_list')
    .items(bounds.gpus)
    .map((item) => {
      item.onlyMembers(['certificate', 'evidence', 'arch', 'firmware_version']);
      const of = (name: string, most: number): Uint8Array =>
        fromBase64(item.member(name).text(Math.ceil(most / 3) * 4), item.member(name).path);
      return { report: of('evidence', bounds.gpuReport), certificates: of('certificate', bounds.certificateChain) };
    });
}

/** The same layout, written. @param nonce what the GPUs were challenged with */
export function gpuEvidenceJson(evidence: readonly GpuEvidence[], nonce: Uint8Array): { [key: string]: Json } {
  return {
    nonce: toHex(nonce).slice(2),
    arch: architecture,
    evidence_list: evidence.map(({ report, certificates }) => ({
      certificate: toBase64(typeof certificates === 'string' ? utf8(certificates) : certificates),
      evidence: toBase64(report),
    })),
  };
}

/**
 * Verifies the reports of the GPUs beside a guest's evidence, whose claims are verified: at least one, each by {@link verifyGpuReport} for
 * the nonce that the evidence's report data make, no GPU twice, all real beside real evidence and simulated beside simulated. Anyone can
 * challenge a GPU with that nonce: that they are this guest's own is said by the guest, measured to ask only its own and to sign what it
 * got by a key that its report data bind. Throws AttestationError.
 */
export async function verifyGpusOf(
  { reportData, simulated }: Pick<Claims, 'reportData' | 'simulated'>,
  evidence: readonly GpuEvidence[],
  options: VerifyGpusOptions,
): Promise<readonly GpuReportClaims[]> {
  const { checks, ...common } = options;
  if (reportData === null) throw unbound('none');
  const nonce = gpuNonceOf(fromHex(reportData));
  if (evidence.length === 0 || evidence.length > bounds.gpus)
    throw refused('GPU_NOT_ATTESTED', place, `1 to ${bounds.gpus} GPUs`, String(evidence.length));
  const gpus: GpuReportClaims[] = [];
  for (const [index, one] of evidence.entries()) {
    const name = `${place}[${index}]`;
    const claims = await check(checks, `gpu-${index}`, `GPU ${index} is attested`, (inner) =>
      verifyGpuReport(one, { ...common, nonce, place: name, checks: inner }),
    );
    if (claims.simulated !== simulated)
      throw refused(
        'SIMULATED_REFUSED',
        name,
        simulated ? 'a simulated GPU beside simulated evidence' : 'a real GPU beside real evidence',
        claims.simulated ? 'a simulated one' : 'a real one',
      );
    const twice = gpus.findIndex(({ ueid }) => ueid === claims.ueid);
    if (twice >= 0) throw refused('GPU_NOT_ATTESTED', name, 'another GPU', `the one of "${place}[${twice}]"`);
    gpus.push(claims);
  }
  return gpus;
}

function unbound(value: string): AttestationError {
  return refused('REPORT_DATA_MISMATCH', 'claims.reportData', 'report data of 64 bytes', value);
}

function refused(
  code: 'GPU_NOT_ATTESTED' | 'SIMULATED_REFUSED' | 'REPORT_DATA_MISMATCH',
  at: string,
  expected: string,
  value: string,
): AttestationError {
  return new AttestationError({
    code,
    place: at,
    value,
    message: `Expected ${expected} at "${at}", got "${value}"`,
  });
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({ code: 'MALFORMED_JSON', place, message: 'Expected the evidence in UTF-8', cause });
  }
}
