import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder, absolute. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A path inside the repository, absolute. */
export function inRoot(...parts: readonly string[]): string {
  return path.join(root, ...parts);
}

/** A path as people read it: relative to the repository, with forward slashes. */
export function relativeToRoot(file: string): string {
  return path.relative(root, file).split(path.sep).join('/');
}
