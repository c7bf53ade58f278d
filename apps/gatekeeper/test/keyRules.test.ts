import { type Bytes32, imagePolicies, type KeyRequest, timeContext, zeroBytes32 } from '@cloister/core';
import { describe, expect, test } from 'vitest';
import { type AskedApp, type AskingWorker, checkKeyRequest, type KeyFacts } from '../src/keys/keyRules.ts';
import { nextReleaseHead, type Release, ReleaseLog } from '../src/keys/releaseLog.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signer = `0x${'5e'.repeat(20)}` as const;
const signal = new AbortController().signal;
const rules = { maxBlockDistance: 10n, maxAppsPerPlatform: 2 };

const request: KeyRequest = {
  app: b32(1),
  manifest: b32(2),
  keyVersion: 3,
  class: 'secrets',
  context: zeroBytes32,
  epoch: 7n,
  block: 100n,
  nonce: b32(9),
  hpkeKey: b32(8),
};
const worker: AskingWorker = {
  workerId: b32(3),
  active: true,
  platformId: b32(4),
  imageId: b32(5),
  networkKeysHash: b32(6),
  standing: {
    imageAllowed: true,
    configAllowed: true,
    platformAllowed: true,
    tcbAccepted: true,
    tcbEvaluationDataNumber: 20,
  },
};
const app: AskedApp = { manifestId: b32(2), keyVersion: 4, minKeyVersion: 2, imagePolicy: imagePolicies.network };

function facts(changes: Partial<KeyFacts> = {}): KeyFacts {
  return {
    block: 105n,
    epoch: 7n,
    finalRound: 20n,
    networkKeysHash: b32(6),
    worker: async () => worker,
    app: async () => app,
    isImagePinned: async () => false,
    placement: async () => ({ hosts: [b32(7), b32(3)], minTcbEvaluationDataNumber: 20 }),
    appsOf: () => 0,
    ...changes,
  };
}

const check = (asked: Partial<KeyRequest>, known: Partial<KeyFacts> = {}) =>
  checkKeyRequest({ ...request, ...asked }, signer, facts(known), rules, signal);

describe('a key is given', () => {
  test('to a host of the app, for a version that is released, at a recent block', async () => {
    expect(await check({})).toBe(worker);
    expect(await check({ keyVersion: 2 })).toBe(worker);
    expect(await check({ keyVersion: 4, block: 95n })).toBe(worker);
    expect(await check({ class: 'time', context: timeContext(20n) })).toBe(worker);
    for (const keyClass of ['state', 'signing'] as const) expect(await check({ class: keyClass })).toBe(worker);
  });

  test('where the owner has allowed the image, whatever the network allows', async () => {
    for (const imagePolicy of [imagePolicies.pinned, imagePolicies.both]) {
      const asked: (Bytes32 | undefined)[] = [];
      const known = {
        app: async () => ({ ...app, imagePolicy }),
        isImagePinned: async (_app: Bytes32, imageId: Bytes32) => asked.push(imageId) > 0,
      };
      expect(await check({}, known)).toBe(worker);
      expect(asked).toEqual([worker.imageId]);
    }
  });
});

