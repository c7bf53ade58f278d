import type { Mutant } from './mutationSites.ts';

/** A change that no test can tell from the original, with the reason why. */
export type EquivalentMutant = {
  readonly file: string;
  readonly inside: string;
  readonly kind: string;
  readonly code: string;
  readonly reason: string;
};

const fields = ['file', 'inside', 'kind', 'code', 'reason'] as const;

/** Reads the committed list. Throws where an entry lacks something. */
export function parseEquivalentMutants(json: unknown): readonly EquivalentMutant[] {
  if (!Array.isArray(json)) throw new TypeError('Expected test/equivalentMutants.json to hold a list');
  return json.map((entry: unknown) => {
    const text = (field: string): string => {
      const value = typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>)[field] : undefined;
      if (typeof value !== 'string' || value === '')
        throw new TypeError(`Expected ${fields.join(', ')} as text, got ${JSON.stringify(entry)}`);
      return value;
    };
    return {
      file: text('file'),
      inside: text('inside'),
      kind: text('kind'),
      code: text('code'),
      reason: text('reason'),
    };
  });
}

/** Whether an entry means this mutant; lines may move. */
export function isEquivalent(entry: EquivalentMutant, mutant: Mutant): boolean {
  return (
    entry.file === mutant.file &&
    entry.inside === mutant.inside &&
    entry.kind === mutant.kind &&
    entry.code === mutant.code
  );
}
