import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { withFolderLock } from './folderLock.ts';
import { runNpm } from './npmCli.ts';
import { root } from './paths.ts';
import type { RunResult } from './runProcess.ts';
import { ScriptError } from './scriptError.ts';

/** A part of the repository that is installed only when a command first needs it. */
export type InstallablePart = {
  /** Folder with its own package.json and package-lock.json, relative to the root. */
  readonly folder: string;
  /** What comes, for the one line that is printed. */
  readonly what: string;
  /** Size of its node_modules, in MB. */
  readonly megabytes: number;
};

export const parts = {
  contracts: { folder: 'contracts', what: 'the Solidity compiler and Hardhat', megabytes: 300 },
  bench: { folder: 'bench', what: 'the peers that benchmarks compare with', megabytes: 1 },
  enginesCuda: { folder: 'engines/cuda', what: "llama.cpp for NVIDIA's GPUs", megabytes: 540 },
  engines: { folder: 'engines', what: 'the engines that run models', megabytes: 540 },
  packNodes: {
    folder: 'test/packNodes',
    what: 'Node.js 20 and 22 for the test of the packed packages',
    megabytes: 235,
  },
  browser: { folder: 'test/browser', what: 'a headless Chromium for the scenario in a page', megabytes: 90 },
} as const satisfies Record<string, InstallablePart>;

export type InstallComponents = {
  /** Absolute folder that `part.folder` is relative to. */
  readonly base?: string;
  readonly install?: (folder: string) => Promise<RunResult>;
  readonly say?: (line: string) => void;
};

/**
 * Installs a part by `npm ci` unless what its lock file names is already there, and answers whether it had to.
 * Safe to interrupt (the stamp is written last) and to start twice at once. Throws SCRIPT_INSTALL_FAILED.
 */
export async function ensureInstalled(part: InstallablePart, components: InstallComponents = {}): Promise<boolean> {
  const folder = path.join(components.base ?? root, part.folder);
  const say = components.say ?? ((line: string) => process.stderr.write(`cloister: ${line}\n`));
  if (isInstalled(folder)) return false;
  const lock = path.join(components.base ?? root, `.bootstrap.lock-${part.folder.replaceAll('/', '-')}`);
  return withFolderLock(
    lock,
    async () => {
      if (isInstalled(folder)) return false;
      const started = performance.now();
      say(`installing ${part.what} in ${part.folder}/ (about ${part.megabytes} MB, once)…`);
      fs.rmSync(stampOf(folder), { force: true });
      const install = components.install ?? ((cwd: string) => runNpm(['ci'], { cwd }));
      const { code, stdout, stderr } = await install(folder);
      if (code !== 0)
        throw new ScriptError({
          code: 'SCRIPT_INSTALL_FAILED',
          message: `Installing "${part.folder}" failed with exit code ${code}: ${firstLines(stderr || stdout)}`,
          hint: 'the same command starts it again',
        });
      fs.writeFileSync(stampOf(folder), wantedStamp(folder));
      say(`installed ${part.folder}/ in ${Math.round((performance.now() - started) / 1000)} s`);
      return true;
    },
    { onWait: (owner) => say(`another process (${owner}) is installing ${part.folder}/, waiting…`) },
  );
}

/** Whether a folder's node_modules are those of its lock file. */
export function isInstalled(folder: string): boolean {
  try {
    if (namesNothing(folder)) return true;
    return fs.readFileSync(stampOf(folder), 'utf8') === wantedStamp(folder);
  } catch {
    return false;
  }
}

/** npm names the cause first and then explains itself at length. */
function firstLines(text: string): string {
  const lines = text
    .trim()
    .split('\n')
    .filter((line) => !/^npm (warn|error)\s*$/.test(line));
  return `${lines.slice(0, 12).join('\n')}${lines.length > 12 ? '\n…' : ''}`;
}

/** A lock file whose only entry is its own project. */
function namesNothing(folder: string): boolean {
  const lock = JSON.parse(fs.readFileSync(path.join(folder, 'package-lock.json'), 'utf8')) as { packages?: object };
  return lock.packages !== undefined && Object.keys(lock.packages).every((name) => name === '');
}

/** The lock file, and the platform and ABI that native parts were installed for. */
function wantedStamp(folder: string): string {
  const hash = createHash('sha256')
    .update(fs.readFileSync(path.join(folder, 'package-lock.json')))
    .digest('hex');
  return `${hash} ${process.platform}-${process.arch} ${process.versions.modules}`;
}

function stampOf(folder: string): string {
  return path.join(folder, 'node_modules', '.cloister-stamp');
}
