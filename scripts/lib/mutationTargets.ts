/** Code whose every check must have a test that fails without it. */
export type MutationTarget = {
  readonly name: string;
  /** Folders or files. */
  readonly sources: readonly string[];
  /** Tests that may kill its mutants, as globs. */
  readonly tests: readonly string[];
};

export const mutationTargets: readonly MutationTarget[] = [
  {
    name: 'attestation/verify',
    sources: ['packages/attestation/src/verify'],
    tests: ['packages/attestation/test/**/*.test.ts'],
  },
];
