import { assertAtMost } from '../bounds.ts';
import { eventLogError } from './eventLogError.ts';
import { noAction } from './eventTypes.ts';
import { LogReader } from './logReader.ts';
import { type RegisterName, registerNames } from './registers.ts';

/** Bounds of a log: firmware reserves 64 to 256 kB, and a boot makes 20 to 100 events. */
export const ccelBounds = { bytes: 4 * 1024 * 1024, events: 16_384, algorithms: 8 } as const;

/** One event, its bytes views into the log. */
export type CcelEvent = {
  /** Its number in the log; the header is none. */
  readonly index: number;
  readonly type: number;
  /** The register that its digest was extended into; null for one that only informs. */
  readonly register: RegisterName | null;
  /** SHA-384, 48 bytes. */
  readonly digest: Uint8Array;
  readonly data: Uint8Array;
};

const sha384Id = 0x0c;
/** Digest lengths by TCG's algorithm numbers: SHA-1, SHA-256, SHA-384, SHA-512, SM3, SHA3-256 to -512 (TCG Algorithm Registry). */
const digestLengths: Readonly<Record<number, number>> = {
  4: 20,
  11: 32,
  [sha384Id]: 48,
  13: 64,
  18: 32,
  39: 32,
  40: 48,
  41: 64,
};
const signature = 'Spec ID Event03\0';
const padding = 0xff;

/**
 * Reads the firmware's log of a TD: TCG's crypto-agile form (TCG, "PC Client Platform Firmware Profile", §10.2.2 and §10.4.5.1),
 * in which the register numbers are those of UEFI 2.10 §38.4: 0 for MRTD, 1 to 4 for RTMR0 to 3. It begins with the event
 * "Spec ID Event03", which lists the digests that every later event carries, each once, SHA-384 among them; behind the last
 * event there may be bytes 0xFF only. Throws MALFORMED_EVENT_LOG, UNSUPPORTED_EVENT_LOG, TOO_LARGE.
 */
export function parseCcel(log: Uint8Array): readonly CcelEvent[] {
  assertAtMost(log.length, ccelBounds.bytes, 'ccel');
  const reader = new LogReader(log, 'ccel');
  const algorithms = readHeader(reader);
  const events: CcelEvent[] = [];
  while (!reader.onlyLeft(padding)) {
    if (events.length === ccelBounds.events)
      throw eventLogError('TOO_LARGE', reader.here, `Expected at most ${ccelBounds.events} events`);
    events.push(readEvent(reader, events.length, algorithms));
  }
  return events;
}

/** The first event, in the old form: register, type, SHA-1, data. Returns the numbers of the algorithms. */
function readHeader(reader: LogReader): ReadonlySet<number> {
  reader.u32('the register of the first event');
  const type = reader.u32('the type of the first event');
  if (type !== noAction)
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccel.header', 'Expected the event "Spec ID Event03" first', type);
  if (!reader.sized(20, 'the digest of the first event').onlyLeft(0))
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccel.header', 'Expected a digest of zeros in the first event');
  const header = reader.sized(reader.u32('the length of the first event'), 'the first event');
  const found = String.fromCharCode(...header.take(signature.length, 'the signature of the first event'));
  if (found !== signature)
    throw eventLogError('MALFORMED_EVENT_LOG', 'ccel.header', 'Expected the event "Spec ID Event03" first', found);
  header.take(8, 'platform class and version');
  const count = header.u32('the number of algorithms');
  if (count < 1 || count > ccelBounds.algorithms)
    throw eventLogError('MALFORMED_EVENT_LOG', header.here, `Expected 1 to ${ccelBounds.algorithms} algorithms`, count);
  const algorithms = new Set<number>();
  for (let index = 0; index < count; index++) readAlgorithm(header, algorithms);
  if (!algorithms.has(sha384Id))
    throw eventLogError(
      'UNSUPPORTED_EVENT_LOG',
      'ccel.header',
      'Expected digests of SHA-384',
      [...algorithms].join(', '),
    );
  header.take(header.u8('the length of the vendor information'), 'vendor information');
  if (header.left > 0)
    throw eventLogError('MALFORMED_EVENT_LOG', header.here, 'Expected the end of the first event', header.left);
  return algorithms;
}

function readAlgorithm(header: LogReader, algorithms: Set<number>): void {
  const place = header.here;
  const id = header.u16('the number of an algorithm');
  const length = header.u16('the length of its digests');
  const expected = digestLengths[id];
  if (expected === undefined) throw eventLogError('UNSUPPORTED_EVENT_LOG', place, 'Expected an algorithm of TCG', id);
  if (length !== expected)
    throw eventLogError(
      'MALFORMED_EVENT_LOG',
      place,
      `Expected digests of ${expected} bytes for algorithm ${id}`,
      length,
    );
  if (algorithms.has(id)) throw eventLogError('MALFORMED_EVENT_LOG', place, 'Expected each algorithm once', id);
  algorithms.add(id);
}

function readEvent(reader: LogReader, index: number, algorithms: ReadonlySet<number>): CcelEvent {
  const place = reader.here;
  const number = reader.u32('the register of an event');
  const type = reader.u32('the type of an event');
  const register = registerOf(number, type, place);
  const digest = readDigest(reader, algorithms);
  const data = reader.take(reader.u32('the length of an event'), 'an event');
  return { index, type, register, digest, data };
}

/** Exactly the digests that the header lists; the one of SHA-384. */
function readDigest(reader: LogReader, algorithms: ReadonlySet<number>): Uint8Array {
  const place = reader.here;
  const count = reader.u32('the number of digests');
  if (count !== algorithms.size)
    throw eventLogError('MALFORMED_EVENT_LOG', place, `Expected ${algorithms.size} digests`, count);
  const seen = new Set<number>();
  let digest: Uint8Array = new Uint8Array(0);
  for (let index = 0; index < count; index++) {
    const at = reader.here;
    const id = reader.u16('the algorithm of a digest');
    const length = algorithms.has(id) && !seen.has(id) ? digestLengths[id] : undefined;
    if (length === undefined)
      throw eventLogError('MALFORMED_EVENT_LOG', at, 'Expected each algorithm of the header once', id);
    const taken = reader.take(length, 'a digest');
    if (id === sha384Id) digest = taken;
    seen.add(id);
  }
  return digest;
}

/** MRTD, number 0, is what the TD was built from: nothing extends it later, so no event but one that informs may bear it. */
function registerOf(number: number, type: number, place: string): RegisterName | null {
  if (type === noAction && number <= registerNames.length) return null;
  const register = number === 0 ? undefined : registerNames[number - 1];
  if (register === undefined)
    throw eventLogError('MALFORMED_EVENT_LOG', place, 'Expected an event of RTMR0 to RTMR3, as 1 to 4', number);
  return register;
}
