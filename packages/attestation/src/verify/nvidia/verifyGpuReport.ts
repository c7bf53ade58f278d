import type { Hex } from '@cloister/core';
import { equalBytes, fromHex, toHex } from '@cloister/crypto';
import { bounds } from '../bounds.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { assertRoots, type TrustRoot } from '../roots.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { assertSigningLeaf, verifyIssued, verifyRoot } from '../x509/chain.ts';
import { hexOf } from '../x509/der.ts';
import { readPemChain } from '../x509/pem.ts';
import { nvidiaProfile } from '../x509/profile.ts';
import { verifySignature } from '../x509/signature.ts';
import { assertUnixTime, assertValidAt } from '../x509/times.ts';
import { firmwareOf } from './firmwareOf.ts';
import { type GpuReport, parseGpuReport } from './gpuReport.ts';

/** A GPU's report with its certificates, as its driver gives both. */
export type GpuEvidence = {
  /** SPDM request and response: {@link parseGpuReport}. */
  readonly report: Uint8Array;
  /** PEM: the certificate of the key that signed, each followed by its issuer's, the root last. */
  readonly certificates: Uint8Array | string;
};

/**
 * What the measurements of one driver and one VBIOS have to be: for an index the digests that are good, hexadecimal of 48 bytes. NVIDIA
 * publishes them as signed RIM files (CoRIM, SWID tags), which nothing here fetches or reads.
 */
export type GpuReference = ReadonlyMap<number, readonly string[]>;

/** Of which firmware: signed with the report. */
export type GpuVersions = Pick<GpuReport, 'driverVersion' | 'vbiosVersion'>;

