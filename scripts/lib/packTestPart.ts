import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type RunningDevnet, startDevnet } from '../../e2e/devnet.ts';
import { builtinsInBundle, bundleForBrowser } from './browserBundle.ts';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import { isInterrupted } from './interruption.ts';
import { runNpm } from './npmCli.ts';
import type { Outcome } from './outcome.ts';
import { packPackages } from './packPackages.ts';
import { inRoot } from './paths.ts';
import { failureText, resultLine } from './print.ts';
import { type RunResult, runNode, runProcess } from './runProcess.ts';
import { readPackageJson } from './workspaces.ts';

/** A running network for the checks that need one. */
export type PackTestNetwork = {
  /** The path of its network file. */
  readonly file: string;
  /** A private key with funds. */
  readonly key: string;
};

export type PackTestOptions = {
  /** `start` starts one; without any, the checks that need one are left out. */
  readonly network?: PackTestNetwork | 'start';
};

/** A line that test/pack/consumer/sdk.mjs prints. */
type ConsumerCheck = { readonly name: string; readonly ok: boolean; readonly ms: number; readonly error?: string };

type NodeRelease = { readonly label: string; readonly program: string };

/** Uses the packed packages the way a stranger would: installed from tarballs, in a folder outside the repository. */
export async function runPackTest(options: PackTestOptions = {}): Promise<Outcome> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-outside-'));
  const results = new Results();
  // It starts while the packages are packed and installed.
  const starting = options.network === 'start' ? startDevnet({ signal: AbortSignal.timeout(180_000) }) : undefined;
  starting?.catch(() => undefined);
  let devnet: RunningDevnet | undefined;
  try {
    const project = path.join(folder, 'project');
    const packed = await results.step('pack', async () => packPackages(path.join(folder, 'tarballs')));
    if (packed === undefined) return results.outcome();
    const tarballs = packed.map(({ name, tarball }) => [name, tarball] as const);
    if (!(await results.step('install from tarballs', () => install(project, tarballs)))) return results.outcome();
    await results.step('types, with every library’s declarations', () => checkTypes(project));
    await results.step('bundle for browsers, without Node.js', () => checkBundle(project));
    for (const template of packedTemplates(project))
      await results.step(`cloister init --template ${template}`, () => makeFromTemplate(project, template));
    await ensureInstalled(parts.packNodes);
    if (starting !== undefined) devnet = await results.step('a network to call', () => starting);
    const network = options.network === 'start' ? networkOf(devnet) : options.network;
    for (const release of nodeReleases()) if (!isInterrupted()) await tryUnder(release, project, network, results);
    return results.outcome();
  } finally {
    await starting?.then(
      (network) => network.stop(),
      () => undefined,
    );
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The developer's account of a development network, whose keys lie open beside its network file. */
function networkOf(devnet: RunningDevnet | undefined): PackTestNetwork | undefined {
  if (devnet === undefined) return undefined;
  const accounts: unknown = JSON.parse(fs.readFileSync(path.join(path.dirname(devnet.file), 'accounts.json'), 'utf8'));
  const { developer } = accounts as { readonly developer: { readonly privateKey: string } };
  return { file: devnet.file, key: developer.privateKey };
}

async function install(project: string, tarballs: readonly (readonly [string, string])[]): Promise<true> {
  fs.cpSync(inRoot('test/pack/consumer'), project, { recursive: true });
  const dependencies = Object.fromEntries(tarballs.map(([name, tarball]) => [name, `file:${tarball}`]));
  fs.writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'outside', private: true, type: 'module', dependencies }),
  );
  succeeded(await runNpm(['install', '--no-package-lock'], { cwd: project }));
  return true;
}

async function tryUnder(
  release: NodeRelease,
  project: string,
  network: PackTestNetwork | undefined,
  results: Results,
): Promise<void> {
  const env = network === undefined ? {} : { CLOISTER_KEY: network.key };
  const args = network === undefined ? ['sdk.mjs'] : ['sdk.mjs', network.file];
  const { code, stdout, stderr, ms } = await runProcess(release.program, args, {
    cwd: project,
    env,
    timeoutMs: 180_000,
  });
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  const checks = lines.map((line) => JSON.parse(line) as ConsumerCheck);
  for (const check of checks) results.add(`${release.label}: ${check.name}`, check.ok, check.ms, check.error);
  if (code !== 0 || checks.length === 0)
    results.add(`${release.label}: runs the checks`, false, ms, `${stdout}${stderr}`);
  const cloister = async (args: readonly string[]) => {
    const program = fs.realpathSync(path.join(project, 'node_modules', '.bin', 'cloister'));
    return succeeded(await runProcess(release.program, [program, ...args], { cwd: project, timeoutMs: 60_000 }));
  };
  await results.step(`${release.label}: cloister --version`, async () => {
    const said = (await cloister(['--version'])).trim();
    const { version } = readPackageJson(inRoot('apps/cli/package.json'));
    if (said !== version) throw new Error(`Expected "${version}", got "${said}"`);
  });
  if (network !== undefined)
    for (const step of [...fileSteps(network.file, release.label), ...templateSteps(release.label)])
      await results.step(`${release.label}: cloister ${step.name}`, async () => {
        const said = await cloister(step.args);
        if (!step.says.test(said)) throw new Error(`Expected ${step.says}, got:\n${said}`);
      });
}

