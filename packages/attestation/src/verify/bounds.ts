import { AttestationError } from './errors.ts';

/** Largest inputs in bytes. Real ones are a tenth of these: quotes 5 kB (padded 8 kB), TCB info 5 kB, CRLs 3 to 7 kB. */
export const bounds = {
  quote: 64 * 1024,
  certificateChain: 32 * 1024,
  crl: 1024 * 1024,
  signedJson: 256 * 1024,
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
