import { readdirSync, readFileSync } from 'node:fs';

/** When a process began, in clock ticks since the machine's start: with the pid, a name that is never used twice. Undefined where there is no such process. */
export function processStartTime(pid: number): number | undefined {
  const fields = statFields(pid);
  const value = fields === undefined ? Number.NaN : Number(fields[19]);
  return Number.isFinite(value) ? value : undefined;
}

/** The process itself and all that descend from it. */
export function processTree(pid: number): number[] {
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.shift(); next !== undefined && found.length < 1024; next = queue.shift()) {
    found.push(next);
    queue.push(...childrenOf(next));
  }
  return found;
}

/** Memory that belongs to the process alone: without the pages of files that it shares with others. */
export function residentBytes(pid: number): number {
  const status = read(`/proc/${pid}/status`);
  return (statusKibibytes(status, 'RssAnon') + statusKibibytes(status, 'RssShmem')) * 1024;
}

/** Private writable address space, which RLIMIT_DATA counts (getrlimit(2)). */
export function dataBytes(pid: number): number {
  return statusKibibytes(read(`/proc/${pid}/status`), 'VmData') * 1024;
}

/** Processor time of all threads. */
export function cpuNanoseconds(pid: number): number {
  let total = 0;
  for (const thread of list(`/proc/${pid}/task`)) {
    const [running] = read(`/proc/${pid}/task/${thread}/schedstat`).split(' ');
    total += Number(running) || 0;
  }
  return total;
}

export function processName(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function childrenOf(pid: number): number[] {
  return list(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

/** Fields of stat after the name, which may itself hold spaces and brackets; the first is the state (proc(5), field 3). */
function statFields(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function statusKibibytes(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
