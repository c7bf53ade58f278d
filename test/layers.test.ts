// The architecture as tests: who may import whom, and why. The reasons are part of each failure's message.
import { describe, expect, test } from 'vitest';
import { root } from '../scripts/lib/paths.ts';
import { importCircles } from './support/importCircles.ts';
import { type GraphImport, type ImportTarget, isImport, reachedFrom, readImportGraph } from './support/importGraph.ts';

const folders = [
  'packages',
  'apps',
  'examples',
  'e2e',
  'bench',
  'scripts',
  'test',
  'contracts/scripts',
  'contracts/test',
];
const graph = readImportGraph(root, folders);

/** What each package and application may import of ours; nothing else, and never upward. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  'packages/crypto': [],
  'packages/core': ['crypto'],
  'packages/attestation': ['core', 'crypto'],
  'packages/threshold': ['core', 'crypto'],
  'packages/channel': ['core', 'crypto'],
  'packages/economics': ['core', 'crypto'],
  'packages/chain': ['core', 'crypto'],
  'packages/chain-proof': ['core', 'crypto', 'chain'],
  'packages/sandbox': ['core', 'crypto'],
  'packages/simulator': ['core', 'economics'],
  'packages/service': ['core', 'crypto'],
  'packages/build': ['core', 'crypto'],
  'packages/enclave': ['core', 'crypto', 'attestation', 'chain', 'service'],
  'packages/guest': ['core', 'crypto', 'attestation'],
  'packages/placement': ['core', 'crypto', 'chain', 'economics', 'threshold'],
  'packages/state': ['core', 'crypto', 'threshold'],
  'packages/sdk': ['core', 'crypto', 'attestation', 'chain', 'channel', 'threshold', 'placement', 'economics'],
  'apps/worker': [
    'core',
    'crypto',
    'attestation',
    'chain',
    'channel',
    'enclave',
    'guest',
    'placement',
    'sandbox',
    'sdk',
    'service',
    'state',
    'threshold',
  ],
  'apps/gatekeeper': [
    'core',
    'crypto',
    'attestation',
    'chain',
    'chain-proof',
    'economics',
    'enclave',
    'placement',
    'sdk',
    'service',
    'threshold',
  ],
  'apps/gateway': ['core', 'crypto', 'chain', 'channel', 'service'],
  'apps/indexer': ['core', 'crypto', 'chain', 'economics', 'service'],
  'apps/explorer': ['core', 'crypto', 'attestation', 'chain', 'economics', 'sdk'],
  'apps/cli': ['core', 'crypto', 'attestation', 'build', 'chain', 'sandbox', 'sdk', 'service', 'simulator', 'state'],
  'apps/devnet': ['core', 'crypto', 'attestation', 'build', 'chain', 'sdk', 'service'],
};

/** Files that may import code named unsafe without being named so themselves, each with its reason. */
const unsafeImporters: Readonly<Record<string, string>> = {
  'packages/chain/src/generated/index.ts': 'an ABI is data: it describes a contract and simulates nothing',
  'apps/gatekeeper/src/main.ts':
    'opens the device by its unsafe name; the committee accepts it on simulated networks only',
  'apps/worker/src/main.ts': 'opens the device by its unsafe name; the registry accepts it on simulated networks only',
  'apps/cli/src/commands/attest.ts': 'opens the simulated device where --device names it, and never otherwise',
};

/** Files that may read the process's environment, each with its reason; scripts and tests always may. */
const environmentReaders: readonly { readonly file: RegExp; readonly because: string }[] = [
  { file: /^packages\/service\/src\/(\w*[cC]onfig\w*\.ts|config\/)/, because: 'the one place where settings come in' },
  {
    file: /^packages\/sandbox\/src\/model\/host\/main\.ts$/,
    because: 'inside the walls it sets the home that there is none',
  },
];

/** Files whose imports may be computed at run time, each with its reason. */
const computedImporters: Readonly<Record<string, string>> = {
  'apps/cli/bin/cloister.js': 'the built program lies beside it only in the packed package',
  'packages/sandbox/src/model/host/main.ts': 'inside the walls: opens the engine that the driver named',
  'packages/sandbox/src/model/engines/onnx.ts': 'inside the walls: the engine is installed apart from the rest',
  'packages/sandbox/src/model/engines/onnxWeb.ts': 'inside the walls: the engine is installed apart from the rest',
  'packages/sandbox/src/model/engines/llama/llamaEngine.ts':
    'inside the walls: the engine is installed apart from the rest',
};

