import { isBuiltin } from 'node:module';
import type { PackageJson } from '../../scripts/lib/workspaces.ts';
import { type GraphFile, type ImportGraph, packageName } from './importGraph.ts';

const isTestFile = (file: string) => /\/test\/|\.test\.ts$/.test(file);

/**
 * What is wrong with the dependencies that one workspace declares: imported and not declared, declared and not
 * imported, declared for tests only and shipped. One sentence each; none where all is well.
 */
export function dependencyProblems(
  graph: ImportGraph,
  path: string,
  json: PackageJson,
  rootJson: PackageJson,
): string[] {
  const files = [...graph.files.values()].filter((file) => file.path.startsWith(`${path}/`));
  const shipped = importedPackages(
    files.filter((file) => !isTestFile(file.path)),
    json.name,
  );
  const tested = importedPackages(
    files.filter((file) => isTestFile(file.path)),
    json.name,
  );
  const runtime = { ...json.dependencies, ...json.optionalDependencies, ...json.peerDependencies };
  const forTests = { ...runtime, ...json.devDependencies, ...rootJson.devDependencies };
  const problems: string[] = [];
  for (const [name, where] of shipped)
    if (!(name in runtime)) problems.push(`${where} imports "${name}", which is not in the dependencies of ${path}`);
  for (const [name, where] of tested)
    if (!(name in forTests)) problems.push(`${where} imports "${name}", which ${path} does not declare`);
  for (const name of Object.keys(runtime))
    if (!shipped.has(name)) problems.push(`${path} declares "${name}" and never imports it`);
  for (const name of Object.keys(json.devDependencies ?? {})) {
    const typed = name.startsWith('@types/') ? name.slice('@types/'.length) : name;
    if (!shipped.has(typed) && !tested.has(typed))
      problems.push(`${path} declares "${name}" for tests and never imports it`);
    if (name in runtime) problems.push(`${path} declares "${name}" twice`);
  }
  return problems;
}

/** Every package that some files mention, with the first place; resolved names count, since that is how binaries are found. */
function importedPackages(files: readonly GraphFile[], own: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const file of files)
    for (const { specifier, line, how } of file.imports) {
      const isPath = specifier.startsWith('.') || specifier.startsWith('#') || how === 'url';
      const name = packageName(specifier);
      if (!isPath && !isBuiltin(specifier) && name !== own && !found.has(name)) found.set(name, `${file.path}:${line}`);
    }
  return found;
}