/** An app of one file, outside the repository. */
function fileSteps(networkFile: string, label: string) {
  const app = `hello-${label.replace(/\D/g, '')}`;
  return [
    { name: 'use', args: ['use', networkFile], says: /./ },
    { name: 'deploy', args: ['deploy', 'hello.ts', '--name', app], says: /0x[0-9a-f]{64}/ },
    { name: 'call', args: ['call', app, '/?name=Ada', '--proof', 'proof.json', '--open'], says: /Hello, Ada!/ },
    { name: 'verify', args: ['verify', 'proof.json'], says: /Everything holds/ },
  ];
}

/** The packed command's templates. */
function packedTemplates(project: string): readonly string[] {
  return fs.readdirSync(path.join(project, 'node_modules/@cloister/cli/templates')).sort();
}

/** What a template's project still needs, done as its README says; undefined where it is whole at once. */
const preparations: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  wasm: async (folder) =>
    succeeded(
      await runNode([inRoot('node_modules/wabt/bin/wat2wasm'), 'main.wat', '-o', 'main.wasm'], { cwd: folder }),
    ),
  chat: (folder) => fs.promises.writeFile(path.join(folder, 'model.gguf'), 'GGUF'),
};

/** Makes a project of a packed template and checks what can be checked without a network: its types, its manifest. */
async function makeFromTemplate(project: string, template: string): Promise<void> {
  const program = path.join(project, 'node_modules/@cloister/cli/bin/cloister.js');
  const folder = path.join(project, `${template}-app`);
  const cloister = async (...args: readonly string[]) =>
    succeeded(await runNode([program, ...args], { cwd: project, timeoutMs: 60_000 }));
  await cloister('init', `${template}-app`, '--template', template);
  if (!fs.existsSync(path.join(folder, '.gitignore'))) throw new Error('It has no .gitignore');
  await preparations[template]?.(folder);
  if (fs.existsSync(path.join(folder, 'tsconfig.json')))
    succeeded(await runNode([inRoot('node_modules/typescript/lib/tsc.js'), '-p', folder, '--pretty', 'false']));
  await cloister('manifest', 'check', folder);
}

/** Projects of templates that any worker runs, deployed and called; by one release, as the command is the same for all. */
function templateSteps(label: string) {
  if (!label.endsWith('24')) return [];
  return [
    { name: 'deploy function-app', args: ['deploy', 'function-app'], says: /function-app, version \d/ },
    { name: 'call function-app', args: ['call', 'function-app', '/?name=Ada'], says: /Hello, Ada!/ },
    { name: 'deploy wasm-app', args: ['deploy', 'wasm-app'], says: /wasm-app, version \d/ },
    { name: 'call wasm-app', args: ['call', 'wasm-app', '/', '--data', 'quiet words'], says: /QUIET WORDS/ },
  ];
}

/** The releases that users may have: this one, and the older ones of test/packNodes. */
function nodeReleases(): readonly NodeRelease[] {
  const older = [20, 22].map((major) => ({
    label: `Node.js ${major}`,
    program: inRoot(
      parts.packNodes.folder,
      'node_modules',
      `node${major}-${process.platform}-${process.arch}`,
      'bin',
      'node',
    ),
  }));
  return [...older, { label: 'Node.js 24', program: process.execPath }];
}

async function checkTypes(project: string): Promise<void> {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'dom'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: [],
  };
  fs.writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }));
  succeeded(await runNode([inRoot('node_modules/typescript/lib/tsc.js'), '-p', project, '--pretty', 'false']));
}

async function checkBundle(project: string): Promise<void> {
  const bundle = await bundleForBrowser(project, path.join(project, 'bundle'));
  const builtins = builtinsInBundle(bundle);
  if (builtins.length > 0) throw new Error(`The bundle reaches for Node.js: ${builtins.join(', ')}`);
  if (!bundle.code.includes('cloister')) throw new Error('The bundle is empty');
}

function succeeded({ code, timedOut, stdout, stderr }: RunResult): string {
  if (code === 0) return stdout;
  throw new Error(`${timedOut ? 'Out of time' : `Exit code ${code}`}:\n${`${stdout}${stderr}`.trim()}`);
}

/** Collects what held and what did not, a line each. */
class Results {
  #passed = 0;
  readonly #failed: string[] = [];

  add(name: string, ok: boolean, ms: number, error = ''): void {
    resultLine(ok, name, ms);
    if (ok) this.#passed += 1;
    else {
      this.#failed.push(`pack > ${name}`);
      failureText(error);
    }
  }

  /** One check that fails by throwing; undefined where it did. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    if (isInterrupted()) return undefined;
    const started = performance.now();
    try {
      const value = await work();
      this.add(name, true, performance.now() - started);
      return value;
    } catch (thrown) {
      this.add(name, false, performance.now() - started, thrown instanceof Error ? thrown.message : String(thrown));
      return undefined;
    }
  }

  outcome(): Outcome {
    return { passed: this.#passed, failed: this.#failed, skipped: [] };
  }
}
