// Runs under Hardhat, in contracts/: its Solidity tests and its node:test files in one process. Prints failures, and
// writes what came out to the file given as argument.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { run } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { Outcome } from './outcome.ts';

/** What is used of Hardhat's runtime environment; its package lies in contracts/, out of reach of our own types. */
type HardhatRuntime = {
  readonly config: { readonly paths: { readonly tests: { readonly nodejs: string; readonly solidity: string } } };
  readonly tasks: {
    getTask(name: string | readonly string[]): { run(args: Readonly<Record<string, unknown>>): Promise<unknown> };
  };
};

type SolidityTest = { readonly name: string; readonly status: 'Success' | 'Failure' | 'Skipped' };
type SoliditySuite = {
  readonly id: { readonly name: string; readonly source: string };
  readonly testResults: readonly SolidityTest[];
};

const [report] = process.argv.slice(2);
if (report === undefined) throw new TypeError('Expected the path of the report as argument');
process.env.HH_TEST = 'true';
process.env.NODE_ENV ??= 'test';
const hardhat = createRequire(path.resolve('package.json')).resolve('hardhat');
const { default: runtime } = (await import(pathToFileURL(hardhat).href)) as { default: HardhatRuntime };

await runtime.tasks.getTask('build').run({ quiet: true });
const solidity = await solidityOutcome();
const node = await nodeOutcome();
const outcome: Outcome = {
  passed: solidity.passed + node.passed,
  failed: [...solidity.failed, ...node.failed],
  skipped: [...solidity.skipped, ...node.skipped],
};
fs.writeFileSync(report, JSON.stringify(outcome));
// Networks that tests left open must not hold the run.
process.exit(outcome.failed.length > 0 ? 1 : 0);

async function solidityOutcome(): Promise<Outcome> {
  if (filesBelow(runtime.config.paths.tests.solidity, /\.sol$/).length === 0)
    return { passed: 0, failed: [], skipped: [] };
  const result = await runtime.tasks.getTask(['test', 'solidity']).run({ noCompile: true });
  const suites = suitesOf(result);
  if (suites === undefined) return { passed: 0, failed: ['contracts > Solidity tests (no result)'], skipped: [] };
  const tests = suites.flatMap(({ id, testResults }) =>
    testResults.map(({ name, status }) => ({ name: `contracts > ${id.name} > ${name}`, status })),
  );
  const failed = tests.filter(({ status }) => status === 'Failure').map(({ name }) => name);
  if (failed.length === 0 && (isFailedResult(result) || tests.length === 0)) failed.push('contracts > Solidity tests');
  return {
    passed: tests.filter(({ status }) => status === 'Success').length,
    failed,
    skipped: tests.filter(({ status }) => status === 'Skipped').map(({ name }) => name),
  };
}

async function nodeOutcome(): Promise<Outcome> {
  const folder = runtime.config.paths.tests.nodejs;
  const files = filesBelow(folder, /\.[cm]?[jt]s$/);
  const failed: string[] = [];
  const skipped: string[] = [];
  const ancestors: string[] = [];
  let passed = 0;
  const stream = run({ files, concurrency: false, isolation: 'none' });
  for await (const { type, data } of stream) {
    if (type === 'test:start') {
      ancestors.length = data.nesting;
      ancestors.push(data.name);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const file = path
      .relative(folder, data.file ?? folder)
      .split(path.sep)
      .join('/');
    const name = ['contracts', file, ...ancestors.slice(0, data.nesting), data.name]
      .filter((part) => part !== '')
      .join(' > ');
    const isSuite = data.details.type === 'suite';
    if (type === 'test:fail') {
      if (isSuite && failureTypeOf(data.details.error) === 'subtestsFailed') continue;
      if (data.todo !== undefined && data.todo !== false) skipped.push(name);
      else {
        failed.push(name);
        process.stderr.write(`\n  ✗ ${name}\n${indent(inspect(causeOf(data.details.error), { depth: 4 }))}\n`);
      }
    } else if (isSkipped(data.skip) || isSkipped(data.todo)) skipped.push(name);
    else if (!isSuite) passed += 1;
  }
  if (files.length > 0 && passed + failed.length + skipped.length === 0)
    failed.push('contracts > node:test (no tests ran)');
  return { passed, failed, skipped };
}

function isSkipped(mark: unknown): boolean {
  return mark !== undefined && mark !== false;
}

/** The suites of a Hardhat result, `{ success, value | error: { suiteResults } }`. */
function suitesOf(result: unknown): readonly SoliditySuite[] | undefined {
  const inner = field(result, 'success') === true ? field(result, 'value') : field(result, 'error');
  const suites = field(inner, 'suiteResults');
  return Array.isArray(suites) ? (suites as readonly SoliditySuite[]) : undefined;
}

function isFailedResult(result: unknown): boolean {
  return field(result, 'success') !== true;
}

function failureTypeOf(error: unknown): unknown {
  return field(error, 'failureType');
}

function causeOf(error: unknown): unknown {
  return field(error, 'cause') ?? error;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function filesBelow(folder: string, pattern: RegExp): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => pattern.test(file))
    .map((file) => path.join(folder, file))
    .sort();
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
