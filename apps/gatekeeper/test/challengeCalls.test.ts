import { type Bytes32, challengeAnswerOf, challengeBody, type NetworkFile, readChallengeAnswer } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { publicShareAt } from '@cloister/threshold/dkg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SimulatedNetwork, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { makeKey } from '../../../packages/threshold/test/keyCeremony.ts';
import { ChallengeCalls } from '../src/challenges/challengeCalls.ts';

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

beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys });
  worker = await network.addWorker();
  app = network.addApp().app;
  keys = networkKeys;
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
    fetch: network.gateway.fetch,
  });
});
afterEach(() => network.stop());

const ask = () => calls.call(worker.workerId, challengeBody(question), never);

describe('a challenge', () => {
  test('is a sealed call of a worker that was verified, by the network file that it has', async () => {
    expect(readChallengeAnswer((await ask()) as Uint8Array)).toBe(challengeAnswerOf(question));
    expect(worker.runs).toBe(1);
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
      fetch: async () => {
        throw new TypeError('fetch failed');
      },
    });
    expect(await away.call(worker.workerId, challengeBody(question), never)).toBeUndefined();
  });
});
