import type { ConfinedProcess } from './confinedProcess.ts';
import { dataBytes } from './procFs.ts';

/**
 * Private address space of a process without a tenant, in bytes; ends the process. Where a limit on address space stands for one on memory it
 * must begin above that, since what a runtime reserves without using it counts. Undefined where it can't be read.
 */
export async function baseDataOf(confined: ConfinedProcess): Promise<number | undefined> {
  try {
    const pid = confined.programPid;
    return pid === undefined ? undefined : dataBytes(pid) || undefined;
  } finally {
    confined.kill();
    await confined.removed;
  }
}
