import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';

/** The file system that Linux keeps in memory. Source: statfs(2), TMPFS_MAGIC. */
const tmpfsMagic = 0x0102_1994;
const memory = '/dev/shm';
const prefix = 'cloister-weights-';

/**
 * A new folder that is in memory and nowhere else, for this process alone; undefined where this system has none. What a process left that is
 * no more is removed.
 */
export async function memoryFolder(): Promise<string | undefined> {
  try {
    const { type } = await statfs(memory);
    if (type !== tmpfsMagic) return undefined;
    for (const name of await readdir(memory)) {
      const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
      if (pid !== undefined && !isAlive(Number(pid)))
        await rm(path.join(memory, name), { recursive: true, force: true });
    }
    return await mkdtemp(path.join(memory, `${prefix}${process.pid}-`));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
