import type { Bytecode } from './solidityCompiler.ts';

/** What the process that runs tests of contracts is told, in a file of JSON. */
export type ContractMutationPlan = {
  /** By `build:source:name`, with all mutants in it. */
  readonly bytecode: Readonly<Record<string, Bytecode>>;
  /** Absolute. */
  readonly testFiles: readonly string[];
  readonly mutants: readonly PlannedMutant[];
  /** Of a transaction, a call and a block. */
  readonly gasLimit: number;
};

export type PlannedMutant = {
  readonly id: number;
  /** No test is expected to notice it. */
  readonly expected: boolean;
};

/** What it answers, in another. */
export type ContractMutationReport = {
  /** `file > test`: they fail without any mutant, and nothing else was tried. */
  readonly broken: readonly string[];
  readonly killed: readonly number[];
  readonly unreached: readonly number[];
};
