import { mkdtemp, readdir, readFile, rm, statfs } from 'node:fs/promises';
import path from 'node:path';

/** The file system that Linux keeps in memory. Source: statfs(2), TMPFS_MAGIC. */
const tmpfsMagic = 0x0102_1994;
const defaultMemory = '/dev/shm';
const prefix = 'cloister-weights-';
/** A folder's owner: a process, and when it began, since ids of processes are used again. */
const named = new RegExp(`^${prefix}(\\d+)-(\\d+)-`);

/**
 * A new folder that is in memory and nowhere else, for this process alone; undefined where this system has none. What a process left that is
 * no more is removed: plain weights that were sealed, in memory that nobody else frees.
 * @param memory a folder of a file system in memory
 */
export async function memoryFolder(memory = defaultMemory): Promise<string | undefined> {
  try {
    const { type } = await statfs(memory);
    if (type !== tmpfsMagic) return undefined;
    await removeLeft(memory);
    const began = await beganAt(process.pid);
    return began === undefined ? undefined : await mkdtemp(path.join(memory, `${prefix}${process.pid}-${began}-`));
  } catch {
    return undefined;
  }
}

async function removeLeft(memory: string): Promise<void> {
  for (const name of await readdir(memory)) {
    const [, pid, began] = named.exec(name) ?? [];
    if (pid === undefined || began === undefined || (await beganAt(Number(pid))) === began) continue;
    // What belongs to another user stays: it must not keep this worker from having a folder.
    await rm(path.join(memory, name), { recursive: true, force: true }).catch(() => {});
  }
}

/** When a process began, in the kernel's ticks since it started; undefined for one that is no more. Source: proc_pid_stat(5), field 22. */
async function beganAt(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field is a name in brackets, in which anything may stand.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
