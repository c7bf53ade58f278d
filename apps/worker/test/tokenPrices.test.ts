import { sealRequest } from '@cloister/channel/client';
import { KeyRing, type OpenedRequest } from '@cloister/channel/worker';
import {
  type Bytes32,
  freePrice,
  manifestId,
  manifestOfKind,
  priceOf,
  type Receipt,
  type ReceiptStatus,
} from '@cloister/core';
import { randomBytes, SecretBytes, toBase64Url, utf8 } from '@cloister/crypto';
import type { Outcome } from '@cloister/sandbox';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { answerCall } from '../src/answerCall.ts';
import type { LoadedApp } from '../src/appLoader.ts';
import { metering, StubDriver, type StubRun, StubTenant } from './stubDriver.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

// What a paid call of a model costs, to the unit: 1 and 3 for each token that is read, 10 for each that is written.
const prices = { ...freePrice, perCall: '1', perInputToken: '3', perOutputToken: '10' };
const channel = `0x${'cc'.repeat(32)}` as Bytes32;
const signal = new AbortController().signal;
const identity = { engine: 'llama-cpp', engineVersion: '1', weights: `0x${'ab'.repeat(32)}` } as const;

let parts: WorkerParts;
beforeEach(async () => {
  parts = await startParts();
});
afterEach(() => parts.stop());

async function chargeFor(
  run: StubRun,
  failedCalls: 'free' | 'metered' = 'free',
): Promise<{ receipt: Receipt; counted: object }> {
  const code = { sha256: `0x${'11'.repeat(32)}`, bytes: 10 } as const;
  const manifest = manifestOfKind('model', {
    ...{ name: 'sample', code, price: { ...prices, failedCalls } },
    model: { contextTokens: 100, maxTokens: 20 },
  });
  const driver = new StubDriver('model');
  driver.run = () => run;
  const loaded: LoadedApp = {
    ...{ app: channel, manifest, manifestId: manifestId(manifest), keyVersion: 1n, minKeyVersion: 1n },
    ...{ secretsId: undefined, tenant: new StubTenant(driver, {} as never), model: identity },
  };
  let released = 0;
  const reservation = { channel, maxFee: 501n, release: () => void released++ };
  const components = {
    ...parts.components,
    apps: { load: async () => loaded } as never,
    payments: { take: async () => ({ scheme: 'channel' as const, reservation, price: priceOf(manifest) }) },
  };
  const end = await answerCall(
    components,
    await opened(loaded),
    { head: async () => {}, body: async () => {} },
    signal,
  );
  expect(released).toBe(1);
  return { receipt: end.receipt.receipt, counted: end.receipt.details.metering as object };
}

async function opened({ app, manifestId: manifest }: LoadedApp): Promise<OpenedRequest> {
  const keys = new KeyRing();
  const now = Math.floor(Date.now() / 1000);
  const { config } = await keys.rotate(now, now + 3_600);
  const clientKey = new SecretBytes(randomBytes(32));
  const context = `0x${'00'.repeat(32)}` as Bytes32;
  const { encapsulated } = await sealRequest({
    keyConfig: config,
    call: { ...{ app, manifest, context, clientKey }, callId: toBase64Url(randomBytes(16)), maxFee: 501n },
    request: { method: 'POST', path: '/v1/chat/completions', headers: [], body: utf8('{}') },
  });
  return keys.open(encapsulated, now);
}

const ended = (status: ReceiptStatus, report: object | undefined): StubRun => ({
  outcome: { status, metering, ...(report && { report }) } as Partial<Outcome>,
});

test('tokens are charged as the engine counted them, and stand in the receipt', async () => {
  const { receipt, counted } = await chargeFor(ended('ok', { promptTokens: 41, completionTokens: 7 }));
  expect(receipt.fee).toBe(1n + 41n * 3n + 7n * 10n);
  expect(counted).toMatchObject({ inputTokens: 41, outputTokens: 7 });
});

test('an engine that counts too much is paid no more than was quoted', async () => {
  const { receipt, counted } = await chargeFor(ended('ok', { promptTokens: 2 ** 52, completionTokens: 2 ** 52 }));
  expect(receipt.fee).toBe(1n + 100n * 3n + 20n * 10n);
  expect(counted).toMatchObject({ outputTokens: 20 });
});

test.each<[string, object | undefined]>([
  ['nothing', undefined],
  ['a half', { promptTokens: 1.5, completionTokens: 1 }],
  ['less than nothing', { promptTokens: -1, completionTokens: 1 }],
  ['texts', { promptTokens: '5', completionTokens: '5' }],
])('what an engine says of %s is no count', async (_, report) => {
  const { receipt, counted } = await chargeFor(ended('ok', report));
  expect(receipt.fee).toBe(1n);
  expect(counted).not.toHaveProperty('inputTokens');
});

test('a call that failed is free, or costs what was counted of it, as the manifest says', async () => {
  const failed = ended('app-error', { promptTokens: 41, completionTokens: 7 });
  expect((await chargeFor(failed)).receipt.fee).toBe(0n);
  expect((await chargeFor(failed, 'metered')).receipt.fee).toBe(194n);
  expect((await chargeFor(ended('limit', undefined), 'metered')).receipt.fee).toBe(1n);
});
