import type { CommitteeReader, CommitteeStatus } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type KeyIdentity,
  keyIdentityHash,
  timeIdentity,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import { verifySignature } from '@cloister/threshold/combine';
import { publicShareAt } from '@cloister/threshold/dkg';
import { openSealed } from '@cloister/threshold/seal';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { sealToRound } from '../../../packages/sdk/src/secrets.ts';
import type { CommitteeState, Member } from '../../gatekeeper/src/committeeState.ts';
import { type KeyFacts, KeyRefusedError } from '../../gatekeeper/src/keys/keyRules.ts';
import { KeyService } from '../../gatekeeper/src/keys/keyService.ts';
import { ReleaseLog } from '../../gatekeeper/src/keys/releaseLog.ts';
import { publicSharesOf } from '../../gatekeeper/src/shares/publicShares.ts';
import { ShareStore } from '../../gatekeeper/src/shares/shareStore.ts';
import {
  domain,
  type Generation,
  makeGeneration,
  makePeople,
  type Person,
} from '../../gatekeeper/test/ceremonyRoom.ts';
import { KeyClient, type KeyClientComponents } from '../src/keys/keyClient.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const wish: KeyIdentity & { manifest: Bytes32 } = {
  app: b32(1),
  keyVersion: 1,
  class: 'secrets',
  context: zeroBytes32,
  manifest: b32(2),
};
const signal = () => AbortSignal.timeout(15_000);
const digest = b32(0xd1);

/** A committee of real key services behind one fetch, each with rules and faults of the test's making. */
class Committee {
  readonly people: readonly Person[];
  readonly generation: Generation;
  readonly members: readonly Member[];
  readonly releases: ReleaseLog[] = [];
  readonly workerSecret: SecretBytes = generateSecp256k1();
  /** Of a member, by its place: facts that differ, an answer that it gives instead, nothing at all. */
  readonly faults = new Map<number, 'away' | 'lies' | 'forges' | 'garbage' | Partial<KeyFacts>>();
  readonly asked: string[] = [];

  constructor(people: readonly Person[], generation: Generation) {
    this.people = people;
    this.generation = generation;
    this.members = people.map(({ signer, hpkeKey }, index) => ({
      operator: `0x${String(index + 1).padStart(40, '0')}` as Address,
      signer,
      hpkeKey,
      endpoint: `http://member-${index}`,
    }));
  }

  get publicKey(): Uint8Array {
    return publicShareAt(this.generation.made.apps, 0);
  }

