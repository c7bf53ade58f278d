import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

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
