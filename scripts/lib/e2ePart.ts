import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type DevnetOptions, type RunningDevnet, startDevnet } from '../../e2e/devnet.ts';
import { type Scenario, type ScenarioContext, ScenarioSkipped } from '../../e2e/scenario.ts';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import type { Outcome } from './outcome.ts';
import { inRoot } from './paths.ts';
import { failureText, resultLine, say } from './print.ts';
import { ScriptError } from './scriptError.ts';

export type NamedScenario = { readonly name: string; readonly scenario: Scenario };

export type ScenarioResult = {
  readonly name: string;
  readonly title: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly ms: number;
  /** Why it failed or was skipped. */
  readonly reason?: string;
};

export type RunScenariosOptions = {
  /** Names, or parts of names; none means all. */
  readonly names?: readonly string[];
  /** Told of each result as it comes. Default: a line for people. */
  readonly onResult?: (result: ScenarioResult) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** Where the scenarios lie; default `e2e/scenarios`. */
  readonly folder?: string;
  readonly start?: (options: DevnetOptions) => Promise<RunningDevnet>;
};

const defaultTimeoutMs = 120_000;
/** Networks mostly wait for their chain's clock: two at a time, with twice the time for each scenario. */
const networksAtOnce = 2;
const scenarioEnding = '.e2e.ts';

/**
 * Runs the scenarios and answers their joint outcome: those on the shared network one after the other, beside them those with a network of
 * their own.
 */
export async function runScenarios(options: RunScenariosOptions = {}): Promise<Outcome> {
  const { names = [], onResult = printResult, env = {}, start = startDevnet } = options;
  const chosen = chooseScenarios(await readScenarios(options.folder), names).filter(
    ({ scenario }) => names.length > 0 || scenario.onlyLong !== true || env.CLOISTER_LONG === '1',
  );
  if (chosen.length === 0) return { passed: 0, failed: ['e2e > there are no scenarios'], skipped: [] };
  if (chosen.some(({ scenario }) => scenario.engines === true)) await ensureInstalled(parts.engines);
  const interrupt = new AbortController();
  const stopEarly = () => interrupt.abort();
  process.once('SIGINT', stopEarly);
  process.once('SIGTERM', stopEarly);
  const shared = new SharedNetwork((signal) => start({ env, signal }));
  const results: ScenarioResult[] = [];
  try {
    const run = async (queue: NamedScenario[]): Promise<void> => {
      for (let entry = queue.shift(); entry !== undefined && !interrupt.signal.aborted; entry = queue.shift()) {
        const result = await runOne(entry, { shared, start, env, interrupt: interrupt.signal });
        results.push(result);
        onResult(result);
      }
    };
    // The longest first, so that none is alone at the end.
    const own = chosen
      .filter(({ scenario }) => ownsNetwork(scenario))
      .sort((left, right) => timeoutOf(right.scenario) - timeoutOf(left.scenario));
    const sharing = async () => {
      await run(chosen.filter(({ scenario }) => !ownsNetwork(scenario)));
      await shared.stop();
      await run(own);
    };
    await Promise.all([sharing(), ...Array.from({ length: networksAtOnce - 1 }, () => run(own))]);
  } finally {
    await shared.stop();
    process.off('SIGINT', stopEarly);
    process.off('SIGTERM', stopEarly);
  }
  const named = (status: ScenarioResult['status']) =>
    results.filter((result) => result.status === status).map(({ name }) => `e2e > ${name}`);
  return {
    passed: named('passed').length,
    failed: interrupt.signal.aborted ? [...named('failed'), 'e2e > interrupted'] : named('failed'),
    skipped: named('skipped'),
  };
}

/** Every scenario file, sorted by name. Throws SCRIPT_BAD_ARGUMENT for a file that exports none. */
export async function readScenarios(folder: string = inRoot('e2e/scenarios')): Promise<readonly NamedScenario[]> {
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((file) => file.endsWith(scenarioEnding)) : [];
  const named = files.map((file) => ({ file, name: file.slice(0, -scenarioEnding.length) }));
  named.sort((a, b) => (a.name < b.name ? -1 : 1));
  return Promise.all(
    named.map(async ({ file, name }) => {
      const module: unknown = await import(pathToFileURL(path.join(folder, file)).href);
      const scenario =
        typeof module === 'object' && module !== null && 'scenario' in module ? module.scenario : undefined;
      if (!isScenario(scenario))
        throw new ScriptError({
          code: 'SCRIPT_BAD_ARGUMENT',
          message: `Expected "${file}" to export "scenario" with a title and a run function`,
        });
      return { name, scenario };
    }),
  );
}

