import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Plugin } from 'vite';
import { createVitest, type TestRunResult, type TestSpecification, type Vitest } from 'vitest/node';
import { isInterrupted } from './interruption.ts';
import {
  type Busy,
  clearUnclear,
  type FileMap,
  folderVariable,
  forgetBusy,
  isJudged,
  isMarked,
  type MutationPlan,
  mark,
  readBusy,
  readMaps,
  writePlan,
} from './mutationFolder.ts';
import { findMutants, instrument, type Mutant } from './mutationSites.ts';
import type { MutationTarget } from './mutationTargets.ts';
import { inRoot, relativeToRoot } from './paths.ts';
import { ScriptError } from './scriptError.ts';

export type MutationResult = {
  readonly mutants: readonly Mutant[];
  /** Those that every test passes with. */
  readonly survivors: readonly Mutant[];
  /** Those among them that no test even reaches. */
  readonly unreached: ReadonlySet<number>;
};

export type MutationOptions = {
  /** Only sources whose path contains one of these; none means all. */
  readonly filters?: readonly string[];
  /** Changes that no test is expected to notice. They are tried, but only together with others. */
  readonly expected?: (mutant: Mutant) => boolean;
  /** Only so many mutants, spread evenly; default all. */
  readonly sample?: number;
  readonly onProgress?: (line: string) => void;
};

/** A try that takes longer is counted as one that does not end, and its process is ended. */
const tryDeadlineMs = 10 * 60_000;
/** Of a mutant whose tests fail without it too: a machine at its limit may be the reason once. */
const maxAttempts = 3;
/** Tests that take more processor time come last. */
const quickMs = 100;
/** More turns of loops than this, for a test that takes so many without mutants, are an endless loop. */
const endless = (ticks: number) => 20 * ticks + 1_000_000;

