import { AttestationError } from './errors.ts';

/**
 * Largest inputs in bytes. Real ones are a tenth of these: quotes 5 kB (padded 8 kB), TCB info 5 kB, CRLs 3 to 7 kB,
 * certificates 2 kB, Nitro documents 5 kB, tokens 3 kB.
 */
export const bounds = {
  quote: 64 * 1024,
  certificateChain: 32 * 1024,
  certificate: 8 * 1024,
  crl: 1024 * 1024,
  signedJson: 256 * 1024,
  /** SNP reports have one length. */
  snpReport: 1184,
  /** A GPU's is 4 kB: 64 measurements of 55 bytes, and 0.5 kB around them. */
  gpuReport: 32 * 1024,
  gpuMeasurements: 255,
  /** GPUs of one machine. */
  gpus: 16,
  nitroDocument: 32 * 1024,
  token: 64 * 1024,
  /** Runtime data of a paravisor: a JSON of keys and variables, 1 to 3 kB. */
  runtimeData: 32 * 1024,
  /** Characters of an event log inside an evidence document. */
  eventLogText: 3 * 1024 * 1024,
  evidenceDocument: 4 * 1024 * 1024,
  policy: 1024 * 1024,
} as const;

/** Throws TOO_LARGE for more than `max` bytes or characters. */
export function assertAtMost(length: number, max: number, place: string): void {
  if (length > max)
    throw new AttestationError({
      code: 'TOO_LARGE',
      place,
      value: length,
      message: `Expected at most ${max} bytes at "${place}", got "${length}"`,
    });
}
