import { type ChainPolicy, functionManifest, type Manifest, zeroBytes32 } from '@cloister/core';
import { SecretBytes } from '@cloister/crypto';
import type { ServiceCall } from '@cloister/sandbox';
import { type CallResult, PaymentError } from '@cloister/sdk';
import { beforeEach, describe, expect, test } from 'vitest';
import { b32, bytes, code, signal } from '../../../packages/state/test/helpers.ts';
import type { AppCalls } from '../src/appCalls.ts';
import type { LoadedApp } from '../src/appLoader.ts';
import { AppGuests } from '../src/guest/appGuests.ts';
import { AppServices } from '../src/services/appServices.ts';
import { callDepthOf, maxCallDepth } from '../src/services/callsOut.ts';
import { givenServices } from '../src/services/givenServices.ts';
import type { StateAnswer } from '../src/state/appStates.ts';

const callee = b32(7);
const account = `0x${'ab'.repeat(20)}`;

const policy: ChainPolicy = {
  chainId: 31_337,
  calls: [],
  ...{ maxValueWei: '0', maxFeeWei: '0', maxPerDay: 1, messages: true },
};

let asked: unknown[][];
let answers: Partial<Omit<CallResult, 'receipt'>> & { manifest?: `0x${string}`; failsWith?: Error };
let heads: number;
let minedIn: `0x${string}`;
let services: AppServices;
beforeEach(() => {
  refusal = undefined;
  asked = [];
  answers = {};
  heads = 0;
  minedIn = b32(9);
  const call: AppCalls['call'] = async (caller, to, request, { maxAnswerBytes }) => {
    asked.push([caller.app, to, request, maxAnswerBytes]);
    const { manifest = b32(8), failsWith, ...rest } = answers;
    if (failsWith !== undefined) throw failsWith;
    const receipt = { receipt: { manifest }, details: { code: 'TENANT_BUSY' } };
    return {
      status: 200,
      headers: [],
      body: bytes('answer'),
      outcome: 'ok',
      ...rest,
      receipt,
    } as unknown as CallResult;
  };
  services = new AppServices({
    states: {
      async ask(...args): Promise<StateAnswer> {
        asked.push(args.slice(0, 3));
        return { type: 'get', value: bytes('v'), tag: 't' };
      },
    },
    calls: { call },
    account: {
      clockMs: () => 5_000,
      accounts: {
        address: async ({ app }) => app.slice(0, 42) as `0x${string}`,
        async send(...args) {
          asked.push(args.slice(0, 3));
          return { id: 'x', nonce: 3, hash: b32(4), wish: b32(5) };
        },
        signMessage: async () => '0x99',
      },
      relay: { mined: async () => ({ status: 'success', blockNumber: 7n, blockHash: b32(9) }) },
      view: { blockAt: async (number) => ({ number, hash: minedIn, timestamp: 3n }) },
    },
    chain: {
      clockMs: () => 5_000,
      view: {
        head: async () => ({ number: BigInt(++heads), hash: b32(9), timestamp: 3n }),
        call: async ({ to, data, block }) => `0x${to.slice(2, 6)}${data.slice(2)}${'00'.repeat(Number(block))}`,
        balance: async (_account, block) => 10n * block,
      },
    },
  });
});

function appWith(fields: Partial<Manifest>): LoadedApp {
  const manifest = functionManifest({ name: 'app', code: { sha256: b32(3), bytes: 1 }, ...fields });
  return { app: b32(1), manifestId: b32(2), manifest, keyVersion: 4n } as LoadedApp;
}

/** The same, with its guest agent. */
async function guestApp(kind: Manifest['kind'] = 'function'): Promise<LoadedApp> {
  const app = appWith({ outbound: ['worker:guest'] });
  const { app: id, manifestId } = app;
  const version = { app: id, manifestId, manifest: { ...app.manifest, kind } };
  const guest = await guests.open({ ...version, fields: { keyVersion: 4, minKeyVersion: 4 } }, signal);
  return { ...app, ...(guest && { guest }) };
}

/** The committee's signature over an identity, for a test. */
const signatures: object[] = [];
let refusal: Error | undefined;
const guests = new AppGuests({
  network: { chainId: 31_337, networkKeys: null },
  domain: { chainId: 31_337, registry: `0x${'11'.repeat(20)}` },
  device: { simulated: true, quote: () => Promise.reject(new Error('No quotes in this test')) },
  receiptSigner: { address: `0x${'22'.repeat(20)}`, sign: () => new Uint8Array(65).fill(27) },
  signature: async (wish) => {
    if (refusal !== undefined) throw refusal;
    signatures.push(wish);
    return new SecretBytes(new Uint8Array(96).fill(5));
  },
  now: () => 1_790_000_000,
});

