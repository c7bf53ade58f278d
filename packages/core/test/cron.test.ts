import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latestOccurrence, nextOccurrence, parseCron } from '../src/index.ts';

const at = (text: string) => Date.parse(text) / 1_000;
const shown = (seconds: number | undefined) =>
  seconds === undefined ? undefined : new Date(seconds * 1_000).toISOString().slice(0, 16);
const yearSeconds = 366 * 86_400;
const next = (cron: string, after: string) =>
  shown(nextOccurrence(parseCron(cron), at(after), at(after) + 9 * yearSeconds));

test.each([
  ['* * * * *', '2026-11-26T21:39:00Z', '2026-11-26T21:40'],
  ['* * * * *', '2026-11-26T21:39:59Z', '2026-11-26T21:40'],
  ['*/15 * * * *', '2026-11-26T21:45:00Z', '2026-11-26T22:00'],
  ['5,50-52 * * * *', '2026-11-26T21:50:30Z', '2026-11-26T21:51'],
  ['0 9-17/4 * * *', '2026-11-26T13:00:00Z', '2026-11-26T17:00'],
  ['30 2 * * 0', '2026-11-26T21:39:00Z', '2026-11-29T02:30'],
  ['0 0 1 * *', '2026-11-26T21:39:00Z', '2026-12-01T00:00'],
  ['0 0 31 * *', '2026-04-01T00:00:00Z', '2026-05-31T00:00'],
  ['0 0 29 2 *', '2026-11-26T00:00:00Z', '2028-02-29T00:00'],
  // Either day: the 13th, or a Friday.
  ['0 0 13 * 5', '2026-11-26T00:00:00Z', '2026-11-27T00:00'],
  ['0 0 13 * 5', '2026-12-11T00:00:00Z', '2026-12-13T00:00'],
])('"%s" after %s is due at %s', (cron, after, due) => {
  expect(next(cron, after)).toBe(due);
});

test.each([
  ['', 'CRON_FIELDS_WRONG', 'five fields'],
  ['* * * *', 'CRON_FIELDS_WRONG', 'five fields'],
  ['0 * * * * *', 'CRON_FIELDS_WRONG', 'five fields'],
  ['*  * * * *', 'CRON_FIELDS_WRONG', 'five fields'],
  ['60 * * * *', 'CRON_FIELD_INVALID', '"minute"'],
  ['*/0 * * * *', 'CRON_FIELD_INVALID', '"minute"'],
  ['5/10 * * * *', 'CRON_FIELD_INVALID', '"minute"'],
  ['1,,2 * * * *', 'CRON_FIELD_INVALID', '"minute"'],
  ['* 9-5 * * *', 'CRON_FIELD_INVALID', '"hour"'],
  ['* -1 * * *', 'CRON_FIELD_INVALID', '"hour"'],
  ['* * 0 * *', 'CRON_FIELD_INVALID', '"day of month"'],
  ['* * L * *', 'CRON_FIELD_INVALID', '"day of month"'],
  ['* * * jan *', 'CRON_FIELD_INVALID', '"month"'],
  ['* * * * 7', 'CRON_FIELD_INVALID', '"day of week"'],
  ['* * * * 1#2', 'CRON_FIELD_INVALID', '"day of week"'],
  ['0 0 30 2 *', 'CRON_NEVER', '"30"'],
  ['0 0 31 4,6,9,11 *', 'CRON_NEVER', '"31"'],
])('"%s" is refused with %s, naming %s', (cron, code, named) => {
  expect(() => parseCron(cron)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(named) }));
});

test('a day that no month has may stand beside a day of the week', () => {
  expect(next('0 0 30 2 1', '2026-02-01T00:00:00Z')).toBe('2026-02-02T00:00');
});

describe('the latest', () => {
  const latest = (cron: string, after: string, until: string) =>
    shown(latestOccurrence(parseCron(cron), at(after), at(until)));

  test('is after the one and not after the other', () => {
    expect(latest('0 * * * *', '2026-11-26T20:00:00Z', '2026-11-26T21:00:00Z')).toBe('2026-11-26T21:00');
    expect(latest('0 * * * *', '2026-11-26T20:00:00Z', '2026-11-26T20:59:59Z')).toBeUndefined();
    expect(latest('0 * * * *', '2026-11-20T20:00:00Z', '2026-11-26T20:59:59Z')).toBe('2026-11-26T20:00');
    expect(latest('0 12 * * *', '2026-11-26T10:00:00Z', '2026-11-27T10:00:00Z')).toBe('2026-11-26T12:00');
  });

  test('is what the next one after the one before is', () => {
    const field = (low: number, high: number) =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min: low, max: high }).map(String),
        fc
          .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
          .map((two) => [...two].sort((a, b) => a - b).join('-')),
        fc.integer({ min: 1, max: 9 }).map((step) => `*/${step}`),
      );
    const crons = fc
      .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
      .map((all) => all.join(' '));
    const times = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z') });
    fc.assert(
      fc.property(crons, times, fc.integer({ min: 1, max: 40 * 86_400 }), (text, from, length) => {
        const cron = parseCron(text);
        const last = latestOccurrence(cron, from, from + length);
        const first = nextOccurrence(cron, from, from + length);
        expect(last === undefined).toBe(first === undefined);
        if (last === undefined || first === undefined) return;
        expect(last >= first && first > from && last <= from + length).toBe(true);
        expect(nextOccurrence(cron, last, from + length)).toBeUndefined();
        expect(nextOccurrence(cron, last - 1, last)).toBe(last);
        expect(latestOccurrence(cron, first - 60, first)).toBe(first);
      }),
      { numRuns: 200 },
    );
  });
});
