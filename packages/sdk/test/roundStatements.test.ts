import {
  type Address,
  absenceProof,
  evictionTreeOf,
  type RoundStatement,
  roundStatementMessage,
  roundStatementToJson,
} from '@cloister/core';
import { fromHex, toHex, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare } from '@cloister/threshold/native';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeKey } from '../../threshold/test/keyCeremony.ts';
import { address, bytes32, nowSeconds, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

/** Of one member, whose share is the key. */
const key = makeKey(1, 1);
const otherKey = makeKey(1, 1);
const networkKeys = { apps: `0x${'00'.repeat(48)}`, beacon: toHex(publicShareAt(key.commitments, 0)) } as const;
const minute = 60_000;

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
let evicted: Address[];

beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys });
  worker = await network.addWorker();
  app = network.addApp().app;
  evicted = [address(0x01), address(0xfe)];
  network.gateway.statement = (signer) => told(signer);
});
afterEach(async () => {
  vi.useRealTimers();
  await network.stop();
});

const client = (gateways = network.file.gateways, fetch = network.gateway.fetch) =>
  createClient({ network: network.file, gateways, fetch });

/** What a gateway passes on: honest unless a test changes the statement, who signs it, or for which domain. */
function told(
  signer: Address,
  {
    statement: changes = {},
    share = key.shares[0],
    domain = network.domain,
    proofOf = signer,
  }: {
    readonly statement?: Partial<RoundStatement>;
    readonly share?: (typeof key.shares)[number] | undefined;
    readonly domain?: typeof network.domain;
    readonly proofOf?: Address;
  } = {},
): { statement: Record<string, string>; absence: unknown } {
  const tree = evictionTreeOf(evicted);
  const statement = {
    round: 5n,
    time: BigInt(nowSeconds()) - 40n,
    block: 3n,
    blockHash: bytes32(3),
    evictionRoot: tree.root,
    ...changes,
  };
  const signature = toHex(signWithShare(share as never, fromHex(roundStatementMessage(domain, statement))));
  return { statement: roundStatementToJson({ ...statement, signature }), absence: absenceProof(tree, proofOf) ?? null };
}

/** A client that has called before, and finds the RPC gone when its verification is no longer fresh. */
async function cutOff(afterMs = 3 * minute) {
  const caller = client();
  expect((await caller.call(app)).outcome).toBe('ok');
  await network.rpc.stop();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + afterMs });
  return caller;
}

describe('a client whose RPCs are away', () => {
  test('goes on with a worker that it has verified, by the committee’s word that it is not evicted, and shows so', async () => {
    const caller = await cutOff();
    worker.run = () => ({ body: [utf8('still here')] });
    const result = await caller.call(app);
    expect([result.outcome, new TextDecoder().decode(result.body)]).toEqual(['ok', 'still here']);
    expect(result.worker.steps.at(-1)).toMatchObject({
      id: 'witnessed',
      ok: true,
      detail: expect.stringContaining('round 5'),
    });
    expect((await caller.call(app)).outcome).toBe('ok');
  });

  test('has its verification made anew once they are back', async () => {
    const caller = client();
    await caller.call(app);
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * minute });
    expect((await caller.call(app)).worker.steps.at(-1)?.id).toBe('witnessed');
    network.rpc.intercept = () => undefined;
    network.rpc.mine();
    vi.setSystemTime(Date.now() + minute);
    expect((await caller.call(app)).worker.steps.at(-1)?.id).toBe('key');
  });

  test('takes none that it has never verified: the statement says nothing of evidence', async () => {
    await network.rpc.stop();
    await expect(client().call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(network.gateway.calls).toHaveLength(0);
  });

  test('takes none whose verification is an hour old', async () => {
    await worker.register();
    worker.announcement = { ...worker.announcement, keyConfigs: [await worker.newKey()] };
    const caller = await cutOff(59 * minute);
    expect((await caller.call(app)).outcome).toBe('ok');
    vi.setSystemTime(Date.now() + minute);
    await expect(caller.call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });

  test('takes none whose key has ended', async () => {
    const ends = network.rpc.head.timestamp + 150n;
    worker.announcement = { ...worker.announcement, keyConfigs: [await worker.newKey({ notAfter: ends })] };
    await expect((await cutOff(4 * minute)).call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(network.gateway.calls).toHaveLength(1);
  });
});

describe('a chain that the RPCs show no longer', () => {
  test('as it is old, or not the same at all of them: the committee’s word is enough', async () => {
    const caller = client();
    await caller.call(app);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 4 * minute });
    expect((await caller.call(app)).worker.steps.at(-1)?.id).toBe('witnessed');
    network.gateway.statement = () => undefined;
    vi.setSystemTime(Date.now() + 3 * minute);
    await expect(caller.call(app)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
  });
});

