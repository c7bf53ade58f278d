import { type DstackClaims, type OtherDstackEvent, readDstackClaims } from './dstackClaims.ts';
import { type DstackEvent, parseDstackLog } from './dstackLog.ts';
import { assertReplays, type Registers } from './registers.ts';
import { measuredDigest } from './runtimeEvent.ts';

/** What a dstack guest's log says once its replay has given the registers of a verified quote. */
export type VerifiedDstackLog = {
  /** What the guest measured at boot. As true as the guest's image, which MRTD and RTMR0 to 2 identify: appraise those first. */
  readonly claims: DstackClaims;
  /** Runtime events of other names, in their order: whatever software in the guest cared to measure. */
  readonly otherEvents: readonly OtherDstackEvent[];
  /** Every event. Names and payloads of the firmware's are remarks: only their digests are measured. */
  readonly events: readonly DstackEvent[];
};

/**
 * Replays a dstack guest's event log to all four registers, and only then reads it. See {@link parseDstackLog} for its form.
 * @param registers claims of a quote that has been verified
 * Throws MALFORMED_EVENT_LOG, MALFORMED_JSON, TOO_LARGE, EVENT_DIGEST_MISMATCH, EVENT_LOG_MISMATCH, EVENT_MISSING,
 * EVENT_DUPLICATE, EVENT_MISPLACED.
 */
export function verifyDstackLog(log: string | Uint8Array, registers: Registers): VerifiedDstackLog {
  const events = parseDstackLog(log);
  assertReplays(
    events.map((event) => ({ register: event.register, digest: measuredDigest(event) })),
    registers,
  );
  return { ...readDstackClaims(events), events };
}
