// How the process that runs Vitest and its workers tell each other about mutants: files in one folder.
import fs from 'node:fs';
import path from 'node:path';

/** Names the folder to workers. */
export const folderVariable = 'CLOISTER_MUTATION_FOLDER';

export type MutationPlan =
  /** Each test runs once, and tells what it reaches. */
  | { readonly mode: 'map' }
  /** Each named test runs with its mutants: one after the other, or `together` where it is likely to miss them all. */
  | {
      readonly mode: 'try';
      readonly tries: Readonly<Record<string, readonly number[]>>;
      readonly together: boolean;
      /** For each test, after how many turns of loops it is taken to be in an endless one. */
      readonly limits: Readonly<Record<string, number>>;
    }
  /** Whole files run once, these mutants being awake from the first import. */
  | { readonly mode: 'whole'; readonly mutants: readonly number[]; readonly limit: number };

/** What one test file reached. */
export type FileMap = {
  readonly file: string;
  /** Reached while it was imported or in its hooks. */
  readonly outside: readonly number[];
  readonly tests: readonly MappedTest[];
  /** Turns of loops, outside and in tests. */
  readonly ticks: number;
};

export type MappedTest = {
  readonly id: string;
  /** Of processor time. */
  readonly ms: number;
  readonly ticks: number;
  readonly hits: readonly number[];
};

/** The try that a worker is in. */
export type Busy = { readonly pid: number; readonly mutants: readonly number[]; readonly since: number };

export function writePlan(folder: string, plan: MutationPlan): void {
  fs.mkdirSync(path.join(folder, 'maps'), { recursive: true });
  fs.mkdirSync(path.join(folder, 'killed'), { recursive: true });
  fs.mkdirSync(path.join(folder, 'unclear'), { recursive: true });
  fs.mkdirSync(path.join(folder, 'busy'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'plan.json'), JSON.stringify(plan));
}

export function readPlan(folder: string): MutationPlan {
  return JSON.parse(fs.readFileSync(path.join(folder, 'plan.json'), 'utf8')) as MutationPlan;
}

export function writeMap(folder: string, map: FileMap): void {
  fs.writeFileSync(path.join(folder, 'maps', `${encodeURIComponent(map.file)}.json`), JSON.stringify(map));
}

export function readMaps(folder: string): readonly FileMap[] {
  const maps = path.join(folder, 'maps');
  return fs
    .readdirSync(maps)
    .sort()
    .map((name) => JSON.parse(fs.readFileSync(path.join(maps, name), 'utf8')) as FileMap);
}

/** `killed`: a test failed by it and passes without. `unclear`: a test failed by it, and then without it too. */
export type Verdict = 'killed' | 'unclear';

/** @param by the test that says so */
export function mark(folder: string, verdict: Verdict, mutant: number, by: string): void {
  fs.writeFileSync(path.join(folder, verdict, String(mutant)), by);
}

export function isMarked(folder: string, verdict: Verdict, mutant: number): boolean {
  return fs.existsSync(path.join(folder, verdict, String(mutant)));
}

/** Forgets what was unclear, for another try. */
export function clearUnclear(folder: string): void {
  fs.rmSync(path.join(folder, 'unclear'), { recursive: true });
  fs.mkdirSync(path.join(folder, 'unclear'));
}

/** Whether trying it in tests is over. */
export function isJudged(folder: string, mutant: number): boolean {
  return isMarked(folder, 'killed', mutant) || isMarked(folder, 'unclear', mutant);
}

export function setBusy(folder: string, mutants: readonly number[]): void {
  const file = path.join(folder, 'busy', String(process.pid));
  if (mutants.length === 0) fs.rmSync(file, { force: true });
  else fs.writeFileSync(file, JSON.stringify({ pid: process.pid, mutants, since: Date.now() } satisfies Busy));
}

export function readBusy(folder: string): readonly Busy[] {
  const busy = path.join(folder, 'busy');
  return fs.readdirSync(busy).flatMap((name) => {
    try {
      return [JSON.parse(fs.readFileSync(path.join(busy, name), 'utf8')) as Busy];
    } catch {
      // Just being written, or just gone.
      return [];
    }
  });
}

export function forgetBusy(folder: string, pid: number): void {
  fs.rmSync(path.join(folder, 'busy', String(pid)), { force: true });
}
