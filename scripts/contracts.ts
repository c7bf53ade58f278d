// `npm run contracts [-- COMMAND]` and `npm run gas`: builds, tests and measures the contracts, and writes what
// packages/chain knows of them. Installs contracts/ when it is first needed.
import { runContractsScript } from './lib/contractsScript.ts';
import { gasLine } from './lib/gasLine.ts';
import { runHardhatTests } from './lib/hardhatPart.ts';
import { summaryLine } from './lib/outcome.ts';
import { say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';

const help = `npm run contracts -- COMMAND
  generate [--check]     write packages/chain/src/generated from the compiled contracts, or only tell whether it is current;
                         --accept-layouts writes storage layouts too that changed
  gas [--json] [--check] the gas table; --check compares it with the committed one (also: npm run gas)
  rights [--write|--check] who may call what, as contracts/rights.json and docs/rights.md have it
  build                  compile
  test                   the Solidity tests and the TypeScript tests of the contracts
  coverage               the same with a coverage report`;

const delegated = new Set(['generate', 'gas', 'rights', 'build', 'coverage']);

await runMain(async () => {
  const [command = 'generate', ...args] = process.argv.slice(2);
  // The bootstrap starts "npm run contracts" as "generate"; a command that follows takes its place.
  const [first, ...rest] = args;
  const [name, given] =
    command === 'generate' && first !== undefined && !first.startsWith('-') ? [first, rest] : [command, args];
  if (name === 'help' || given.includes('--help')) {
    say(help);
    return 0;
  }
  if (name === 'test') {
    const outcome = await runHardhatTests();
    say(summaryLine(outcome));
    return outcome.failed.length === 0 ? 0 : 1;
  }
  if (!delegated.has(name))
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Unknown command "${name}"`,
      hint: `use one of:\n${help}`,
    });
  if (name === 'gas') return gas(given);
  return (await runContractsScript(name, given, { output: 'inherit' })).code;
});

/** The measured table: aligned for people, one line of JSON for each id with --json. */
async function gas(args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  const { code, stderr } = await runContractsScript(
    'gas',
    args.filter((arg) => arg !== '--json'),
    { onLine: (line) => say(json ? line : gasLine(line)) },
  );
  process.stderr.write(stderr);
  return code;
}
