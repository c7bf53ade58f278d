/** What one part of the test run came to. Names are for people: `file > suite > test`. */
export type Outcome = {
  readonly passed: number;
  /** One name for each failure. */
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
};

/** A part of the run with its outcome and how long it took. */
export type PartResult = { readonly title: string; readonly outcome: Outcome; readonly ms: number };

/** A skip that the project has agreed to. */
export type AllowedSkip = {
  /** Matched against the whole name; `*` stands for any characters. */
  readonly pattern: string;
  /** Why it may be skipped, for whoever reads the list. */
  readonly reason: string;
};

export const emptyOutcome: Outcome = { passed: 0, failed: [], skipped: [] };

export function joinOutcomes(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((sum, outcome) => sum + outcome.passed, 0),
    failed: outcomes.flatMap((outcome) => outcome.failed),
    skipped: outcomes.flatMap((outcome) => outcome.skipped),
  };
}

/** Turns every skip that no entry of the list allows into a failure that says so. */
export function judgeSkips(outcome: Outcome, allowed: readonly AllowedSkip[]): Outcome {
  const isAllowed = (name: string) => allowed.some((entry) => matches(entry.pattern, name));
  return {
    passed: outcome.passed,
    failed: [
      ...outcome.failed,
      ...outcome.skipped
        .filter((name) => !isAllowed(name))
        .map((name) => `${name} (skipped, not in test/allowedSkips.json)`),
    ],
    skipped: outcome.skipped.filter(isAllowed),
  };
}

/** The joint line that ends a test run; scripts read it. */
export function summaryLine(outcome: Outcome): string {
  return `${outcome.passed} passed, ${outcome.failed.length} failed, ${outcome.skipped.length} skipped`;
}

/** Reads the committed list. Throws where an entry lacks its pattern or its reason. */
export function parseAllowedSkips(json: unknown): readonly AllowedSkip[] {
  if (!Array.isArray(json)) throw new TypeError('Expected test/allowedSkips.json to hold a list');
  return json.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null || !('pattern' in entry) || !('reason' in entry))
      throw new TypeError(`Expected a pattern and a reason, got ${JSON.stringify(entry)}`);
    const { pattern, reason } = entry;
    if (
      typeof pattern !== 'string' ||
      typeof reason !== 'string' ||
      pattern.replaceAll('*', '').length < 8 ||
      reason === ''
    )
      throw new TypeError(`Expected a pattern that names something and a reason, got ${JSON.stringify(entry)}`);
    return { pattern, reason };
  });
}

/** Whether a pattern with `*` wildcards covers the whole of a name. */
export function matches(pattern: string, name: string): boolean {
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${source}$`, 's').test(name);
}
