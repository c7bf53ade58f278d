import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetworkFile } from '@cloister/core';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { resolveApp } from '../src/appName.ts';
import { note, print, stepLines, toJson } from '../src/output.ts';
import { findNetworkFile, openAccount, openClient, pinNetwork } from '../src/settings.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const network: NetworkFile = {
  format: 'cloister-network-1',
  name: 'sample',
  chainId: 31337,
  contracts: {
    timelock: address('01'),
    phaToken: address('02'),
    imageRegistry: address('03'),
    workerRegistry: address('04'),
    appRegistry: address('05'),
    gatekeeperCommittee: address('06'),
    epochRecords: address('07'),
    payments: address('d1'),
    stakePools: address('d2'),
    workerBonds: address('d3'),
    slashing: address('d4'),
    emission: address('d5'),
    epochRewards: address('d6'),
    storageRent: address('d7'),
    governor: address('d8'),
  },
  rpcs: ['https://rpc.example'],
  gateways: ['https://gateway.example'],
  trustRoots: [{ tee: 'tdx', spkiSha256: `0x${'aa'.repeat(32)}`, simulated: true, name: 'DEV root' }],
  networkKeys: null,
  simulated: true,
};
const real: NetworkFile = {
  ...network,
  simulated: false,
  trustRoots: [{ tee: 'tdx', spkiSha256: `0x${'aa'.repeat(32)}`, simulated: false, name: 'Intel' }],
};

let base = '';
let cwd = '';
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'cloister-cli-'));
  cwd = join(base, 'project', 'src');
  await mkdir(cwd, { recursive: true });
  vi.spyOn(process, 'cwd').mockImplementation(() => cwd);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(base, { recursive: true, force: true });
});

async function put(file: string, content: object | string): Promise<string> {
  const path = join(base, file);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}
const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('which network', () => {
  test('the one that is named', async () => {
    await put('project/src/.cloister/network.json', network);
    const named = await put('elsewhere/net.json', network);
    expect(findNetworkFile({ network: named })).toBe(named);
    expect(thrown(() => findNetworkFile({ network: join(base, 'none.json') }))).toMatchObject({
      code: 'NO_NETWORK',
      message: expect.stringContaining('none.json'),
    });
  });

  test('else the nearest one above, the pinned before the one of npm start', async () => {
    expect(thrown(() => findNetworkFile({}))).toMatchObject({
      code: 'NO_NETWORK',
      hint: expect.stringContaining('cloister use'),
    });
    const far = await put('.cloister/devnet/network.json', network);
    expect(findNetworkFile({})).toBe(far);
    const devnet = await put('project/.cloister/devnet/network.json', network);
    expect(findNetworkFile({})).toBe(devnet);
    const pinned = await put('project/.cloister/network.json', network);
    expect(findNetworkFile({})).toBe(pinned);
    const nearest = await put('project/src/.cloister/devnet/network.json', network);
    expect(findNetworkFile({})).toBe(nearest);
  });

  test('a file that is none opens no client', async () => {
    const file = await put('net.json', { ...network, chainId: 0 });
    await expect(openClient({ network: file })).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
    await put('net.json', '{');
    await expect(openClient({ network: file })).rejects.toMatchObject({ code: 'JSON_MALFORMED' });
    await put('net.json', network);
    expect((await openClient({ network: file })).network).toEqual(network);
  });
});

