import { randomUUID } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { SimulatedError } from './errors.ts';

const maxFileBytes = 64 * 1024;

/** What a file of that format holds. Throws SIMULATED_FILE_MALFORMED. */
export async function readAs<Stored extends { readonly format: string }, Value>(
  path: string,
  format: string,
  read: (stored: Stored) => Value,
): Promise<Value> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > maxFileBytes) throw new Error(`${bytes.length} bytes`);
    const stored = JSON.parse(bytes.toString('utf8')) as Stored;
    if (stored.format !== format) throw new Error(`format "${String(stored.format)}"`);
    return read(stored);
  } catch (cause) {
    throw new SimulatedError({
      code: 'SIMULATED_FILE_MALFORMED',
      message: `Expected "${path}" to be a file of format "${format}"`,
      meta: { path },
      hint: 'Remove the data folder to begin with a fresh simulated root',
      cause,
    });
  }
}

/** Whether it can be opened. */
export async function exists(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'r');
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Writes a whole new file in one step, 0600; where another process was first, its file stays. */
export async function writeOnce(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(temporary);
  }
}

/** Throws INVALID_PLATFORM_NAME. */
export function assertPlatformName(name: string): void {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name))
    throw new SimulatedError({
      code: 'INVALID_PLATFORM_NAME',
      message: `Expected a platform name of 1 to 32 lower-case letters, digits and hyphens, got "${name.slice(0, 64)}"`,
    });
}
