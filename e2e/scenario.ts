import type { DevnetOptions, RunningDevnet } from './devnet.ts';

/**
 * One scenario: a file `e2e/scenarios/NAME.e2e.ts`, named for what it shows, that exports `scenario`.
 * It fails by throwing; `node:assert/strict` says best what was expected.
 */
export type Scenario = {
  /** What it shows, as one sentence without a final period. */
  readonly title: string;
  /** Set where it breaks its network, or needs one of its own; the others share one that stays up. */
  readonly needs?: 'own-network';
  /** Set where it runs models: their engines are installed before its network starts, whose workers then offer models. */
  readonly engines?: true;
  /** Only in `npm run test:long`, or by its name: it takes minutes, and each of its steps has a shorter test. */
  readonly onlyLong?: true;
  /**
   * Milliseconds until `context.signal` aborts and the scenario has failed, on a machine that runs nothing else: it gets twice as long, since
   * two scenarios run at a time. Default 120,000, the start of a network included.
   */
  readonly timeoutMs?: number;
  readonly run: (context: ScenarioContext) => Promise<void>;
};

export type ScenarioContext = {
  /**
   * The running network: the shared one, or a fresh one where the scenario asked for its own. It is started on the
   * first call and ended by the runner.
   */
  readonly network: () => Promise<RunningDevnet>;
  /** Starts another network, ended by the runner too. Only for scenarios with a network of their own. */
  readonly startNetwork: (options?: DevnetOptions) => Promise<RunningDevnet>;
  /** An empty folder that goes away afterwards. */
  readonly folder: string;
  /** Aborts at the deadline, and when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Whether `npm run test:long` asks for larger counts. */
  readonly long: boolean;
  /** A line for whoever watches; shown where the scenario fails. */
  readonly note: (line: string) => void;
};

/** Thrown by a scenario that can't run on this machine. Counts as skipped, and must be on the list of allowed skips. */
export class ScenarioSkipped extends Error {
  override readonly name = 'ScenarioSkipped';
}
