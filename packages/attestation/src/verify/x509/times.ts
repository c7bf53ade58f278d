import { AttestationError } from '../errors.ts';
import { type DerReader, tags } from './der.ts';

/** Something that holds only for a while. Both ends are inclusive. */
export type Validity = {
  /** Whose times these are, as a place. */
  readonly place: string;
  /** Unix seconds. */
  readonly notBefore: number;
  /** Unix seconds. */
  readonly notAfter: number;
};

/** Refuses a `now` that is not a whole number of Unix seconds: a NaN would pass every comparison. */
export function assertUnixTime(now: number): void {
  if (!Number.isSafeInteger(now) || now < 0)
    throw new AttestationError({
      code: 'INVALID_TIME',
      place: 'now',
      value: String(now),
      message: `Expected the time as Unix seconds, got "${String(now)}"`,
    });
}

/** Throws NOT_YET_VALID or EXPIRED for the first of `validities` that does not hold at `now`. */
export function assertValidAt(validities: readonly Validity[], now: number): void {
  for (const validity of validities) {
    if (now < validity.notBefore)
      throw new AttestationError({
        code: 'NOT_YET_VALID',
        place: validity.place,
        value: validity.notBefore,
        message: `Expected "${validity.place}" to be valid at "${isoTime(now)}", it begins at "${isoTime(validity.notBefore)}"`,
        hint: 'Check the clock',
      });
    if (now > validity.notAfter)
      throw new AttestationError({
        code: 'EXPIRED',
        place: validity.place,
        value: validity.notAfter,
        message: `Expected "${validity.place}" to be valid at "${isoTime(now)}", it ended at "${isoTime(validity.notAfter)}"`,
        hint: 'Get fresh collateral and evidence, or check the clock',
      });
  }
}

/** A UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows, as Unix seconds. */
export function readTime(reader: DerReader, what: string): number {
  const at = reader.position;
  const utc = reader.peek() === tags.utcTime;
  const text = String.fromCharCode(...reader.read(utc ? tags.utcTime : tags.generalizedTime, what).subarray(0, 16));
  const match = (utc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
    text,
  );
  if (match === null) throw reader.fail(`Expected ${what} as a UTC time with seconds`, at);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = utc ? year + (year < 50 ? 2000 : 1900) : year;
  if (!utc && fullYear < 2050) throw reader.fail(`Expected ${what} before 2050 as UTCTime`, at);
  const seconds = unixSeconds(fullYear, month, day, hour, minute, second);
  if (seconds === undefined) throw reader.fail(`Expected ${what} to be a date of the calendar`, at);
  return seconds;
}

/** `2025-06-19T10:16:03Z` as Unix seconds; undefined for any other form. */
export function parseIsoTime(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return unixSeconds(year, month, day, hour, minute, second);
}

/** Unix seconds as `2025-06-19T10:16:03Z`; the number itself where no date has it. */
export function isoTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace('.000Z', 'Z');
}

function unixSeconds(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  if (year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return date.getUTCDate() === day ? date.getTime() / 1000 : undefined;
}
