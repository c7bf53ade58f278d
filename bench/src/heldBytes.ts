import { readdirSync, readFileSync } from 'node:fs';

/** Memory that a process' descendants hold: their own, and their part of what processes share (PSS, proc(5)). */
export function heldBytes(pid: number = process.pid): number {
  return descendants(pid).reduce((sum, one) => sum + pssOf(one), 0);
}

/** The same of all processes of this machine: for what is not started by us, such as containers, whose engine's monitors leave it. */
export function heldByMachine(): number {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .reduce((sum, pid) => sum + pssOf(Number(pid)), 0);
}

function descendants(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const children = threads.flatMap((thread) =>
    textOf(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean),
  );
  return children.flatMap((child) => [Number(child), ...descendants(Number(child))]);
}

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended between the listing and now.
    return '';
  }
}
