import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processStartTime } from '../process/procFs.ts';
import { SandboxError } from '../sandboxError.ts';

/** Reads one growing number again and again, with one system call each time. */
export class CounterFile {
  readonly #path: string;
  readonly #buffer = Buffer.alloc(32);
  #descriptor: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The number, or 0 where it can't be read: the group may be gone already. */
  read(): number {
    try {
      this.#descriptor ??= openSync(this.#path, 'r');
      const length = readSync(this.#descriptor, this.#buffer, 0, this.#buffer.length, 0);
      const value = Number(this.#buffer.toString('latin1', 0, length).trim());
      return Number.isFinite(value) ? value : 0;
    } catch {
      return 0;
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** The value behind a key of a "key value" file such as cpu.stat; 0 where there is none. */
export function readKeyed(path: string, key: string): number {
  for (const line of readLines(path)) {
    const [name, value] = line.split(' ');
    if (name === key) return Number(value) || 0;
  }
  return 0;
}

export function readNumber(path: string): number {
  return Number(readLines(path)[0]) || 0;
}

export function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

/** Writes a setting; false where the kernel refuses it or has no such file. */
export function tryWrite(path: string, value: string): boolean {
  try {
    // Never creates: on a cgroup file system a missing file means a missing controller.
    writeFileSync(path, value, { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

/** Writes a setting that a wall depends on. Throws PROCESS_FAILED where the kernel refuses it. */
export function mustWrite(path: string, value: string): void {
  if (tryWrite(path, value)) return;
  throw new SandboxError({
    code: 'PROCESS_FAILED',
    message: `The limit "${value}" could not be set in "${path}"`,
    meta: { path, value },
    retry: true,
    hint: 'Look for what else changes control groups on this machine',
  });
}

export function tryMakeDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o755 });
    return true;
  } catch {
    return false;
  }
}

export function tryRemoveDirectory(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}

/** Removes groups, and those in them, whose processes have just been killed: the kernel reports them empty a little later. */
export async function removeGroups(paths: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    for (const path of paths) for (const child of childDirectories(path)) tryRemoveDirectory(join(path, child));
    if (paths.map(tryRemoveDirectory).every(Boolean)) return;
    await delay(10);
  }
}

const ownedGroup = /^cloister\.(\d+)\.(\d+)\.[0-9a-f]+$/;

/** A name that nobody else has, and that tells a later start whether its owner still lives. */
export function ownedGroupName(): string {
  return `cloister.${process.pid}.${processStartTime(process.pid) ?? 0}.${randomBytes(4).toString('hex')}`;
}

/** Removes the groups below `directory` that a process left behind when it was killed. */
export function removeStaleGroups(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  for (const name of names) {
    const owner = ownedGroup.exec(name);
    if (owner === null || processStartTime(Number(owner[1])) === Number(owner[2])) continue;
    const group = join(directory, name);
    removeTree(group);
  }
}

/** A group, and all below it that are empty. */
function removeTree(group: string): void {
  for (const child of childDirectories(group)) removeTree(join(group, child));
  tryRemoveDirectory(group);
}

export function childDirectories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
