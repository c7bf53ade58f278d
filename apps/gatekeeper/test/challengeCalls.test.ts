import { type Bytes32, challengeAnswerOf, challengeBody, type NetworkFile, readChallengeAnswer } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { type Equivocation, ReceiptWatch } from '@cloister/sdk';
import { silentLogger } from '@cloister/service';
import { publicShareAt } from '@cloister/threshold/dkg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SimulatedNetwork, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { makeKey } from '../../../packages/threshold/test/keyCeremony.ts';
import { ChallengeCalls } from '../src/challenges/challengeCalls.ts';
import type { CommitteeState } from '../src/committeeState.ts';
import { SlashKeeper } from '../src/slashing/slashKeeper.ts';
import { StubSlashes } from './stubSlashes.ts';

const never = new AbortController().signal;
const networkKeys = {
  apps: `0x${'00'.repeat(48)}`,
  beacon: toHex(publicShareAt(makeKey(1, 1).commitments, 0)),
} as const;
const question = { start: 7, steps: 100 };

let network: SimulatedNetwork;
let worker: StubWorker;
let app: Bytes32 | undefined;
let keys: NetworkFile['networkKeys'] | undefined;
let calls: ChallengeCalls;
let found: Equivocation[];

beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys });
  worker = await network.addWorker();
  app = network.addApp().app;
  keys = networkKeys;
  found = [];
  worker.run = () => {
    const answer = new DataView(new ArrayBuffer(4));
    answer.setUint32(0, challengeAnswerOf(question));
    return { body: [new Uint8Array(answer.buffer)] };
  };
  calls = new ChallengeCalls({
    // As a founder has it, who started before there were keys.
    network: { ...network.file, networkKeys: null },
    keys: () => keys ?? undefined,
    app: async () => app,
    clockMs: () => chainMs(),
    receipts: new ReceiptWatch({ onEquivocation: ({ equivocation }) => void found.push(equivocation) }),
    fetch: network.gateway.fetch,
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  return network.stop();
});

const chainMs = () => Number(network.rpc.head.timestamp) * 1_000;
const ask = () => calls.call(worker.workerId, challengeBody(question), never);

describe('a challenge', () => {
  test('is a sealed call of a worker that was verified, by the network file that it has', async () => {
    expect(readChallengeAnswer((await ask()) as Uint8Array)).toBe(challengeAnswerOf(question));
    expect(worker.runs).toBe(1);
  });

  test.each([
    ['ahead', 3_600_000],
    ['behind', -3_600_000],
  ])("is answered though this machine's clock is an hour %s", async (_, offMs) => {
    const right = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => right() + offMs);
    expect(readChallengeAnswer((await ask()) as Uint8Array)).toBe(challengeAnswerOf(question));
  });

  test('looks like any other call on its way: the same path and headers, and as many bytes', async () => {
    await ask();
    const { app: other } = network.addApp({ name: 'another' });
    const { createClient } = await import('@cloister/sdk');
    const anybody = createClient({ network: network.file, fetch: network.gateway.fetch });
    await anybody.call(
      other,
      { method: 'POST', body: new TextEncoder().encode('a body') },
      { worker: worker.workerId },
    );
    const [challenge, call] = network.gateway.calls;
    expect(challenge?.bytes.length).toBe(call?.bytes.length);
    expect(challenge?.workerId).toBe(call?.workerId);
  });
});

describe('is held against a worker', () => {
  const refuses = () => expect(ask()).rejects.toThrow();
  test('that answers with an error, or not with 200', async () => {
    worker.run = () => ({ outcome: 'app-error', status: 500, body: [] });
    await refuses();
    worker.run = () => ({ status: 204, body: [] });
    await refuses();
  });

  test('that lies in its receipt, or that no gateway has', async () => {
    worker.editReceipt = (receipt) => ({ ...receipt, context: `0x${'11'.repeat(32)}` });
    await refuses();
    network.gateway.workers.clear();
    await refuses();
  });
});

describe('a worker that signs two receipts for one place', () => {
  test('is found by its second answer, asked nothing more, and counts as silent', async () => {
    worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n });
    await ask();
    expect(found).toEqual([]);
    await expect(ask()).rejects.toMatchObject({ code: 'RECEIPT_EQUIVOCATION' });
    const { runs } = worker;
    await expect(ask()).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
    expect(worker.runs).toBe(runs);
    expect(found).toMatchObject([
      { signer: worker.receiptSigner, domain: network.domain, receipts: [{ receipt: { sequence: 1n } }, {}] },
    ]);
  });

  test('is found whichever gateway carries the answers, and reported once', async () => {
    const chain = new StubSlashes();
    const members = () => ({ generation: { members: [] } }) as unknown as CommitteeState;
    const keeper = new SlashKeeper({ chain, operator: worker.operator, state: members, log: silentLogger });
    const gateways = ['http://127.0.0.1:1', 'http://127.0.0.1:2'];
    await network.stop();
    network = await SimulatedNetwork.start({ networkKeys, gateways });
    const { run } = worker;
    worker = await network.addWorker();
    worker.run = run;
    app = network.addApp().app;
    const asked = new Set<string>();
    const byEither = new ChallengeCalls({
      network: { ...network.file, networkKeys: null },
      keys: () => networkKeys,
      app: async () => app,
      clockMs: () => chainMs(),
      receipts: new ReceiptWatch({ onEquivocation: ({ equivocation }) => keeper.found(equivocation) }),
      fetch: (input, init) => {
        const url = new Request(input, init).url;
        asked.add(new URL(url).origin);
        return network.gateway.fetch(url.replace(gateways[1] as string, network.gateway.url), init);
      },
    });
    const askByEither = () => byEither.call(worker.workerId, challengeBody(question), never);
    while (asked.size < 2) await askByEither();
    worker.editReceipt = (receipt) => ({ ...receipt, sequence: 1n });
    await expect(askByEither()).rejects.toMatchObject({ code: 'RECEIPT_EQUIVOCATION' });
    for (const _ of [1, 2, 3]) await keeper.tick(never);
    expect(chain.reported.map(({ signer }) => signer)).toEqual([worker.receiptSigner]);
  });
});

describe('says nothing of a worker', () => {
  const saysNothing = async () => expect(await ask()).toBeUndefined();

  test('where no app is named, or there are no keys', async () => {
    app = undefined;
    await saysNothing();
    app = network.addApp().app;
    keys = undefined;
    await saysNothing();
    expect(network.gateway.calls).toHaveLength(0);
  });

  test('while this member reads no chain', async () => {
    await network.rpc.stop();
    await saysNothing();
  });

  test('while the gateway is away', async () => {
    const away = new ChallengeCalls({
      network: { ...network.file, networkKeys: null },
      keys: () => networkKeys,
      app: async () => app,
      clockMs: () => chainMs(),
      receipts: new ReceiptWatch(),
      fetch: async () => {
        throw new TypeError('fetch failed');
      },
    });
    expect(await away.call(worker.workerId, challengeBody(question), never)).toBeUndefined();
  });
});
