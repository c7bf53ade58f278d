import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type NetworkFile, parseNetworkFile } from '@cloister/core';
import { inRoot } from '../scripts/lib/paths.ts';
import { childEnvironment } from '../scripts/lib/runProcess.ts';

export type DevnetOptions = {
  /** The data folder; a new temporary one, removed on stop, where absent. */
  readonly data?: string;
  /** More arguments for the devnet. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called with each step that the devnet reports. */
  readonly onStep?: (step: DevnetStep) => void;
};

/** One line of `npm start -- --json`. */
export type DevnetStep = {
  readonly step: string;
  readonly ok?: boolean;
  readonly ms?: number;
  readonly [key: string]: unknown;
};

/** A network of processes on this machine that has reported itself ready. */
export type RunningDevnet = {
  /** The network file's path. */
  readonly file: string;
  readonly network: NetworkFile;
  readonly data: string;
  /** The process id of the launcher. */
  readonly pid: number;
  /** The last line that it reported, with whatever it says beyond the network file. */
  readonly ready: DevnetStep;
  /** Everything it has printed so far, its end where that is long. */
  readonly log: () => string;
  /** Ends it the way Ctrl-C does, and answers its exit code. May be called again. */
  readonly stop: () => Promise<number>;
};

const maxLog = 400_000;
const stopMs = 30_000;

/** Starts `apps/devnet` without its demonstration and waits until it is ready. Throws DevnetStartError, with its output. */
export async function startDevnet(options: DevnetOptions = {}): Promise<RunningDevnet> {
  const data = options.data ?? fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-devnet-'));
  const args = [inRoot('apps/devnet/src/main.ts'), '--json', '--no-demo', '--data', data, ...(options.args ?? [])];
  const child = spawn(process.execPath, args, {
    cwd: inRoot(),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: a terminal's Ctrl-C reaches the runner alone, which then ends the network in order.
    detached: true,
    env: childEnvironment(options.env ?? {}),
  });
  const exited = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('close', (code) => resolve(code ?? 128 + 9));
  });
  let log = '';
  const keep = (chunk: string) => {
    log = (log + chunk).slice(-maxLog);
  };
  child.stderr.setEncoding('utf8').on('data', keep);
  let stopping: Promise<number> | undefined;
  const stop = () => {
    stopping ??= stopDevnet(child, exited).finally(() => {
      process.off('exit', kill);
      if (options.data === undefined)
        fs.rmSync(data, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    });
    return stopping;
  };
  const kill = () => void child.kill('SIGINT');
  process.once('exit', kill);
  const ready = await Promise.race([
    readyStep(child, keep, options.onStep),
    exited.then((code) => new DevnetStartError(`The devnet ended with exit code ${code} before it was ready`, log)),
    aborted(options.signal).then(() => new DevnetStartError('The devnet was not ready in time', log)),
  ]);
  if (ready instanceof Error) {
    await stop();
    throw ready;
  }
  const file = String(ready.network);
  const network = parseNetworkFile(fs.readFileSync(file));
  return { file, network, data, pid: child.pid ?? 0, ready, log: () => log, stop };
}

function readyStep(
  child: ChildProcess,
  keep: (text: string) => void,
  onStep?: (step: DevnetStep) => void,
): Promise<DevnetStep> {
  return new Promise((resolve) => {
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      keep(chunk);
      const lines = (rest + chunk).split('\n');
      rest = (lines.pop() ?? '').slice(-maxLog);
      for (const line of lines) {
        const step = parseStep(line);
        if (step === undefined) continue;
        onStep?.(step);
        if (step.step === 'ready') resolve(step);
      }
    });
  });
}

/** A line of the devnet's JSON output, or undefined for any other line. */
export function parseStep(line: string): DevnetStep | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return typeof json === 'object' && json !== null && 'step' in json && typeof json.step === 'string'
      ? (json as DevnetStep)
      : undefined;
  } catch {
    return undefined;
  }
}

async function stopDevnet(child: ChildProcess, exited: Promise<number>): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
  const deadline = new AbortController();
  const code = await Promise.race([
    exited,
    wait(stopMs, undefined, { signal: deadline.signal }).catch(() => undefined),
  ]);
  deadline.abort();
  if (code !== undefined) return code;
  child.kill('SIGKILL');
  return exited;
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}

export class DevnetStartError extends Error {
  override readonly name = 'DevnetStartError';
  constructor(what: string, log: string) {
    super(`${what}. Its output:\n${log.trim().split('\n').slice(-40).join('\n')}`);
  }
}
