// Runs inside Vitest's workers in place of its runner: lets a test run again and again, each time with another mutant awake.
import fc from 'fast-check';
import { type RunnerTestCase, type RunnerTestFile, TestRunner } from 'vitest';
import {
  folderVariable,
  isJudged,
  type MappedTest,
  type MutationPlan,
  mark,
  readPlan,
  setBusy,
  writeMap,
} from './mutationFolder.ts';
import { collectHits, countedTicks, hasRunAway, installMutants, wake } from './mutationRuntime.ts';
import { relativeToRoot } from './paths.ts';

installMutants();
// The same cases for every mutant, and in every run.
fc.configureGlobal({ seed: 20_260_921 });

export default class MutationRunner extends TestRunner {
  readonly #folder = process.env[folderVariable] ?? '';
  readonly #plan: MutationPlan = readPlan(this.#folder);
  readonly #outside = new Set<number>();
  readonly #tests: MappedTest[] = [];
  /** A test fails with no mutant awake: what follows in this process says nothing. */
  #spoilt = false;

  constructor(config: ConstructorParameters<typeof TestRunner>[0]) {
    super(config);
    if (this.#plan.mode === 'map') collectHits(this.#outside);
    if (this.#plan.mode === 'whole') {
      setBusy(this.#folder, this.#plan.mutants);
      wake(this.#plan.mutants, this.#plan.limit);
    }
  }

  async runTask(test: RunnerTestCase): Promise<void> {
    const run = TestRunner.getTestFn(test);
    if (this.#plan.mode === 'map') await this.#map(test, run);
    else if (this.#plan.mode === 'try') {
      const { tries, together } = this.#plan;
      const living = (tries[test.id] ?? []).filter((mutant) => !isJudged(this.#folder, mutant));
      if (together) await this.#tryTogether(living, test, run);
      else for (const mutant of living) await this.#tryTogether([mutant], test, run);
    } else await this.#whole(run);
  }

  override onAfterRunFiles(files: RunnerTestFile[]): void {
    super.onAfterRunFiles(files);
    setBusy(this.#folder, []);
    const [file] = files;
    if (this.#plan.mode === 'map' && file !== undefined)
      writeMap(this.#folder, {
        file: relativeToRoot(file.filepath),
        outside: [...this.#outside],
        tests: this.#tests,
        ticks: countedTicks(),
      });
  }

  async #map(test: RunnerTestCase, run: () => unknown): Promise<void> {
    const hits = new Set<number>();
    collectHits(hits);
    // Processor time: what else this machine does must not make a test slow.
    const before = process.cpuUsage();
    const ticks = countedTicks();
    try {
      await run();
      const { user, system } = process.cpuUsage(before);
      this.#tests.push({ id: test.id, ms: (user + system) / 1000, ticks: countedTicks() - ticks, hits: [...hits] });
    } finally {
      collectHits(this.#outside);
    }
  }

  /** Where a test misses all of them together, it is taken to miss each; otherwise each half by itself. */
  async #tryTogether(mutants: readonly number[], test: RunnerTestCase, run: () => unknown): Promise<void> {
    const [only] = mutants;
    if (only === undefined) return;
    if (this.#spoilt) {
      for (const mutant of mutants) mark(this.#folder, 'unclear', mutant, test.name);
      return;
    }
    const limit = this.#plan.mode === 'try' ? (this.#plan.limits[test.id] ?? 0) : 0;
    setBusy(this.#folder, mutants);
    const failed = await fails(run, mutants, limit);
    setBusy(this.#folder, []);
    if (!failed) return;
    if (mutants.length === 1) {
      this.#spoilt = await fails(run, [], Number.POSITIVE_INFINITY);
      return mark(this.#folder, this.#spoilt ? 'unclear' : 'killed', only, test.name);
    }
    const half = Math.ceil(mutants.length / 2);
    await this.#tryTogether(mutants.slice(0, half), test, run);
    await this.#tryTogether(mutants.slice(half), test, run);
  }

  async #whole(run: () => unknown): Promise<void> {
    if (this.#spoilt) return;
    try {
      await run();
      if (hasRunAway()) throw new Error('Expected the test to end');
    } catch (error) {
      this.#spoilt = true;
      throw error;
    }
  }
}

async function fails(run: () => unknown, mutants: readonly number[], limit: number): Promise<boolean> {
  wake(mutants, limit);
  try {
    await run();
    return hasRunAway();
  } catch {
    return true;
  } finally {
    wake([]);
  }
}