const isTestFile = (file: string) => /(^|\/)test\/|\.test\.ts$/.test(file);
const isProduction = (file: string) => /^(packages|apps)\//.test(file) && !isTestFile(file);
const inFolder = (folder: string) => (file: string) => file.startsWith(`${folder}/`) && isProduction(file);
const saysUnsafe = (file: string) => /unsafe/i.test(file);
const unitOf = (file: string) => file.split('/').slice(0, 2).join('/');
const production = [...graph.files.values()].filter(({ path }) => isProduction(path));

describe('arrows point downward only', () => {
  test('every package and application has its place', () => {
    const unplaced = graph.workspaces.map(({ path }) => path).filter((path) => arrows[path] === undefined);
    expect(unplaced, 'a new package or application needs its line in the table of arrows').toEqual([]);
  });

  test.each(Object.keys(arrows))('%s imports only what stands below it', (unit) => {
    const allowed = new Set([unit, ...(arrows[unit] ?? []).map((name) => `packages/${name}`)]);
    const wrong = directImports(inFolder(unit)).filter(
      ({ target }) => target.kind === 'file' && !allowed.has(unitOf(target.path)),
    );
    expect(wrong.map(say), 'a lower layer must not know a higher one, and siblings meet in what is above both').toEqual(
      [],
    );
  });

  test('packages never import applications, applications never import each other', () => {
    const wrong = directImports(isProduction).filter(
      ({ file, target }) =>
        target.kind === 'file' && target.path.startsWith('apps/') && unitOf(target.path) !== unitOf(file),
    );
    expect(wrong.map(say), 'applications are processes: they meet over sockets').toEqual([]);
  });

  test('relative imports stay inside their package', () => {
    const wrong = directImports(isProduction).filter(
      ({ file, found, target }) =>
        found.specifier.startsWith('.') && target.kind === 'file' && unitOf(target.path) !== unitOf(file),
    );
    expect(wrong.map(say), "a package's exports are its only doors").toEqual([]);
  });

  test('every import of ours leads to a file', () => {
    const wrong = directImports(() => true).filter(({ target }) => target.kind === 'missing');
    expect(wrong.map(say)).toEqual([]);
  });
});

test('no files import each other, over any number of imports', () => {
  const circles = importCircles(graph).map((files) => files.join(' ↔ '));
  expect(circles, 'what two files share stands below both: nobody can read one without the other else').toEqual([]);
});

/** One promise about what some code can reach over any number of imports. */
type Wall = {
  readonly name: string;
  readonly because: string;
  readonly from: readonly string[];
  readonly never: (target: ImportTarget) => boolean;
};

const file = (pattern: RegExp) => (target: ImportTarget) => target.kind === 'file' && pattern.test(target.path);
const library = (pattern: RegExp) => (target: ImportTarget) => target.kind === 'package' && pattern.test(target.name);

