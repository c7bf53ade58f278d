import type { Check } from './checks.ts';
import { isInterrupted } from './interruption.ts';
import type { Outcome } from './outcome.ts';
import { failureText, resultLine, say } from './print.ts';

/**
 * Runs checks, a line each as they end, and what a failed one printed below its line. Those that begin with the compiler of the contracts,
 * which takes a processor for a minute, run in their order; beside them the others in theirs.
 */
export async function runChecks(list: readonly Check[]): Promise<Outcome> {
  const failed: string[] = [];
  let passed = 0;
  const inOrder = async (checks: readonly Check[]): Promise<void> => {
    for (const { name, run } of checks) {
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
  };
  await Promise.all(
    [true, false].map((compiled) => inOrder(list.filter((check) => (check.compiles === true) === compiled))),
  );
  return { passed, failed, skipped: [] };
}
