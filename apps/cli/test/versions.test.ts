import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes32, type SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { unknownNameHint } from '../src/appName.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
let options: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-versions-'));
  await writeFile(join(folder, 'key'), generatePrivateKey());
  await writeFile(join(folder, 'stranger'), generatePrivateKey());
  ({ network, stop } = await startNetwork());
  await network.addWorker();
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
  for (const text of ['one', 'two']) {
    await writeFile(join(folder, 'shop.ts'), `export default { fetch: (): Response => new Response("${text}") };\n`);
    expect((await run(...options, 'deploy', join(folder, 'shop.ts'))).error).toBeUndefined();
  }
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

const json = async (...argv: string[]) => {
  const { out, error } = await run('--json', ...options, ...argv);
  if (error !== undefined) throw error;
  expect(out.trim().split('\n')).toHaveLength(1);
  return JSON.parse(out);
};

test('versions, rollback and scale tell programs and people what became of it', async () => {
  const before = await json('versions', 'shop');
  expect(before).toEqual({
    app: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    owner: expect.stringMatching(/^0x[0-9a-f]{40}$/),
    count: 2,
    timelock: null,
    versions: [2, 1].map((version) => ({
      version,
      state: version === 2 ? 'serving' : 'superseded',
      effectiveAt: expect.stringMatching(/^[0-9]+$/),
      manifestId: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      replicas: 2,
      keyVersion: 1,
      minKeyVersion: 1,
      kind: 'function',
      code: { sha256: expect.stringMatching(/^0x[0-9a-f]{64}$/), bytes: expect.any(Number) },
    })),
  });
  const { app } = before;
  expect(await json('rollback', 'shop')).toEqual({
    app,
    restored: 1,
    withdrawn: null,
    manifestId: before.versions[1].manifestId,
    version: 3,
    effectiveAt: expect.stringMatching(/^[0-9]+$/),
    published: true,
  });
  expect((await run(...options, 'rollback', 'shop', '2')).out).toBe('Version 4 is what version 2 was\n');
  expect((await run(...options, 'rollback', 'shop', '2')).out).toBe('Nothing to publish: version 4 serves just that\n');
  expect(await json('scale', 'shop', '5')).toEqual({
    app,
    replicas: 5,
    before: 2,
    placed: false,
    manifestId: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    version: 5,
    effectiveAt: expect.stringMatching(/^[0-9]+$/),
    published: true,
  });
  const prose = await run(...options, 'scale', 'shop', '2');
  expect(prose.out).toBe('Version 6 is 2 replicas instead of 5\n');
  expect(prose.err).toContain('the number is recorded alone');
  const listed = await run(...options, 'versions', 'shop', '--limit', '2');
  expect(listed.out).toMatch(/^v6 {4}serving {4}.*2 replicas\nv5 .*5 replicas\nand 4 older: --limit\n$/);
});

describe('refused before anything is sent', () => {
  test.each([
    [['versions', bytes32(9)], 'REGISTRY_APP_UNKNOWN'],
    [['versions', 'shop', '--limit', 'all'], 'OPTION_VALUE_INVALID'],
    [['rollback', 'shop', 'one'], 'OPTION_VALUE_INVALID'],
    [['rollback', 'shop', '-1'], 'OPTION_VALUE_INVALID'],
    [['rollback', 'shop', '99'], 'VERSION_UNKNOWN'],
    [['rollback', 'unheard-of'], 'REGISTRY_APP_UNKNOWN'],
    [['scale', 'shop'], undefined],
    [['scale', 'shop', 'many'], 'OPTION_VALUE_INVALID'],
    [['scale', 'shop', '0'], 'SCHEMA_MISMATCH'],
    [['scale', 'shop', '65'], 'SCHEMA_MISMATCH'],
    [['state', bytes32(9)], 'REGISTRY_APP_UNKNOWN'],
    [['state', 'shop', '--partition', 'x'], 'OPTION_VALUE_INVALID'],
    [['state', 'shop'], 'STATE_NO_COMMITTEE'],
  ] as const)('%s', async (argv, code) => {
    const sent = network.rpc.asks('eth_sendRawTransaction');
    const { error, out } = await run(...options, ...argv);
    expect(out).toBe('');
    // Where a name was meant, more than its id is said.
    const hint = unknownNameHint(error);
    if (argv[1] === 'unheard-of') expect(hint).toMatch(/^"unheard-of" stands for an app of account 0x[0-9a-f]{40}, /);
    else expect(hint).toBeUndefined();
    expect(error).toMatchObject(code === undefined ? { name: 'CommanderError' } : { code });
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(sent);
  });

  test('by whoever is not the owner', async () => {
    const { app } = await json('versions', 'shop');
    const sent = network.rpc.asks('eth_sendRawTransaction');
    const stranger = ['--network', join(folder, 'network.json'), '--key', join(folder, 'stranger')];
    for (const argv of [
      ['rollback', app],
      ['scale', app, '3'],
    ])
      expect((await run(...stranger, ...argv)).error).toMatchObject({ code: 'APP_NOT_YOURS' });
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(sent);
  });
});
