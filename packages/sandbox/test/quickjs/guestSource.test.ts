import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { QuickJsDriver } from '../../src/index.ts';
import { engineSha256, findEngine } from '../../src/quickjs/engine.ts';
import { codeOf, never } from '../calls.ts';
import { actorWorkload } from './workload.ts';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

test('the script that makes the world is what its sources give: else run "node scripts/makeGuest.ts"', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'guest-'));
  try {
    const made = join(folder, 'guestSource.ts');
    await promisify(execFile)(process.execPath, ['--no-warnings', file('../../../../scripts/makeGuest.ts'), made]);
    expect(await readFile(made, 'utf8')).toBe(
      await readFile(file('../../src/quickjs/generated/guestSource.ts'), 'utf8'),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the engine is the pinned one, and another file is refused', async () => {
  await expect(findEngine()).resolves.toMatch(/quickjs\.wasm$/);
  await expect(findEngine(file('workload.ts'))).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringContaining(engineSha256),
  });
});

test('workloads that nobody could compare are refused', async () => {
  const driver = new QuickJsDriver({ pooled: 0 });
  await driver.start({ signal: never });
  try {
    const open = (overrides: Parameters<typeof actorWorkload>[0]): Promise<string> =>
      codeOf(driver.open(actorWorkload(overrides), { signal: never }));
    expect(await open({ deterministic: false })).toBe('INVALID_WORKLOAD');
    expect(await open({ limits: { fuel: 0 } })).toBe('INVALID_WORKLOAD');
    expect(await open({ services: ['state'] })).toBe('INVALID_WORKLOAD');
    expect(await open({ outboundHosts: ['a.example'] })).toBe('INVALID_WORKLOAD');
  } finally {
    await driver.stop();
  }
});