describe('which account', () => {
  const keys = { given: generatePrivateKey(), pinned: generatePrivateKey(), developer: generatePrivateKey() };
  const accounts = { developer: { privateKey: keys.developer } };
  const addressOf = (key: `0x${string}`) => privateKeyToAccount(key).address;

  test('the key that is given, else the pinned one, else the developer of a simulated network', async () => {
    await put('project/.cloister/network.json', network);
    await put('project/.cloister/accounts.json', accounts);
    expect((await openAccount({})).address).toBe(addressOf(keys.developer));
    await put('project/.cloister/key', `${keys.pinned}\n`);
    expect((await openAccount({})).address).toBe(addressOf(keys.pinned));
    const given = await put('given.key', `  ${keys.given}\n`);
    expect((await openAccount({ key: given })).address).toBe(addressOf(keys.given));
  });

  test('never a development key on a real network', async () => {
    await put('project/.cloister/network.json', real);
    await put('project/.cloister/accounts.json', accounts);
    await expect(openAccount({})).rejects.toMatchObject({ code: 'NO_KEY' });
  });

  test('none where there is none, or none that can be read', async () => {
    await put('project/.cloister/network.json', network);
    await expect(openAccount({})).rejects.toMatchObject({
      code: 'NO_KEY',
      hint: expect.stringContaining('--key FILE'),
    });
    await put('project/.cloister/accounts.json', { developer: { privateKey: '0x12' } });
    await expect(openAccount({})).rejects.toMatchObject({ code: 'NO_KEY' });
    for (const text of ['', 'secret', keys.given.slice(2), `${keys.given}00`]) {
      const file = await put('bad.key', text);
      const refused = (await openAccount({ key: file }).catch((error: unknown) => error)) as Error;
      expect(refused).toMatchObject({ code: 'KEY_MALFORMED' });
      // The key itself must not end in a terminal's history.
      if (text !== '') expect(refused.message).not.toContain(text);
    }
  });

  test('an app is named by its id, or by its name under that account', async () => {
    await put('project/.cloister/network.json', network);
    const id = `0x${'AB'.repeat(32)}`;
    expect(await resolveApp(id, {})).toBe(id.toLowerCase());
    await expect(resolveApp('hello', {})).rejects.toMatchObject({ code: 'NO_KEY' });
    const one = await put('one.key', keys.given);
    const two = await put('two.key', keys.pinned);
    const apps = [
      await resolveApp('hello', { key: one }),
      await resolveApp('other', { key: one }),
      await resolveApp('hello', { key: two }),
    ];
    expect(new Set(apps).size).toBe(3);
    expect(await resolveApp('hello', { key: one })).toBe(apps[0]);
  });
});

describe('pinning', () => {
  const pinned = (name: string) => readFile(join(cwd, '.cloister', name), 'utf8').catch(() => undefined);

  test('copies a simulated network with its accounts', async () => {
    const file = await put('devnet/network.json', network);
    await put('devnet/accounts.json', { developer: {} });
    expect(await pinNetwork(file, undefined)).toBe(join(cwd, '.cloister', 'network.json'));
    expect(JSON.parse((await pinned('network.json')) ?? '')).toEqual(network);
    expect(await pinned('accounts.json')).toBe('{"developer":{}}');
    expect(findNetworkFile({})).toBe(join(cwd, '.cloister', 'network.json'));
  });

  test('copies a key instead where one is given, and no accounts of a real network', async () => {
    const file = await put('net/network.json', network);
    await put('net/accounts.json', { developer: {} });
    await pinNetwork(file, await put('my.key', 'the key'));
    expect([await pinned('key'), await pinned('accounts.json')]).toEqual(['the key', undefined]);
    await rm(join(cwd, '.cloister'), { recursive: true });
    await put('net/network.json', real);
    await pinNetwork(file, undefined);
    expect([await pinned('key'), await pinned('accounts.json')]).toEqual([undefined, undefined]);
  });

  test('keeps a pinned key for the same network, and sets it aside for another', async () => {
    const file = await put('net/network.json', network);
    await pinNetwork(file, await put('my.key', 'the key'));
    await pinNetwork(file, undefined);
    expect(await pinned('key')).toBe('the key');
    await pinNetwork(await put('net/network.json', { ...network, name: 'other' }), undefined);
    expect([await pinned('key'), await pinned('key.before')]).toEqual([undefined, 'the key']);
  });

  test('pins nothing that is no network', async () => {
    const file = await put('net/network.json', { ...network, more: 1 });
    await expect(pinNetwork(file, undefined)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
    expect(await pinned('network.json')).toBeUndefined();
  });
});

describe('output', () => {
  test('numbers beyond JSON are decimal strings', () => {
    expect(toJson({ a: 2n ** 64n, b: [1n], c: undefined })).toBe('{"a":"18446744073709551616","b":["1"]}');
  });

  test('a result is one line for programs, prose for people', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const prose = vi.fn(() => 'in words');
    print({ json: true }, { ok: true }, prose);
    expect(prose).not.toHaveBeenCalled();
    print({}, { ok: true }, prose);
    note('a hint');
    expect(write.mock.calls.map(([text]) => text)).toEqual(['{"ok":true}\n', 'in words\n']);
    expect(err.mock.calls).toEqual([['a hint\n']]);
  });

  test('steps are a checklist', () => {
    const steps = [
      { id: 'a', title: 'It holds', ok: true, detail: 'x' },
      { id: 'b', title: 'It holds too', ok: false, detail: 'y' },
    ];
    expect(stepLines(steps)).toBe('  ✓ It holds — x\n  ✗ It holds too — y');
  });
});