/** Changes every check of a target, one at a time, and answers which changes no test notices. */
export async function runMutants(target: MutationTarget, options: MutationOptions = {}): Promise<MutationResult> {
  const progress = options.onProgress ?? (() => {});
  const sources = readSources(target, options.filters ?? []);
  const all = [...sources.values()].flatMap((source) => source.mutants);
  const mutants = sampleOf(all, options.sample);
  if (mutants.length === 0) return { mutants, survivors: [], unreached: new Set() };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-mutants-'));
  const run = new Run(() => startVitest(target, sources, folder), folder, progress);
  try {
    await run.start();
    await run.map(mutants);
    await run.tryAll();
    await run.tryWhole();
    await run.tryOneByOne(mutants.filter((mutant) => options.expected?.(mutant) !== true));
    return { mutants, survivors: mutants.filter(({ id }) => !run.isKilled(id)), unreached: run.unreached(mutants) };
  } finally {
    await run.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

type Source = { readonly mutants: readonly Mutant[]; readonly instrumented: string };

/** A mutant and the tests that reach it, the ones that reach least first: they are most likely about it. */
type Reached = { readonly id: number; readonly tests: readonly { readonly id: string; readonly ms: number }[] };

class Run {
  readonly #open: () => Promise<Vitest>;
  #vitest: Vitest | undefined;
  readonly #folder: string;
  readonly #progress: (line: string) => void;
  #maps: readonly FileMap[] = [];
  #reached: readonly Reached[] = [];

  constructor(open: () => Promise<Vitest>, folder: string, progress: (line: string) => void) {
    this.#open = open;
    this.#folder = folder;
    this.#progress = progress;
  }

  async start(): Promise<void> {
    this.#vitest = await this.#open();
  }

  async end(): Promise<void> {
    await this.#vitest?.close();
  }

  isKilled(id: number): boolean {
    return isMarked(this.#folder, 'killed', id);
  }

  unreached(mutants: readonly Mutant[]): ReadonlySet<number> {
    const reached = new Set(
      this.#maps.flatMap(({ outside, tests }) => [...outside, ...tests.flatMap(({ hits }) => hits)]),
    );
    return new Set(mutants.map(({ id }) => id).filter((id) => !reached.has(id)));
  }

  /** Every test once, without mutants: which tests reach which. */
  async map(mutants: readonly Mutant[]): Promise<void> {
    const { result } = await this.#run({ mode: 'map' });
    const broken = result.testModules.filter((module) => !module.ok()).map(({ moduleId }) => relativeToRoot(moduleId));
    if (broken.length > 0 || result.unhandledErrors.length > 0)
      throw testsFail(broken.length > 0 ? broken : [String(result.unhandledErrors[0])]);
    this.#maps = readMaps(this.#folder);
    const tests = this.#maps
      .flatMap((map) => map.tests)
      .toSorted((a, b) => a.hits.length - b.hits.length || a.ms - b.ms);
    const byMutant = new Map<number, { readonly id: string; readonly ms: number }[]>(mutants.map(({ id }) => [id, []]));
    for (const { id, ms, hits } of tests) for (const hit of hits) byMutant.get(hit)?.push({ id, ms });
    this.#reached = [...byMutant].map(([id, reaching]) => ({ id, tests: reaching }));
    this.#progress(`${mutants.length} mutants, ${tests.length} tests`);
  }

  /** Rounds over what still lives: few likely tests first, the slow ones last. */
  async tryAll(): Promise<void> {
    const quick = ({ tests }: Reached) => tests.filter(({ ms }) => ms <= quickMs);
    const slow = ({ tests }: Reached) => tests.filter(({ ms }) => ms > quickMs);
    await this.#round((reached) => quick(reached).slice(0, 2), false);
    await this.#round((reached) => quick(reached).slice(2, 8), false);
    await this.#round((reached) => quick(reached).slice(8), true);
    await this.#round(slow, true);
  }

  /** What is reached outside tests, or was left unclear, with whole files in fresh processes. */
  async tryWhole(): Promise<void> {
    const outside = new Set(this.#maps.flatMap((map) => map.outside));
    const isLeft = (id: number) => !this.isKilled(id) && (outside.has(id) || isMarked(this.#folder, 'unclear', id));
    const left = this.#reached.map(({ id }) => id).filter(isLeft);
    if (left.length === 0) return;
    await this.#tryTogether(left);
    const killed = left.filter((id) => this.isKilled(id)).length;
    this.#progress(`${killed} of ${left.length} killed outside of tests`);
  }

  /** What fails with these mutants awake; undefined where all passes. */
  async #failure(mutants: readonly number[], files: readonly string[]): Promise<string | undefined> {
    const limit = endless(Math.max(...this.#maps.map(({ ticks }) => ticks)));
    const { result } = await this.#run({ mode: 'whole', mutants, limit }, files);
    const [error] = result.unhandledErrors;
    const broken = result.testModules.find((module) => !module.ok());
    if (error === undefined && broken === undefined) return undefined;
    // The first failure ends a run while another worker is still at it: what that says later must not count for the next one.
    await this.end();
    await this.start();
    if (error !== undefined || broken === undefined) return String(error);
    const [first] = [
      ...broken.errors(),
      ...[...broken.children.allTests('failed')].flatMap((test) => test.result().errors ?? []),
    ];
    return `${relativeToRoot(broken.moduleId)}: ${first?.message ?? 'it did not run to its end'}`;
  }

  /** Awake together, changes may hide each other: what is about to be reported gets quick tests to itself. */
  async tryOneByOne(mutants: readonly Mutant[]): Promise<void> {
    const reported = new Set(mutants.map(({ id }) => id));
    clearUnclear(this.#folder);
    await this.#round(({ id, tests }) => (reported.has(id) ? tests.filter(({ ms }) => ms <= quickMs) : []), false);
  }

  /** Where nothing fails with all of them awake, nothing would with one; otherwise each half by itself. */
  async #tryTogether(ids: readonly number[], attempt = 1): Promise<void> {
    if (ids.length === 0 || isInterrupted()) return;
    // Its tests have been tried by themselves, unless that came to nothing.
    const isMet = ({ outside, tests }: FileMap, id: number) =>
      outside.includes(id) || (isMarked(this.#folder, 'unclear', id) && tests.some(({ hits }) => hits.includes(id)));
    const files = this.#maps.filter((map) => ids.some((id) => isMet(map, id))).map(({ file }) => file);
    if ((await this.#failure(ids, files)) === undefined) return;
    const [only] = ids;
    if (ids.length === 1 && only !== undefined) {
      // A failure counts only if there is none without the mutant: processes may fail for reasons of their own.
      const other = await this.#failure([], files);
      if (other !== undefined && attempt === maxAttempts) throw testsFail([other]);
      if (other !== undefined) return this.#tryTogether(ids, attempt + 1);
      return mark(this.#folder, 'killed', only, 'files as a whole');
    }
    const half = Math.ceil(ids.length / 2);
    await this.#tryTogether(ids.slice(0, half));
    await this.#tryTogether(ids.slice(half));
  }

  async #round(choose: (reached: Reached) => readonly { readonly id: string }[], together: boolean): Promise<void> {
    const started = performance.now();
    const tries: Record<string, number[]> = {};
    const living = this.#reached.filter(({ id }) => !isJudged(this.#folder, id));
    for (const reached of living)
      for (const { id } of choose(reached)) {
        tries[id] ??= [];
        tries[id].push(reached.id);
      }
    const tried = this.#maps.flatMap(({ tests }) => tests).filter(({ id }) => id in tries);
    const limits = Object.fromEntries(tried.map(({ id, ticks }) => [id, endless(ticks)]));
    const files = this.#maps.filter(({ tests }) => tests.some(({ id }) => id in tries)).map(({ file }) => file);
    // A process that was ended leaves tests untried, so the round goes again until none is.
    for (let ended = 1; ended > 0 && files.length > 0 && !isInterrupted(); ) {
      ({ ended } = await this.#run({ mode: 'try', tries, together, limits }, files));
    }
    if (files.length === 0) return;
    const killed = living.filter(({ id }) => this.isKilled(id)).length;
    const seconds = Math.round((performance.now() - started) / 1000);
    this.#progress(`${killed} of ${living.length} killed in ${seconds} s`);
  }

  async #run(
    plan: MutationPlan,
    files?: readonly string[],
  ): Promise<{ readonly result: TestRunResult; readonly ended: number }> {
    writePlan(this.#folder, plan);
    const vitest = this.#vitest;
    if (vitest === undefined) throw new TypeError('The run was not started');
    const all = await vitest.globTestSpecifications();
    const chosen = (specification: TestSpecification) =>
      files?.includes(relativeToRoot(specification.moduleId)) ?? true;
    const watch = this.#endWhatHangs();
    try {
      const result = await vitest.runTestSpecifications(all.filter(chosen));
      return { result, ended: watch.stop() };
    } finally {
      watch.stop();
    }
  }

  /** Ends workers whose try takes too long. */
  #endWhatHangs(): { readonly stop: () => number } {
    let ended = 0;
    // Of several together it is not known which one did it: each goes to a process of its own.
    const judge = ({ pid, mutants }: Busy): void => {
      for (const mutant of mutants)
        mark(this.#folder, mutants.length === 1 ? 'killed' : 'unclear', mutant, 'the deadline');
      forgetBusy(this.#folder, pid);
      ended += 1;
    };
    const timer = setInterval(() => {
      for (const busy of readBusy(this.#folder)) {
        if (Date.now() - busy.since < tryDeadlineMs) continue;
        judge(busy);
        process.kill(busy.pid, 'SIGKILL');
      }
    }, 1000);
    return {
      stop: () => {
        clearInterval(timer);
        // A worker that died by itself, of memory for one, still says what it was at.
        readBusy(this.#folder).forEach(judge);
        return ended;
      },
    };
  }
}

/** So many of a list, spread evenly. */
export function sampleOf<T>(list: readonly T[], count: number = list.length): readonly T[] {
  return list.filter(
    (_, index) => Math.floor((index * count) / list.length) !== Math.floor(((index - 1) * count) / list.length),
  );
}

export function testsFail(what: readonly string[]): ScriptError {
  return new ScriptError({
    code: 'SCRIPT_STEP_FAILED',
    message: `Tests fail without any mutant: ${what.join(', ')}`,
    hint: 'mend them first: npm test',
  });
}

function readSources(target: MutationTarget, filters: readonly string[]): ReadonlyMap<string, Source> {
  const files = filesOfTarget(target).filter(
    (file) => filters.length === 0 || filters.some((filter) => file.includes(filter)),
  );
  const sources = new Map<string, Source>();
  let nextId = 0;
  for (const file of files) {
    const text = fs.readFileSync(inRoot(file), 'utf8');
    const { mutants, wraps } = findMutants(file, text, nextId);
    nextId += mutants.length;
    sources.set(file, { mutants, instrumented: instrument(text, wraps) });
  }
  return sources;
}

/** The sources of a target, each file by its path from the root. */
export function filesOfTarget({ sources }: Pick<MutationTarget, 'sources'>): readonly string[] {
  return sources
    .flatMap((source) => filesOf(inRoot(source)))
    .map(relativeToRoot)
    .sort();
}

function filesOf(source: string): readonly string[] {
  if (fs.statSync(source).isFile()) return [source];
  return fs
    .readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => path.join(source, name));
}

function startVitest(target: MutationTarget, sources: ReadonlyMap<string, Source>, folder: string): Promise<Vitest> {
  const mutation: Plugin = {
    name: 'cloister:mutants',
    enforce: 'pre',
    transform(_code, id) {
      const source = sources.get(relativeToRoot(id.replace(/[?#].*$/, '')));
      return source === undefined ? undefined : { code: source.instrumented, map: null };
    },
  };
  writePlan(folder, { mode: 'map' });
  return createVitest(
    'test',
    {
      root: inRoot(),
      config: false,
      watch: false,
      include: [...target.tests],
      runner: inRoot('scripts/lib/mutationRunner.ts'),
      pool: 'forks',
      // What is on disk knows nothing of the mutants' numbers, which change with every edit.
      fsModuleCache: false,
      maxWorkers: Math.min(2, os.availableParallelism()),
      // Generous: a machine that is busy must not make a test fail.
      testTimeout: 120_000,
      hookTimeout: 60_000,
      reporters: [{}],
      bail: 1,
      // Real evidence is not everywhere, and the result must not depend on it.
      env: { [folderVariable]: folder, CLOISTER_FIXTURES: path.join(folder, 'none'), CLOISTER_LONG: '' },
    },
    { plugins: [mutation] },
  );
}
