import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the contracts' own npm project. */
export const contractsFolder = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Compiles what changed. In a process of its own, whose words go to stderr: stdout belongs to the scripts. */
export function buildContracts(): void {
  const hardhat = join(contractsFolder, 'node_modules', 'hardhat', 'dist', 'src', 'cli.js');
  const { status } = spawnSync(process.execPath, [hardhat, 'build', '--quiet'], {
    cwd: contractsFolder,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error(`Expected "hardhat build" to exit 0, got "${status}"`);
}

/** The Hardhat runtime of this project, which looks for its configuration from the working folder. */
export async function hardhatRuntime() {
  process.chdir(contractsFolder);
  return (await import('hardhat')).default;
}
