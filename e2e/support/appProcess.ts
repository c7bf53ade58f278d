import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { inRoot } from '../../scripts/lib/paths.ts';
import { childEnvironment } from '../../scripts/lib/runProcess.ts';

export type AppProcessOptions = {
  readonly config: object;
  /** Where its configuration is written. */
  readonly folder: string;
  /** The checkout that it runs from. Default: this one. */
  readonly root?: string;
  /** Modules loaded before it, as URLs. */
  readonly imports?: readonly string[];
  readonly signal: AbortSignal;
};

/** One of our programs, started beside a running network. */
export type AppProcess = {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly log: () => string;
  readonly stop: () => Promise<void>;
};

let started = 0;

/** Starts one of our programs and waits until it is ready. Throws AppEndedError where it ends before that. */
export async function startApp(
  app: 'worker' | 'gateway' | 'gatekeeper',
  options: AppProcessOptions,
): Promise<AppProcess> {
  const { config, folder, root = inRoot(), signal } = options;
  started += 1;
  const configFile = path.join(folder, `${app}-${started}.json`);
  fs.writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  // Its standard input ends with this process, and it ends with that, however we end.
  const imports = (options.imports ?? []).flatMap((url) => ['--import', url]);
  const args = [...imports, path.join(root, 'apps', app, 'src', 'main.ts'), '--config', configFile, '--parent-stdin'];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Everything that it would ever tell its operator.
    env: childEnvironment({ CLOISTER_LOG_LEVEL: 'debug' }),
  });
  child.stdin.on('error', () => {});
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(timer);
  };
  const ready = await Promise.race([
    readyLine(child, (chunk) => {
      log += chunk;
    }),
    exited,
    new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true })),
  ]);
  if (typeof ready === 'object' && ready !== null) return { pid: child.pid ?? 0, ready, log: () => log, stop };
  await stop();
  throw new AppEndedError(app, child.exitCode, log);
}

function readyLine(child: ChildProcess, keep: (chunk: string) => void): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      keep(chunk);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const parsed = JSON.parse(line) as Record<string, unknown>;
        if (parsed.ready === true) resolve(parsed);
      }
    });
  });
}

export class AppEndedError extends Error {
  override readonly name = 'AppEndedError';
  readonly exitCode: number | null;
  /** Everything that it logged, a JSON object a line. */
  readonly log: string;
  constructor(app: string, exitCode: number | null, log: string) {
    super(`The ${app} ended with exit code ${exitCode} before it was ready:\n${log.slice(-2_000)}`);
    this.exitCode = exitCode;
    this.log = log;
  }
}
