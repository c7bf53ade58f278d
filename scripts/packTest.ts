// Tries the packed packages outside the repository; `npm test` runs this as its last part.
//   node scripts/packTest.ts                            without a network
//   node scripts/packTest.ts start                      with one that it starts
//   node scripts/packTest.ts NETWORK_FILE PRIVATE_KEY   with one that runs
import { summaryLine } from './lib/outcome.ts';
import { type PackTestOptions, runPackTest } from './lib/packTestPart.ts';
import { say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';

await runMain(async () => {
  const [file, key] = process.argv.slice(2);
  const outcome = await runPackTest(options(file, key));
  say(`\n${summaryLine(outcome)}`);
  return outcome.failed.length === 0 ? 0 : 1;
});

function options(file: string | undefined, key: string | undefined): PackTestOptions {
  if (file === undefined) return {};
  if (file === 'start') return { network: 'start' };
  if (key === undefined)
    throw new ScriptError({ code: 'SCRIPT_BAD_ARGUMENT', message: 'Expected a private key after the network file' });
  return { network: { file, key } };
}
