import { AttestationError } from '../errors.ts';
import { snpProducts } from './product.ts';

/** The fields of an ATTESTATION_REPORT that verification needs; views into its bytes. Nothing in it is trusted yet. */
export type SnpReport = {
  readonly version: 2 | 3 | 5;
  readonly guestSvn: number;
  /** 8 bytes, little-endian. */
  readonly policy: Uint8Array;
  readonly debug: boolean;
  readonly migratable: boolean;
  /** 16 bytes each. */
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  readonly vmpl: number;
  /** 8 bytes each. */
  readonly currentTcb: Uint8Array;
  readonly reportedTcb: Uint8Array;
  readonly committedTcb: Uint8Array;
  readonly launchTcb: Uint8Array;
  readonly platformInfo: Uint8Array;
  /** Whose key signs. */
  readonly signer: 'vcek' | 'vlek';
  readonly chipKeyMasked: boolean;
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  /** From version 3 on: which processor made it. */
  readonly cpuid: { readonly family: number; readonly model: number } | undefined;
  /** 64 bytes; zero where the host hides it. */
  readonly chipId: Uint8Array;
  readonly signedPart: Uint8Array;
  /** 96 bytes, r ‖ s, big-endian. */
  readonly signature: Uint8Array;
};

const reportLength = 1184;
const signatureAt = 0x2a0;
const partLength = 72;
const usedLength = 48;
const ecdsaP384Sha384 = 1;
const signingKeys = { vcek: 0, vlek: 1 } as const;

/** Bits of the guest policy (same source, table 10). */
const policyBits = {
  mustBeOne: 1n << 17n,
  migrationAgent: 1n << 18n,
  debug: 1n << 19n,
  known: (1n << 26n) - 1n,
} as const;

/**
 * Reads a SEV-SNP report (AMD, "SEV Secure Nested Paging Firmware ABI Specification", table 23) of version 2, 3 or 5 strictly:
 * its exact length, reserved fields zero, ECDSA P-384. Throws MALFORMED_REPORT, UNSUPPORTED_REPORT.
 */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== reportLength) throw malformed('report', `Expected ${reportLength} bytes`, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(0x00, true);
  if (version !== 2 && version !== 3 && version !== 5) throw unsupported('report.version', '2, 3 or 5', version);
  const algorithm = view.getUint32(0x34, true);
  if (algorithm !== ecdsaP384Sha384)
    throw unsupported('report.signatureAlgorithm', 'ECDSA P-384 with SHA-384', algorithm);
  const vmpl = view.getUint32(0x30, true);
  if (vmpl > 3) throw malformed('report.vmpl', 'Expected a VMPL of 0 to 3', vmpl);

  const policy = view.getBigUint64(0x08, true);
  if ((policy & policyBits.mustBeOne) === 0n || (policy & ~policyBits.known) !== 0n)
    throw malformed('report.policy', 'Expected bit 17 set and bits from 26 on clear', `0x${policy.toString(16)}`);

  const keyInfo = view.getUint32(0x48, true);
  const signingKey = (keyInfo >> 2) & 7;
  const signer = signingKey === signingKeys.vcek ? 'vcek' : signingKey === signingKeys.vlek ? 'vlek' : undefined;
  if (signer === undefined) throw unsupported('report.signingKey', 'VCEK (0) or VLEK (1)', signingKey);
  const hasAuthorKey = (keyInfo & 1) !== 0;
  const authorKeyDigest = bytes.subarray(0x110, 0x140);
  if (!hasAuthorKey) assertZero(bytes, 0x110, 0x140, 'report.authorKeyDigest');

  for (const [from, to] of reservedOf(version)) assertZero(bytes, from, to, `report @ ${from}`);
  if (keyInfo >>> 5 !== 0) throw malformed('report.keyInfo', 'Expected its upper bits clear', keyInfo);

  return {
    version,
    guestSvn: view.getUint32(0x04, true),
    policy: bytes.subarray(0x08, 0x10),
    debug: (policy & policyBits.debug) !== 0n,
    migratable: (policy & policyBits.migrationAgent) !== 0n,
    familyId: bytes.subarray(0x10, 0x20),
    imageId: bytes.subarray(0x20, 0x30),
    vmpl,
    currentTcb: bytes.subarray(0x38, 0x40),
    platformInfo: bytes.subarray(0x40, 0x48),
    signer,
    chipKeyMasked: (keyInfo & 2) !== 0,
    reportData: bytes.subarray(0x50, 0x90),
    measurement: bytes.subarray(0x90, 0xc0),
    hostData: bytes.subarray(0xc0, 0xe0),
    idKeyDigest: bytes.subarray(0xe0, 0x110),
    authorKeyDigest,
    reportId: bytes.subarray(0x140, 0x160),
    reportedTcb: bytes.subarray(0x180, 0x188),
    cpuid: version === 2 ? undefined : { family: bytes[0x188] ?? 0, model: bytes[0x189] ?? 0 },
    chipId: bytes.subarray(0x1a0, 0x1e0),
    committedTcb: bytes.subarray(0x1e0, 0x1e8),
    launchTcb: bytes.subarray(0x1f0, 0x1f8),
    signedPart: bytes.subarray(0, signatureAt),
    signature: readSignature(bytes),
  };
}

/** Offsets of what must be zero, by version: later ones put fields there. */
function reservedOf(version: 2 | 3 | 5): readonly (readonly [number, number])[] {
  return [
    [0x4c, 0x50],
    [version === 2 ? 0x188 : 0x18b, 0x1a0],
    [0x1eb, 0x1ec],
    [0x1ef, 0x1f0],
    [version === 5 ? 0x208 : 0x1f8, signatureAt],
    [signatureAt + usedLength, signatureAt + partLength],
    [signatureAt + partLength + usedLength, signatureAt + 2 * partLength],
    [signatureAt + 2 * partLength, reportLength],
  ];
}

/** R and S stand little-endian in 72 bytes each (same source, table 140). */
function readSignature(bytes: Uint8Array): Uint8Array {
  const signature = new Uint8Array(2 * usedLength);
  for (const part of [0, 1]) {
    const at = signatureAt + part * partLength;
    signature.set(bytes.slice(at, at + usedLength).reverse(), part * usedLength);
  }
  return signature;
}

function assertZero(bytes: Uint8Array, from: number, to: number, place: string): void {
  for (let at = from; at < to; at++)
    if (bytes[at] !== 0) throw malformed(place, `Expected zero at offset ${at}`, bytes[at] ?? 0);
}

function malformed(place: string, message: string, value: number | string): AttestationError {
  return new AttestationError({
    code: 'MALFORMED_REPORT',
    place,
    value,
    message: `${message} at "${place}", got "${value}"`,
  });
}

function unsupported(place: string, expected: string, value: number): AttestationError {
  return new AttestationError({
    code: 'UNSUPPORTED_REPORT',
    place,
    value,
    message: `Expected ${expected} at "${place}", got "${value}"`,
    hint: `Reports of ${snpProducts.join(', ')} are verified`,
  });
}
