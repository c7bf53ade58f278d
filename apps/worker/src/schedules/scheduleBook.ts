import { type Cron, latestOccurrence, parseBoundedJson, schema as z } from '@cloister/core';
import { utf8 } from '@cloister/crypto';

/** What the hosts of an app know of one of its schedules. All times are the chain's, in unix seconds. */
export type ScheduleRecord = {
  /** What was due until then is over: it has run, or will not. */
  readonly settled: number;
  /** A run that a host has begun and that is not over. */
  readonly claim: RunClaim | null;
};

export type RunClaim = {
  /** When the run was due. */
  readonly due: number;
  /** From 1 on. */
  readonly attempt: number;
  /** From then on the host that made the claim is taken for lost. */
  readonly until: number;
  /** Random: by it that host knows its claim again. */
  readonly token: string;
};

/** By the schedules' text. */
export type ScheduleBook = ReadonlyMap<string, ScheduleRecord>;

/** What a host finds to do for a schedule. */
export type ScheduleStep =
  /** Nobody has looked after it before: what is due counts from now on. */
  | { readonly type: 'begin' }
  | { readonly type: 'run'; readonly due: number; readonly attempt: number }
  /** Another host runs it. */
  | { readonly type: 'wait'; readonly until: number }
  /** What was due until then is not run any more: too late, or begun too often. */
  | { readonly type: 'drop'; readonly until: number }
  | { readonly type: 'idle' };

export const scheduleBookKey = 'schedules';
/** A run later than this is left out. */
export const maxLateSeconds = 86_400;
/** How often a run is begun whose hosts are lost in the middle. */
export const maxAttempts = 3;
const maxBookBytes = 16_384;

/** What there is to do for a schedule at `now`. */
export function scheduleStep(record: ScheduleRecord | undefined, cron: Cron, now: number): ScheduleStep {
  if (record === undefined) return { type: 'begin' };
  const { settled, claim } = record;
  if (claim !== null) {
    if (now < claim.until) return { type: 'wait', until: claim.until };
    const isTooLate = now - claim.due > maxLateSeconds;
    if (claim.attempt >= maxAttempts || isTooLate) return { type: 'drop', until: claim.due };
    return { type: 'run', due: claim.due, attempt: claim.attempt + 1 };
  }
  // Of several that nobody has run, the latest stands for all.
  const due = latestOccurrence(cron, Math.max(settled, now - maxLateSeconds), now);
  return due === undefined ? { type: 'idle' } : { type: 'run', due, attempt: 1 };
}

const recordForm = z.strictObject({
  settled: z.uint(),
  claim: z.nullable(
    z.strictObject({ due: z.uint(), attempt: z.intBetween(1, maxAttempts), until: z.uint(), token: z.text(64) }),
  ),
});
const bookForm = z.record(z.text(64), recordForm);

/** Throws SchemaError, JsonError. */
export function readScheduleBook(bytes: Uint8Array | undefined): ScheduleBook {
  if (bytes === undefined) return new Map();
  return new Map(
    Object.entries(z.parseWith(bookForm, parseBoundedJson(bytes, maxBookBytes, 'schedules'), 'schedules')),
  );
}

/** The book with one record changed, of these schedules alone. */
export function scheduleBookBytes(
  book: ScheduleBook,
  crons: readonly string[],
  changed: string,
  record: ScheduleRecord,
): Uint8Array {
  const kept = crons.flatMap((cron) => {
    const known = cron === changed ? record : book.get(cron);
    return known === undefined ? [] : [[cron, known] as const];
  });
  return utf8(JSON.stringify(Object.fromEntries(kept)));
}