export type VerifyGpuReportOptions = {
  /** Keys of roots that the caller trusts for GPUs, all real or all simulated: NVIDIA's is `nvidiaDeviceRoot`. */
  readonly roots: readonly TrustRoot[];
  /** Unix seconds. */
  readonly now: number;
  /** 32 bytes: what the GPU was challenged with. See `gpuNonceOf`. */
  readonly nonce: Uint8Array;
  /** At least one index for these versions, each of which has to be measured and good; undefined for versions that are not accepted. */
  readonly reference: (versions: GpuVersions) => GpuReference | undefined;
  /** What it is called in errors. Default: `gpu`. */
  readonly place?: string | undefined;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** What a verified report says of its GPU. It says nothing of the guest that holds it: see `verifyGpusOf`. */
export type GpuReportClaims = {
  /** True unless it leads to NVIDIA's root. */
  readonly simulated: boolean;
  /** As the certificate of its device names it: `GH100 A01 GSP BROM`. */
  readonly model: string;
  /** Serial number of the signing certificate, a decimal number: tells GPUs apart. */
  readonly ueid: string;
  readonly driverVersion: string;
  readonly vbiosVersion: string;
  /** 32 bytes. */
  readonly nonce: Hex;
  /** Indices that were held against the reference, and those that are measured but were not. */
  readonly compared: readonly number[];
  readonly uncompared: readonly number[];
  /** Unix seconds: the first end of a certificate. NVIDIA's of devices have none that matters (9999). */
  readonly notAfter: number;
};

/** Leaf, device, provisioner, family, root. */
const maxCertificates = 6;
const minCertificates = 3;
const digestForm = /^(?:0x)?[0-9a-fA-F]{96}$/;

/**
 * Verifies a GPU's report by itself, without a service of NVIDIA's: the chain up to a trusted root, each link by key, name and constraints
 * and valid now; the signature by the leaf; the nonce; that the firmware in the report is the one that the leaf's key was made for; and
 * the measurements against a reference. Not verified: revocation (NVIDIA answers it by OCSP alone), and what a digest stands for. Throws
 * AttestationError.
 */
export async function verifyGpuReport(
  evidence: GpuEvidence,
  options: VerifyGpuReportOptions,
): Promise<GpuReportClaims> {
  const { roots, now, nonce, reference, place = 'gpu', checks } = options;
  assertRoots(roots);
  assertUnixTime(now);
  assertNonceGiven(nonce, place);
  const { report, chain, leaf, device, root } = check(
    checks,
    'form',
    'Report and certificates have their form',
    () => ({
      report: parseGpuReport(evidence.report, `${place}.report`),
      ...readChain(evidence.certificates, `${place}.certificates`),
    }),
  );
  const trusted = await check(checks, 'root', "The chain's root is trusted", async (inner) => {
    const found = await verifyRoot(root, roots, 'nvidia');
    inner?.note(`${root.commonName}, key ${found.spkiSha256}${found.simulated ? ', SIMULATED' : ''}`);
    return found;
  });
  await check(checks, 'chain', 'Each certificate is issued by the next', async (inner) => {
    for (const [index, certificate] of chain.entries()) {
      const issuer = chain[index + 1];
      if (issuer !== undefined) await verifyIssued(certificate, issuer, index);
    }
    assertSigningLeaf(leaf);
    inner?.note(chain.map(({ commonName }) => commonName).join(' → '));
  });
  const validities = chain.map(({ validity }) => validity);
  check(checks, 'dates', 'All are valid now', () => assertValidAt(validities, now));
  await check(checks, 'signature', 'The leaf signed request and answer', () =>
    verifySignature(leaf.publicKey, 'ecdsa-sha384', report.signedPart, report.signature, `${place}.report`),
  );
  check(checks, 'nonce', 'It answers this challenge', () => assertNonce(report, nonce, place));
  check(checks, 'firmware', 'The firmware is the one that the key was made for', () =>
    assertFirmware(report, leaf, place),
  );
  const good = check(checks, 'measurements', 'The measurements are those of the reference', (inner) => {
    const { driverVersion, vbiosVersion } = report;
    const expected = readReference(reference({ driverVersion, vbiosVersion }), report, place);
    assertMeasurements(report, expected, place);
    inner?.note(`${expected.size} of ${report.measurements.size}, driver ${driverVersion}, VBIOS ${vbiosVersion}`);
    return expected;
  });
  return {
    simulated: trusted.simulated,
    model: device.commonName,
    ueid: BigInt(`0x${leaf.serial}`).toString(),
    driverVersion: report.driverVersion,
    vbiosVersion: report.vbiosVersion,
    nonce: toHex(nonce),
    compared: [...good.keys()].sort((a, b) => a - b),
    uncompared: measured(report).filter((index) => !good.has(index)),
    notAfter: Math.min(...validities.map(({ notAfter }) => notAfter)),
  };
}

function readChain(
  certificates: Uint8Array | string,
  place: string,
): { chain: readonly Certificate[]; leaf: Certificate; device: Certificate; root: Certificate } {
  const chain = readPemChain(certificates, maxCertificates, place).map((der, index) =>
    parseCertificate(der, `${place}[${index}]`, nvidiaProfile),
  );
  const [leaf, device] = chain;
  const root = chain.at(-1);
  if (leaf !== undefined && device !== undefined && root !== undefined && chain.length >= minCertificates)
    return { chain, leaf, device, root };
  throw new AttestationError({
    code: 'CHAIN_LENGTH',
    place,
    value: chain.length,
    message: `Expected at least ${minCertificates} certificates at "${place}", got "${chain.length}"`,
  });
}

/** A reference that names nothing would let every firmware pass. */
function readReference(reference: GpuReference | undefined, versions: GpuVersions, place: string): GpuReference {
  if (reference === undefined) {
    const { driverVersion, vbiosVersion } = versions;
    throw notAttested(`${place}.report`, 'versions with a reference', `driver ${driverVersion}, VBIOS ${vbiosVersion}`);
  }
  if (reference.size === 0 || reference.size > bounds.gpuMeasurements)
    throw badReference(place, `Expected 1 to ${bounds.gpuMeasurements} indices`, reference.size);
  return new Map(
    [...reference].map(([index, digests]) => {
      if (!Number.isInteger(index) || index < 1 || index > 0xff)
        throw badReference(place, 'Expected indices of 1 to 255', index);
      const odd = digests.find((digest) => !digestForm.test(digest));
      if (odd !== undefined || digests.length === 0)
        throw badReference(place, `Expected digests of 48 bytes for index ${index}`, odd ?? 'none');
      return [index, digests.map((digest) => hexOf(fromHex(digest.replace(/^0x/, ''))))] as const;
    }),
  );
}

function assertNonceGiven(nonce: Uint8Array, place: string): void {
  if (nonce.length === 32) return;
  throw new AttestationError({
    code: 'NONCE_MISMATCH',
    place: `${place}.nonce`,
    value: nonce.length,
    message: `Expected a nonce of 32 bytes at "${place}.nonce", got "${nonce.length}"`,
  });
}

function assertNonce({ nonce: found }: GpuReport, expected: Uint8Array, place: string): void {
  if (equalBytes(found, expected)) return;
  throw new AttestationError({
    code: 'NONCE_MISMATCH',
    place: `${place}.report.nonce`,
    value: toHex(found),
    message: `Expected nonce "${toHex(expected)}" at "${place}.report.nonce", got "${toHex(found)}"`,
  });
}

function assertFirmware({ firmwareId }: GpuReport, leaf: Certificate, place: string): void {
  const expected = firmwareOf(leaf);
  if (equalBytes(firmwareId, expected)) return;
  throw notAttested(`${place}.report.firmwareId`, toHex(expected), toHex(firmwareId));
}

function assertMeasurements({ measurements }: GpuReport, good: GpuReference, place: string): void {
  for (const [index, digests] of good) {
    const found = measurements.get(index);
    const hex = found === undefined ? 'none' : hexOf(found);
    if (!digests.includes(hex)) throw notAttested(`${place}.report.measurements.${index}`, digests.join('" or "'), hex);
  }
}

/** Indices of what the GPU has. */
function measured({ measurements }: GpuReport): number[] {
  return [...measurements]
    .filter(([, value]) => value.some((byte) => byte !== 0))
    .map(([index]) => index)
    .sort((a, b) => a - b);
}

function notAttested(place: string, expected: string, value: string): AttestationError {
  return new AttestationError({
    code: 'GPU_NOT_ATTESTED',
    place,
    value,
    message: `Expected "${expected}" at "${place}", got "${value}"`,
  });
}

function badReference(place: string, message: string, value: number | string): AttestationError {
  return new AttestationError({
    code: 'MALFORMED_POLICY',
    place: `${place}.reference`,
    value,
    message: `${message} at "${place}.reference", got "${String(value).slice(0, 120)}"`,
  });
}
