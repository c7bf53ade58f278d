// `npm run check`: format, lint, layers, types, and that everything generated is current.
import { runChecks } from './lib/checkPart.ts';
import { checks } from './lib/checks.ts';
import { endInOrder } from './lib/interruption.ts';
import { say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  endInOrder();
  const outcome = await runChecks(checks({ installAll: process.env.CI !== undefined, structure: true }));
  const count = outcome.passed + outcome.failed.length;
  say(
    outcome.failed.length === 0 ? `\nAll ${count} checks hold` : `\n${outcome.failed.length} of ${count} checks failed`,
  );
  return outcome.failed.length === 0 ? 0 : 1;
});
