import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureInstalled, parts } from './ensureInstalled.ts';
import type { Outcome } from './outcome.ts';
import { inRoot } from './paths.ts';
import { failureText } from './print.ts';
import { runNode } from './runProcess.ts';
import { readOutcome } from './vitestPart.ts';

/** Compiles the contracts and runs all their tests. What Hardhat prints is shown only where something failed. */
export async function runHardhatTests(env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  await ensureInstalled(parts.contracts);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-hardhat-'));
  const report = path.join(folder, 'outcome.json');
  try {
    const { code, timedOut, stdout, stderr } = await runNode([inRoot('scripts/lib/hardhatRunner.ts'), report], {
      cwd: inRoot('contracts'),
      env: { ...env, HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true' },
    });
    const outcome = readOutcome(report) ?? {
      passed: 0,
      failed: [`contracts (${timedOut ? 'out of time' : `exit ${code}`}, no report)`],
      skipped: [],
    };
    // Failures of the TypeScript tests come on stderr by themselves; Hardhat's own report holds those of Solidity.
    const inSolidity = outcome.failed.some((name) => !/\.[cm]?[jt]s\b/.test(name));
    if (code !== 0 || outcome.failed.length > 0) failureText(inSolidity ? `${stdout}\n${stderr}` : stderr, 200);
    return code !== 0 && outcome.failed.length === 0 ? { ...outcome, failed: [`contracts (exit ${code})`] } : outcome;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
