import { realpathSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError } from '@cloister/core';

/** Files by their paths below a folder: relative, "/" between parts, sorted. */
export type ProcessFileSet = { readonly root: string; readonly files: readonly string[] };

/** The files that make up one of our processes, as a measured boot would see them. */
export type ProcessFiles = {
  /** Path of the Node.js binary. */
  readonly runtime: string;
  /** Our own code: the application and the workspace packages that it depends on. */
  readonly code: ProcessFileSet;
  /** What can run of the installed third-party packages. */
  readonly dependencies: ProcessFileSet;
};

/**
 * Lists everything that runs in the process of `application` (a workspace folder such as "apps/worker"): it follows the
 * dependencies that the package files declare, so a file outside of them can't be imported and isn't measured.
 * Sorted, so that the same checkout gives the same list in any folder.
 */
export async function processFiles(root: string, application: string): Promise<ProcessFiles> {
  const code = new Set<string>();
  const dependencies = new Set<string>();
  const seen = new Set<string>();
  const queue: string[] = [path.join(root, application)];
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    if (seen.has(folder)) continue;
    seen.add(folder);
    const own = !folder.split(path.sep).includes('node_modules');
    const manifest = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
    const files = own
      ? [path.join(folder, 'package.json'), ...(await walk(path.join(folder, 'src'), isCode))]
      : await walk(folder, isRunnable);
    for (const file of files) (own ? code : dependencies).add(file);
    for (const name of Object.keys(manifest.dependencies ?? {})) queue.push(resolvePackage(root, folder, name, true));
    // Platform packages: of these only the ones for this machine are installed.
    for (const name of Object.keys(manifest.optionalDependencies ?? {})) {
      const found = resolvePackage(root, folder, name, false);
      if (found !== '') queue.push(found);
    }
  }
  const set = (files: Set<string>): ProcessFileSet => ({
    root,
    files: [...files].map((file) => path.relative(root, file).split(path.sep).join('/')).sort(),
  });
  return { runtime: process.execPath, code: set(code), dependencies: set(dependencies) };
}

function isCode(file: string): boolean {
  return !/\.test\.ts$/.test(file);
}

/** Types, maps and texts never run: Node.js refuses TypeScript below node_modules. */
function isRunnable(file: string): boolean {
  return !/\.(?:[mc]?ts|map|md|markdown|txt|flow)$/i.test(file);
}

async function walk(folder: string, wanted: (file: string) => boolean): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    // Nested node_modules are packages of their own and come through the dependencies.
    if (entry.isDirectory()) files.push(...(entry.name === 'node_modules' ? [] : await walk(file, wanted)));
    else if (entry.isFile() && wanted(file)) files.push(file);
  }
  return files;
}

function resolvePackage(root: string, from: string, name: string, required: boolean): string {
  for (let folder = from; folder.startsWith(root); folder = path.dirname(folder)) {
    try {
      return realpathSync(path.join(folder, 'node_modules', name));
    } catch {}
  }
  if (required) throw new ProcessFilesError(name, from);
  return '';
}

export class ProcessFilesError extends CloisterError<'DEPENDENCY_NOT_INSTALLED'> {
  override readonly name = 'ProcessFilesError';
  constructor(dependency: string, from: string) {
    super({
      code: 'DEPENDENCY_NOT_INSTALLED',
      message: `Package "${dependency}", which "${from}" needs, is not installed`,
      hint: 'Run npm start again: it installs what is missing',
    });
  }
}
