// `npm test` and `npm run test:long`: every runner of the repository, and one joint line at the end.
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { endInOrder, isInterrupted } from './lib/interruption.ts';
import { replaceMarked } from './lib/markedText.ts';
import {
  emptyOutcome,
  joinOutcomes,
  judgeSkips,
  type PartResult,
  parseAllowedSkips,
  summaryLine,
} from './lib/outcome.ts';
import { inRoot } from './lib/paths.ts';
import { duration, heading, paint, resultLine, say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';
import { type TestOptions, type TestPart, testParts } from './lib/testParts.ts';

const help = `npm test [-- [PATH…] [--part NAME]… [--bail] [--coverage]]
  PATH         run only the test files of packages and applications whose path contains this
  --part NAME  run only this runner: ${testParts.map(({ id }) => id).join(', ')}
  --bail       stop after the first runner with a failure
  --coverage   measure the coverage of packages and applications into coverage/
npm run test:long
               the same tests with larger counts, and a run with each check taken out (npm run mutate); writes its
               result into docs/testing.md`;

await runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      long: { type: 'boolean', default: false },
      bail: { type: 'boolean', default: false },
      coverage: { type: 'boolean', default: false },
      part: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  endInOrder();
  const options: TestOptions = { long: values.long, coverage: values.coverage, filters: positionals };
  const results = await runParts(chosenParts(values.part, options), options, values.bail);
  const outcome = joinOutcomes(results.map((result) => result.outcome));
  report(results);
  if (values.long && !isInterrupted() && values.part.length === 0 && positionals.length === 0) recordLongRun(results);
  if (isInterrupted()) say('\nInterrupted: this is not the whole result');
  say(`\n${summaryLine(outcome)}`);
  return outcome.failed.length === 0 && outcome.passed > 0 && !isInterrupted() ? 0 : 1;
});

function chosenParts(names: readonly string[], { filters, long }: TestOptions): readonly TestPart[] {
  const unknown = names.find((name) => testParts.every(({ id }) => id !== name));
  if (unknown !== undefined)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Unknown part "${unknown}"`,
      hint: `use it so:\n${help}`,
    });
  const all = testParts.filter(({ onlyLong }) => long || onlyLong !== true).map(({ id }) => id);
  const wanted = names.length > 0 ? names : filters.length > 0 ? ['units'] : all;
  return testParts.filter(({ id }) => wanted.includes(id));
}

async function runParts(
  parts: readonly TestPart[],
  options: TestOptions,
  bail: boolean,
): Promise<readonly PartResult[]> {
  const allowed = parseAllowedSkips(JSON.parse(fs.readFileSync(inRoot('test/allowedSkips.json'), 'utf8')));
  const results: PartResult[] = [];
  for (const { id, title, run } of parts) {
    if (isInterrupted()) break;
    heading(title);
    const started = performance.now();
    const outcome = judgeSkips(await run(options).catch((thrown: unknown) => brokenRunner(id, thrown)), allowed);
    results.push({ title, outcome, ms: performance.now() - started });
    resultLine(outcome.failed.length === 0, summaryLine(outcome), performance.now() - started);
    if (bail && outcome.failed.length > 0) break;
  }
  return results;
}

/** A runner that throws is one failure; the others still run. */
function brokenRunner(id: string, thrown: unknown): typeof emptyOutcome {
  const text =
    thrown instanceof ScriptError || !(thrown instanceof Error) ? String(thrown) : (thrown.stack ?? thrown.message);
  say(`    ${text}`);
  return { ...emptyOutcome, failed: [`${id} > the runner itself`] };
}

function report(results: readonly PartResult[]): void {
  const { failed } = joinOutcomes(results.map(({ outcome }) => outcome));
  if (failed.length > 0) {
    heading('Failed');
    for (const name of failed) say(`  ${paint('red', '✗')} ${name}`);
  }
  heading(`Time: ${duration(results.reduce((sum, { ms }) => sum + ms, 0))}`);
  for (const { title, ms } of results) say(`  ${duration(ms).padStart(12)}  ${title}`);
}

function recordLongRun(results: readonly PartResult[]): void {
  const rows = results.map(
    ({ title, outcome, ms }) =>
      `| ${title} | ${outcome.passed} | ${outcome.failed.length} | ${outcome.skipped.length} | ${duration(ms)} |`,
  );
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor';
  const table = [
    `${new Date().toISOString().slice(0, 10)}, Node.js ${process.versions.node}, ${os.availableParallelism()} cores (${cpu})`,
    '',
    '| part | passed | failed | skipped | time |',
    '|---|---|---|---|---|',
    ...rows,
  ];
  const file = inRoot('docs/testing.md');
  fs.writeFileSync(file, replaceMarked(fs.readFileSync(file, 'utf8'), 'long-run', table.join('\n')));
}
