// Runs inside Vitest: tells how far it is, and writes what came out to the file that CLOISTER_TEST_REPORT names.
import fs from 'node:fs';
import {
  MinimalReporter,
  type SerializedError,
  type TestCase,
  type TestModule,
  type TestRunEndReason,
  type TestSpecification,
} from 'vitest/node';
import type { Outcome } from './outcome.ts';
import { relativeToRoot } from './paths.ts';

/** Failures as Vitest shows them, with a line of progress in place of its closing summary. */
export default class CloisterReporter extends MinimalReporter {
  #files = 0;
  #done = 0;
  #tests = 0;
  #shownAt = 0;

  override onTestRunStart(specifications: readonly TestSpecification[]): void {
    super.onTestRunStart(specifications);
    this.#files = specifications.length;
  }

  override onTestModuleEnd(module: TestModule): void {
    if (this.isTTY) process.stdout.write('\r\x1b[K');
    super.onTestModuleEnd(module);
    this.#done += 1;
    for (const _ of module.children.allTests()) this.#tests += 1;
    const line = `  ${this.#done} of ${this.#files} files, ${this.#tests} tests`;
    if (this.isTTY) process.stdout.write(line);
    else if (this.#done === this.#files || Date.now() - this.#shownAt > 15_000) {
      this.#shownAt = Date.now();
      process.stdout.write(`${line}\n`);
    }
  }

  override onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    if (this.isTTY) process.stdout.write('\r\x1b[K');
    const report = process.env.CLOISTER_TEST_REPORT;
    if (report !== undefined) fs.writeFileSync(report, JSON.stringify(outcomeOf(modules, unhandledErrors, reason)));
    super.onTestRunEnd(modules, unhandledErrors, reason);
  }

  override reportTestSummary(): void {}
}

/** Counts every test once; a file or a suite that failed outside its tests is a failure of its own. */
export function outcomeOf(
  modules: readonly TestModule[],
  unhandledErrors: readonly SerializedError[],
  reason: TestRunEndReason,
): Outcome {
  const failed = unhandledErrors.map((error) => `unhandled error: ${error.message}`);
  const skipped: string[] = [];
  let passed = 0;
  for (const module of modules) {
    const file = relativeToRoot(module.moduleId);
    if (module.errors().length > 0) failed.push(file);
    for (const suite of module.children.allSuites())
      if (suite.errors().length > 0) failed.push(`${file} > ${suite.fullName}`);
    const tests = [...module.children.allTests()];
    if (tests.length === 0 && module.errors().length === 0 && module.state() !== 'skipped')
      failed.push(`${file} (no tests)`);
    for (const test of tests) {
      const name = `${file} > ${test.fullName}`;
      const state = stateOf(test);
      if (state === 'passed') passed += 1;
      else if (state === 'skipped') skipped.push(name);
      else failed.push(state === 'failed' ? name : `${name} (did not finish)`);
    }
  }
  if (reason === 'interrupted') failed.push('interrupted');
  return { passed, failed, skipped };
}

function stateOf(test: TestCase): 'passed' | 'failed' | 'skipped' | 'pending' {
  return test.result().state;
}
