import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { CloisterError } from '@cloister/core';

export type FileLock = {
  readonly path: string;
  /** Gives it up; does nothing the second time. */
  release(): void;
};

type Holder = { readonly pid: number; readonly startedAt: string | null };

const takeoverMaxAgeMs = 10_000;

/**
 * Takes a lock file, or throws LOCK_HELD naming the process that has it. A lock whose process is gone (or whose id now
 * belongs to another process, where the system tells) is taken over; of several that try, one gets it.
 */
export function acquireLock(path: string): FileLock {
  const content = JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) } satisfies Holder);
  for (let attempt = 0; attempt < 20; attempt++) {
    if (tryLink(path, content)) return lockAt(path, content);
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) throw new LockHeldError(path, holder.pid);
    removeStale(path);
  }
  throw new LockHeldError(path, undefined);
}

function lockAt(path: string, content: string): FileLock {
  const release = (): void => {
    process.removeListener('exit', release);
    if (readText(path) === content) unlinkSync(path);
  };
  process.once('exit', release);
  return { path, release };
}

/** Writes the content elsewhere and links it in place: the lock never stands there half written. */
function tryLink(path: string, content: string): boolean {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  writeFileSync(temporary, content, { flag: 'wx', mode: 0o600 });
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(temporary);
  }
}

/** Only the one that makes the folder may remove, and it looks again before it does. */
function removeStale(path: string): void {
  const guard = `${path}.takeover`;
  try {
    mkdirSync(guard);
  } catch {
    const madeAt = statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (Date.now() - madeAt > takeoverMaxAgeMs) removeQuietly(() => rmdirSync(guard));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    return;
  }
  try {
    const holder = readHolder(path);
    if (holder === undefined || !isAlive(holder)) removeQuietly(() => unlinkSync(path));
  } finally {
    removeQuietly(() => rmdirSync(guard));
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readText(path) ?? '');
    if (typeof value !== 'object' || value === null || !('pid' in value) || !Number.isSafeInteger(value.pid))
      return undefined;
    const startedAt = 'startedAt' in value && typeof value.startedAt === 'string' ? value.startedAt : null;
    return { pid: value.pid as number, startedAt };
  } catch {
    return undefined;
  }
}

function isAlive({ pid, startedAt }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return startedAt === null || now === null || startedAt === now;
}

/** When a process began, in the system's own words; null where it doesn't say (only Linux does). */
function startOf(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field, the command in parentheses, may hold anything; the 22nd is the start time.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function removeQuietly(remove: () => void): void {
  try {
    remove();
  } catch {
    // Another process was faster.
  }
}

export class LockHeldError extends CloisterError<'LOCK_HELD'> {
  override readonly name = 'LockHeldError';
  constructor(path: string, pid: number | undefined) {
    super({
      code: 'LOCK_HELD',
      message:
        pid === undefined
          ? `The lock "${path}" could not be taken`
          : `The lock "${path}" is held by the process "${pid}"`,
      meta: { path, pid },
      hint: 'Stop that process first, or use another folder',
      retry: true,
    });
  }
}
