import type { Hex } from '@cloister/core';
import { equalBytes, sha384, toHex } from '@cloister/crypto';
import { type CcelEvent, parseCcel } from './ccel.ts';
import { parseCcelTable } from './ccelTable.ts';
import { eventLogError } from './eventLogError.ts';
import { eventTypeName } from './eventTypes.ts';
import { assertReplays, type Extension, type RegisterName, type Registers } from './registers.ts';

/** One measured event of a firmware's log. */
export type MeasuredEvent = {
  /** Its number in the log. */
  readonly index: number;
  readonly register: RegisterName;
  readonly type: number;
  /** TCG's name of the type, null where it has none. */
  readonly typeName: string | null;
  /** 48 bytes: what was extended. This is what the quote vouches for. */
  readonly digest: Hex;
  readonly data: Uint8Array;
  /**
   * Whether the digest is the hash of the data. Where it is not (of a file it is the hash of the file, and the data is its path)
   * the data is a remark that whoever hands over the log may have changed.
   */
  readonly dataIsMeasured: boolean;
};

export type VerifyCcelOptions = {
  /** The ACPI table CCEL; checked where it is given. */
  readonly table?: Uint8Array | undefined;
  /**
   * The registers that the log must give; default all four. Where the guest extends registers later and keeps a log of its own
   * (dstack: RTMR3, the kernel's IMA: RTMR2), leave those out: nothing is said of them then.
   */
  readonly registers?: readonly RegisterName[] | undefined;
};

/**
 * The events that a TD's firmware, boot loader and kernel measured, after their replay has given the registers of a verified
 * quote: exactly these digests were extended, in this order within each register, and no others.
 * @param log the log, its padding may be there or not
 * @param registers claims of a quote that has been verified
 * Throws MALFORMED_EVENT_LOG, UNSUPPORTED_EVENT_LOG, EVENT_LOG_MISMATCH, TOO_LARGE.
 */
export function verifyCcel(
  log: Uint8Array,
  registers: Registers,
  options: VerifyCcelOptions = {},
): readonly MeasuredEvent[] {
  if (options.table !== undefined) {
    const { logAreaLength } = parseCcelTable(options.table);
    if (BigInt(log.length) > logAreaLength)
      throw eventLogError('MALFORMED_EVENT_LOG', 'ccel', `Expected at most ${logAreaLength} bytes`, log.length);
  }
  const measured = parseCcel(log).filter((event): event is CcelEvent & Extension => event.register !== null);
  assertReplays(measured, registers, options.registers);
  return measured.map(({ index, register, type, digest, data }) => ({
    index,
    register,
    type,
    typeName: eventTypeName(type),
    digest: toHex(digest),
    data,
    dataIsMeasured: equalBytes(sha384(data), digest),
  }));
}