test.each<[Partial<Manifest>, string[]]>([
  [{}, []],
  [{ outbound: ['example.com', 'chain'] }, []],
  [{ state: { partitions: 1 } }, ['state']],
  [{ outbound: [`app:${callee}`] }, ['call']],
  [{ outbound: ['chain:read'], state: { partitions: 1 } }, ['state', 'chain']],
  [{ chain: policy }, ['account']],
  [{ chain: policy, outbound: ['chain:read'] }, ['chain', 'account']],
  [{ schedules: [{ cron: '0 * * * *' }] }, []],
  [{ outbound: ['worker:guest'] }, ['guest']],
])('an app is given what its manifest names, and nothing else: %j', async (fields, names) => {
  const plain = appWith(fields);
  const app = names.includes('guest') ? await guestApp() : plain;
  expect(givenServices(plain.manifest)).toEqual(names);
  expect(Object.keys(services.of(app, 0) ?? {})).toEqual(names);
});

describe('state', () => {
  const app = appWith({ state: { partitions: 2 } });

  test("is the app's own, at its version", async () => {
    const { state } = services.of(app, 0) ?? {};
    expect(await state?.get({ partition: 1, key: 'k' }, { signal })).toMatchObject({ value: bytes('v') });
    expect(asked).toEqual([[{ app: app.app, manifest: app.manifestId, keyVersion: 4 }, 1, { type: 'get', key: 'k' }]]);
  });

  test('what no transaction can hold is refused before any host is asked', async () => {
    const { state } = services.of(app, 0) ?? {};
    const commit = { partition: 0, read: [], listed: [] };
    const change = (key: string, bytesOfValue: number) => ({ key, value: new Uint8Array(bytesOfValue) });
    const large = { ...commit, changes: Array.from({ length: 5 }, (_, index) => change(`k${index}`, 256 * 1024)) };
    await expect(state?.commit(large, { signal })).rejects.toEqual(code('STATE_TOO_LARGE'));
    const wrong = { ...commit, changes: [change('', 1)] };
    await expect(state?.commit(wrong, { signal })).rejects.toEqual(code('STATE_KEY_INVALID'));
    expect(asked).toEqual([]);
  });

  test('ends where the manifest says', async () => {
    const { state } = services.of(app, 0) ?? {};
    await expect(state?.get({ partition: 2, key: 'k' }, { signal })).rejects.toEqual(code('STATE_PARTITION_UNKNOWN'));
  });
});

describe("the app's account", () => {
  const app = appWith({ chain: policy });

  test('is its own, at its version, with the policy of its manifest', async () => {
    const { account: service } = services.of(app, 0) ?? {};
    expect(await service?.address({ signal })).toBe(`0x${'01'.repeat(20)}`);
    const wished = { to: account, data: '0x', value: '5', id: 'one' };
    expect(await service?.send(wished, { signal })).toEqual({ hash: b32(4), nonce: 3 });
    const owner = { app: app.app, manifest: app.manifestId, keyVersion: 4, policy };
    expect(asked).toEqual([[owner, 'one', { to: account, data: '0x', valueWei: 5n }]]);
  });

  test('a receipt names the block that the chain has, or there is none', async () => {
    const { account: service } = services.of(app, 0) ?? {};
    const block = { number: '7', hash: b32(9), timestamp: '3', ageMs: 2_000 };
    expect(await service?.receipt(b32(1), { signal })).toEqual({ status: 'success', block });
    minedIn = b32(8);
    expect(await service?.receipt(b32(1), { signal })).toBeUndefined();
  });
});

