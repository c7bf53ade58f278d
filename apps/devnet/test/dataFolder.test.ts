import { mkdir, mkdtemp, readdir, readFile, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type DevnetState,
  dataVersion,
  everyAccount,
  gatekeeperCount,
  maxWorkers,
  newAccounts,
  openDataFolder,
} from '../src/dataFolder.ts';

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return { ...real, statfs: vi.fn(real.statfs) };
});

let base = '';
let dir = '';
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'cloister-data-'));
  dir = join(base, 'data');
});
afterEach(async () => {
  vi.mocked(statfs).mockRestore();
  await rm(base, { recursive: true, force: true });
});

const contractsHash = `0x${'ab'.repeat(32)}`;
const open = (changes: Partial<Parameters<typeof openDataFolder>[1]> = {}) =>
  openDataFolder(dir, { contractsHash, reset: false, ...changes });
const state = (changes: Partial<DevnetState> = {}): DevnetState => ({
  dataVersion,
  contractsHash,
  genesis: 1_790_000_000,
  epochSeconds: 300,
  imageId: null,
  gatekeeperImageId: null,
  ports: { rpc: 1, gateway: 2 },
  accounts: newAccounts(),
  ...changes,
});

/** Everything in the folder, with what is in it. */
async function contents(): Promise<Record<string, string>> {
  const names = await readdir(dir);
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8').catch(() => 'folder')));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']));
}

/** That opening is refused by this code, in one line, and changes nothing in the folder. */
async function refuses(code: string, message: RegExp, changes: Partial<Parameters<typeof openDataFolder>[1]> = {}) {
  const before = await contents().catch(() => undefined);
  const refused = (await open(changes).catch((error: unknown) => error)) as Error;
  expect(refused).toMatchObject({ code, hint: expect.any(String) });
  expect(refused.message).toMatch(message);
  expect(refused.message).not.toContain('\n');
  expect(await contents().catch(() => undefined)).toEqual(before);
}

describe('a data folder', () => {
  test('is made, closed to others, and has no state at first', async () => {
    const data = await open();
    expect(data.state).toBeUndefined();
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect(data.file('logs', 'chain.log')).toBe(join(dir, 'logs', 'chain.log'));
    data.release();
    expect(await readdir(dir)).toEqual([]);
  });

  test('remembers, readable for its owner alone', async () => {
    const data = await open();
    const saved = state();
    await data.save(saved);
    data.release();
    expect((await stat(join(dir, 'devnet.json'))).mode & 0o777).toBe(0o600);
    const again = await open();
    expect(again.state).toEqual(saved);
    again.release();
  });

  test('belongs to one process at a time', async () => {
    const data = await open();
    await refuses('DATA_IN_USE', /already running from/);
    await refuses('DATA_IN_USE', /already running from/, { reset: true });
    data.release();
    (await open()).release();
  });

  test('goes on after a start that was killed while it wrote', async () => {
    await mkdir(join(dir, 'lock.takeover'), { recursive: true });
    await utimes(join(dir, 'lock.takeover'), 1, 1);
    await writeFile(join(dir, '.devnet.json.0123456789ab.tmp'), '{"dataVer');
    await writeFile(join(dir, 'lock.0123456789ab.tmp'), '');
    await writeFile(join(dir, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, startedAt: '1' }));
    const data = await open();
    expect(data.state).toBeUndefined();
    data.release();
  });
});

describe('is refused, and left as it is', () => {
  const save = async (changes: object) => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'devnet.json'), JSON.stringify({ ...state(), ...changes }));
    await writeFile(join(dir, 'chain.json'), 'the chain');
  };

  test('a folder of another data version', async () => {
    await save({ dataVersion: 7 });
    await refuses('DATA_OTHER_VERSION', new RegExp(`data version "7", this release needs "${dataVersion}"`));
  });

  test('a folder that other contracts made', async () => {
    await save({ contractsHash: `0x${'cd'.repeat(32)}` });
    await refuses('DATA_OTHER_CONTRACTS', /made by contracts "0xcdcdcdcdcdcd…", this release has "0xabababababab…"/);
  });

  test.each(['{"dataVersion":', 'null', '5', '[]', '{}', '{"dataVersion":1}', ''])(
    'a state that is %j',
    async (text) => {
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, 'devnet.json'), text);
      await refuses('DATA_UNREADABLE', /devnet\.json" is damaged/);
    },
  );

  test('a state that can not be read', async () => {
    await mkdir(join(dir, 'devnet.json'), { recursive: true });
    await refuses('DATA_UNREADABLE', /can't be read \(EISDIR\)/);
  });

  test('a folder with files of others, also with --reset', async () => {
    await mkdir(dir);
    await writeFile(join(dir, 'thesis.txt'), 'all my work');
    await refuses('DATA_NOT_OURS', /holds other files/);
    await refuses('DATA_NOT_OURS', /holds other files/, { reset: true });
  });

  test("a file in the folder's place, or above it", async () => {
    await writeFile(dir, 'a file');
    await expect(open()).rejects.toMatchObject({ code: 'DATA_NOT_OURS' });
    expect(await readFile(dir, 'utf8')).toBe('a file');
    await expect(openDataFolder(join(dir, 'below'), { contractsHash, reset: false })).rejects.toMatchObject({
      code: 'DATA_UNREADABLE',
    });
  });

  test('a disk that is almost full', async () => {
    await save({});
    vi.mocked(statfs).mockResolvedValueOnce({ bavail: 10, bsize: 1_000_000 } as never);
    await refuses('DATA_NO_SPACE', /Only 10 MB are free/);
  });

  test('and can be opened by others again', async () => {
    await save({ dataVersion: 7 });
    await expect(open()).rejects.toThrow();
    await expect(open()).rejects.toMatchObject({ code: 'DATA_OTHER_VERSION' });
    expect(await readdir(dir)).not.toContain('lock');
  });
});

describe('--reset', () => {
  test('deletes what this program made, by name, and nothing else', async () => {
    await mkdir(join(dir, 'workers', 'run-0'), { recursive: true });
    await mkdir(join(dir, 'logs'));
    await mkdir(join(dir, 'receipts'));
    for (const name of ['devnet.json', 'chain.json', 'network.json', 'accounts.json', 'logs/chain.log'])
      await writeFile(join(dir, name), '{"dataVersion":7}');
    await writeFile(join(dir, 'notes.txt'), 'mine');
    await mkdir(join(dir, 'backup'));
    const data = await open({ reset: true });
    expect(data.state).toBeUndefined();
    data.release();
    expect(await contents()).toEqual({ 'notes.txt': 'mine', backup: 'folder' });
  });

  test('is never done unasked', async () => {
    const data = await open();
    await data.save(state());
    await writeFile(data.file('chain.json'), 'the chain');
    data.release();
    (await open()).release();
    expect(Object.keys(await contents()).sort()).toEqual(['chain.json', 'devnet.json']);
  });
});

test('accounts are fresh, and enough for every worker', () => {
  const accounts = newAccounts();
  expect(accounts.operators).toHaveLength(maxWorkers);
  expect(accounts.gatekeepers).toHaveLength(gatekeeperCount);
  const all = everyAccount(accounts);
  expect(all).toHaveLength(maxWorkers + gatekeeperCount + 3);
  expect(new Set(all.map(({ address }) => address)).size).toBe(all.length);
  expect(new Set([...all, ...everyAccount(newAccounts())].map(({ privateKey }) => privateKey)).size).toBe(
    2 * all.length,
  );
  for (const { address } of all) expect(address).toMatch(/^0x[0-9a-f]{40}$/);
});
