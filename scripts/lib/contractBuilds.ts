import fs from 'node:fs';
import path from 'node:path';
import type { CompilerInput } from './solidityCompiler.ts';

/** A compilation that artifacts come from, with the sources that these need and no others. */
export type ContractBuild = { readonly id: string; readonly input: CompilerInput };

/**
 * What must be compiled anew of the builds that Hardhat's artifacts name, where some sources have changed: each source of an artifact that
 * needs one of them, and all that it needs itself. What Hardhat compiles anew it leaves in the folder of the build before, too: there stand
 * sources that nothing comes from any more, which need not fit those of now.
 * @param hasChanged by a source's name, such as `project/src/Batch.sol`
 */
export function buildsToRenew(
  artifactsFolder: string,
  hasChanged: (source: string) => boolean,
): readonly ContractBuild[] {
  return [...sourcesInUse(artifactsFolder)].flatMap(([id, names]) => {
    const file = path.join(artifactsFolder, 'build-info', `${id}.json`);
    const { input } = JSON.parse(fs.readFileSync(file, 'utf8')) as { input: CompilerInput };
    const needs = [...names].map((name) => neededBy(name, input.sources)).filter((all) => [...all].some(hasChanged));
    if (needs.length === 0) return [];
    const needed = new Set(needs.flatMap((all) => [...all]));
    // Packages are kept whole, since they never change.
    const sources = Object.entries(input.sources).filter(([name]) => needed.has(name) || !name.startsWith('project/'));
    return [{ id, input: { ...input, sources: Object.fromEntries(sources) } }];
  });
}

/** By build, the sources that an artifact comes from. */
function sourcesInUse(artifactsFolder: string): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>();
  for (const file of fs.globSync('**/*.json', { cwd: artifactsFolder, exclude: ['build-info'] })) {
    const artifact = JSON.parse(fs.readFileSync(path.join(artifactsFolder, file), 'utf8')) as Partial<Artifact>;
    const { buildInfoId, inputSourceName } = artifact;
    // Solidity tests draw their inputs by chance, and have no part in this.
    if (buildInfoId === undefined || inputSourceName === undefined || /^project\/test\/fuzz\//.test(inputSourceName))
      continue;
    used.set(buildInfoId, (used.get(buildInfoId) ?? new Set()).add(inputSourceName));
  }
  return used;
}

type Artifact = { readonly buildInfoId: string; readonly inputSourceName: string };

/** A source and all that it imports. */
function neededBy(source: string, sources: CompilerInput['sources']): ReadonlySet<string> {
  const needed = new Set<string>();
  const open = [source];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const content = sources[name]?.content;
    if (content === undefined || needed.has(name)) continue;
    needed.add(name);
    for (const [, imported = ''] of content.matchAll(/^import\b[^;]*?["']([^"']+)["'];/gm))
      if (imported.startsWith('.')) open.push(path.posix.join(path.posix.dirname(name), imported));
  }
  return needed;
}
