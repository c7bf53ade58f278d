import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-main-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The command as a process, in a folder without a network. */
function cloister(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...argv], { cwd: folder, env: { PATH: '' } }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

const commands = [
  'up',
  'use',
  'network',
  'deploy',
  'init',
  'manifest',
  'versions',
  'rollback',
  'scale',
  'timelock',
  'image',
  'state',
  'call',
  'collateral',
  'verify',
  'workers',
  'apps',
  'logs',
  'dev',
  'verify-evidence',
  'attest',
  'committee',
  'secrets',
  'hosts',
  'evict',
  'beacon',
  'epoch',
  'retire',
  'quote',
  'fund',
  'balance',
  'history',
  'withdraw',
  'send',
  'reconcile',
  'storage',
  'bridge',
  'simulate',
  'pool',
  'stake',
  'unstake',
  'claim',
  'worker',
  'slashes',
  'govern',
  'proxy',
];

describe('cloister', () => {
  test('--help lists every command', async () => {
    const { out, code } = await cloister('--help');
    expect(code).toBe(0);
    const listed = out.split('Commands:')[1]?.match(/^ {2}[a-z-]+ /gm) ?? [];
    expect(listed.map((line) => line.trim()).sort()).toEqual([...commands, 'help'].sort());
  });

  test('an error is one line with what to do for people, and JSON for programs', async () => {
    const [prose, json] = await Promise.all([cloister('workers'), cloister('--json', 'workers')]);
    expect(prose).toEqual({
      code: 1,
      out: '',
      err: 'cloister: No network is chosen here. Run "cloister use NETWORK_FILE" in this folder, or give --network FILE\n',
    });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, error: { code: 'NO_NETWORK', retry: false } });
  });

  test('dev serves a function from its sandbox, again after a change, and ends with Ctrl-C', async () => {
    const file = join(folder, 'app.ts');
    const write = (text: string) =>
      writeFile(file, `export default { fetch: (_: Request, env: { A: string }) => new Response(${text} + env.A) };\n`);
    await write('"one "');
    const argv = [main, '--json', 'dev', file, '--env', 'A=b'];
    const child = spawn(process.execPath, argv, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    const exited = once(child, 'exit');
    try {
      const [line] = await once(child.stdout, 'data');
      const { ready, url } = JSON.parse(String(line)) as { ready: boolean; url: string };
      expect(ready).toBe(true);
      const answer = async () => (await fetch(url)).text();
      expect(await answer()).toBe('one b');
      await write('"two "');
      await expect.poll(answer, { timeout: 10_000 }).toBe('two b');
    } finally {
      child.kill('SIGINT');
    }
    expect(await exited).toEqual([0, null]);
  });
});