describe('a statement that proves nothing is refused, and nothing is sealed', () => {
  const lies: readonly [string, () => unknown][] = [
    ['none at all', () => undefined],
    [
      'one that is older than 5 minutes',
      () => told(worker.receiptSigner, { statement: { time: BigInt(nowSeconds()) - 301n } }),
    ],
    ['one of the future', () => told(worker.receiptSigner, { statement: { time: BigInt(nowSeconds()) + 61n } })],
    ['one signed by another key', () => told(worker.receiptSigner, { share: otherKey.shares[0] })],
    [
      'one of another network',
      () => told(worker.receiptSigner, { domain: { ...network.domain, registry: address(0x77) } }),
    ],
    [
      'one that was changed',
      () => {
        const { statement, absence } = told(worker.receiptSigner);
        return { statement: { ...statement, round: '6' }, absence };
      },
    ],
    [
      'a signature that is no point',
      () => {
        const { statement, absence } = told(worker.receiptSigner);
        return { statement: { ...statement, signature: `0x${'ff'.repeat(96)}` }, absence };
      },
    ],
    [
      'a proof under another root',
      () => ({ ...told(worker.receiptSigner), absence: absenceProof(evictionTreeOf([]), worker.receiptSigner) }),
    ],
    ['no proof', () => ({ statement: told(worker.receiptSigner).statement })],
    ['no statement', () => ({ absence: told(worker.receiptSigner).absence })],
    ['another thing', () => ['text']],
  ];

  test.each(lies)('%s', async (_, statement) => {
    const caller = await cutOff();
    network.gateway.statement = statement;
    await expect(caller.call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(network.gateway.calls).toHaveLength(1);
  });

  test('and another gateway’s is taken', async () => {
    const other = 'http://127.0.0.1:2';
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const { origin, pathname } = new URL(new Request(input, init).url);
      if (origin !== other) return network.gateway.fetch(input, init);
      const [, , kind, signer = ''] = pathname.split('/');
      return kind === 'statements' ? Response.json(told(signer as Address)) : new Response(null, { status: 404 });
    };
    const caller = client([...network.file.gateways, other], fetch);
    await caller.call(app);
    await network.rpc.stop();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * minute });
    const ofEachKind = ['none at all', 'one signed by another key', 'another thing'];
    for (const [what, statement] of lies.filter(([name]) => ofEachKind.includes(name))) {
      network.gateway.statement = statement;
      expect((await caller.call(app)).outcome, what).toBe('ok');
    }
  });

  test.each(['its own', 'another signer’s'])('one that names the signer, with %s place as proof', async (whose) => {
    const caller = await cutOff();
    evicted.push(worker.receiptSigner);
    network.gateway.statement = (signer) => told(signer, whose === 'its own' ? {} : { proofOf: address(0x02) });
    await expect(caller.call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(network.gateway.calls).toHaveLength(1);
  });

  test('any, where the network file names no keys', async () => {
    await network.stop();
    network = await SimulatedNetwork.start();
    worker = await network.addWorker();
    app = network.addApp().app;
    network.gateway.statement = (signer) => told(signer);
    await expect((await cutOff()).call(app)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });
});
