import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { JailPlan } from './jail.ts';

const run = promisify(execFile);

/** All libraries that a jail shows: those of its programs, and those that are named. */
export async function librariesOf(
  { directories = {}, libraries = [] }: Pick<JailPlan, 'directories' | 'libraries'>,
  ldd: string,
  programs: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const found = await sharedLibraries(ldd, [...programs, ...libraries], Object.values(directories), signal);
  return [...new Set([...found, ...libraries])].sort();
}

/** Libraries that a program names and this machine has not; everything is there of what can't be asked. */
export async function missingLibraries(ldd: string, program: string, signal: AbortSignal): Promise<string[]> {
  const { stdout } = await run(ldd, [program], { signal, env: {}, timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return [...stdout.matchAll(/^\s*(\S+) => not found$/gm)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

/**
 * The dynamic loader and libraries that the programs need, as absolute paths, but for those in `seen`, folders that are
 * seen anyway. Nothing for a static program.
 */
export async function sharedLibraries(
  ldd: string,
  programs: readonly string[],
  seen: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const found = new Set<string>();
  for (const program of programs) {
    // Leaves with an error for a static program.
    const { stdout } = await run(ldd, [program], { signal, env: {}, timeout: 10_000 }).catch(() => ({ stdout: '' }));
    for (const line of stdout.split('\n')) {
      const path = /(?:=>\s+)?(\/\S+)\s+\(0x[0-9a-f]+\)$/.exec(line.trim())?.[1];
      if (path !== undefined && !seen.some((folder) => path.startsWith(`${folder}/`))) found.add(path);
    }
  }
  return [...found].sort();
}
