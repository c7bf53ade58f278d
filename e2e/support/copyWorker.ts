import fs from 'node:fs';
import path from 'node:path';
import { processFiles } from '@cloister/service';
import { inRoot } from '../../scripts/lib/paths.ts';

/**
 * Copies everything that a worker consists of into another folder, so that a worker can be started from there. Of its own
 * code every file is copied; what others wrote is linked where the file system can.
 */
export async function copyWorker(target: string): Promise<void> {
  const { code, dependencies } = await processFiles(inRoot(), 'apps/worker');
  for (const file of code.files) {
    fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
    fs.copyFileSync(inRoot(file), path.join(target, file));
  }
  for (const file of dependencies.files) {
    fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
    try {
      fs.linkSync(inRoot(file), path.join(target, file));
    } catch {
      fs.copyFileSync(inRoot(file), path.join(target, file));
    }
  }
  const scope = path.join(target, 'node_modules', '@cloister');
  fs.mkdirSync(scope, { recursive: true });
  for (const name of fs.readdirSync(path.join(target, 'packages')))
    fs.symlinkSync(path.join('..', '..', 'packages', name), path.join(scope, name));
}

/** Changes one byte of a file below a folder: the first letter of its last comment word that can differ without harm. */
export function changeOneByte(file: string): void {
  const text = fs.readFileSync(file, 'utf8');
  const at = text.lastIndexOf('/** ') + 4;
  const letter = text[at] ?? '';
  if (at < 4 || !/[A-Za-z]/.test(letter)) throw new Error(`"${file}" has no comment to change`);
  fs.writeFileSync(file, `${text.slice(0, at)}${letter === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`);
}
