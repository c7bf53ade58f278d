import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SandboxError } from '../sandboxError.ts';

const run = promisify(execFile);

/**
 * Writes the program of tenants' processes into the directory, as one file, and gives its path. Throws START_FAILED.
 * @param entry its first module, as in "wasm/host/program"
 */
export async function writeProgram(directory: string, entry: string, signal: AbortSignal): Promise<string> {
  const own = fileURLToPath(import.meta.url);
  const printer = join(own, '..', `printProgram${extname(own)}`);
  const path = join(directory, 'program-source.mjs');
  try {
    const { stdout } = await run(process.execPath, ['--no-warnings', printer, entry], {
      signal,
      env: {},
      timeout: 20_000,
      maxBuffer: 4 * 1024 * 1024,
    });
    await writeFile(path, stdout, { mode: 0o644 });
    return path;
  } catch (error) {
    signal.throwIfAborted();
    throw new SandboxError({
      code: 'START_FAILED',
      message: `The program that runs modules can't be made by "${process.execPath}"`,
      hint: 'Run it with the Node.js release that this package names',
      cause: error,
    });
  }
}
