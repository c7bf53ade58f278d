import { parseCcel } from './ccel.ts';
import { type DstackClaims, readDstackClaims } from './dstackClaims.ts';
import { parseDstackLog } from './dstackLog.ts';
import { type Extension, type Registers, replay } from './registers.ts';
import { measuredDigest } from './runtimeEvent.ts';

/**
 * The registers that a firmware's log leads to from zero. This proves nothing: it says what a machine that boots in the same way
 * will report, for whoever writes reference values. What a machine did report is checked by {@link verifyCcel}.
 * Throws MALFORMED_EVENT_LOG, UNSUPPORTED_EVENT_LOG, TOO_LARGE.
 */
export function replayCcel(log: Uint8Array): Registers {
  return replay(parseCcel(log).filter((event): event is typeof event & Extension => event.register !== null));
}

/**
 * The same for a dstack guest's log, with what its boot events say. Throws MALFORMED_EVENT_LOG, MALFORMED_JSON, TOO_LARGE,
 * EVENT_DIGEST_MISMATCH, EVENT_MISSING, EVENT_DUPLICATE, EVENT_MISPLACED.
 */
export function replayDstackLog(log: string | Uint8Array): {
  readonly registers: Registers;
  readonly claims: DstackClaims;
} {
  const events = parseDstackLog(log);
  const registers = replay(events.map((event) => ({ register: event.register, digest: measuredDigest(event) })));
  return { registers, claims: readDstackClaims(events).claims };
}
