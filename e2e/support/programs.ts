import { type ChildProcess, spawn } from 'node:child_process';
import { inRoot } from '../../scripts/lib/paths.ts';
import { childEnvironment, type RunResult, runNode } from '../../scripts/lib/runProcess.ts';
import { type DevnetStep, parseStep } from '../devnet.ts';

/** Runs the `cloister` command to its end, in that folder. */
export function runCloister(args: readonly string[], cwd: string, signal: AbortSignal): Promise<RunResult> {
  return runNode([inRoot('apps/cli/bin/cloister.js'), ...args], { cwd, signal, timeoutMs: 60_000 });
}

/** The same with --json: its one line, parsed, whatever the exit code. */
export async function cloisterJson<T>(
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly json: T }> {
  const { code, stdout, stderr } = await runCloister([...args, '--json'], cwd, signal);
  const line = stdout.trim();
  if (line.includes('\n') || !/^[[{]/.test(line))
    throw new Error(`Expected one line of JSON, got "${stdout}" ${stderr}`);
  return { code, json: JSON.parse(line) as T };
}

/** What a run of the devnet that ends by itself came to. */
export type LauncherRun = {
  readonly code: number;
  /** The error of its line {"step":"failed"}, where there is one. */
  readonly error: { readonly code?: string; readonly message: string; readonly hint?: string } | undefined;
  readonly steps: readonly DevnetStep[];
};

/** Starts the devnet with these arguments and waits for its end. */
export async function runLauncher(args: readonly string[], signal: AbortSignal): Promise<LauncherRun> {
  const launcher = inRoot('apps/devnet/src/main.ts');
  const { code, stdout } = await runNode([launcher, '--json', ...args], { signal, timeoutMs: 90_000 });
  const steps = stdout.split('\n').flatMap((line) => parseStep(line) ?? []);
  const failed = steps.find(({ step }) => step === 'failed');
  return { code, error: failed?.error as LauncherRun['error'], steps };
}

/** The devnet's words to people for the same: standard error alone. */
export async function launcherWords(args: readonly string[], signal: AbortSignal): Promise<string> {
  const launcher = inRoot('apps/devnet/src/main.ts');
  return (await runNode([launcher, ...args], { signal, timeoutMs: 60_000 })).stderr;
}

/** Starts the `cloister` command and leaves it running; `stop` ends it as a terminal's Ctrl-C does and answers its exit code. */
export function startCloister(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): { readonly output: () => string; readonly stop: () => Promise<number | null> } {
  const child: ChildProcess = spawn(process.execPath, [inRoot('apps/cli/bin/cloister.js'), ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as every job of a terminal has.
    detached: true,
    env: childEnvironment(env),
  });
  const { pid } = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return {
    output: () => output,
    async stop() {
      // Every process of the group gets it.
      if (pid !== undefined) process.kill(-pid, 'SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}
