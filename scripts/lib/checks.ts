import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runContractsScript } from './contractsScript.ts';
import { isInstalled } from './ensureInstalled.ts';
import { inRoot } from './paths.ts';
import { type RunResult, runNode } from './runProcess.ts';

/** One thing that `npm run check` looks at. */
export type Check = {
  readonly name: string;
  /** Set where it compiles the contracts, or needs what that gave. */
  readonly compiles?: true;
  /** Undefined where the check does not apply on this machine; the text is what people see where it fails. */
  readonly run: () => Promise<CheckResult>;
};

export type CheckResult = { readonly ok: boolean; readonly text: string; readonly notRun?: string };

export type CheckOptions = {
  /** Whether parts that are not installed are installed for their checks. */
  readonly installAll: boolean;
  /** Whether the structure tests are among the checks; `npm test` runs them with the other tests. */
  readonly structure: boolean;
};

/** What must hold before any test is worth running, quickest first. */
export function checks({ installAll, structure }: CheckOptions): readonly Check[] {
  const withContracts = () => installAll || isInstalled(inRoot('contracts'));
  const notInstalled: CheckResult = {
    ok: true,
    text: '',
    notRun: 'contracts/ is not installed; "npm run contracts" installs it',
  };
  return [
    {
      name: 'format and lint',
      run: () => program('node_modules/@biomejs/biome/bin/biome', ['check', '.', '--max-diagnostics=40']),
    },
    ...(structure
      ? [
          {
            name: 'layers and package files',
            run: () =>
              program('node_modules/vitest/vitest.mjs', [
                'run',
                '--reporter=minimal',
                'test/layers.test.ts',
                'test/packages.test.ts',
              ]),
          },
        ]
      : []),
    { name: 'vectors are current', run: () => isCurrent('scripts/makeVectors.ts', 'vectors') },
    {
      name: 'the schema of cloister.json is current',
      run: () => isCurrent('scripts/makeAppFileSchema.ts', 'apps/cli/src/schema'),
    },
    {
      name: 'types',
      run: () => program('node_modules/typescript/lib/tsc.js', ['-p', 'tsconfig.json', '--pretty', 'false']),
    },
    {
      name: 'generated files are current',
      compiles: true,
      run: async () => (withContracts() ? resultOf(await runContractsScript('generate', ['--check'])) : notInstalled),
    },
    {
      name: 'types of the contracts’ tests',
      compiles: true,
      run: async () =>
        withContracts()
          ? program('contracts/node_modules/typescript/lib/tsc.js', [
              '-p',
              'contracts/tsconfig.json',
              '--pretty',
              'false',
            ])
          : notInstalled,
    },
  ];
}

async function program(file: string, args: readonly string[]): Promise<CheckResult> {
  return resultOf(await runNode([inRoot(file), ...args]));
}

function resultOf({ code, timedOut, stdout, stderr }: RunResult): CheckResult {
  return { ok: code === 0, text: `${timedOut ? 'out of time\n' : ''}${stdout}${stderr}` };
}

/** Has a script write its files again, beside the committed ones, and compares. */
async function isCurrent(script: string, committed: string): Promise<CheckResult> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-current-'));
  try {
    const run = await runNode([inRoot(script), folder]);
    if (run.code !== 0) return resultOf(run);
    const textOf = (file: string) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined);
    const differing = fs
      .readdirSync(folder)
      .filter((name) => textOf(path.join(folder, name)) !== textOf(inRoot(committed, name)))
      .map(
        (name) => `${committed}/${name} differs from what ${script} writes; run that where a form changed on purpose`,
      );
    return { ok: differing.length === 0, text: differing.join('\n') };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
