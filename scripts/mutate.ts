// `npm run mutate [-- PATH… [--sample N]]`: takes every check out, one at a time, and says which ones no test misses.
import { parseArgs } from 'node:util';
import { endInOrder, isInterrupted } from './lib/interruption.ts';
import { runMutation } from './lib/mutationPart.ts';
import { mutationTargets } from './lib/mutationTargets.ts';
import { paint, say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';

const help = `npm run mutate [-- PATH… [--sample N]]
  PATH        only source files whose path contains this
  --sample N  only N mutants of each target, spread evenly over its files
Checks are those of
  ${mutationTargets.flatMap(({ sources }) => sources).join('\n  ')}
Tests are those of ${mutationTargets.flatMap(({ tests }) => tests).join(' and ')}.`;

await runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { sample: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  endInOrder();
  const { passed, failed } = await runMutation(positionals, sampleSize(values.sample));
  for (const name of failed) say(`  ${paint('red', '✗')} ${name}`);
  say(`\n${passed} mutants noticed or listed, ${failed.length} survive`);
  return failed.length === 0 && !isInterrupted() ? 0 : 1;
});

function sampleSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Expected a number of mutants, got "${text}"`,
      hint: `use it so:\n${help}`,
    });
  return Number(text);
}
