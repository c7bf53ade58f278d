import type { Check } from './checks.ts';
import { isInterrupted } from './interruption.ts';
import type { Outcome } from './outcome.ts';
import { failureText, resultLine, say } from './print.ts';

/** The compiler of the contracts takes one processor for a minute; the other checks share what is left. */
const checksAtOnce = 2;

/** Runs checks, the slowest of them beside the others; a line each as they end, and what a failed one printed below its line. */
export async function runChecks(list: readonly Check[]): Promise<Outcome> {
  const failed: string[] = [];
  let passed = 0;
  const queue = [...list].sort((left, right) => Number(right.slow === true) - Number(left.slow === true));
  const work = async (): Promise<void> => {
    for (let check = queue.shift(); check !== undefined && !isInterrupted(); check = queue.shift()) {
      const started = performance.now();
      const { ok, text, notRun } = await check.run();
      if (notRun !== undefined) {
        say(`  - ${check.name}: not checked, ${notRun}`);
        continue;
      }
      resultLine(ok, check.name, performance.now() - started);
      if (ok) passed += 1;
      else {
        failed.push(`check > ${check.name}`);
        failureText(text);
      }
    }
  };
  await Promise.all(Array.from({ length: checksAtOnce }, work));
  return { passed, failed, skipped: [] };
}
