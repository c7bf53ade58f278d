import { type ChildProcess, spawn } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { root } from './paths.ts';
import { ScriptError } from './scriptError.ts';

export type RunOptions = {
  /** Default: the repository's root. */
  readonly cwd?: string;
  /** Added to this process's environment; undefined removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `keep`: collected and answered; `inherit`: goes where ours goes, and nothing is answered. Default `keep`. */
  readonly output?: 'keep' | 'inherit';
  /** Called with each complete line of stdout that is kept. */
  readonly onLine?: (line: string) => void;
  /** Milliseconds after which the process is ended and the run fails. Default 20 minutes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

export type RunResult = {
  /** The exit code; 128 and the signal's number where one ended the process. */
  readonly code: number;
  readonly timedOut: boolean;
  /** The last {@link maxKeptBytes} of each stream. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
};

/** How much of a stream is kept, in characters. */
export const maxKeptBytes = 4_000_000;

const graceMs = 10_000;

/**
 * Runs a program to its end and answers how it went; a non-zero exit is an answer, not an error. It gets this
 * process's Node.js first on its PATH, so that programs it starts run under the same release.
 * Throws SCRIPT_CANNOT_START where the program can't be started.
 */
export function runProcess(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const started = performance.now();
  const stream = options.output === 'inherit' ? 'inherit' : 'pipe';
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd ?? root,
      env: childEnvironment(options.env ?? {}),
      stdio: ['ignore', stream, stream],
    });
    let stdout = '';
    let stderr = '';
    let line = '';
    let timedOut = false;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout = (stdout + chunk).slice(-maxKeptBytes);
      if (options.onLine === undefined) return;
      const lines = (line + chunk).split('\n');
      line = (lines.pop() ?? '').slice(-maxKeptBytes);
      for (const complete of lines) options.onLine(complete);
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-maxKeptBytes);
    });
    const stop = () => endChild(child);
    const timer = setTimeout(
      () => {
        timedOut = true;
        stop();
      },
      options.timeoutMs ?? 20 * 60_000,
    );
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted === true) stop();
    const forget = forwardSignals(child);
    const settle = () => {
      clearTimeout(timer);
      forget();
      options.signal?.removeEventListener('abort', stop);
    };
    child.on('error', (cause) => {
      settle();
      reject(
        new ScriptError({ code: 'SCRIPT_CANNOT_START', message: `Can't start "${file}" (${cause.message})`, cause }),
      );
    });
    child.on('close', (code, signal) => {
      settle();
      if (line !== '') options.onLine?.(line);
      resolve({
        code: code ?? 128 + os.constants.signals[signal ?? 'SIGTERM'],
        timedOut,
        stdout,
        stderr,
        ms: performance.now() - started,
      });
    });
  });
}

/** Runs a program of Node.js under the release that runs this one. */
export function runNode(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runProcess(process.execPath, args, options);
}

/** SIGTERM, and SIGKILL where that is not enough within ten seconds. */
export function endChild(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  timer.unref();
  child.once('close', () => clearTimeout(timer));
}

/** The environment that children get: this one's, with our Node.js and our tools first on the PATH. */
export function childEnvironment(added: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const folders = [path.dirname(process.execPath), path.join(root, 'node_modules', '.bin'), process.env.PATH ?? ''];
  return { ...process.env, PATH: [...new Set(folders)].join(path.delimiter), ...added };
}

/** A terminal's Ctrl-C reaches children by itself; SIGTERM to us alone must be passed on. */
function forwardSignals(child: ChildProcess): () => void {
  const terminate = () => endChild(child);
  const interrupt = () => {};
  process.on('SIGTERM', terminate);
  process.on('SIGINT', interrupt);
  return () => {
    process.off('SIGTERM', terminate);
    process.off('SIGINT', interrupt);
  };
}