describe('calls of other apps', () => {
  const app = appWith({ outbound: [`app:${callee}`] });
  const wanted: ServiceCall = {
    app: callee,
    method: 'POST',
    path: '/x',
    headers: [
      ['x-mine', 'yes'],
      ['Cloister-Call-Depth', '0'],
      ['x-cloister-voucher', 'v'],
      ['host', 'h'],
    ],
    body: bytes('question'),
  };
  const ask = (depth = 0, changes: Partial<ServiceCall> = {}) =>
    services.of(app, depth)?.call?.call({ ...wanted, ...changes }, { signal });

  test('are made in the name of the app, one deeper, with no header of ours from its code', async () => {
    expect(await ask(2)).toEqual({ status: 200, headers: [], body: bytes('answer') });
    const headers = [
      ['x-mine', 'yes'],
      ['cloister-call-depth', '3'],
    ];
    const request = { method: 'POST', path: '/x', body: bytes('question'), headers };
    expect(asked).toEqual([[app.app, callee, request, 8 * 1024 * 1024]]);
  });

  test('go to apps that the manifest names, and no deeper than may be', async () => {
    await expect(ask(0, { app: b32(6) })).rejects.toEqual(code('CALL_NOT_NAMED'));
    await expect(ask(maxCallDepth)).rejects.toEqual(code('CALL_TOO_DEEP'));
    expect(asked).toEqual([]);
    const { call } = services.of(app, 0) ?? {};
    for (let made = 0; made < 32; made += 1) await call?.call(wanted, { signal });
    await expect(call?.call(wanted, { signal })).rejects.toEqual(code('CALLS_TOO_MANY'));
  });

  test('how the other one ended is told', async () => {
    answers = { status: 404, outcome: 'refused', headers: [['cloister-outcome', 'ok']] };
    expect(await ask()).toMatchObject({ status: 404, headers: [['cloister-outcome', 'refused']] });
    answers = { manifest: zeroBytes32, outcome: 'refused' };
    await expect(ask()).rejects.toMatchObject({
      code: 'CALL_REFUSED',
      message: expect.stringContaining('TENANT_BUSY'),
    });
    answers = { failsWith: new PaymentError('PAYMENT_NOT_ALLOWED', 'it costs 7', 'allow it') };
    await expect(ask()).rejects.toEqual(code('CALL_NOT_FREE'));
  });

  test('a depth that is not stated as we do is as deep as may be', () => {
    const deep = (...stated: string[]) => callDepthOf(stated.map((value) => ['cloister-call-depth', value]));
    expect(deep('3')).toBe(3);
    for (const stated of [[], ['0'], ['-1'], ['1e9'], ['']]) expect(deep(...stated)).toBe(maxCallDepth);
  });
});

describe('reads of the chain', () => {
  const app = appWith({ outbound: ['chain:read'] });
  const block = { number: '1', hash: b32(9), timestamp: '3', ageMs: 2_000 };

  test('are all of one block in one call, which is told', async () => {
    const { chain } = services.of(app, 0) ?? {};
    expect(await chain?.block({ signal })).toEqual(block);
    expect(await chain?.call({ to: account, data: '0xcc' }, { signal })).toEqual({ value: '0xababcc00', block });
    expect(await chain?.balance(account, { signal })).toEqual({ value: '10', block });
    expect((await services.of(app, 0)?.chain?.block({ signal }))?.number).toBe('2');
  });

  test('are bounded in number and size', async () => {
    const { chain } = services.of(app, 0) ?? {};
    await expect(chain?.call({ to: account, data: `0x${'00'.repeat(70_000)}` }, { signal })).rejects.toEqual(
      code('CHAIN_ANSWER_TOO_LARGE'),
    );
    for (let reads = 1; reads < 64; reads += 1) await chain?.block({ signal });
    await expect(chain?.block({ signal })).rejects.toEqual(code('CHAIN_READS_TOO_MANY'));
  });
});

describe('the guest agent', () => {
  const ask = (app: LoadedApp, method: string, request = {}) =>
    services.of(app, 0)?.guest?.ask({ method, request }, { signal });

  test("derives by what the committee releases for class signing, at the app's version, asked once", async () => {
    signatures.length = 0;
    const app = await guestApp();
    const get = (path: string) => ask(app, 'GetKey', { path });
    const [one, same, other] = await Promise.all([get('a'), get('a'), get('b')]);
    expect(one?.key).toBe(same?.key);
    expect(other?.key).not.toBe(one?.key);
    const wish = { app: b32(1), manifest: b32(2), keyVersion: 4, class: 'signing', context: zeroBytes32 };
    expect(signatures).toEqual([wish]);
    app.guest?.close();
    await expect(get('a')).rejects.toEqual(code('GUEST_CLOSED'));
  });

  test('has no method that dstack does not have', async () => {
    const app = await guestApp();
    for (const method of ['constructor', 'getKey', '/GetKey', 'GetRootKey', ''])
      await expect(ask(app, method)).rejects.toEqual(code('GUEST_METHOD_UNKNOWN'));
  });

  test('of a container has other keys than that of a function', async () => {
    const [one, other] = await Promise.all([guestApp('function'), guestApp('container')]);
    const wanted = { path: 'a', purpose: '', algorithm: '' };
    const keys = await Promise.all([one.guest?.givenKey(wanted), other.guest?.givenKey(wanted)]);
    expect(keys[0]?.key).toHaveLength(32);
    expect(keys[0]?.key).not.toEqual(keys[1]?.key);
  });

  test('an app is not loaded without the keys that it is to have', async () => {
    refusal = new Error('no key');
    await expect(guestApp()).rejects.toThrow('no key');
  });
});
