import { assertAtMost, bounds } from './bounds.ts';
import { AttestationError } from './errors.ts';

/** What Azure's paravisor gives its guest in the vTPM (NV index 0x01400001); views into its bytes. Nothing in it is trusted yet. */
export type HclReport = {
  readonly teeType: 'sev-snp' | 'tdx';
  /**
   * SNP: the signed report, to be verified with its certificates. TDX: a TDREPORT of 1024 bytes, which only its own machine
   * can check; the quote made of it is the evidence.
   */
  readonly hardwareReport: Uint8Array;
  /** What the report data of that evidence is the hash of: for `verifyRuntimeData`. */
  readonly runtimeData: Uint8Array;
};

const signature = 'HCLA';
const reportAt = 32;
/** Behind the largest report, SNP's: how much follows, version, type of report, type of hash, size of the runtime data. */
const requestAt = 1216;
const fixedLength = requestAt + 20;
const sha256HashType = 1;
/** Types of report (same source, `IgvmAttestReportType`). */
const reports = {
  2: { teeType: 'sev-snp', length: 1184 },
  4: { teeType: 'tdx', length: 1024 },
} as const;
/** Length of the extension behind the fixed part by version of the request (`IgvmAttestRequestDataExt`). */
const extensionLengths = { 1: 0, 2: 4 } as const;

/**
 * Splits a report of Azure's host compatibility layer (Microsoft, OpenHCL's `openhcl_attestation_protocol`, `igvm_attest::get`)
 * into what the TEE made and what it binds. The header and all sizes are not measured: they say where to look, and the hash in
 * the evidence says whether that was right. What pads it to the size of the NV index is not looked at.
 * Throws MALFORMED_REPORT, UNSUPPORTED_REPORT, TOO_LARGE.
 */
export function parseHclReport(bytes: Uint8Array): HclReport {
  assertAtMost(bytes.length, bounds.runtimeData, 'hclReport');
  if (bytes.length < fixedLength)
    throw malformed('hclReport', `Expected at least ${fixedLength} bytes`, String(bytes.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = String.fromCharCode(...bytes.subarray(0, signature.length));
  if (found !== signature) throw malformed('hclReport.signature', `Expected "${signature}"`, found);

  const version = view.getUint32(requestAt + 4, true);
  const extensionLength = lookUp(extensionLengths, version, 'hclReport.version', 'version 1 or 2');
  const type = view.getUint32(requestAt + 8, true);
  const { teeType, length } = lookUp(reports, type, 'hclReport.reportType', 'a report of SNP (2) or TDX (4)');
  const hashType = view.getUint32(requestAt + 12, true);
  if (hashType !== sha256HashType) throw unsupported('hclReport.hashType', 'SHA-256 (1)', hashType);

  const from = fixedLength + extensionLength;
  const size = view.getUint32(requestAt + 16, true);
  if (size === 0 || from + size > bytes.length)
    throw malformed('hclReport.runtimeData', 'Expected runtime data that fits', String(size));
  return {
    teeType,
    hardwareReport: bytes.subarray(reportAt, reportAt + length),
    runtimeData: bytes.subarray(from, from + size),
  };
}

function lookUp<Value>(table: Readonly<Record<number, Value>>, key: number, place: string, expected: string): Value {
  const value = table[key];
  if (value === undefined) throw unsupported(place, expected, key);
  return value;
}

function malformed(place: string, message: string, value: string): AttestationError {
  const shown = value.replace(/[^\x20-\x7e]/g, '?');
  return new AttestationError({
    code: 'MALFORMED_REPORT',
    place,
    value: shown,
    message: `${message} at "${place}", got "${shown}"`,
  });
}

function unsupported(place: string, expected: string, value: number): AttestationError {
  return new AttestationError({
    code: 'UNSUPPORTED_REPORT',
    place,
    value,
    message: `Expected ${expected} at "${place}", got "${value}"`,
  });
}
