/** What a credit bureau says about an applicant. Amounts in whole currency units, times in months. */
export type CreditFile = {
  readonly issuer: string;
  /** The applicant's account on the chain, 0x and 40 hexadecimal digits. */
  readonly applicant: string;
  readonly monthlyIncome: number;
  readonly monthlyDebtService: number;
  readonly accounts: readonly {
    readonly openedMonthsAgo: number;
    readonly limit: number;
    readonly balance: number;
    readonly latePayments: number;
  }[];
};

/** The score of 300 to 850 and what follows from it. */
export type CreditScore = { readonly score: number; readonly approved: boolean; readonly limit: number };

/**
 * Scores a credit file: payment history, use of credit, age of accounts, debt against income. Whole numbers only, so
 * that the answer is the same wherever it is computed.
 */
export function scoreCreditFile(file: CreditFile): CreditScore {
  const { accounts } = file;
  const late = accounts.reduce((sum, account) => sum + account.latePayments, 0);
  const limits = accounts.reduce((sum, account) => sum + account.limit, 0);
  const balances = accounts.reduce((sum, account) => sum + account.balance, 0);
  const oldest = accounts.reduce((max, account) => Math.max(max, account.openedMonthsAgo), 0);

  const history = Math.max(0, 200 - late * 40);
  const usePercent = limits === 0 ? 100 : Math.min(100, Math.floor((balances * 100) / limits));
  const use = 150 - Math.floor((usePercent * 150) / 100);
  const age = Math.min(100, Math.floor((oldest * 100) / 120));
  const debtPercent =
    file.monthlyIncome === 0 ? 100 : Math.min(100, Math.floor((file.monthlyDebtService * 100) / file.monthlyIncome));
  const capacity = 100 - debtPercent;

  const score = 300 + history + use + age + capacity;
  const approved = score >= 600;
  const free = Math.max(0, file.monthlyIncome - file.monthlyDebtService);
  const limit = approved ? Math.floor((free * (score - 500)) / 100 / 100) * 100 : 0;
  return { score, approved: approved && limit > 0, limit };
}

/** Reads a credit file strictly; answers the reason as text where it is none. */
export function readCreditFile(value: unknown): CreditFile | string {
  if (!isRecord(value)) return 'The statement is no JSON object';
  const { issuer, applicant, monthlyIncome, monthlyDebtService, accounts } = value;
  if (typeof issuer !== 'string' || issuer.length === 0 || issuer.length > 200) return 'Field "issuer" is missing';
  if (typeof applicant !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(applicant)) return 'Field "applicant" is no account';
  if (!isAmount(monthlyIncome)) return 'Field "monthlyIncome" is no amount';
  if (!isAmount(monthlyDebtService)) return 'Field "monthlyDebtService" is no amount';
  if (!Array.isArray(accounts) || accounts.length > 200) return 'Field "accounts" is no list of at most 200';
  const read: CreditFile['accounts'][number][] = [];
  for (const account of accounts) {
    if (!isRecord(account)) return 'An account is no JSON object';
    const { openedMonthsAgo, limit, balance, latePayments } = account;
    if (!isAmount(openedMonthsAgo) || !isAmount(limit) || !isAmount(balance) || !isAmount(latePayments))
      return 'An account lacks an amount';
    read.push({ openedMonthsAgo, limit, balance, latePayments });
  }
  return { issuer, applicant, monthlyIncome, monthlyDebtService, accounts: read };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1e12;
}
