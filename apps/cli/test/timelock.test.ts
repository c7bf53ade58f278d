import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appTimelockAbi } from '@cloister/chain';
import { decodeFunctionData } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
let options: string[] = [];
const key = generatePrivateKey();
const owner = privateKeyToAccount(key).address.toLowerCase() as `0x${string}`;
const timelock = `0x${'aa'.repeat(20)}` as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-timelock-'));
  await writeFile(join(folder, 'key'), key);
  ({ network, stop } = await startNetwork());
  await network.addWorker();
  network.registries.timelocks.created = new Map([[timelock, { owner, delay: 7_200, vetoers: [], announced: [] }]]);
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

const json = async (...argv: string[]) => {
  const { out, error } = await run('--json', ...options, ...argv);
  if (error !== undefined) throw error;
  return JSON.parse(out);
};
const write = (text: string) =>
  writeFile(join(folder, 'shop.ts'), `export default { fetch: (): Response => new Response("${text}") };\n`);
const deploy = (...argv: string[]) => json('deploy', join(folder, 'shop.ts'), '--owner', timelock, ...argv);

test('deploy goes through the timelock, versions shows what comes, and calldata serves any owner', async () => {
  await write('one');
  const planned = await deploy('--calldata');
  expect(planned).toMatchObject({ owner: timelock, sender: owner, delaySeconds: 7_200, sent: false });
  const [call] = planned.calls;
  expect([call.to, call.value]).toEqual([timelock, '0']);
  expect(decodeFunctionData({ abi: appTimelockAbi, data: call.data }).functionName).toBe('create');
  const { app, sent } = await deploy();
  expect([app, sent]).toEqual([planned.app, true]);

  await write('two');
  const second = await deploy();
  const { versions, timelock: listed } = await json('versions', app);
  expect(versions).toHaveLength(1);
  expect(listed).toMatchObject({ owner, delaySeconds: 7_200, vetoers: [] });
  expect(listed.announced).toEqual([
    expect.objectContaining({
      number: 1,
      state: 'waiting',
      app,
      of: 'registry',
      name: 'publish',
      code: expect.anything(),
    }),
  ]);
  expect(listed.announced[0].args.slice(0, 2)).toEqual([app, second.manifestId]);
  const { out } = await run(...options, 'versions', app);
  expect(out).toMatch(/^#1 +waiting +in 1\d\d min|^#1 +waiting +in [12] h/m);
  expect(out).toContain(second.manifestId.slice(0, 14));

  // What nobody can read is shown all the same.
  network.registries.timelocks.created
    ?.get(timelock)
    ?.announced.push({ state: 2, toRegistry: true, readyAt: 1n, data: '0x12345678' });
  expect((await run(...options, 'versions', app)).out).toMatch(/^#2 +ready .*a call that nobody knows: 0x12345678/m);
});

test('calldata needs an owner', async () => {
  const { error } = await run(...options, 'deploy', join(folder, 'shop.ts'), '--calldata');
  expect(error).toMatchObject({ code: 'OPTION_VALUE_INVALID' });
});
