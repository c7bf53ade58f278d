import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Outcome } from './outcome.ts';
import { inRoot } from './paths.ts';
import { type RunOptions, runNode } from './runProcess.ts';

export type VitestOptions = {
  /** Paths or parts of paths; none means every file. */
  readonly filters?: readonly string[];
  readonly coverage?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Another folder than the repository, with tests of its own. */
  readonly folder?: string;
  /** `keep` shows nothing. Default `inherit`. */
  readonly output?: RunOptions['output'];
};

/** Runs Vitest, shows failures as they come out, and answers its counts. No report is a failure, whatever it printed. */
export async function runVitest({
  filters = [],
  coverage = false,
  env = {},
  folder: tests,
  output = 'inherit',
}: VitestOptions): Promise<Outcome> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-vitest-'));
  const report = path.join(folder, 'outcome.json');
  try {
    const { code, timedOut } = await runNode(
      [
        inRoot('node_modules/vitest/vitest.mjs'),
        'run',
        `--reporter=${inRoot('scripts/lib/vitestReporter.ts')}`,
        ...(tests === undefined ? [] : ['--root', tests]),
        ...(coverage ? ['--coverage'] : []),
        ...filters,
      ],
      { output, env: { ...plainOutput(), ...env, CLOISTER_TEST_REPORT: report } },
    );
    const outcome = readOutcome(report);
    if (outcome === undefined)
      return { passed: 0, failed: [`vitest (${timedOut ? 'out of time' : `exit ${code}`}, no report)`], skipped: [] };
    return code !== 0 && outcome.failed.length === 0 ? { ...outcome, failed: [`vitest (exit ${code})`] } : outcome;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Vitest colours whatever runs under CI; a log file is better without. */
function plainOutput(): Readonly<Record<string, string>> {
  return process.stdout.isTTY || process.env.FORCE_COLOR !== undefined ? {} : { NO_COLOR: '1' };
}

/** The report of a runner in another process, or undefined where there is none. */
export function readOutcome(file: string): Outcome | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Outcome;
  } catch {
    return undefined;
  }
}
