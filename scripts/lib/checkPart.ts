import type { Check } from './checks.ts';
import { isInterrupted } from './interruption.ts';
import type { Outcome } from './outcome.ts';
import { failureText, resultLine, say } from './print.ts';

/** Runs checks one after the other, a line each; what a failed one printed stands below its line. */
export async function runChecks(list: readonly Check[]): Promise<Outcome> {
  const failed: string[] = [];
  let passed = 0;
  for (const { name, run } of list) {
    if (isInterrupted()) break;
    const started = performance.now();
    const { ok, text, notRun } = await run();
    if (notRun !== undefined) {
      say(`  - ${name}: not checked, ${notRun}`);
      continue;
    }
    resultLine(ok, name, performance.now() - started);
    if (ok) passed += 1;
    else {
      failed.push(`check > ${name}`);
      failureText(text);
    }
  }
  return { passed, failed, skipped: [] };
}
