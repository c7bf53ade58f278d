import { appRegistryAbi, appTimelockAbi } from '@cloister/chain';
import { appId, manifestId, parseManifest } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { appSalt, createClient, type DeployForOptions } from '@cloister/sdk';
import { decodeFunctionData } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SimulatedNetwork } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
const key = generatePrivateKey();
const developer = privateKeyToAccount(key).address.toLowerCase() as `0x${string}`;
const [timelock, safe, image] = [`0x${'aa'.repeat(20)}`, `0x${'5a'.repeat(20)}`, `0x${'1a'.repeat(32)}`] as const;
const app = appId(timelock, appSalt('sample'));
const codeOf = (text: string) => utf8(`export default { fetch: () => new Response("${text}") }`);
const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const sent = () => network.rpc.asks('eth_sendRawTransaction');
const plan = (changes: Partial<DeployForOptions> = {}, account?: `0x${string}`) =>
  client().deployFor({ owner: timelock, code: codeOf('one'), name: 'sample', ...changes, ...(account && { account }) });

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  network.registries.timelocks.created = new Map([
    [timelock, { owner: developer, delay: 60, vetoers: [safe], announced: [] }],
  ]);
});
afterEach(() => network.stop());

describe('deploying an app that a timelock owns', () => {
  test('creates it at once, and announces each later version', async () => {
    const first = await plan({}, key);
    expect(first).toMatchObject({ app, owner: timelock, sender: developer, sent: true });
    const stored = network.gateway.blobs.get(first.manifestId) ?? expect.fail();
    expect(parseManifest(stored)).toEqual(first.manifest);
    expect(network.gateway.blobs.get(toHex(sha256(codeOf('one'))))).toEqual(codeOf('one'));
    expect(network.registries.apps.get(app)).toMatchObject({
      owner: timelock,
      versions: [{ manifestId: first.manifestId }],
    });

    const second = await plan({ code: codeOf('two') }, key);
    expect(second.manifestId).toBe(manifestId(second.manifest));
    expect(network.registries.apps.get(app)?.versions).toHaveLength(1);
    const listed = await client().versions.list(app, 10);
    expect(listed.timelock).toMatchObject({ owner: developer, delaySeconds: 60, vetoers: [safe] });
    expect(listed.timelock?.announced).toEqual([
      expect.objectContaining({
        number: 1,
        state: 'waiting',
        app,
        does: expect.objectContaining({ of: 'registry', name: 'publish' }),
        manifest: second.manifest,
      }),
    ]);
    expect(sent()).toBe(2);
  });

  test('lists what is announced for it or for all, not for others', async () => {
    await plan({}, key);
    await plan({ name: 'other' }, key);
    await plan({ name: 'other', code: codeOf('two') }, key);
    expect((await client().versions.list(app, 10)).timelock?.announced).toEqual([]);
    network.registries.timelocks.created
      ?.get(timelock)
      ?.announced.push({ state: 1, toRegistry: true, readyAt: 1n, data: '0x12345678' });
    expect((await client().versions.list(app, 10)).timelock?.announced).toMatchObject([{ number: 2, manifest: null }]);
    expect(sent()).toBe(3);
  });

  test('announces nothing where this very manifest serves', async () => {
    await plan({}, key);
    expect(await plan({}, key)).toMatchObject({ calls: [], sent: true });
    expect(sent()).toBe(1);
  });

  test('names its images: at the creation in the same call, later each by an announcement', async () => {
    const keyed = { manifest: { state: { partitions: 1 } }, pinImages: [image] } as const;
    const first = await plan(keyed);
    const created = decodeFunctionData({ abi: appTimelockAbi, data: first.calls[0]?.data ?? '0x' });
    expect([created.functionName, created.args?.[3]]).toEqual(['create', [image]]);
    await plan({}, key);
    const { calls } = await plan(keyed);
    const inside = calls.map(({ to, data }) => {
      const { functionName, args } = decodeFunctionData({ abi: appTimelockAbi, data });
      expect([to, functionName, args?.[0]]).toEqual([timelock, 'announce', true]);
      return decodeFunctionData({ abi: appRegistryAbi, data: args?.[1] as `0x${string}` }).functionName;
    });
    expect(inside).toEqual(['publish', 'pinImage']);
  });

  test('is refused to who does not own the timelock, before anything is sent', async () => {
    await expect(plan({}, generatePrivateKey())).rejects.toMatchObject({ code: 'DEPLOY_OWNER_IS_ANOTHER' });
    expect(sent()).toBe(0);
  });

  test('is refused with secrets, which a contract can’t sign', async () => {
    await expect(plan({ manifest: { secrets: ['API_KEY'] } })).rejects.toMatchObject({
      code: 'DEPLOY_OWNER_CANNOT_SIGN',
    });
  });
});

describe('deploying an app that another contract owns', () => {
  test('answers the registry’s own calls, for a Safe to send', async () => {
    const { calls, sender, timelock: none, manifestId: id, app: made } = await plan({ owner: safe });
    expect([sender, none, made]).toEqual([safe, undefined, appId(safe, appSalt('sample'))]);
    expect(calls.map(({ to, value }) => [to, value])).toEqual([[network.file.contracts.appRegistry, 0n]]);
    const { functionName, args } = decodeFunctionData({ abi: appRegistryAbi, data: calls[0]?.data ?? '0x' });
    expect([functionName, args?.[0], args?.[1]]).toEqual(['create', appSalt('sample'), id]);
    expect(sent()).toBe(0);
    await expect(plan({ owner: safe }, key)).rejects.toMatchObject({ code: 'DEPLOY_OWNER_IS_ANOTHER' });
  });

  test('takes nobody’s word for being a timelock', async () => {
    network.registries.timelocks.created = new Map();
    expect((await plan()).timelock).toBeUndefined();
    network.registries.timelocks.created = undefined;
    expect((await plan()).timelock).toBeUndefined();
  });
});
