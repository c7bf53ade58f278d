import { eventLogError } from './eventLogError.ts';
import { LogReader } from './logReader.ts';

/** Intel TDX among the types of confidential guests (UEFI 2.10, §38.4.1.1). */
const ccTypeTdx = 2;
const tableLength = 56;

/** What the ACPI table CCEL says of the log area. */
export type CcelTable = {
  /** Bytes that the firmware reserved for the log: an upper bound of its length. */
  readonly logAreaLength: bigint;
};

/**
 * Reads the ACPI table CCEL (UEFI 2.10, §38.4.2; ACPI 6.5, §5.2.34): 36 bytes of header, type and subtype of the guest, length
 * and address of the log area. Throws MALFORMED_EVENT_LOG, and UNSUPPORTED_EVENT_LOG for another kind of guest.
 */
export function parseCcelTable(bytes: Uint8Array): CcelTable {
  if (bytes.length !== tableLength)
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccelTable', `Expected ${tableLength} bytes`, bytes.length);
  const reader = new LogReader(bytes, 'ccelTable');
  const signature = String.fromCharCode(...reader.take(4, 'the signature'));
  if (signature !== 'CCEL')
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccelTable.signature', 'Expected "CCEL"', signature);
  const length = reader.u32('the length');
  if (length !== tableLength)
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccelTable.length', `Expected ${tableLength}`, length);
  const sum = bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
  if (sum !== 0)
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccelTable.checksum', 'Expected bytes that add up to 0', sum);
  reader.take(28, 'the header');
  const type = reader.u8('the type of the guest');
  if (type !== ccTypeTdx)
    throw eventLogError('UNSUPPORTED_EVENT_LOG', 'ccelTable.type', `Expected ${ccTypeTdx}, a TD`, type);
  reader.take(3, 'the subtype');
  return { logAreaLength: reader.u64('the length of the log area') };
}
