import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { builtinsInBundle, bundleForBrowser } from './browserBundle.ts';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import { runNpm } from './npmCli.ts';
import type { Outcome } from './outcome.ts';
import { packPackages } from './packPackages.ts';
import { inRoot } from './paths.ts';
import { failureText, resultLine } from './print.ts';
import { type RunResult, runNode, runProcess } from './runProcess.ts';
import { readPackageJson } from './workspaces.ts';

export type PackTestOptions = {
  /** The network file of a running network; adds the checks that need one. */
  readonly network?: string;
  /** A private key of that network with funds. */
  readonly key?: string;
};

/** A line that test/pack/consumer/sdk.mjs prints. */
type ConsumerCheck = { readonly name: string; readonly ok: boolean; readonly ms: number; readonly error?: string };

type NodeRelease = { readonly label: string; readonly program: string };

/** Uses the packed packages the way a stranger would: installed from tarballs, in a folder outside the repository. */
export async function runPackTest(options: PackTestOptions = {}): Promise<Outcome> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-outside-'));
  const results = new Results();
  try {
    const packed = await results.step('pack', async () => packPackages(path.join(folder, 'tarballs')));
    if (packed === undefined) return results.outcome();
    const project = path.join(folder, 'project');
    const installed = await results.step('install from tarballs', () =>
      install(
        project,
        packed.map(({ name, tarball }) => [name, tarball]),
      ),
    );
    if (installed === undefined) return results.outcome();
    await ensureInstalled(parts.packNodes);
    for (const release of nodeReleases()) await tryUnder(release, project, options, results);
    await results.step('types, with every library’s declarations', () => checkTypes(project));
    await results.step('bundle for browsers, without Node.js', () => checkBundle(project));
    return results.outcome();
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
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
  options: PackTestOptions,
  results: Results,
): Promise<void> {
  const env = options.key === undefined ? {} : { CLOISTER_KEY: options.key };
  const args = options.network === undefined ? ['sdk.mjs'] : ['sdk.mjs', options.network];
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
  await results.step(`${release.label}: cloister --version`, async () => {
    const program = path.join(project, 'node_modules', '.bin', 'cloister');
    const said = succeeded(
      await runProcess(release.program, [fs.realpathSync(program), '--version'], { cwd: project, timeoutMs: 60_000 }),
    );
    const { version } = readPackageJson(inRoot('apps/cli/package.json'));
    if (said.trim() !== version) throw new Error(`Expected "${version}", got "${said.trim()}"`);
  });
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
