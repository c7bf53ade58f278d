// Stands in for `node:test` where test functions are called more than once: keeps them instead of running them.

type Run = (context: unknown) => unknown;
type Hooks = 'before' | 'after' | 'beforeEach' | 'afterEach';

export type KeptSuite = { readonly name: string; readonly above: KeptSuite | undefined } & Readonly<
  Record<Hooks, Run[]>
>;
export type KeptTest = { readonly name: string; readonly suite: KeptSuite; readonly run: Run };

const suiteOf = (name: string, above: KeptSuite | undefined): KeptSuite => ({
  name,
  above,
  before: [],
  after: [],
  beforeEach: [],
  afterEach: [],
});

let current = suiteOf('', undefined);
let kept: KeptTest[] = [];
let pending: Promise<unknown>[] = [];

/** The tests of the module that `load` imports; those that are skipped are left out. */
export async function keepTests(load: () => Promise<unknown>): Promise<readonly KeptTest[]> {
  current = suiteOf('', undefined);
  kept = [];
  pending = [];
  await load();
  while (pending.length > 0) await pending.pop();
  return kept;
}

type Options = { readonly skip?: boolean | string; readonly todo?: boolean | string };

export function it(name: string, options: Options | Run, run?: Run): void {
  const body = typeof options === 'function' ? options : run;
  const { skip, todo }: Options = typeof options === 'function' ? {} : options;
  const isSkipped = (mark: boolean | string | undefined) => mark !== undefined && mark !== false;
  if (body === undefined || isSkipped(skip) || isSkipped(todo)) return;
  const names: string[] = [name];
  for (let suite: KeptSuite | undefined = current; suite !== undefined; suite = suite.above)
    if (suite.name !== '') names.unshift(suite.name);
  kept.push({ name: names.join(' > '), suite: current, run: body });
}

export function describe(name: string, options: Options | (() => unknown), body?: () => unknown): void {
  const run = typeof options === 'function' ? options : body;
  const { skip }: Options = typeof options === 'function' ? {} : options;
  if (run === undefined || (skip !== undefined && skip !== false)) return;
  const above = current;
  current = suiteOf(name, above);
  const going = run();
  current = above;
  if (going instanceof Promise) pending.push(going);
}

export const before = (run: Run) => void current.before.push(run);
export const after = (run: Run) => void current.after.push(run);
export const beforeEach = (run: Run) => void current.beforeEach.push(run);
export const afterEach = (run: Run) => void current.afterEach.push(run);
export { describe as suite, it as test };
