// Runs in contracts/: its node:test files once, then with mutants awake. Arguments: the plan, the report
// (contractMutationPlan.ts). Says on stdout how far it is.
import fs from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { ContractMutationPlan, ContractMutationReport } from './contractMutationPlan.ts';
import { type MappedTest, tryMutants } from './contractMutationTries.ts';
import { type KeptSuite, type KeptTest, keepTests } from './nodeTestShim.ts';
import { reportingBit } from './solidityInstrument.ts';
import { switchOf } from './soliditySites.ts';

type Fixture = (connection: Connection) => Promise<unknown>;
type Connection = {
  readonly provider: {
    request(call: { readonly method: string; readonly params?: readonly unknown[] }): Promise<unknown>;
  };
  readonly networkHelpers: { clearSnapshots(): void; loadFixture(fixture: Fixture): Promise<unknown> };
  close(): Promise<void>;
};
type Artifact = { readonly contractName: string; readonly inputSourceName: string; readonly buildInfoId: string };
/** What is used of Hardhat's runtime environment; its package lies in contracts/, out of reach of our own types. */
type HardhatRuntime = {
  readonly artifacts: {
    readArtifact(name: string): Promise<Artifact>;
    getAllBuildInfoIds(): Promise<ReadonlySet<string>>;
  };
  readonly network: { create(params?: { readonly override?: object }): Promise<Connection> };
  readonly hooks: { registerHandlers(category: 'network', handlers: Readonly<Record<string, unknown>>): void };
};

/** A chain that a test file made while it was loaded, the snapshot of how it was then, and the fixture that it has now. */
type Chain = { readonly connection: Connection; base: unknown; fixture?: Fixture | undefined };
/** A test as it can be run again and again. */
type Test = KeptTest & { readonly file: string; readonly chains: readonly Chain[] };
/** What is reached while a fixture of the test is made; undefined where it has none. */
type Mapped = MappedTest<Test> & { readonly inFixture: ReadonlySet<number> | undefined };

const tryDeadlineMs = 120_000;

const [planFile = '', reportFile = ''] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planFile, 'utf8')) as ContractMutationPlan;
process.env.HH_TEST = 'true';
process.env.NODE_ENV ??= 'test';
// What a mutant made go wrong behind a test's back is not ours.
process.on('unhandledRejection', () => {});

/** Balances of switches, while mutants are awake. */
let awake: ReadonlyMap<string, bigint> = new Map();
let opened: Connection[] = [];
const chainOf = new Map<Connection, Chain>();
let hits = new Set<number>();
let fixtureHits = new Set<number>();
/** How many fixtures are being made within one another, and whether any was since a test began. */
let fixtureDepth = 0;
let fixtureUsed = false;
/** Whether fixtures that are there already may be used, and new ones are made while all sleep. */
let fixturesSleep = false;

await loadHardhat();
const tests = await loadTests();
const { maps, broken } = await mapTests();
const fixtures = new Map(maps.map(({ test, inFixture }) => [test, inFixture]));
const killed =
  broken.length > 0
    ? []
    : await tryMutants<Test>({
        mutants: plan.mutants,
        maps,
        passes: async (test, ids) => (await tryTest(test, ids)) === undefined,
        nameOf,
        onProgress: (line) => process.stdout.write(`${line}\n`),
      });
const reached = new Set(maps.flatMap((map) => [...map.hits]));
const unreached = plan.mutants.map(({ id }) => id).filter((id) => !reached.has(id));
fs.writeFileSync(reportFile, JSON.stringify({ broken, killed, unreached } satisfies ContractMutationReport));
process.exit(0);

