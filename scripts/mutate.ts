// `npm run mutate [-- PATH…]`: takes every check out, one at a time, and says which ones no test misses.
import { parseArgs } from 'node:util';
import { endInOrder, isInterrupted } from './lib/interruption.ts';
import { runMutation } from './lib/mutationPart.ts';
import { mutationTargets } from './lib/mutationTargets.ts';
import { paint, say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

const help = `npm run mutate [-- PATH…]
  PATH  only source files whose path contains this
Checks are those of ${mutationTargets.map(({ sources }) => sources.join(', ')).join(', ')}.`;

await runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  endInOrder();
  const { passed, failed } = await runMutation(positionals);
  for (const name of failed) say(`  ${paint('red', '✗')} ${name}`);
  say(`\n${passed} mutants noticed or listed, ${failed.length} survive`);
  return failed.length === 0 && !isInterrupted() ? 0 : 1;
});