const walls: readonly Wall[] = [
  {
    name: 'the gateway reaches only the frames of the channel',
    because: 'the gateway carries sealed bytes and must have no code that could open or forge them',
    from: ['apps/gateway'],
    never: file(/^packages\/channel\/(?!src\/frame\/)/),
  },
  {
    name: 'the gateway reaches no attestation and no key shares',
    because: 'the gateway is trusted for nothing, so it holds neither evidence nor keys',
    from: ['apps/gateway'],
    never: file(/^packages\/(attestation|threshold)\//),
  },
  {
    name: 'the worker reaches no key generation of the committee',
    because: 'a worker combines what gatekeepers release and never takes part in making keys',
    from: ['apps/worker'],
    never: file(/^packages\/threshold\/src\/dkg/),
  },
  {
    name: 'what keeps an app’s state reaches no shares',
    because: 'a host combines what gatekeepers sign and never takes part in making keys',
    from: ['packages/state'],
    never: file(/^packages\/threshold\/src\/(dkg|native)/),
  },
  {
    name: 'the sandbox reaches no chain',
    because: 'what stands beside untrusted code knows no accounts and no money',
    from: ['packages/sandbox'],
    never: (target) =>
      file(/^packages\/(chain|sdk|channel|attestation)\//)(target) || library(/^(viem|ethers|ox)$/)(target),
  },
  {
    name: 'verifiers reach no device and no simulated evidence',
    because: 'who checks evidence must not be able to make it',
    from: ['packages/attestation/src/verify'],
    never: file(/^packages\/attestation\/src\/(?!verify\/)/),
  },
  {
    name: 'the sdk takes of attestation the verifier, of the channel the client',
    because: 'a client neither makes evidence nor opens what is sealed to workers',
    from: ['packages/sdk'],
    never: (target) =>
      file(/^packages\/attestation\/src\/(attest|unsafe-simulated)\//)(target) ||
      file(/^packages\/channel\/src\/(worker|frame)\//)(target) ||
      file(/^packages\/threshold\/src\/dkg/)(target),
  },
  {
    name: 'what runs in browsers reaches no module of Node.js',
    because: 'anyone verifies anywhere; only the node engine of crypto, chosen by a condition, may use Node.js',
    from: [
      'packages/core',
      'packages/attestation/src/verify',
      'packages/chain',
      'packages/chain-proof',
      'packages/channel/src/client',
      'packages/channel/src/frame',
      'packages/threshold',
      'packages/economics',
      'packages/placement',
      'packages/state',
      'packages/sdk',
    ],
    never: (target) => target.kind === 'builtin',
  },
];

describe('walls hold over any number of imports', () => {
  for (const { name, from, never, because } of walls)
    test(name, () => {
      const starts = (path: string) => from.some((folder) => inFolder(folder)(path));
      const wrong = reachedFrom(graph, starts, outsideNodeCondition).filter(({ target }) => never(target));
      const ways = wrong.map(({ target, way }) => [...way, nameOf(target)].join(' → '));
      expect(ways, because).toEqual([]);
    });

  test('the walls stand before real code', () => {
    const empty = walls
      .flatMap(({ from }) => from)
      .filter((folder) => graph.workspaces.some(({ path }) => folder.startsWith(path)))
      .filter((folder) => !production.some(({ path }) => path.startsWith(`${folder}/`)));
    expect(empty, 'a renamed folder must not leave its rule behind').toEqual([]);
  });
});

describe('danger has a name', () => {
  test('code named unsafe is imported only by code named unsafe, by tests and by the devnet', () => {
    const wrong = directImports(isProduction).filter(
      ({ file: from, target }) =>
        target.kind === 'file' &&
        saysUnsafe(target.path) &&
        !saysUnsafe(from) &&
        !from.startsWith('apps/devnet/') &&
        unsafeImporters[from] === undefined,
    );
    expect(wrong.map(say), 'a search for "unsafe" must find everything that can simulate').toEqual([]);
  });

  test('what a package exports from a file named unsafe has a subpath that says so', () => {
    const wrong = graph.workspaces.flatMap(({ json }) =>
      Object.entries(json.exports ?? {})
        .filter(([subpath, target]) => saysUnsafe(JSON.stringify(target)) && !saysUnsafe(subpath))
        .map(([subpath]) => `${json.name}${subpath.slice(1)}`),
    );
    expect(wrong).toEqual([]);
  });

  test('no entry on a list of exceptions has outlived its file', () => {
    const gone = [...Object.keys(unsafeImporters), ...Object.keys(computedImporters)].filter(
      (path) => !graph.files.has(path),
    );
    expect(gone).toEqual([]);
  });
});

describe('code can be read from its imports', () => {
  test('nothing that ships imports a test', () => {
    const wrong = directImports(isProduction).filter(
      ({ target }) =>
        (target.kind === 'file' && isTestFile(target.path)) ||
        (target.kind === 'package' && /^(vitest|@vitest\/.*|fast-check)$/.test(target.name)) ||
        (target.kind === 'builtin' && target.name.startsWith('node:test')),
    );
    expect(wrong.map(say), 'test code may be unsafe in every way').toEqual([]);
  });

  test('the environment is read only where settings come in', () => {
    const wrong = production
      .filter(({ path }) => !environmentReaders.some((reader) => reader.file.test(path)))
      .flatMap(({ path, environmentReads }) => environmentReads.map((line) => `${path}:${line}`));
    expect(wrong, 'who reads the environment can be steered by it; settings come through packages/service').toEqual([]);
  });

  test('no import is computed at run time', () => {
    const wrong = production
      .filter(({ path }) => computedImporters[path] === undefined)
      .flatMap(({ path, computedImports }) => computedImports.map((line) => `${path}:${line}`));
    expect(wrong, 'an import that no reader can follow defeats every rule here').toEqual([]);
  });
});

type Direct = { readonly file: string; readonly found: GraphImport; readonly target: ImportTarget };

function directImports(from: (file: string) => boolean): readonly Direct[] {
  return [...graph.files.values()]
    .filter(({ path }) => from(path))
    .flatMap(({ path, imports }) =>
      imports.filter(isImport).flatMap((found) => found.targets.map((target) => ({ file: path, found, target }))),
    );
}

/** Leaves out what only Node.js would choose; the rest is what a browser's bundler sees. */
function outsideNodeCondition(_: GraphImport, target: ImportTarget): boolean {
  return target.kind !== 'file' || !target.conditions.includes('node');
}

function say({ file: from, found, target }: Direct): string {
  return `${from}:${found.line} imports "${found.specifier}" (${nameOf(target)})`;
}

function nameOf(target: ImportTarget): string {
  if (target.kind === 'file') return target.path;
  return target.kind === 'missing' ? 'which is not there' : target.name;
}
