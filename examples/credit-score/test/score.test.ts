import { describe, expect, test } from 'vitest';
import { sampleCreditFile } from '../issuer.ts';
import { type CreditFile, readCreditFile, scoreCreditFile } from '../score.ts';

const applicant = `0x${'ab'.repeat(20)}`;
type Account = CreditFile['accounts'][number];
const account = (changes: Partial<Account> = {}): Account => ({
  openedMonthsAgo: 0,
  limit: 1_000,
  balance: 0,
  latePayments: 0,
  ...changes,
});
const file = (monthlyIncome: number, monthlyDebtService: number, ...accounts: Account[]): CreditFile => ({
  issuer: 'Bureau',
  applicant,
  monthlyIncome,
  monthlyDebtService,
  accounts,
});

describe('scoreCreditFile', () => {
  // 300, and up to 200 for history, 150 for use, 100 for age, 100 for debt against income. Worked out by hand.
  test.each<[string, CreditFile, number, boolean, number]>([
    ['the sample: 160 + 131 + 80 + 86', sampleCreditFile(applicant), 757, true, 9_300],
    ['nothing at all: 200 + 0 + 0 + 0', file(0, 0), 500, false, 0],
    ['nothing to wish for', file(10_000, 0, account({ openedMonthsAgo: 120 })), 850, true, 35_000],
    ['older than counts', file(10_000, 0, account({ openedMonthsAgo: 500 })), 850, true, 35_000],
    ['nothing good', file(1_000, 1_000, account({ latePayments: 5, balance: 1_000 })), 300, false, 0],
    ['worse than counts', file(1_000, 9_000, account({ latePayments: 50, balance: 9_000 })), 300, false, 0],
    ['just enough: 200 + 0 + 0 + 100', file(1_000, 0, account({ balance: 1_000 })), 600, true, 1_000],
    ['one point short', file(1_000, 10, account({ balance: 1_000 })), 599, false, 0],
    ['enough, but nothing to lend on', file(50, 0, account({ balance: 1_000 })), 600, false, 0],
    ['enough, but nothing free', file(1_000, 1_000, account({ openedMonthsAgo: 120 })), 750, false, 0],
    ['one late payment: 160', file(1_000, 0, account({ openedMonthsAgo: 120, latePayments: 1 })), 810, true, 3_100],
    ['a third used, rounded down: 150 − 49', file(1_000, 0, account({ limit: 3, balance: 1 })), 701, true, 2_000],
    [
      'several accounts are added up, the oldest counts: 120 + 113 + 50 + 75',
      file(
        2_000,
        500,
        account({ openedMonthsAgo: 6, balance: 500 }),
        account({ openedMonthsAgo: 60, latePayments: 2 }),
      ),
      658,
      true,
      2_300,
    ],
  ])('%s', (_, input, score, approved, limit) => {
    expect(scoreCreditFile(input)).toEqual({ score, approved, limit });
  });

  test('is whole, within its bounds, and no more than the income carries, whatever the file says', () => {
    for (const income of [0, 1, 999, 12_345, 1e12])
      for (const debt of [0, 1, 500, 1e12])
        for (const one of [
          account(),
          account({ limit: 0, balance: 7 }),
          account({ limit: 1e12, balance: 1e12, latePayments: 3 }),
        ]) {
          const { score, limit, approved } = scoreCreditFile(file(income, debt, one));
          expect(Number.isSafeInteger(score) && score >= 300 && score <= 850).toBe(true);
          expect(Number.isSafeInteger(limit) && limit % 100 === 0 && limit >= 0).toBe(true);
          expect(limit).toBeLessThanOrEqual(Math.max(0, income - debt) * 3.5);
          expect(approved).toBe(limit > 0);
        }
  });
});

describe('readCreditFile', () => {
  const good = sampleCreditFile(applicant);

  test('takes what it knows and leaves out the rest', () => {
    expect(readCreditFile({ ...good, note: 'x' })).toEqual(good);
    expect(readCreditFile(file(0, 0))).toEqual(file(0, 0));
  });

  test.each<[string, unknown]>([
    ['no object', null],
    ['a list', []],
    ['a text', 'x'],
    ['no issuer', { ...good, issuer: '' }],
    ['an issuer without end', { ...good, issuer: 'x'.repeat(201) }],
    ['an applicant that is no account', { ...good, applicant: '0x12' }],
    ['an applicant with letters that are none', { ...good, applicant: `0x${'zz'.repeat(20)}` }],
    ['a negative income', { ...good, monthlyIncome: -1 }],
    ['half an income', { ...good, monthlyIncome: 0.5 }],
    ['an income in words', { ...good, monthlyIncome: '4250' }],
    ['an absurd income', { ...good, monthlyIncome: 1e13 }],
    ['no debt', { ...good, monthlyDebtService: undefined }],
    ['accounts that are none', { ...good, accounts: {} }],
    ['too many accounts', { ...good, accounts: Array.from({ length: 201 }, () => account()) }],
    ['an account that is none', { ...good, accounts: [null] }],
    ['an account without a limit', { ...good, accounts: [{ ...account(), limit: undefined }] }],
    ['a late payment of half a time', { ...good, accounts: [account({ latePayments: 0.5 })] }],
  ])('names what is wrong with %s', (_, value) => {
    expect(readCreditFile(value)).toEqual(expect.any(String));
  });
});
