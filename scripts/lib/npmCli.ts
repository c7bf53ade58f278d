import fs from 'node:fs';
import path from 'node:path';
import { type RunOptions, type RunResult, runNode } from './runProcess.ts';
import { ScriptError } from './scriptError.ts';

/** npm's own program file: the one that the bootstrap found, or the first on the PATH. Throws SCRIPT_NPM_MISSING. */
export function npmCli(): string {
  const onPath = (process.env.PATH ?? '').split(path.delimiter).flatMap((folder) => {
    try {
      return [fs.realpathSync(path.join(folder, 'npm'))];
    } catch {
      return [];
    }
  });
  const found = [process.env.CLOISTER_NPM_CLI, process.env.npm_execpath, ...onPath].find(
    (file) => file?.endsWith('npm-cli.js') === true && fs.existsSync(file),
  );
  if (found === undefined)
    throw new ScriptError({
      code: 'SCRIPT_NPM_MISSING',
      message: 'npm was not found',
      hint: 'start this through npm, as CONTRIBUTING.md shows',
    });
  return found;
}

/** Runs npm under the project's Node.js. */
export function runNpm(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runNode([npmCli(), ...args], {
    ...options,
    env: {
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_loglevel: 'error',
      npm_config_update_notifier: 'false',
      // Heavy engines fetch their binaries from npm packages only.
      ONNXRUNTIME_NODE_INSTALL: 'skip',
      ...options.env,
    },
  });
}