  client(pausesMs: readonly number[] = [1, 1]): KeyClient {
    const status = { generation: { ...this.#state().generation } } as unknown as CommitteeStatus;
    const head = { number: 100n, hash: zeroBytes32, timestamp: 1_000n };
    const components: KeyClientComponents = {
      network: {
        chainId: domain.chainId,
        contracts: { workerRegistry: domain.registry },
        networkKeys: { apps: toHex(this.publicKey), beacon: toHex(publicShareAt(this.generation.made.beacon, 0)) },
      } as never,
      committee: {
        view: { head: async () => head, finalized: async () => head },
        status: async () => status,
      } as unknown as CommitteeReader,
      sign: (bytes) => signDigest(this.workerSecret, bytes),
      clock: { genesis: 0n, epochLength: 100n },
      fetch: (async (input: string | URL | Request, init?: RequestInit) =>
        this.#fetch(String(input), init)) as typeof fetch,
    };
    return new KeyClient(components, { pausesMs });
  }

  async #fetch(url: string, init: RequestInit | undefined): Promise<Response> {
    const index = Number(/member-(\d+)/.exec(url)?.[1]);
    const fault = this.faults.get(index);
    this.asked.push(String(init?.body));
    if (fault === 'away') throw new Error('connection refused');
    if (fault === 'garbage') return new Response('{"generation":"1"}');
    const service = this.#service(index, fault === 'lies' ? (index + 1) % this.people.length : index, fault);
    try {
      const answer = await service.answer(JSON.parse(String(init?.body)), signal());
      return Response.json(fault === 'forges' ? { ...answer, index: ((index + 1) % this.people.length) + 1 } : answer);
    } catch (error) {
      if (!(error instanceof KeyRefusedError)) throw error;
      return Response.json({ code: error.code, message: error.message }, { status: error.retry ? 503 : 403 });
    }
  }

  #service(index: number, shareOf: number, fault: unknown): KeyService {
    const person = this.people[index] as Person;
    const store = new ShareStore();
    const shares = this.generation.shares.get((this.people[shareOf] as Person).signer);
    const held = { number: 1n, digest, publicShares: publicSharesOf(this.generation.made, 1), shares };
    store.keep(held as never);
    store.follow(this.#state().generation);
    const releases = new ReleaseLog();
    this.releases[index] = releases;
    return new KeyService(
      {
        me: person,
        store,
        state: () => this.#state(),
        facts: async () => ({ ...this.#facts(), ...(typeof fault === 'object' ? fault : {}) }),
        releases,
        keepReleases: async () => {},
        answered: createMetrics().counter({ name: 'test_total', help: 'test' }),
        log: silentLogger,
      },
      { domain, maxBlockDistance: 10n, maxAppsPerPlatform: 5 },
    );
  }

  #state(): CommitteeState {
    const generation = {
      number: 1n,
      threshold: this.generation.threshold,
      members: this.members,
      publicSharesHash: zeroBytes32,
      digest,
      since: 1n,
    };
    return { generation, next: { threshold: 3, members: [], isComplete: true, lastLeaseUntil: 0n }, keys: undefined };
  }

  #facts(): KeyFacts {
    const workerSigner = addressOf(this.workerSecret);
    return {
      block: 100n,
      epoch: 10n,
      finalRound: 20n,
      networkKeysHash: b32(6),
      worker: async (signer) =>
        signer === workerSigner
          ? {
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
            }
          : undefined,
      app: async () => ({ manifestId: b32(2), keyVersion: 1, minKeyVersion: 1, imagePolicy: 0 }),
      isImagePinned: async () => false,
      placement: async () => ({ hosts: [b32(3)], minTcbEvaluationDataNumber: 0 }),
      appsOf: () => 0,
    };
  }
}

let people: Person[];
let generation: Generation;
beforeAll(async () => {
  people = await makePeople(5);
  generation = await makeGeneration({ receivers: people, threshold: 3 });
});
const committee = () => new Committee(people, generation);
const holds = (all: Committee, key: SecretBytes) =>
  verifySignature(all.publicKey, fromHex(keyIdentityHash(domain, wish)), key.reveal());

describe('an app’s key', () => {
  test('comes from any threshold of members, verified, and each has written down what it gave', async () => {
    const all = committee();
    const key = await all.client().signature(wish, signal());
    expect(holds(all, key)).toBe(true);
    expect(`${key}`).toBe('[secret]');
    const given = all.releases.filter((log) => log?.head.count === 1n);
    expect(given.length).toBeGreaterThanOrEqual(3);
    expect(given[0]?.latest[0]).toMatchObject({ app: wish.app, class: 'secrets', workerId: b32(3), epoch: 10n });
  });

  test('comes while as many are away as may be', async () => {
    const all = committee();
    for (const index of [0, 3]) all.faults.set(index, 'away');
    expect(holds(all, await all.client().signature(wish, signal()))).toBe(true);
  });

  test('comes in spite of members that give wrong parts, forged answers or garbage', async () => {
    for (const faults of [
      ['lies', 'forges'],
      ['garbage', 'lies'],
      ['lies', 'lies'],
    ] as const) {
      const all = committee();
      for (const [index, fault] of faults.entries()) all.faults.set(index * 2, fault);
      expect(holds(all, await all.client().signature(wish, signal()))).toBe(true);
    }
  });

  test('is asked for again where parts came that do not fit together: members were handing over', async () => {
    const all = committee();
    for (const index of [0, 1, 2]) all.faults.set(index, 'lies');
    const asked = all.client([300]).signature(wish, signal());
    await vi.waitUntil(() => all.asked.length === people.length);
    all.faults.clear();
    expect(holds(all, await asked)).toBe(true);
    const nonces = all.asked.map((body) => JSON.parse(body).nonce);
    expect(nonces).toHaveLength(2 * people.length);
    expect(new Set(nonces).size).toBe(2);
  });

  test('is asked for with a fresh key and nonce each time', async () => {
    const all = committee();
    const client = all.client();
    await client.signature(wish, signal());
    await client.signature(wish, signal());
    const bodies = all.asked.map((body) => JSON.parse(body));
    expect(new Set(bodies.map(({ hpkeKey }) => hpkeKey)).size).toBe(2);
    expect(new Set(bodies.map(({ nonce }) => nonce)).size).toBe(2);
  });
});

describe('what is sealed to a round', () => {
  test('opens for the app’s hosts once the round is final, and not before', async () => {
    const all = committee();
    const identity = timeIdentity(wish.app, wish.keyVersion, 20n);
    const keys = { apps: toHex(all.publicKey), beacon: '0x' };
    const network = { chainId: domain.chainId, contracts: { workerRegistry: domain.registry }, networkKeys: keys };
    const sealed = await sealToRound(network as never, { ...wish, round: 20n }, utf8('will'), utf8('opened'));
    for (const index of people.keys()) all.faults.set(index, { finalRound: 19n });
    const early = all.client().signature({ ...identity, manifest: wish.manifest }, signal());
    await expect(early).rejects.toMatchObject({
      code: 'KEYS_UNAVAILABLE',
      retry: true,
      meta: { codes: expect.arrayContaining(['KEY_ROUND_AHEAD']) },
    });
    all.faults.clear();
    const key = await all.client().signature({ ...identity, manifest: wish.manifest }, signal());
    const hash = fromHex(keyIdentityHash(domain, identity));
    expect(await openSealed(key, hash, utf8('will'), sealed)).toEqual(utf8('opened'));
    // Neither the secrets' key nor that of another round opens it.
    for (const other of [wish, { ...timeIdentity(wish.app, wish.keyVersion, 19n), manifest: wish.manifest }]) {
      const wrong = await all.client().signature(other, signal());
      await expect(openSealed(wrong, hash, utf8('will'), sealed)).rejects.toMatchObject({ code: 'SEAL_INVALID' });
    }
  });
});

describe('no key', () => {
  test('while too few members answer', async () => {
    const all = committee();
    for (const index of [0, 1, 2]) all.faults.set(index, 'away');
    await expect(all.client().signature(wish, signal())).rejects.toMatchObject({
      code: 'KEYS_UNAVAILABLE',
      retry: true,
      message: expect.stringContaining('connection refused'),
    });
  });

  test('with too many wrong parts', async () => {
    const all = committee();
    for (const index of [0, 1, 2]) all.faults.set(index, 'lies');
    await expect(all.client().signature(wish, signal())).rejects.toMatchObject({
      code: 'KEYS_UNAVAILABLE',
      message: expect.stringContaining('do not fit together'),
    });
    expect(all.asked).toHaveLength(3 * people.length);
  });

  test('where the rules forbid it: an unplaced but genuine worker is refused, and is told so', async () => {
    const all = committee();
    for (const index of people.keys())
      all.faults.set(index, {
        placement: async () => ({ hosts: [], minTcbEvaluationDataNumber: 0 }),
      });
    await expect(all.client().signature(wish, signal())).rejects.toMatchObject({
      code: 'KEYS_REFUSED',
      retry: false,
      meta: { codes: expect.arrayContaining(['KEY_WORKER_NOT_PLACED']) },
    });
    expect(all.releases.every((log) => log.head.count === 0n)).toBe(true);
  });

  test('for somebody else’s signature', async () => {
    const all = committee();
    const client = all.client();
    all.workerSecret.wipe();
    Object.assign(all, { workerSecret: generateSecp256k1() });
    for (const index of people.keys()) all.faults.set(index, { worker: async () => undefined });
    await expect(client.signature(wish, signal())).rejects.toMatchObject({ code: 'KEYS_REFUSED' });
  });

  test('on a network without a committee', async () => {
    const client = new KeyClient({ network: { networkKeys: null } } as never);
    await expect(client.signature(wish, signal())).rejects.toMatchObject({ code: 'KEYS_ABSENT' });
  });
});
