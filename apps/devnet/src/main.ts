import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeadlineError } from '@cloister/core';
import { type RunningDevnet, startDevnet } from './devnet.ts';
import { readOptions, usage } from './options.ts';
import { Reporter } from './reporter.ts';
import { printSummary } from './summary.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const argv = process.argv.slice(2);
let reporter = new Reporter(argv.includes('--json'));
const stopping = new AbortController();
let devnet: RunningDevnet | undefined;
let ending: Promise<never> | undefined;

/** Ends everything once; more signals change nothing, since each child has its own deadline. */
function end(exitCode: number, reason?: string): Promise<never> {
  ending ??= (async () => {
    if (reason !== undefined) reporter.say(`\n${reason}: stopping`);
    stopping.abort();
    await devnet?.stop();
    reporter.line({ step: 'stopped', ok: exitCode === 0, ms: reporter.elapsedMs });
    process.exit(exitCode);
  })();
  return ending;
}

process.on('SIGINT', () => void end(0, 'Ctrl-C'));
for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => void end(0, name));
// Whoever started us may be killed without a chance to tell: then nobody is left to stop us.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && void end(1, 'The process that started this network is gone'), 500).unref();

try {
  const options = readOptions(argv, root);
  if (options === undefined) {
    process.stdout.write(usage);
    process.exit(0);
  }
  reporter = new Reporter(options.json);
  reporter.say(`Cloister: starting a network in ${options.dataDir}\n`);
  devnet = await startDevnet(options, root, reporter, stopping.signal);
  const proven = options.demo ? await firstCall(devnet) : undefined;
  printSummary(reporter, devnet, proven);
  if (options.once) await end(proven === false ? 1 : 0);
  reporter.say('\nThe network stays up. Ctrl-C ends it; npm start goes on from the same chain.');
} catch (error) {
  const interrupted = stopping.signal.aborted && (error instanceof DeadlineError || ending !== undefined);
  if (!interrupted) reporter.fail(error);
  await end(interrupted ? 0 : 1);
}

/** The example as a process of its own, as a user would start it. Answers whether everything in it held. */
async function firstCall(running: RunningDevnet): Promise<boolean> {
  reporter.say('\nFirst call: examples/credit-score');
  const script = path.join(root, 'examples', 'credit-score', 'demo.ts');
  const child = spawn(
    process.execPath,
    [script, '--network', running.networkFile, '--accounts', running.accountsFile, '--json'],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  stopping.signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  let buffer = '';
  child.stdout.on('data', (chunk: Buffer) => {
    buffer += chunk.toString();
    for (let at = buffer.indexOf('\n'); at >= 0; at = buffer.indexOf('\n')) {
      const line = JSON.parse(buffer.slice(0, at)) as {
        step: string;
        ok: boolean;
        ms: number;
        title: string;
        detail: string;
      };
      buffer = buffer.slice(at + 1);
      if (line.ok) reporter.done(line.step, line.title, line.ms, line.detail);
      else {
        reporter.line(line);
        reporter.say(`  ✗ ${line.title}: ${line.detail}`);
      }
    }
  });
  const code = await new Promise<number>((resolve) => child.once('close', (exit) => resolve(exit ?? 1)));
  return code === 0;
}
