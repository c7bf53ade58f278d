import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { CloisterError, sleep, withDeadline } from '@cloister/core';
import { childEnvironment } from '@cloister/service';

export type ChildSpec = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly cwd: string;
  /** Resolves once the process does its work; reads its standard output by itself where needed. */
  readonly ready: (child: ChildProcess, signal: AbortSignal) => Promise<Record<string, unknown>>;
  /** How it is asked to end; SIGKILL follows after `stopWithinMs`. */
  readonly stopSignal?: NodeJS.Signals;
  readonly stopWithinMs?: number;
  readonly readyWithinMs?: number;
};

export type ChildEvents = {
  /** It ended by itself and is being started again. */
  onRestart(name: string, reason: string): void;
  /** It keeps ending: from now on it is tried only now and then. The rest of the network goes on. */
  onDown(name: string, reason: string): void;
  onReady(name: string, ready: Record<string, unknown>, restarted: boolean): void;
  /** It has ended for good, as its operator wanted: it is not started again. */
  onEnded(name: string, reason: string): void;
};

const maxQuickRestarts = 5;
const restartWindowMs = 120_000;
const slowRestartMs = 20_000;
/** Of a line of JSON that a part prints for its launcher. */
const maxLineChars = 100_000;

/**
 * One process of the network, started again when it ends by itself. It has a process group of its own, so that Ctrl-C
 * reaches only us and everything ends in order. Its standard input is a pipe that we hold: when we are gone, however
 * that happened, it reads the end and stops.
 */
export class Child {
  readonly spec: ChildSpec;
  readonly #events: ChildEvents;
  #process: ChildProcess | undefined;
  #stopping = false;
  #log: WriteStream | undefined;
  #restarts: number[] = [];
  #down = false;
  #startedBefore = false;
  /** Why it has ended for good. */
  #over: string | undefined;
  #exited: Promise<void> = Promise.resolve();
  #tail = '';

  constructor(spec: ChildSpec, events: ChildEvents) {
    this.spec = spec;
    this.#events = events;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts it and waits until it is ready. Throws CHILD_ENDED with its last lines, DEADLINE_EXCEEDED. */
  async start(signal: AbortSignal): Promise<Record<string, unknown>> {
    mkdirSync(path.dirname(this.spec.logFile), { recursive: true });
    // A log that can't be written, or that ends before the last words come, must not end the network.
    this.#log ??= createWriteStream(this.spec.logFile, { flags: 'a' }).on('error', () => {});
    const { command, args, cwd } = this.spec;
    const child = spawn(command, args, {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: childEnvironment(),
    });
    this.#process = child;
    child.stdin?.on('error', () => {});
    this.#tail = '';
    this.#over = undefined;
    const keep = (chunk: Buffer) => {
      this.#log?.write(chunk);
      this.#tail = (this.#tail + chunk.toString()).slice(-32_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    onJsonLine(child, (line) => {
      if (line.ended === true) this.#over = String(line.reason);
    });
    let ended: (reason: string) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      ended = (reason) => reject(new ChildError('CHILD_ENDED', this.spec.name, reason, this.#lastWords()));
    });
    failed.catch(() => {});
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        ended(error.message);
        resolve();
      });
      child.once('exit', (code, signalName) => {
        resolve();
        whenItHasSpoken(child, () => ended(signalName ?? `exit code ${code}`));
      });
    });
    const timeoutMs = this.spec.readyWithinMs ?? 120_000;
    const ready = await withDeadline({ timeoutMs, signal, what: `Starting ${this.spec.name}` }, (inner) =>
      Promise.race([this.spec.ready(child, inner), failed]),
    ).catch(async (error: unknown) => {
      // Two of one part must never run side by side. Where everything ends anyway, it gets the time that it needs.
      if (!signal.aborted && !this.#stopping) {
        child.kill('SIGKILL');
        await this.#exited;
      }
      throw error;
    });
    this.#events.onReady(this.spec.name, ready, this.#startedBefore);
    this.#startedBefore = true;
    this.#down = false;
    child.once('exit', (code, signalName) => {
      whenItHasSpoken(child, () => {
        if (!this.#stopping) void this.#again(signalName ?? `exit code ${code}`, signal);
      });
    });
    return ready;
  }

  /** Ends it for good: asks, then kills. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill(this.spec.stopSignal ?? 'SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), this.spec.stopWithinMs ?? 12_000);
      await this.#exited;
      clearTimeout(timer);
    }
    this.#log?.end();
  }

  async #again(reason: string, signal: AbortSignal): Promise<void> {
    for (let why = reason; !this.#stopping && !signal.aborted; ) {
      if (this.#over !== undefined) return this.#events.onEnded(this.spec.name, this.#over);
      const now = Date.now();
      this.#restarts = [...this.#restarts.filter((at) => now - at < restartWindowMs), now];
      const often = this.#restarts.length > maxQuickRestarts;
      if (often && !this.#down) this.#events.onDown(this.spec.name, why);
      this.#down = often;
      try {
        await sleep(often ? slowRestartMs : Math.min(5_000, 200 * 2 ** (this.#restarts.length - 1)), signal);
        if (this.#stopping) return;
        if (!often) this.#events.onRestart(this.spec.name, why);
        await this.start(signal);
        return;
      } catch (error) {
        if (signal.aborted || this.#stopping) return;
        why = error instanceof Error ? error.message : String(error);
      }
    }
  }

  /** The last line that says something, for the one line that the user gets. */
  #lastWords(): string {
    const lines = this.#tail.trim().split('\n').slice(-6);
    const errors = lines.flatMap((line) => {
      try {
        const parsed = JSON.parse(line) as { level?: string; msg?: string };
        return parsed.level === 'error' && parsed.msg ? [parsed.msg] : [];
      } catch {
        return [];
      }
    });
    return errors.at(-1) ?? (lines.at(-1) || 'it printed nothing');
  }
}

/** Waits for the line {"ready":true,…} that our own processes print. */
export function readyLine(child: ChildProcess, signal: AbortSignal): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const ignore = onJsonLine(child, (line) => {
      if (line.ready !== true) return;
      ignore();
      resolve(line);
    });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Calls `found` with each line of its standard output that is a JSON object, until what it answers is called. */
function onJsonLine(child: ChildProcess, found: (line: Record<string, unknown>) => void): () => void {
  let buffer = '';
  const onData = (chunk: Buffer) => {
    buffer += chunk.toString();
    for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
      const parsed = tryParse(buffer.slice(0, end));
      buffer = buffer.slice(end + 1);
      if (typeof parsed === 'object' && parsed !== null) found(parsed);
    }
    buffer = buffer.slice(-maxLineChars);
  };
  child.stdout?.on('data', onData);
  return () => void child.stdout?.off('data', onData);
}

/** After its exit: its last words may still be in the pipe, or somebody else may hold the pipe open. */
function whenItHasSpoken(child: ChildProcess, then: () => void): void {
  let timer: NodeJS.Timeout | undefined;
  const once = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    then();
  };
  timer = setTimeout(once, 200);
  timer.unref();
  child.once('close', once);
}

function tryParse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

export class ChildError extends CloisterError<'CHILD_ENDED'> {
  override readonly name = 'ChildError';
  constructor(code: 'CHILD_ENDED', name: string, reason: string, lastWords: string) {
    super({
      code,
      message: `${name} ended while starting (${reason}): ${lastWords}`,
      meta: { name },
      hint: lastWords.includes('WorkerRegistryImageNotAllowed')
        ? 'Its files changed while the network was starting; start again'
        : 'Its log stands in the data folder under logs/',
    });
  }
}
