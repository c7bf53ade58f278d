import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../src/unsafe-simulated/index.ts';
import { isOutOfDate, judge, mergeTcb, type TcbVerdict, tcbStatuses } from '../src/verify/dcap/tcbStatus.ts';
import { claimsOf, makeWorld, type WorldOptions } from './synthetic.ts';

const levels = [
  { svn: 9, status: 'UpToDate', advisories: [], tcbDate: 500 },
  { svn: 7, status: 'OutOfDate', advisories: ['A'], tcbDate: 300 },
  { svn: 5, status: 'OutOfDate', advisories: ['A', 'B'], tcbDate: 300 },
  { svn: 3, status: 'Revoked', advisories: ['C'], tcbDate: 100 },
  { svn: 1, status: 'OutOfDateConfigurationNeeded', advisories: [], tcbDate: 600 },
] as const;
const at = (svn: number) => judge(levels, (level) => svn >= level.svn);

describe('a level', () => {
  test('is the first that is reached', () => {
    expect(at(10)).toEqual({ status: 'UpToDate', advisories: [], tcbDate: 500, outOfDateSince: null });
    expect(at(8)?.advisories).toEqual(['A']);
    expect(at(0)).toBeUndefined();
    expect(judge([], () => true)).toBeUndefined();
  });

  test('is out of date since the oldest better one that is younger', () => {
    expect(at(8)?.outOfDateSince).toBe(500);
    expect(at(6)?.outOfDateSince).toBe(500);
    expect(at(4)?.outOfDateSince).toBeNull();
  });

  test('is out of date for ever where no better one is younger', () => {
    expect(at(2)).toMatchObject({ status: 'OutOfDateConfigurationNeeded', outOfDateSince: 0 });
    expect(judge([{ status: 'OutOfDate', advisories: [], tcbDate: 5 }], () => true)?.outOfDateSince).toBe(0);
  });
});

describe('two verdicts', () => {
  const good: TcbVerdict = { status: 'UpToDate', advisories: [], tcbDate: 900, outOfDateSince: null };
  const old = (since: number): TcbVerdict => ({
    status: 'OutOfDate',
    advisories: ['X'],
    tcbDate: 100,
    outOfDateSince: since,
  });

  test('have the older dates of both', () => {
    expect(mergeTcb(good, old(400))).toMatchObject({ status: 'OutOfDate', tcbDate: 100, outOfDateSince: 400 });
    expect(mergeTcb(old(400), good)).toMatchObject({ tcbDate: 100, outOfDateSince: 400 });
    expect(mergeTcb(old(400), old(300)).outOfDateSince).toBe(300);
    expect(mergeTcb(good, good)).toMatchObject({ tcbDate: 900, outOfDateSince: null });
  });

  test('where one is out of date for ever, so is the whole', () => {
    expect(mergeTcb(old(400), old(0)).outOfDateSince).toBe(0);
  });

  test('say since when whenever they are out of date', () => {
    for (const platform of tcbStatuses)
      for (const part of tcbStatuses) {
        const verdict = (status: (typeof tcbStatuses)[number]): TcbVerdict => ({
          ...good,
          status,
          outOfDateSince: isOutOfDate(status) ? 7 : null,
        });
        const merged = mergeTcb(verdict(platform), verdict(part));
        if (isOutOfDate(merged.status)) expect(merged.outOfDateSince).toBe(7);
      }
  });
});

describe('claims', () => {
  /** The date of a level in the synthetic collateral. */
  const dated = (
    path: 'tcbLevels' | 'modules' | 'qe',
    dates: readonly string[],
  ): NonNullable<WorldOptions['collateral']> => {
    const date = (list: unknown): JsonObject[] =>
      (list as JsonObject[]).map((level, index) => ({ ...level, tcbDate: dates[index] ?? '2026-01-01T00:00:00Z' }));
    return {
      editTcbInfo: (info) => ({
        ...info,
        ...(path === 'tcbLevels' ? { tcbLevels: date(info.tcbLevels) } : {}),
        ...(path === 'modules'
          ? {
              tdxModuleIdentities: (info.tdxModuleIdentities as JsonObject[]).map((module) => ({
                ...module,
                tcbLevels: date(module.tcbLevels),
              })),
            }
          : {}),
      }),
      editQeIdentity: (identity) => (path === 'qe' ? { ...identity, tcbLevels: date(identity.tcbLevels) } : identity),
    };
  };
  const dates = ['2025-06-01T00:00:00Z', '2025-01-01T00:00:00Z'];
  const [young, old] = [1_748_736_000, 1_735_689_600];

  test('of a platform that is up to date', async () => {
    const claims = await claimsOf(makeWorld({ collateral: dated('tcbLevels', dates) }));
    expect(claims).toMatchObject({ tcbStatus: 'UpToDate', tcbDate: young, outOfDateSince: null });
  });

  test('of a platform that is out of date', async () => {
    const tcb = { pceSvn: 12 };
    const claims = await claimsOf(makeWorld({ platform: { tcb }, collateral: dated('tcbLevels', dates) }));
    expect(claims).toMatchObject({ tcbStatus: 'OutOfDate', tcbDate: old, outOfDateSince: young });
  });

  test('of a TDX module that is out of date', async () => {
    const teeTcbSvn = Uint8Array.of(5, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const claims = await claimsOf(makeWorld({ quote: { teeTcbSvn }, collateral: dated('modules', dates) }));
    expect(claims).toMatchObject({ tcbStatus: 'OutOfDate', tcbDate: old, outOfDateSince: young });
  });

  test('of a quoting enclave that is out of date', async () => {
    const editQeReport = (report: Uint8Array): void => report.set([2, 0], 258);
    const claims = await claimsOf(makeWorld({ quote: { editQeReport }, collateral: dated('qe', dates) }));
    expect(claims).toMatchObject({ tcbStatus: 'OutOfDate', tcbDate: old, outOfDateSince: young });
  });
});
