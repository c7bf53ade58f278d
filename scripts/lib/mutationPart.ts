import fs from 'node:fs';
import { runContractMutants } from './contractMutationRun.ts';
import { isEquivalent, parseEquivalentMutants } from './equivalentMutants.ts';
import { runMutants } from './mutationRun.ts';
import { nameOfMutant } from './mutationSites.ts';
import { mutationTargets } from './mutationTargets.ts';
import type { Outcome } from './outcome.ts';
import { inRoot } from './paths.ts';
import { say } from './print.ts';
import { ScriptError } from './scriptError.ts';

/** Every mutant is a test: it passes when another test fails by it, or when it is listed as one that nothing can tell. */
export async function runMutation(filters: readonly string[] = [], sample?: number): Promise<Outcome> {
  const file = inRoot('test/equivalentMutants.json');
  const equivalents = parseEquivalentMutants(JSON.parse(fs.readFileSync(file, 'utf8')));
  const failed: string[] = [];
  let passed = 0;
  const used = new Set<object>();
  for (const target of mutationTargets) {
    const run = target.language === 'solidity' ? runContractMutants : runMutants;
    const result = await run(target, {
      filters,
      ...(sample === undefined ? {} : { sample }),
      expected: (mutant) => equivalents.some((equivalent) => isEquivalent(equivalent, mutant)),
      onProgress: (line) => say(`  ${target.name}: ${line}`),
    });
    passed += result.mutants.length;
    for (const mutant of result.survivors) {
      const entry = equivalents.find((equivalent) => isEquivalent(equivalent, mutant));
      if (entry !== undefined) used.add(entry);
      else {
        passed -= 1;
        failed.push(`${nameOfMutant(mutant)}${result.unreached.has(mutant.id) ? ' (no test reaches it)' : ''}`);
      }
    }
  }
  for (const entry of equivalents)
    if (!used.has(entry) && filters.length === 0 && sample === undefined)
      failed.push(`test/equivalentMutants.json: nothing of ${entry.file} survives as ${entry.kind}: ${entry.code}`);
  if (filters.length > 0 && passed + failed.length === 0)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `No source that is mutated has a path with "${filters.join('" or "')}" in it`,
      hint: `there are ${mutationTargets.flatMap(({ sources }) => sources).join(', ')}`,
    });
  return { passed, failed, skipped: [] };
}