async function loadHardhat(): Promise<void> {
  const hardhat = createRequire(path.resolve('package.json')).resolve('hardhat');
  const { default: runtime } = (await import(pathToFileURL(hardhat).href)) as { default: HardhatRuntime };
  const { artifacts, network } = runtime;
  const readArtifact = artifacts.readArtifact.bind(artifacts);
  artifacts.readArtifact = async (name) => {
    const artifact = await readArtifact(name);
    const { buildInfoId, inputSourceName, contractName } = artifact;
    const code = plan.bytecode[`${buildInfoId}:${inputSourceName}:${contractName}`];
    // It rests on nothing that mutants are in.
    if (code === undefined) return artifact;
    return { ...artifact, bytecode: `0x${code.creation}`, deployedBytecode: `0x${code.deployed}` };
  };
  // They are of code without mutants, and would only be for traces that nobody reads.
  artifacts.getAllBuildInfoIds = async () => new Set();
  const create = network.create.bind(network);
  network.create = (params = {}) => {
    const gasLimit = BigInt(plan.gasLimit);
    const limits = { blockGasLimit: gasLimit, transactionGasCap: gasLimit, allowUnlimitedContractSize: true };
    return create({ ...params, override: { ...limits, ...params.override } });
  };
  runtime.hooks.registerHandlers('network', {
    onCoverageData: async (_context: unknown, tags: readonly string[]) => {
      for (const tag of tags) (fixtureDepth > 0 ? fixtureHits : hits).add(Number(BigInt(`0x${tag}`)));
    },
    newConnection: async (context: unknown, next: (context: unknown) => Promise<Connection>) => {
      const connection = await next(context);
      opened.push(connection);
      watchFixtures(connection);
      await setSwitches(connection, awake);
      return connection;
    },
  });
}

function watchFixtures(connection: Connection): void {
  const { networkHelpers } = connection;
  const load = networkHelpers.loadFixture.bind(networkHelpers);
  networkHelpers.loadFixture = async (fixture) => {
    fixtureUsed = true;
    fixtureDepth += 1;
    const chain = chainOf.get(connection);
    try {
      if (fixturesSleep && fixtureDepth === 1) {
        await setSwitches(connection, asleep(awake));
        // A new one does not begin where the last test happened to leave the chain.
        if (chain !== undefined && chain.fixture !== fixture) await goToStart(chain);
      }
      const made = await load(fixture);
      if (chain !== undefined && fixtureDepth === 1) chain.fixture = fixture;
      return made;
    } finally {
      fixtureDepth -= 1;
      if (fixturesSleep && fixtureDepth === 0) await setSwitches(connection, awake);
    }
  };
}

function asleep(balances: ReadonlyMap<string, bigint>): ReadonlyMap<string, bigint> {
  return new Map([...balances.keys()].map((account) => [account, 0n]));
}

async function setSwitches({ provider }: Connection, balances: ReadonlyMap<string, bigint>): Promise<void> {
  for (const [account, balance] of balances)
    await provider.request({ method: 'hardhat_setBalance', params: [account, `0x${balance.toString(16)}`] });
}

async function loadTests(): Promise<readonly Test[]> {
  const shim = new URL('./nodeTestShim.ts', import.meta.url).href;
  const ours = pathToFileURL(path.resolve('test')).href;
  let copy = 0;
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'node:test') return { url: shim, shortCircuit: true };
      const resolved = next(specifier, context);
      // A chain that several files have from one module is another one in each, as where each file has a process of its own.
      return resolved.url.startsWith(ours) ? { ...resolved, url: `${resolved.url}?${copy}` } : resolved;
    },
  });
  const loaded: Test[] = [];
  for (const testFile of plan.testFiles) {
    opened = [];
    copy += 1;
    const kept = await keepTests(() => import(pathToFileURL(testFile).href));
    const file = path.relative(process.cwd(), testFile).split(path.sep).join('/');
    const chains = opened.map((connection): Chain => ({ connection, base: undefined }));
    for (const chain of chains) {
      chain.base = await snapshotOf(chain);
      chainOf.set(chain.connection, chain);
    }
    for (const test of kept) loaded.push({ ...test, file, chains });
  }
  return loaded;
}

function snapshotOf({ connection }: Chain): Promise<unknown> {
  return connection.provider.request({ method: 'evm_snapshot' });
}

