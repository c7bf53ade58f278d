import path from 'node:path';
import type { ExportTarget, PackageJson, Workspace } from './workspaces.ts';

/** The package.json that users get: built files in place of sources, exact versions of ours, nothing for tests. */
export function packageForUsers(json: PackageJson, versions: ReadonlyMap<string, string>): Record<string, unknown> {
  const map = (targets: Readonly<Record<string, ExportTarget>>, withTypes: boolean) =>
    Object.fromEntries(Object.entries(targets).map(([key, target]) => [key, builtTarget(target, withTypes)]));
  return {
    name: json.name,
    version: json.version,
    description: json.description,
    license: json.license,
    type: json.type,
    sideEffects: json.sideEffects,
    engines: json.engines ?? { node: '>=20' },
    // A package without exports has no entry at all: its programs are started by name.
    exports: { ...map(json.exports ?? {}, true), './package.json': './package.json' },
    ...(json.imports === undefined ? {} : { imports: map(json.imports, false) }),
    ...(json.bin === undefined ? {} : { bin: json.bin }),
    files: ['dist', ...(json.bin === undefined ? [] : ['bin']), ...(json.files ?? [])],
    dependencies: pinned(json.dependencies ?? {}, versions),
    ...(json.optionalDependencies === undefined
      ? {}
      : { optionalDependencies: pinned(json.optionalDependencies, versions) }),
  };
}

/** `./src/x.ts` → `./dist/x.js`, in every condition; with its types first where asked. */
export function builtTarget(target: ExportTarget, withTypes: boolean): ExportTarget {
  if (typeof target !== 'string')
    return Object.fromEntries(
      Object.entries(target).map(([condition, inner]) => [condition, builtTarget(inner, withTypes)]),
    );
  if (!/^\.\/src\/.*\.ts$/.test(target)) return target;
  const stem = target.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '');
  return withTypes ? { types: `${stem}.d.ts`, default: `${stem}.js` } : `${stem}.js`;
}

/** Some workspaces and every workspace that they need, the needed ones first. Throws where a needed one is not there. */
export function withNeeded(all: readonly Workspace[], names: readonly string[]): readonly Workspace[] {
  const ordered = new Map<string, Workspace>();
  const visit = (name: string, way: readonly string[]): void => {
    if (ordered.has(name)) return;
    if (way.includes(name)) throw new RangeError(`Packages need each other in a circle: ${[...way, name].join(' → ')}`);
    const workspace = all.find(({ json }) => json.name === name);
    if (workspace === undefined)
      throw new RangeError(`No workspace is called "${name}" (needed by ${way.join(' → ')})`);
    for (const needed of Object.keys(workspace.json.dependencies ?? {}))
      if (all.some(({ json }) => json.name === needed)) visit(needed, [...way, name]);
    ordered.set(name, workspace);
  };
  for (const name of names) visit(name, []);
  return [...ordered.values()];
}

/** Declarations keep the endings of their sources, which older compilers can't follow outside a repository. */
export function builtSpecifiers(declarations: string): string {
  return declarations.replace(/((?:\bfrom|\bimport)\s*\(?\s*['"]\.{1,2}\/[^'"\n]+)\.ts(?=['"])/g, '$1.js');
}

/** Paths of programs and workers that are started by URL; the compiler rewrites only imports. */
export function builtUrls(javascript: string): string {
  return javascript.replace(/(new URL\(\s*['"]\.{1,2}\/[^'"\n]+)\.ts(?=['"]\s*,\s*import\.meta\.url\))/g, '$1.js');
}

/** The name that `npm pack` gives a tarball. */
export function tarballName(name: string, version: string): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}

/** Where a source of a workspace stands among the compiler's output. */
export function emittedFolder(out: string, workspace: Workspace): string {
  return path.join(out, workspace.path, 'src');
}

function pinned(
  dependencies: Readonly<Record<string, string>>,
  versions: ReadonlyMap<string, string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(dependencies).map(([name, version]) => [name, versions.get(name) ?? version]),
  );
}
