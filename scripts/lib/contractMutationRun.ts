import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildsToRenew } from './contractBuilds.ts';
import type { ContractMutationPlan, ContractMutationReport } from './contractMutationPlan.ts';
import { runContractsScript } from './contractsScript.ts';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import { type MutationOptions, type MutationResult, sampleOf, testsFail } from './mutationRun.ts';
import type { Mutant } from './mutationSites.ts';
import type { MutationTarget } from './mutationTargets.ts';
import { inRoot, relativeToRoot } from './paths.ts';
import { runNode } from './runProcess.ts';
import { ScriptError } from './scriptError.ts';
import { type Bytecode, compileSolidity, parseSolidity } from './solidityCompiler.ts';
import { instrumentSolidity, mutantFunctions, mutantSource, withoutPure } from './solidityInstrument.ts';
import { findSolidityMutants } from './soliditySites.ts';

/** Enough for every test with all that mutants cost; ends a loop that a mutant made endless. */
const usualGasLimit = 150_000_000;

/** As {@link runMutants}, of contracts: all mutants are compiled in at once, and tests wake one at a time. */
export async function runContractMutants(
  target: MutationTarget,
  options: MutationOptions = {},
): Promise<MutationResult> {
  const progress = options.onProgress ?? (() => {});
  const { filters = [] } = options;
  const files = target.sources.filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
  if (files.length === 0) return { mutants: [], survivors: [], unreached: new Set() };
  await ensureInstalled(parts.contracts);
  const { code, stderr } = await runContractsScript('build');
  if (code !== 0) throw new ScriptError({ code: 'SCRIPT_STEP_FAILED', message: `Compiling failed: ${stderr}` });
  const sources = instrumentAll(files);
  const mutants = sampleOf(
    sources.flatMap((source) => source.mutants),
    options.sample,
  );
  progress(`compiling ${mutants.length} mutants`);
  const bytecode = compileWith(new Map(sources.map(({ file, instrumented }) => [file, instrumented])));
  const report = await runTests(
    {
      bytecode: Object.fromEntries(bytecode),
      testFiles: testFilesOf(target),
      gasLimit: target.gasLimit ?? usualGasLimit,
      mutants: mutants.map((mutant) => ({ id: mutant.id, expected: options.expected?.(mutant) === true })),
    },
    progress,
  );
  if (report.broken.length > 0) throw testsFail(report.broken);
  const killed = new Set(report.killed);
  return { mutants, survivors: mutants.filter(({ id }) => !killed.has(id)), unreached: new Set(report.unreached) };
}

type Source = { readonly file: string; readonly mutants: readonly Mutant[]; readonly instrumented: string };

function instrumentAll(files: readonly string[]): readonly Source[] {
  const sources: Source[] = [];
  // 0 is the number while none is awake.
  let nextId = 1;
  for (const file of files) {
    const text = fs.readFileSync(inRoot(file), 'utf8');
    const { mutants, wraps } = findSolidityMutants(file, text, parseSolidity(file, text), nextId);
    nextId += mutants.length;
    sources.push({ file, mutants, instrumented: instrumentSolidity(text, wraps) });
  }
  return sources;
}

/**
 * Compiles as Hardhat did, with these sources in place of their originals, whatever rests on them. Answers by `build:source:name`: all else
 * stays as Hardhat has it.
 */
function compileWith(instrumented: ReadonlyMap<string, string>): ReadonlyMap<string, Bytecode> {
  const changedOf = (source: string) => instrumented.get(source.replace(/^project\//, 'contracts/'));
  const builds = buildsToRenew(inRoot('contracts/artifacts'), (source) => changedOf(source) !== undefined);
  const compiled = new Map<string, Bytecode>();
  for (const { id, input } of builds) {
    const sources = Object.entries(input.sources).map(
      ([source, { content }]): [string, { readonly content: string }] => [
        source,
        { content: withoutPure(changedOf(source) ?? content) },
      ],
    );
    const all = { ...Object.fromEntries(sources), [mutantSource]: { content: mutantFunctions } };
    for (const [contract, code] of compileSolidity({ ...input, sources: all })) compiled.set(`${id}:${contract}`, code);
  }
  return compiled;
}

async function runTests(plan: ContractMutationPlan, progress: (line: string) => void): Promise<ContractMutationReport> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-mutants-'));
  const planFile = path.join(folder, 'plan.json');
  const reportFile = path.join(folder, 'report.json');
  try {
    fs.writeFileSync(planFile, JSON.stringify(plan));
    const { code, stderr } = await runNode([inRoot('scripts/lib/contractMutationRunner.ts'), planFile, reportFile], {
      cwd: inRoot('contracts'),
      // Real evidence is not everywhere, and the result must not depend on it.
      env: {
        CLOISTER_FIXTURES: path.join(folder, 'none'),
        CLOISTER_LONG: '',
        HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true',
      },
      timeoutMs: 3 * 60 * 60_000,
      onLine: progress,
    });
    if (!fs.existsSync(reportFile))
      throw new ScriptError({ code: 'SCRIPT_STEP_FAILED', message: `Tests of mutants ended with ${code}: ${stderr}` });
    return JSON.parse(fs.readFileSync(reportFile, 'utf8')) as ContractMutationReport;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function testFilesOf({ tests }: MutationTarget): readonly string[] {
  return (
    fs
      .globSync([...tests], { cwd: inRoot() })
      .map((file) => inRoot(file))
      // These read what lies on disk, and measure code that mutants make larger.
      .filter((file) => !/\/(limits|errors)\.test\.ts$/.test(relativeToRoot(file)))
      .sort()
  );
}