/** Every test once, without mutants: which tests reach which. */
async function mapTests(): Promise<{ readonly maps: readonly Mapped[]; readonly broken: readonly string[] }> {
  const maps: Mapped[] = [];
  const broken: string[] = [];
  const reporting = new Map(plan.mutants.map(({ id }) => [switchOf(id), 1n << reportingBit]));
  for (const test of tests) {
    hits = new Set();
    fixtureHits = new Set();
    const started = performance.now();
    const failure = await runFromStart(test, reporting);
    const inFixture = fixtureUsed ? fixtureHits : undefined;
    maps.push({ test, hits: new Set([...hits, ...fixtureHits]), inFixture, ms: performance.now() - started });
    if (failure === undefined) continue;
    broken.push(nameOf(test));
    process.stderr.write(`${nameOf(test)}: ${inspect(failure, { depth: 3 })}\n`);
  }
  const seconds = Math.round(maps.reduce((sum, { ms }) => sum + ms, 0) / 1000);
  process.stdout.write(`${plan.mutants.length} mutants, ${tests.length} tests in ${seconds} s\n`);
  return { maps, broken };
}

/** Answers what the test throws. A fixture is made once for all mutants that it does not reach. */
async function tryTest(test: Test, ids: readonly number[]): Promise<unknown> {
  const balances = new Map<string, bigint>();
  for (const id of ids) balances.set(switchOf(id), (balances.get(switchOf(id)) ?? 0n) | (1n << BigInt(id % 128)));
  const inFixture = fixtures.get(test);
  if (inFixture === undefined || ids.some((id) => inFixture.has(id))) return runFromStart(test, balances);
  fixturesSleep = true;
  // What a test does before its fixture, it does with them awake, too.
  for (const { connection } of test.chains) await setSwitches(connection, balances);
  const failure = await runTest(test, balances);
  for (const { connection } of test.chains) await setSwitches(connection, asleep(balances));
  if (failure === undefined || ids.length > 0) return failure;
  // It needs more than its fixture.
  fixtures.set(test, undefined);
  return runFromStart(test, balances);
}

/** Runs one test from where its file had its chains when it was loaded, fixtures included. */
async function runFromStart(test: Test, balances: ReadonlyMap<string, bigint>): Promise<unknown> {
  for (const chain of test.chains) await goToStart(chain);
  fixturesSleep = false;
  for (const { connection } of test.chains) await setSwitches(connection, balances);
  const failure = await runTest(test, balances);
  for (const chain of test.chains) await goToStart(chain);
  return failure;
}

async function goToStart(chain: Chain): Promise<void> {
  await chain.connection.provider.request({ method: 'evm_revert', params: [chain.base] });
  chain.base = await snapshotOf(chain);
  chain.fixture = undefined;
  chain.connection.networkHelpers.clearSnapshots();
}

async function runTest(test: Test, balances: ReadonlyMap<string, bigint>): Promise<unknown> {
  awake = balances;
  opened = [];
  fixtureUsed = false;
  fixtureDepth = 0;
  let timer: NodeJS.Timeout | undefined;
  const inTime = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('It does not end')), tryDeadlineMs);
  });
  try {
    await Promise.race([callTest(test), inTime]);
    return undefined;
  } catch (error) {
    return error ?? new Error('It throws nothing');
  } finally {
    clearTimeout(timer);
    awake = new Map();
    for (const connection of opened) await connection.close();
  }
}

async function callTest({ suite, run, name }: Test): Promise<void> {
  const suites: KeptSuite[] = [];
  for (let above: KeptSuite | undefined = suite; above !== undefined; above = above.above) suites.unshift(above);
  const context = { name };
  for (const { before } of suites) for (const hook of before) await hook(context);
  for (const { beforeEach } of suites) for (const hook of beforeEach) await hook(context);
  await run(context);
  for (const { afterEach } of suites.toReversed()) for (const hook of afterEach) await hook(context);
  for (const { after } of suites.toReversed()) for (const hook of after) await hook(context);
}

function nameOf({ file, name }: Test): string {
  return `${file} > ${name}`;
}
