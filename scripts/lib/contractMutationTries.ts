/** A test with what it reached while it ran without mutants. */
export type MappedTest<Test> = {
  readonly test: Test;
  readonly ms: number;
  readonly hits: ReadonlySet<number>;
};

export type Tries<Test> = {
  readonly mutants: readonly { readonly id: number; readonly expected: boolean }[];
  readonly maps: readonly MappedTest<Test>[];
  /** Whether a test passes with these mutants awake. */
  readonly passes: (test: Test, mutants: readonly number[]) => Promise<boolean>;
  readonly nameOf: (test: Test) => string;
  readonly onProgress?: (line: string) => void;
};

/** Tests that take longer come last. */
const quickMs = 1000;
/** How many tests a mutant gets to itself at first, and before it is reported. */
const firstTries = 4;
const lastTries = 12;

/**
 * Which mutants a test fails by. Each is tried by itself with those few tests that reach least, which are most likely about
 * it; then what lives is tried together, test by test, since most tests miss most of it, and so again, since mutants may hide
 * each other; at last what would be reported is tried by itself once more. Those that no test is expected to notice are only
 * tried together, and with none of the others.
 */
export async function tryMutants<Test>(tries: Tries<Test>): Promise<readonly number[]> {
  const { mutants, maps, passes } = tries;
  const progress = tries.onProgress ?? (() => {});
  const killed = new Set<number>();
  const trusted = new Set<Test>();
  const distrusted = new Set<Test>();
  const tried = new Set<string>();
  const ordered = maps.toSorted((a, b) => a.hits.size - b.hits.size || a.ms - b.ms);
  const unexpected = mutants.filter(({ expected }) => !expected).map(({ id }) => id);
  let told = performance.now();

  /** A failure counts only if there is none without the mutant. */
  const fails = async (test: Test, ids: readonly number[]): Promise<boolean> => {
    if (distrusted.has(test) || (await passes(test, ids))) return false;
    if (trusted.has(test)) return true;
    if (!(await passes(test, []))) {
      distrusted.add(test);
      progress(`${tries.nameOf(test)} fails when it runs again, and is left out`);
      return false;
    }
    trusted.add(test);
    return !(await passes(test, ids));
  };
  const tell = (what: string) => {
    if (performance.now() - told < 20_000) return;
    told = performance.now();
    progress(`${killed.size} of ${mutants.length} killed, ${what}`);
  };

  const alone = async (ids: readonly number[], count: number, title: string): Promise<void> => {
    const wanted = new Map<Test, number[]>(ordered.map(({ test }) => [test, []]));
    for (const id of ids)
      for (const { test } of ordered.filter(({ hits }) => hits.has(id)).slice(0, count)) wanted.get(test)?.push(id);
    // Test by test, so that what a test sets up may be used again.
    for (const [index, { test }] of maps.entries()) {
      for (const id of wanted.get(test) ?? []) {
        const key = `${index} ${id}`;
        if (killed.has(id) || tried.has(key)) continue;
        tried.add(key);
        if (await fails(test, [id])) killed.add(id);
        tell(title);
      }
    }
  };

  const together = async (test: Test, ids: readonly number[]): Promise<void> => {
    if (ids.length === 0 || !(await fails(test, ids))) return;
    const [only] = ids;
    if (ids.length === 1 && only !== undefined) {
      killed.add(only);
      return;
    }
    const half = Math.ceil(ids.length / 2);
    await together(test, ids.slice(0, half));
    await together(test, ids.slice(half));
  };

  const living = (ids: readonly number[]) => ids.filter((id) => !killed.has(id));
  const slowLast = [...maps.entries()].toSorted(([, a], [, b]) => Number(a.ms > quickMs) - Number(b.ms > quickMs));
  const allTogether = async (ids: readonly number[], again: boolean): Promise<void> => {
    for (const [place, [index, { test, hits }]] of slowLast.entries()) {
      const untried = (id: number) => hits.has(id) && (again || !tried.has(`${index} ${id}`));
      await together(test, living(ids).filter(untried));
      tell(`together, test ${place + 1} of ${maps.length}`);
    }
  };

  await alone(unexpected, firstTries, 'each by itself');
  await allTogether(unexpected, false);
  // Those that are noticed hide others no more.
  await allTogether(unexpected, true);
  await alone(living(unexpected), lastTries, 'what lives by itself');
  await allTogether(
    mutants.filter(({ expected }) => expected).map(({ id }) => id),
    false,
  );
  return [...killed];
}
