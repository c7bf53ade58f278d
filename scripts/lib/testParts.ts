import { runChecks } from './checkPart.ts';
import { checks } from './checks.ts';
import { runContractsScript } from './contractsScript.ts';
import { runScenarios } from './e2ePart.ts';
import { ensureInstalled, parts as installable } from './ensureInstalled.ts';
import { runHardhatTests } from './hardhatPart.ts';
import { runMutation } from './mutationPart.ts';
import type { Outcome } from './outcome.ts';
import { runPackTest } from './packTestPart.ts';
import { failureText } from './print.ts';
import { runVitest } from './vitestPart.ts';

export type TestOptions = {
  readonly long: boolean;
  readonly coverage: boolean;
  /** Only Vitest files whose path contains one of these. */
  readonly filters: readonly string[];
};

/** One runner of `npm test`. */
export type TestPart = {
  readonly id: string;
  readonly title: string;
  /** Only in `npm run test:long`, or by its name. */
  readonly onlyLong?: true;
  readonly run: (options: TestOptions) => Promise<Outcome>;
};

/** Every runner, what fails soonest first. */
export const testParts: readonly TestPart[] = [
  {
    id: 'check',
    title: 'Format, types, generated files',
    run: async () => {
      await ensureInstalled(installable.contracts);
      return runChecks(checks({ installAll: true, structure: false }));
    },
  },
  {
    id: 'units',
    title: 'Packages and applications',
    run: async ({ filters, coverage, long }) => {
      await ensureInstalled(installable.engines);
      return runVitest({ filters, coverage, env: longEnvironment(long) });
    },
  },
  { id: 'contracts', title: 'Contracts', run: ({ long }) => runHardhatTests(longEnvironment(long)) },
  { id: 'gas', title: 'Gas table', run: gasIsCurrent },
  {
    id: 'e2e',
    title: 'Scenarios on a running network',
    run: ({ long }) => runScenarios({ env: longEnvironment(long) }),
  },
  { id: 'pack', title: 'Packed packages outside the repository', run: () => runPackTest({ network: 'start' }) },
  { id: 'mutation', title: 'Tests that miss no check', onlyLong: true, run: () => runMutation() },
];

async function gasIsCurrent(): Promise<Outcome> {
  const { code, stdout, stderr } = await runContractsScript('gas', ['--check']);
  if (code === 0) return { passed: 1, failed: [], skipped: [] };
  failureText(`${stdout}${stderr}`);
  return { passed: 0, failed: ['gas > the table is the committed one'], skipped: [] };
}

function longEnvironment(long: boolean): Readonly<Record<string, string>> {
  return long ? { CLOISTER_LONG: '1' } : {};
}
