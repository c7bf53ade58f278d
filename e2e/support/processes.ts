import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

type Row = { readonly pid: number; readonly parent: number; readonly state: string; readonly command: string };

/** Every process below `pid`, however deep, itself left out. Ended ones that nobody has collected yet don't count. */
export function descendantsOf(pid: number): readonly number[] {
  const rows = processTable().filter(({ state }) => !state.startsWith('Z'));
  const found: number[] = [];
  for (const queue = [pid]; ; ) {
    const next = queue.pop();
    if (next === undefined) return found;
    for (const row of rows) {
      if (row.parent !== next) continue;
      found.push(row.pid);
      queue.push(row.pid);
    }
  }
}

/** Those of the processes that still run. */
export function stillRunning(pids: readonly number[]): readonly string[] {
  return processTable()
    .filter(({ pid, state }) => pids.includes(pid) && !state.startsWith('Z'))
    .map(({ pid, command }) => `${pid} ${command}`);
}

/** The children of a process whose command line says this. */
export function childrenOf(parent: number, command: RegExp): readonly number[] {
  return processTable()
    .filter((row) => row.parent === parent && !row.state.startsWith('Z') && command.test(row.command))
    .map(({ pid }) => pid);
}

/** The one child of a launcher that is its part of that name: "chain", "gateway", "worker-0". */
export function partOf(launcher: number, name: string): number | undefined {
  const command = name === 'chain' ? /anvil/ : new RegExp(`/logs/${name}\\.json`);
  return childrenOf(launcher, command)[0];
}

function processTable(): readonly Row[] {
  return fs.existsSync('/proc/self/stat') ? linuxTable() : psTable();
}

function linuxTable(): readonly Row[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return [];
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');
      // The second field, the program's name in parentheses, may hold anything.
      const [state = '', parent = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return [{ pid: Number(name), parent: Number(parent), state, command }];
    } catch {
      return [];
    }
  });
}

function psTable(): readonly Row[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8', maxBuffer: 16_777_216 })
    .split('\n')
    .flatMap((line) => {
      const [, pid, parent, state = '', command = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), state, command }];
    });
}