/** A name chooses itself; where none bears it, all that contain it. Throws SCRIPT_BAD_ARGUMENT where none does. */
export function chooseScenarios(all: readonly NamedScenario[], names: readonly string[]): readonly NamedScenario[] {
  if (names.length === 0) return all;
  const chosen = new Set<NamedScenario>();
  for (const wanted of names) {
    const exact = all.filter(({ name }) => name === wanted);
    const found = exact.length > 0 ? exact : all.filter(({ name }) => name.includes(wanted));
    if (found.length === 0)
      throw new ScriptError({
        code: 'SCRIPT_BAD_ARGUMENT',
        message: `No scenario is called "${wanted}"`,
        hint: '"npm run e2e -- --list" shows their names',
      });
    for (const entry of found) chosen.add(entry);
  }
  return all.filter((entry) => chosen.has(entry));
}

type Surroundings = {
  readonly shared: SharedNetwork;
  readonly start: (options: DevnetOptions) => Promise<RunningDevnet>;
  readonly env: Readonly<Record<string, string>>;
  readonly interrupt: AbortSignal;
};

async function runOne(
  { name, scenario }: NamedScenario,
  { shared, start, env, interrupt }: Surroundings,
): Promise<ScenarioResult> {
  const started = performance.now();
  const timeoutMs = timeoutOf(scenario);
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), interrupt]);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-e2e-'));
  const own: RunningDevnet[] = [];
  const notes: string[] = [];
  let first: Promise<RunningDevnet> | undefined;
  const startOwn = async (options: DevnetOptions = {}) => {
    if (!ownsNetwork(scenario)) throw new TypeError('Only a scenario with a network of its own may start networks');
    const network = await start({ signal, ...options, env: { ...env, ...options.env } });
    own.push(network);
    return network;
  };
  const context: ScenarioContext = {
    network: () => {
      if (!ownsNetwork(scenario)) return shared.get(signal);
      first ??= startOwn();
      return first;
    },
    startNetwork: startOwn,
    folder,
    signal,
    long: env.CLOISTER_LONG === '1',
    note: (line) => void notes.push(line),
  };
  const result = (status: ScenarioResult['status'], reason?: string): ScenarioResult => ({
    name,
    title: scenario.title,
    status,
    ms: performance.now() - started,
    ...(reason === undefined ? {} : { reason }),
  });
  let stray: unknown;
  const onStray = (reason: unknown) => {
    stray ??= reason ?? new Error('A promise was rejected with nothing');
  };
  process.on('unhandledRejection', onStray);
  try {
    await Promise.race([scenario.run(context), deadline(signal, interrupt, timeoutMs)]);
    if (stray !== undefined) throw stray;
    return result('passed');
  } catch (thrown) {
    if (thrown instanceof ScenarioSkipped) return result('skipped', thrown.message);
    const trail = notes.length === 0 ? '' : `\n${notes.map((line) => `  ${line}`).join('\n')}`;
    return result('failed', `${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}${trail}`);
  } finally {
    for (const network of own) await network.stop();
    process.off('unhandledRejection', onStray);
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function deadline(signal: AbortSignal, interrupt: AbortSignal, timeoutMs: number): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new Error(interrupt.aborted ? 'Interrupted' : `Not done within ${timeoutMs / 1000} s`));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** One network for many scenarios, started when the first of them asks for it. */
class SharedNetwork {
  readonly #start: (signal: AbortSignal) => Promise<RunningDevnet>;
  #running: Promise<RunningDevnet> | undefined;

  constructor(start: (signal: AbortSignal) => Promise<RunningDevnet>) {
    this.#start = start;
  }

  get(signal: AbortSignal): Promise<RunningDevnet> {
    if (this.#running === undefined) {
      this.#running = this.#start(signal);
      // One failed start must not fail every scenario after it without a try of its own.
      this.#running.catch(() => {
        this.#running = undefined;
      });
    }
    return this.#running;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.then(
      (network) => network.stop(),
      () => undefined,
    );
  }
}

function timeoutOf(scenario: Scenario): number {
  return (scenario.timeoutMs ?? defaultTimeoutMs) * networksAtOnce;
}

function ownsNetwork(scenario: Scenario): boolean {
  return scenario.needs === 'own-network';
}

function isScenario(value: unknown): value is Scenario {
  return (
    typeof value === 'object' &&
    value !== null &&
    'title' in value &&
    typeof value.title === 'string' &&
    'run' in value &&
    typeof value.run === 'function'
  );
}

function printResult({ name, title, status, ms, reason }: ScenarioResult): void {
  if (status === 'skipped') {
    say(`  - ${name}: skipped, ${reason}`);
    return;
  }
  resultLine(status === 'passed', `${name}: ${title}`, ms);
  if (status === 'failed') failureText(reason ?? '');
}
