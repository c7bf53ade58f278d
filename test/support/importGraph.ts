import fs from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { readWorkspaces, targetsOf, type Workspace } from '../../scripts/lib/workspaces.ts';
import { type ModuleFacts, type ModuleImport, moduleFacts } from './moduleImports.ts';

/** Where an import leads. One import may lead to several files, by the conditions of a package.json. */
export type ImportTarget =
  | { readonly kind: 'file'; readonly path: string; readonly conditions: readonly string[] }
  | { readonly kind: 'builtin'; readonly name: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'missing' };

export type GraphImport = ModuleImport & { readonly targets: readonly ImportTarget[] };

export type GraphFile = Omit<ModuleFacts, 'imports'> & {
  /** Relative to the graph's base, with forward slashes. */
  readonly path: string;
  readonly imports: readonly GraphImport[];
};

export type ImportGraph = {
  readonly files: ReadonlyMap<string, GraphFile>;
  readonly workspaces: readonly Workspace[];
};

/** Something reached, and the way there: the files from the start on. */
export type Reached = { readonly target: ImportTarget; readonly way: readonly string[] };

const sourceFile = /\.[cm]?[jt]sx?$/;
// Templates are projects of others: their own package.json says what they import, and a test of the cli holds them to it.
const skippedFolders = new Set([
  ...['node_modules', 'dist', 'dist-packages', 'artifacts', 'cache', 'coverage'],
  'templates',
]);

/** Reads the imports of every source file below some folders of a repository of our layout. */
export function readImportGraph(base: string, folders: readonly string[]): ImportGraph {
  const workspaces = readWorkspaces(base);
  const files = new Map<string, GraphFile>();
  for (const file of folders.flatMap((folder) => sourceFiles(base, folder))) {
    const facts = moduleFacts(file, fs.readFileSync(path.join(base, file), 'utf8'));
    const imports = facts.imports.map((found) => ({ ...found, targets: resolve(base, workspaces, file, found) }));
    files.set(file, { ...facts, path: file, imports });
  }
  return { files, workspaces };
}

/**
 * Everything that some files reach over any number of imports, with the shortest way there. `follow` says which
 * imports count; types count unless it says otherwise, paths of started programs (`url`, `resolve`) never do.
 */
export function reachedFrom(
  graph: ImportGraph,
  starts: (file: string) => boolean,
  follow: (found: GraphImport, target: ImportTarget) => boolean = () => true,
): readonly Reached[] {
  const queue = [...graph.files.keys()].filter(starts).map((file) => [file]);
  const seen = new Set(queue.flat());
  const reached: Reached[] = [];
  for (let way = queue.shift(); way !== undefined; way = queue.shift())
    for (const found of graph.files.get(way.at(-1) ?? '')?.imports ?? []) {
      if (!isImport(found)) continue;
      for (const target of found.targets) {
        if (!follow(found, target)) continue;
        reached.push({ target, way });
        if (target.kind !== 'file' || seen.has(target.path)) continue;
        seen.add(target.path);
        queue.push([...way, target.path]);
      }
    }
  return reached;
}

/** Whether a mention makes code part of the importing program; the others name files, or programs to start. */
export function isImport(found: ModuleImport): boolean {
  return found.how !== 'url' && found.how !== 'resolve';
}

function resolve(
  base: string,
  workspaces: readonly Workspace[],
  from: string,
  { specifier, how }: ModuleImport,
): readonly ImportTarget[] {
  if (isBuiltin(specifier)) return [{ kind: 'builtin', name: `node:${specifier.replace(/^node:/, '')}` }];
  if (specifier.startsWith('.') || how === 'url')
    return [fileTarget(base, path.posix.join(path.posix.dirname(from), specifier))];
  if (specifier.startsWith('#')) {
    const own = workspaces.find((workspace) => from.startsWith(`${workspace.path}/`));
    return own === undefined ? [{ kind: 'missing' }] : inPackage(base, own, own.json.imports?.[specifier]);
  }
  const name = packageName(specifier);
  const workspace = workspaces.find((candidate) => candidate.json.name === name);
  if (workspace === undefined) return [{ kind: 'package', name }];
  return inPackage(base, workspace, workspace.json.exports?.[`.${specifier.slice(name.length)}`]);
}

function inPackage(
  base: string,
  workspace: Workspace,
  target: Parameters<typeof targetsOf>[0],
): readonly ImportTarget[] {
  const targets = targetsOf(target).map(({ file, conditions }) =>
    fileTarget(base, path.posix.join(workspace.path, file), conditions),
  );
  return targets.length === 0 ? [{ kind: 'missing' }] : targets;
}

function fileTarget(base: string, file: string, conditions: readonly string[] = []): ImportTarget {
  return fs.statSync(path.join(base, file), { throwIfNoEntry: false })?.isFile() === true
    ? { kind: 'file', path: file, conditions }
    : { kind: 'missing' };
}

/** `viem/chains` → `viem`, `@noble/hashes/sha3.js` → `@noble/hashes`. */
export function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function sourceFiles(base: string, folder: string): readonly string[] {
  const absolute = path.join(base, folder);
  if (!fs.existsSync(absolute)) return [];
  if (fs.statSync(absolute).isFile()) return sourceFile.test(folder) ? [folder] : [];
  return fs
    .readdirSync(absolute, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.name.startsWith('.') || skippedFolders.has(entry.name)) return [];
      return entry.isDirectory() || sourceFile.test(entry.name)
        ? sourceFiles(base, path.posix.join(folder, entry.name))
        : [];
    });
}
