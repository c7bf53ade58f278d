import fs from 'node:fs';
import path from 'node:path';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import { inRoot } from './paths.ts';
import { type RunOptions, type RunResult, runNode } from './runProcess.ts';
import { ScriptError } from './scriptError.ts';
import { readPackageJson } from './workspaces.ts';

/** Runs a script of contracts/package.json under the project's Node.js, installing what it needs first. */
export async function runContractsScript(
  name: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunResult> {
  await ensureInstalled(parts.contracts);
  const folder = inRoot('contracts');
  const scripts: Readonly<Record<string, string>> = readPackageJson(path.join(folder, 'package.json')).scripts ?? {};
  const line = scripts[name];
  if (line === undefined)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Expected one of "${Object.keys(scripts).join('", "')}", got "${name}"`,
    });
  const [program = '', ...given] = line.split(' ');
  const file = program === 'node' ? [] : [fs.realpathSync(path.join(folder, 'node_modules', '.bin', program))];
  return runNode([...file, ...given, ...args], { ...options, cwd: folder });
}