describe('a key is not given', () => {
  test.each<[string, string, Partial<KeyRequest>, Partial<KeyFacts>]>([
    ['for an old block', 'KEY_REQUEST_STALE', { block: 94n }, {}],
    ['for a block that this member has not seen', 'KEY_REQUEST_STALE', { block: 106n }, {}],
    ['for the next block', 'KEY_REQUEST_STALE', { block: 101n }, { block: 100n }],
    ['for another epoch', 'KEY_REQUEST_STALE', { epoch: 6n }, {}],
    ['to a signer that nobody registered', 'KEY_WORKER_NOT_REGISTERED', {}, { worker: async () => undefined }],
    [
      'to a worker that is evicted or whose lease has ended',
      'KEY_WORKER_NOT_REGISTERED',
      {},
      { worker: async () => ({ ...worker, active: false }) },
    ],
    [
      'to a worker that is bound to other keys',
      'KEY_WORKER_UNBOUND',
      {},
      { worker: async () => ({ ...worker, networkKeysHash: b32(7) }) },
    ],
    [
      'to a worker from before there were keys',
      'KEY_WORKER_UNBOUND',
      {},
      { worker: async () => ({ ...worker, networkKeysHash: zeroBytes32 }), networkKeysHash: zeroBytes32 },
    ],
    ['of an app that there is not', 'KEY_APP_UNKNOWN', {}, { app: async () => undefined }],
    ['for a manifest that does not serve', 'KEY_MANIFEST_OTHER', { manifest: b32(0x22) }, {}],
    ['below the least version', 'KEY_VERSION_OUTSIDE', { keyVersion: 1 }, {}],
    ['above the present version', 'KEY_VERSION_OUTSIDE', { keyVersion: 5 }, {}],
    [
      'to an image that its owner has not pinned, though the network allows it',
      'KEY_IMAGE_NOT_PINNED',
      {},
      { app: async () => ({ ...app, imagePolicy: imagePolicies.both }) },
    ],
    ['of class job', 'KEY_CLASS_UNAVAILABLE', { class: 'job' }, {}],
    ['of a round that has not begun', 'KEY_ROUND_AHEAD', { class: 'time', context: timeContext(21n) }, {}],
    ['of a time that is no round', 'KEY_CONTEXT_INVALID', { class: 'time', context: b32(1) }, {}],
    [
      'of a round that has begun in a block that may be taken back',
      'KEY_ROUND_AHEAD',
      { class: 'time', context: timeContext(20n) },
      { finalRound: 19n },
    ],
    ['with a context where there is none', 'KEY_CONTEXT_INVALID', { context: b32(1) }, {}],
    [
      'to a genuine worker that the app is not placed on',
      'KEY_WORKER_NOT_PLACED',
      {},
      { placement: async () => ({ hosts: [b32(7)], minTcbEvaluationDataNumber: 0 }) },
    ],
    [
      'to a host whose TCB was judged by older data than the app wants',
      'KEY_TCB_TOO_OLD',
      {},
      { placement: async () => ({ hosts: [b32(3)], minTcbEvaluationDataNumber: 21 }) },
    ],
    ...(['imageAllowed', 'configAllowed', 'platformAllowed', 'tcbAccepted'] as const).map(
      (field): [string, string, Partial<KeyRequest>, Partial<KeyFacts>] => [
        `to a worker that nobody has evicted yet, though its ${field} is over`,
        'KEY_WORKER_NOT_ACCEPTED',
        {},
        { worker: async () => ({ ...worker, standing: { ...worker.standing, [field]: false } }) },
      ],
    ),
    ['to a platform that has too many apps', 'KEY_PLATFORM_FULL', {}, { appsOf: () => 2 }],
  ])('%s', async (_, code, asked, known) => {
    await expect(check(asked, known)).rejects.toMatchObject({ code });
  });
});

describe('the log of releases', () => {
  const release: Release = {
    app: b32(1),
    keyVersion: 1,
    class: 'secrets',
    context: zeroBytes32,
    workerId: b32(3),
    platformId: b32(4),
    epoch: 7n,
    request: b32(9),
  };

  test('is hashed over all before: another order, or one left out, is another head', () => {
    const other = { ...release, app: b32(2) };
    const [forward, backward] = [new ReleaseLog(), new ReleaseLog()];
    for (const one of [release, other]) forward.add(one);
    for (const one of [other, release]) backward.add(one);
    expect(forward.head.count).toBe(2n);
    expect(forward.head.head).toBe(nextReleaseHead(nextReleaseHead(zeroBytes32, release), other));
    expect(forward.head.head).not.toBe(backward.head.head);
    expect(forward.latest).toEqual([release, other]);
  });

  test('counts the apps of a platform in an epoch, not its requests', () => {
    const log = new ReleaseLog();
    for (const one of [release, release, { ...release, app: b32(2) }]) log.add(one);
    expect(log.appsOf(b32(4), b32(1), 7n)).toBe(1);
    expect(log.appsOf(b32(4), b32(3), 7n)).toBe(2);
    expect(log.appsOf(b32(5), b32(3), 7n)).toBe(0);
    expect(log.appsOf(b32(4), b32(3), 8n)).toBe(0);
  });
});
