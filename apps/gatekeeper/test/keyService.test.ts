import {
  type Bytes32,
  type KeyRequest,
  keyRequestDigest,
  signedKeyRequestToJson,
  tagHash,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CommitteeState } from '../src/committeeState.ts';
import { KeyService } from '../src/keys/keyService.ts';
import { ReleaseLog } from '../src/keys/releaseLog.ts';
import { publicSharesOf } from '../src/shares/publicShares.ts';
import { type HeldGeneration, ShareStore } from '../src/shares/shareStore.ts';
import { domain, type Generation, makeGeneration, makePeople, type Person } from './ceremonyRoom.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const appOf = (index: number): Bytes32 => tagHash('test/app: v1', BigInt(index));
const digest = b32(0xd1);
const hostSecret = generateSecp256k1();
const signal = () => AbortSignal.timeout(10_000);

let people: Person[];
let generation: Generation;
beforeAll(async () => {
  people = await makePeople(3);
  generation = await makeGeneration({ receivers: people, threshold: 2 });
});

/** One member's service, for a platform that may have the keys of `maxAppsPerPlatform` apps. */
function serviceOf(
  maxAppsPerPlatform: number,
  { releases = new ReleaseLog(), keepReleases = async () => {} } = {},
): { service: KeyService; releases: ReleaseLog } {
  const [me] = people as [Person];
  const store = new ShareStore();
  const shares = generation.shares.get(me.signer);
  const held = { number: 1n, digest, publicShares: publicSharesOf(generation.made, people.length), shares };
  store.keep(held as HeldGeneration);
  const now = { number: 1n, threshold: 2, publicSharesHash: zeroBytes32, digest, since: 1n };
  const members = people.map((person) => ({ operator: person.signer, endpoint: '', ...person }));
  const state: CommitteeState = {
    generation: { ...now, members },
    next: { threshold: 2, members, isComplete: true, lastLeaseUntil: 0n },
    keys: undefined,
  };
  store.follow(state.generation);
  const service = new KeyService(
    {
      me,
      store,
      state: () => state,
      facts: async () => ({
        block: 100n,
        epoch: 10n,
        finalRound: 20n,
        networkKeysHash: b32(6),
        worker: async () => ({
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
            tcbEvaluationDataNumber: 1,
          },
        }),
        app: async () => ({ manifestId: b32(2), keyVersion: 1, minKeyVersion: 1, imagePolicy: 0 }),
        isImagePinned: async () => false,
        placement: async () => ({ hosts: [b32(3)], minTcbEvaluationDataNumber: 0 }),
        appsOf: (platformId, except) => releases.appsOf(platformId, except, 10n),
      }),
      releases,
      keepReleases,
      answered: createMetrics().counter({ name: 'test_total', help: 'test' }),
      log: silentLogger,
    },
    { domain, maxBlockDistance: 10n, maxAppsPerPlatform },
  );
  return { service, releases };
}

function asked(changes: Partial<KeyRequest>): Record<string, unknown> {
  const request: KeyRequest = {
    app: appOf(0),
    manifest: b32(2),
    keyVersion: 1,
    class: 'secrets',
    context: zeroBytes32,
    epoch: 10n,
    block: 100n,
    nonce: b32(9),
    hpkeKey: (people[1] as Person).hpkeKey,
    ...changes,
  };
  const signature = toHex(signDigest(hostSecret, fromHex(keyRequestDigest(domain, request))));
  return signedKeyRequestToJson({ ...request, signature });
}

describe('a platform’s limit', () => {
  test('holds for requests that come together, and the log has what was given, no more', async () => {
    const { service, releases } = serviceOf(2);
    const answers = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => service.answer(asked({ app: appOf(index) }), signal())),
    );
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason.code] : []));
    expect(refused).toEqual(Array(6).fill('KEY_PLATFORM_FULL'));
    expect(releases.head.count).toBe(2n);
  });

  test('counts an app once, however often it asks', async () => {
    const { service, releases } = serviceOf(1);
    for (let turn = 0; turn < 3; turn++) await service.answer(asked({ nonce: b32(turn) }), signal());
    expect(releases.head.count).toBe(3n);
    await expect(service.answer(asked({ app: appOf(1) }), signal())).rejects.toMatchObject({
      code: 'KEY_PLATFORM_FULL',
    });
  });
});

test('a release stands in the log before its answer is sealed: a key that nothing can be sealed to leaves its trace', async () => {
  const { service, releases } = serviceOf(2);
  await expect(service.answer(asked({ hpkeKey: zeroBytes32 }), signal())).rejects.toThrow();
  expect(releases.head.count).toBe(1n);
});

describe('the log is kept', () => {
  test('with the release in it before its answer is given', async () => {
    const kept = Promise.withResolvers<void>();
    const releases = new ReleaseLog();
    const counts: bigint[] = [];
    const keepReleases = () => {
      counts.push(releases.head.count);
      return kept.promise;
    };
    const { service } = serviceOf(2, { releases, keepReleases });
    let answered = false;
    const answer = service.answer(asked({}), signal()).then(() => {
      answered = true;
    });
    await expect.poll(() => counts).toEqual([1n]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answered).toBe(false);
    kept.resolve();
    await answer;
  });

  test('or no answer is given', async () => {
    const { service, releases } = serviceOf(2, { keepReleases: () => Promise.reject(new Error('no space')) });
    await expect(service.answer(asked({}), signal())).rejects.toThrow('no space');
    expect(releases.head.count).toBe(1n);
  });

  test('up to its end: then no more keys in this epoch', async () => {
    const { service, releases } = serviceOf(9, { releases: new ReleaseLog(undefined, { maxAppsOfEpoch: 1 }) });
    await service.answer(asked({}), signal());
    await expect(service.answer(asked({ app: appOf(1) }), signal())).rejects.toMatchObject({
      code: 'KEY_LOG_FULL',
      retry: true,
    });
    await service.answer(asked({ nonce: b32(0x77) }), signal());
    expect(releases.head.count).toBe(2n);
  });
});

test('who signed is who asks', async () => {
  const { service } = serviceOf(2);
  const json = asked({});
  const answer = await service.answer(json, signal());
  expect(answer).toMatchObject({ generation: '1', index: 1 });
  await expect(service.answer({ ...json, signature: `0x${'ff'.repeat(65)}` }, signal())).rejects.toMatchObject({
    code: 'KEY_SIGNATURE_INVALID',
  });
});
