import { CloisterError } from './errors.ts';

/** When something is due, in UTC: sets of minutes, hours, days of the month, months and days of the week (0 is Sunday). */
export type Cron = {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** Where neither field of days is "*", a day of either is meant, as POSIX has it. */
  readonly eitherDay: boolean;
};

const fields = [
  { name: 'minute', key: 'minutes', low: 0, high: 59 },
  { name: 'hour', key: 'hours', low: 0, high: 23 },
  { name: 'day of month', key: 'daysOfMonth', low: 1, high: 31 },
  { name: 'month', key: 'months', low: 1, high: 12 },
  { name: 'day of week', key: 'daysOfWeek', low: 0, high: 6 },
] as const;

type Field = (typeof fields)[number];

/** Days that each month can have, from January on. */
const daysInMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const minuteSeconds = 60;
const daySeconds = 86_400;
const part = /^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/;

/**
 * Reads the five fields of POSIX' crontab: each "*", numbers, ranges "a-b", steps "*" or "a-b" with "/n", and lists of these with ",". No
 * names, no seconds, no "@daily". Throws CRON_FIELDS_WRONG, CRON_FIELD_INVALID naming the field, CRON_NEVER for a day that no month has.
 */
export function parseCron(text: string): Cron {
  const texts = text.split(' ');
  if (texts.length !== fields.length)
    throw new CronError(
      'CRON_FIELDS_WRONG',
      `A schedule has five fields with one space between them (minute hour day-of-month month day-of-week), got "${text}"`,
    );
  const read = (index: number) => setOf(fields[index] as Field, texts[index] as string, text);
  const cron = {
    minutes: read(0),
    hours: read(1),
    daysOfMonth: read(2),
    months: read(3),
    daysOfWeek: read(4),
    eitherDay: texts[2] !== '*' && texts[4] !== '*',
  };
  const earliestDay = Math.min(...cron.daysOfMonth);
  if (texts[4] === '*' && [...cron.months].every((month) => earliestDay > (daysInMonth[month - 1] as number)))
    throw new CronError('CRON_NEVER', `No month of "${text}" has a day "${earliestDay}"`);
  return cron;
}

/** The latest moment of the schedule after `after` and not after `until`; undefined where there is none. All unix seconds. */
export function latestOccurrence(cron: Cron, after: number, until: number): number | undefined {
  for (let day = startOfDay(until); day + daySeconds > after; day -= daySeconds) {
    if (!hasDay(cron, day)) continue;
    const from = Math.min(until, day + daySeconds - 1);
    for (let at = from - (from % minuteSeconds); at >= day && at > after; at -= minuteSeconds)
      if (hasMinute(cron, at - day)) return at;
  }
  return undefined;
}

/** The first moment of the schedule after `after` and not after `until`; undefined where there is none. All unix seconds. */
export function nextOccurrence(cron: Cron, after: number, until: number): number | undefined {
  for (let day = startOfDay(after); day <= until; day += daySeconds) {
    if (!hasDay(cron, day)) continue;
    const from = Math.max(day, after - (after % minuteSeconds) + minuteSeconds);
    for (let at = from; at < day + daySeconds && at <= until; at += minuteSeconds)
      if (hasMinute(cron, at - day)) return at;
  }
  return undefined;
}

/** Unix time counts no leap seconds: every day of it has 86,400. */
function startOfDay(at: number): number {
  return at - (at % daySeconds);
}

function hasDay({ months, daysOfMonth, daysOfWeek, eitherDay }: Cron, day: number): boolean {
  const date = new Date(day * 1_000);
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const [ofMonth, ofWeek] = [daysOfMonth.has(date.getUTCDate()), daysOfWeek.has(date.getUTCDay())];
  return eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
}

function hasMinute({ hours, minutes }: Cron, secondOfDay: number): boolean {
  const minute = secondOfDay / minuteSeconds;
  return hours.has(Math.floor(minute / 60)) && minutes.has(minute % 60);
}

function setOf(field: Field, text: string, whole: string): ReadonlySet<number> {
  const { low, high } = field;
  const found = new Set<number>();
  for (const one of text.split(',')) {
    const [, star, first, last, step] = part.exec(one) ?? [];
    if (star === undefined && first === undefined) throw invalidField(field, one, whole);
    const from = star === undefined ? Number(first) : low;
    const to = star === undefined ? Number(last ?? first) : high;
    const by = Number(step ?? 1);
    // Of a single number there is nothing to step over.
    const isStepOfOne = step !== undefined && star === undefined && last === undefined;
    if (from < low || to > high || from > to || by < 1 || isStepOfOne) throw invalidField(field, one, whole);
    for (let value = from; value <= to; value += by) found.add(value);
  }
  return found;
}

function invalidField({ name, low, high }: Field, text: string, whole: string): CronError {
  return new CronError(
    'CRON_FIELD_INVALID',
    `The field "${name}" of the schedule "${whole}" is "${text}": it has "*", numbers of "${low}" to "${high}", ranges, steps after "/" and lists`,
  );
}

export type CronErrorCode = 'CRON_FIELDS_WRONG' | 'CRON_FIELD_INVALID' | 'CRON_NEVER';

export class CronError extends CloisterError<CronErrorCode> {
  override readonly name = 'CronError';
  constructor(code: CronErrorCode, message: string) {
    super({ code, message });
  }
}
