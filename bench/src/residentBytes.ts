import fs from 'node:fs';

/** Resident memory of a process and everything it started, in bytes, by /proc; 0 where there is none. */
export function residentBytes(pid: number, proc = '/proc'): number {
  const processes = new Map<number, { readonly parent: number; readonly bytes: number }>();
  for (const name of listing(proc)) {
    const status = textOf(`${proc}/${name}/status`);
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
    const kilobytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    if (Number.isSafeInteger(parent)) processes.set(Number(name), { parent, bytes: kilobytes * 1024 });
  }
  const isBelow = (start: number): boolean => {
    for (let at: number | undefined = start, steps = 0; at !== undefined && steps < 64; steps++) {
      if (at === pid) return true;
      at = processes.get(at)?.parent;
    }
    return false;
  };
  return [...processes].filter(([one]) => isBelow(one)).reduce((sum, [, { bytes }]) => sum + bytes, 0);
}

function listing(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    // It ended between the listing and now.
    return '';
  }
}
