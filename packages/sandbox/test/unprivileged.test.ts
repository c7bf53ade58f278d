import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WallReport } from '../src/index.ts';

const uid = 54_321;
const script = join(import.meta.dirname, 'unprivilegedDriver.ts');

/** Somebody who isn't root runs the driver. */
function runAs(user: number, jail: string): { walls: WallReport; ends: string[]; uid: number } | undefined {
  const ids = ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];
  const { stdout } = spawnSync('setpriv', [...ids, process.execPath, script, jail], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return stdout ? JSON.parse(stdout) : undefined;
}

// Another user may be unable to read this folder at all.
const isRoot = process.getuid?.() === 0;
const readable =
  isRoot && spawnSync('setpriv', ['--reuid', `${uid}`, process.execPath, '--check', script]).status === 0;

describe.skipIf(!readable)('without the rights of root', () => {
  test.each(['bubblewrap', 'namespaces'])('limits hold, and missing walls are named: %s', async (jail) => {
    const report = runAs(uid, jail);
    expect(report?.uid).toBe(uid);
    expect(report?.ends).toEqual(['ok', 'wall', 'memory', 'refused', 'ok']);
    expect(report?.walls.identity.present).toBe(false);
    expect(report?.walls.systemCalls.present).toBe(true);
    for (const wall of Object.values(report?.walls ?? {}))
      expect(wall.present || wall.missingReason !== undefined).toBe(true);
  });
});
