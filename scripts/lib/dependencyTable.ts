import fs from 'node:fs';
import path from 'node:path';
import { dependencyReasons } from './dependencyReasons.ts';
import { root } from './paths.ts';
import { readPackageJson, readWorkspaces } from './workspaces.ts';

/** A package of others that one of our package.json files names. */
export type Dependency = {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** `run`: part of what runs; `develop`: for tests and tools only. */
  readonly use: 'run' | 'develop';
  /** Bytes on this disk with everything it needs, shared packages counted for each; undefined where not installed here. */
  readonly bytes: number | undefined;
};

/** A folder with a lock file of its own. */
export type DependencyGroup = {
  readonly folder: string;
  readonly title: string;
  readonly dependencies: readonly Dependency[];
};

type LockEntry = {
  readonly version?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
};
type Lock = Readonly<Record<string, LockEntry>>;

const groups: readonly { readonly folder: string; readonly title: string; readonly installed?: string }[] = [
  { folder: '.', title: 'Packages, applications and their tools (`package-lock.json`)' },
  { folder: 'contracts', title: 'Contracts (`contracts/`, installed when first needed)' },
  {
    folder: 'scripts/toolchain',
    title: 'Node.js (`scripts/toolchain/`, installed first of all)',
    installed: '.toolchain',
  },
  { folder: 'test/packNodes', title: 'Test of the packed packages (`test/packNodes/`, installed when first needed)' },
  { folder: 'test/browser', title: 'Browser of a scenario (`test/browser/`, installed when first needed)' },
  { folder: 'engines', title: 'Engines for models (`engines/`, installed by `npm run engines`)' },
  {
    folder: 'engines/cuda',
    title: "llama.cpp for NVIDIA's GPUs (`engines/cuda/`, installed by `npm run engines -- --gpu`)",
  },
  { folder: 'bench', title: 'Benchmarks (`bench/`, installed when first needed)' },
];

/** Every direct dependency, by lock file. */
export function readDependencies(base: string = root): readonly DependencyGroup[] {
  return groups.map(({ folder, title, installed = folder }) => {
    const at = path.join(base, folder);
    const lock = (JSON.parse(fs.readFileSync(path.join(at, 'package-lock.json'), 'utf8')) as { packages: Lock })
      .packages;
    const uses = new Map<string, Dependency['use']>();
    const manifests = [
      readPackageJson(path.join(at, 'package.json')),
      ...(folder === '.' ? readWorkspaces(base).map(({ json }) => json) : []),
    ];
    for (const json of manifests) {
      for (const name of Object.keys(json.devDependencies ?? {})) if (!uses.has(name)) uses.set(name, 'develop');
      for (const name of Object.keys({ ...json.dependencies, ...json.optionalDependencies })) uses.set(name, 'run');
    }
    const dependencies = [...uses]
      .filter(([name]) => !name.startsWith('@cloister/'))
      .map(([name, use]) => describe(path.join(base, installed), lock, name, use))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return { folder, title, dependencies };
  });
}

/** The table of one group for docs/dependencies.md. */
export function dependencyRows({ dependencies }: DependencyGroup): string {
  if (dependencies.length === 0) return 'None.';
  const rows = dependencies.map(
    ({ name, version, licence, use, bytes }) =>
      `| \`${name}\` ${version} | ${licence} | ${bytes === undefined ? 'not for this platform' : megabytes(bytes)} | ${use} | ${dependencyReasons[name] ?? ''} |`,
  );
  return ['| package | licence | size | to | why |', '|---|---|---:|---|---|', ...rows].join('\n');
}

function describe(folder: string, lock: Lock, name: string, use: Dependency['use']): Dependency {
  // A workspace may keep its own version beside the root's.
  const place = Object.keys(lock)
    .filter((key) => key === `node_modules/${name}` || key.endsWith(`/node_modules/${name}`))
    .sort((a, b) => a.length - b.length)[0];
  const entry = place === undefined ? undefined : lock[place];
  if (place === undefined || entry === undefined)
    throw new RangeError(`"${name}" is not in the lock file of "${folder}"`);
  const needed = [...closure(lock, place)].map((key) => path.join(folder, key)).filter((at) => fs.existsSync(at));
  return {
    name,
    version: entry.version ?? '',
    licence: entry.license ?? 'not said',
    use,
    bytes: fs.existsSync(path.join(folder, place)) ? folderBytes(needed) : undefined,
  };
}

/** A package and everything it needs, as keys of the lock file. */
function closure(lock: Lock, start: string): ReadonlySet<string> {
  const found = new Set([start]);
  for (const at of found)
    for (const name of neededBy(lock[at])) {
      const place = resolve(lock, at, name);
      if (place !== undefined) found.add(place);
    }
  return found;
}

function neededBy(entry: LockEntry | undefined): readonly string[] {
  return Object.keys({ ...entry?.dependencies, ...entry?.optionalDependencies, ...entry?.peerDependencies });
}

/** Where Node.js would find a package from another: in the nearest node_modules above. */
function resolve(lock: Lock, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const candidate = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (lock[candidate] !== undefined) return candidate;
    if (at === '') return undefined;
  }
}

/** Sizes of all files below, but not of packages within; a file that two names link to counts once. */
function folderBytes(folders: readonly string[]): number {
  const files = new Map<string, number>();
  const visit = (folder: string): void => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const at = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules') visit(at);
      } else if (entry.isFile()) {
        const { dev, ino, size } = fs.statSync(at);
        files.set(`${dev}:${ino}`, size);
      }
    }
  };
  folders.forEach(visit);
  return [...files.values()].reduce((sum, size) => sum + size, 0);
}

function megabytes(bytes: number): string {
  const value = bytes / 1e6;
  return `${value >= 10 ? Math.round(value) : value.toFixed(1)} MB`;
}
