import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { ScriptError } from './scriptError.ts';

export type FolderLockOptions = {
  /** Called once when another process has the lock, with its id. */
  readonly onWait?: (owner: number) => void;
  /** Milliseconds to wait for another owner before SCRIPT_LOCKED. Default 20 minutes. */
  readonly timeoutMs?: number;
};

/**
 * Runs work while holding a lock file that names this process: one holder at a time over all processes of a machine.
 * A lock whose holder is gone is taken over. Throws SCRIPT_LOCKED where another holder stays too long.
 */
export async function withFolderLock<T>(
  file: string,
  work: () => Promise<T>,
  options: FolderLockOptions = {},
): Promise<T> {
  const until = Date.now() + (options.timeoutMs ?? 20 * 60_000);
  let told = false;
  while (!tryTake(file)) {
    const owner = ownerOf(file);
    if (owner !== undefined && !isAlive(owner)) takeAway(file, owner);
    else {
      if (Date.now() > until)
        throw new ScriptError({
          code: 'SCRIPT_LOCKED',
          message: `Process ${owner ?? 'unknown'} has held "${file}" for too long`,
          hint: 'end that process, or delete the file where it is none of ours',
        });
      if (!told && owner !== undefined) {
        options.onWait?.(owner);
        told = true;
      }
      await wait(200);
    }
  }
  const release = () => fs.rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/** The lock appears with its content in one step: a linked file is there whole or not at all. */
function tryTake(file: string): boolean {
  const mine = `${file}.${process.pid}`;
  fs.writeFileSync(mine, String(process.pid));
  try {
    fs.linkSync(mine, file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(mine, { force: true });
  }
}

/** Removes the lock of an owner that is gone. A second lock lets only one waiter look and remove at a time. */
function takeAway(file: string, owner: number): void {
  const guard = `${file}.takeover`;
  try {
    fs.mkdirSync(guard);
  } catch {
    if (ageMs(guard) > 10_000) fs.rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    if (ownerOf(file) === owner) fs.rmSync(file, { force: true });
  } finally {
    fs.rmSync(guard, { recursive: true, force: true });
  }
}

function ownerOf(file: string): number | undefined {
  try {
    const owner = Number(fs.readFileSync(file, 'utf8'));
    return Number.isSafeInteger(owner) && owner > 0 ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - fs.statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
