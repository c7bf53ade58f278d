import { beaconMessage, type Hex, tagHash } from '@cloister/core';
import { fromHex, toHex, utf8 } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare } from '@cloister/threshold/native';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BeaconKeeper } from '../src/beacon/beaconKeeper.ts';
import type { CommitteeState, Member } from '../src/committeeState.ts';
import { HeadWatchError } from '../src/heads/headWatch.ts';
import { Peers } from '../src/peers/peers.ts';
import { publicSharesHash, publicSharesOf } from '../src/shares/publicShares.ts';
import type { SharePair } from '../src/shares/sharePair.ts';
import { ShareStore } from '../src/shares/shareStore.ts';
import { BeaconSigner } from '../src/signing/beaconSigner.ts';
import { domain, type Generation, makeGeneration, makePeople, type Person } from './ceremonyRoom.ts';

const roundSeconds = 10n;
const digest = tagHash('test/generation: v1', 7n);
const never = new AbortController().signal;

let people: Person[];
let made: Generation;
let state: CommitteeState;
beforeAll(async () => {
  people = await makePeople(5);
  made = await makeGeneration({ receivers: people, threshold: 3 });
  const shares = publicSharesOf(made.made, people.length);
  const members = people.map(
    ({ signer, hpkeKey }, position): Member => ({
      operator: signer,
      signer,
      hpkeKey,
      endpoint: `http://member-${position + 1}`,
    }),
  );
  state = {
    generation: { number: 7n, threshold: 3, members, publicSharesHash: publicSharesHash(shares), digest, since: 1n },
    next: { threshold: 3, members, isComplete: true, lastLeaseUntil: 0n },
    keys: { apps: toHex(publicShareAt(made.made.apps, 0)), beacon: toHex(publicShareAt(made.made.beacon, 0)) },
  };
});

type Answer = { readonly generation: string; readonly index: number; readonly signature: Hex };

/** Five members, of whom a test changes what they hold and say. */
class Hall {
  now: bigint | undefined = 1_000n;
  committee: CommitteeState | undefined = state;
  /** What a member answers in place of its own part; a promise that stays open is a member that hangs. */
  readonly says = new Map<number, (honest: () => Answer, signal: AbortSignal) => Answer | Promise<Answer>>();
  publicSharesAsked = 0;
  readonly asked: { readonly index: number; readonly round: string }[] = [];
  readonly wrong: (readonly [number, bigint])[] = [];
  readonly keepers: BeaconKeeper[];

  /** @param without indices of members without shares, as after a restart on a device that can't seal */
  isWitnessed = true;

  constructor(without: readonly number[] = []) {
    this.keepers = people.map((person, position) => {
      const store = new ShareStore();
      const shares = without.includes(position + 1) ? undefined : made.shares.get(person.signer);
      if (shares !== undefined)
        store.keep({ number: 7n, digest, publicShares: publicSharesOf(made.made, people.length), shares });
      store.follow(state.generation);
      const peers = new Peers({ fetch: this.#fetch, timeoutMs: 15_000 });
      return new BeaconKeeper(
        {
          signer: new BeaconSigner({ me: person.signer, store, peers, state: () => this.committee }),
          peers,
          now: () => this.now,
          assertWitnessed: () => {
            if (!this.isWitnessed) throw new HeadWatchError('nobody else sees it');
          },
          onWrongPartial: (index, round) => this.wrong.push([index, round]),
        },
        { domain, roundAt: (timestamp) => timestamp / roundSeconds },
      );
    });
  }

  keeper(index: number): BeaconKeeper {
    return this.keepers[index - 1] as BeaconKeeper;
  }

  /** These give no answer. */
  silence(...indices: readonly number[]): void {
    for (const index of indices) this.says.set(index, () => Promise.reject(new Error('no answer')));
  }

  readonly #fetch: typeof fetch = async (input, init) => {
    if (/\/v1\/generations\/7\/public-shares$/.test(String(input))) {
      this.publicSharesAsked += 1;
      return Response.json(publicSharesOf(made.made, people.length));
    }
    const [, index, round = ''] = /^http:\/\/member-(\d)\/v1\/beacon\/(\d+)\/partial$/.exec(String(input)) ?? [];
    const number = Number(index);
    this.asked.push({ index: number, round });
    const honest = (): Answer => {
      const part = this.keeper(number).partial(BigInt(round));
      return { ...part, generation: part.generation.toString() };
    };
    const say = this.says.get(number) ?? honest;
    return Response.json(await say(honest, init?.signal as AbortSignal));
  };
}

const holds = (round: bigint, signature: Hex) =>
  verifySignature(publicShareAt(made.made.beacon, 0), fromHex(beaconMessage(domain, round)), fromHex(signature));
const later = <T>(work: () => T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(work()), 100));
const unavailable = expect.objectContaining({ code: 'BEACON_UNAVAILABLE', retry: true });

/** What a member's share makes of another message. */
const otherMessage = (index: number): Hex => {
  const pair = made.shares.get((people[index - 1] as Person).signer) as SharePair;
  return toHex(signWithShare(pair.beacon, utf8('something else')));
};

let hall: Hall;
beforeEach(() => {
  hall = new Hall();
});

describe('a round’s one value', () => {
  test('is made by any threshold of members, and is the same whoever makes it of whose parts', async () => {
    const values = new Set<Hex>();
    for (const [maker, ...silent] of [
      [1, 2, 3],
      [1, 4, 5],
      [2, 1, 4],
      [5, 3, 2],
    ] as const) {
      hall = new Hall();
      hall.silence(...silent);
      values.add(await hall.keeper(maker).signature(5n, never));
    }
    const [value] = values;
    expect(values.size).toBe(1);
    expect(holds(5n, value as Hex)).toBe(true);
    expect(holds(6n, value as Hex)).toBe(false);
  });

  test('is not made by fewer, and is once they are back: what failed is not kept', async () => {
    hall.silence(2, 3, 4);
    const failed = hall.keeper(1).signature(5n, never);
    await expect(failed).rejects.toEqual(unavailable);
    await expect(failed).rejects.toThrow('Of "3" members needed, "2" gave');
    hall.says.clear();
    expect(holds(5n, await hall.keeper(1).signature(5n, never))).toBe(true);
  });

  test('is asked for once, however many want it, then and later', async () => {
    const [first, second] = await Promise.all([1, 2].map(() => hall.keeper(1).signature(5n, never)));
    const third = await hall.keeper(1).signature(5n, never);
    expect([second, third]).toEqual([first, first]);
    expect(hall.asked).toEqual([2, 3, 4, 5].map((index) => ({ index, round: '5' })));
  });

  test('is another in each round', async () => {
    const [five, six] = [await hall.keeper(1).signature(5n, never), await hall.keeper(1).signature(6n, never)];
    expect(five).not.toBe(six);
    expect(holds(6n, six)).toBe(true);
  });
});

describe('a chain that nobody else sees', () => {
  test('draws no part from a member', () => {
    for (const keeper of hall.keepers) expect(() => keeper.partial(3n)).not.toThrow();
    hall.isWitnessed = false;
    expect(() => hall.keeper(1).partial(3n)).toThrow(
      expect.objectContaining({ code: 'CHAIN_UNWITNESSED', retry: true }),
    );
  });
});

describe('a round that has not begun', () => {
  test('has neither parts nor a value, at anybody', () => {
    hall.now = 999n;
    const ahead = expect.objectContaining({ code: 'BEACON_ROUND_AHEAD', retry: true });
    expect(() => hall.keeper(1).partial(100n)).toThrow(ahead);
    expect(() => hall.keeper(1).signature(100n, never)).toThrow(ahead);
    expect(() => hall.keeper(1).partial(-1n)).toThrow(ahead);
    expect(() => hall.keeper(1).partial(99n)).not.toThrow();
    hall.now = 1_000n;
    expect(() => hall.keeper(1).partial(100n)).not.toThrow();
    hall.now = undefined;
    expect(() => hall.keeper(1).partial(0n)).toThrow(ahead);
    expect(hall.asked).toEqual([]);
  });
});

describe('a member that does wrong', () => {
  test.each<[string, () => Hex]>([
    ['signs something else', () => otherMessage(2)],
    ['gives no point', () => `0x${'ff'.repeat(96)}`],
  ])('is named and left out: one that %s', async (_, signature) => {
    hall.says.set(2, (honest) => ({ ...honest(), signature: signature() }));
    hall.silence(5);
    for (const index of [3, 4]) hall.says.set(index, later);
    expect(holds(5n, await hall.keeper(1).signature(5n, never))).toBe(true);
    expect(hall.wrong).toEqual([[2, 5n]]);
  });

  test('takes nobody’s place: its part under another’s index counts for nothing', async () => {
    hall.says.set(2, (honest) => ({ ...honest(), index: 3 }));
    hall.silence(5);
    for (const index of [3, 4]) hall.says.set(index, later);
    expect(holds(5n, await hall.keeper(1).signature(5n, never))).toBe(true);
    expect(hall.wrong).toEqual([]);
  });

  test('is not waited for where it hangs, and hears that nobody waits', async () => {
    let heard: AbortSignal | undefined;
    hall.says.set(2, (_, signal) => {
      heard = signal;
      return new Promise(() => {});
    });
    const began = performance.now();
    expect(holds(5n, await hall.keeper(1).signature(5n, never))).toBe(true);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(heard?.aborted).toBe(true);
  });

  test('and speaks for another generation is not counted', async () => {
    hall.silence(4, 5);
    hall.says.set(2, (honest) => ({ ...honest(), generation: '6' }));
    await expect(hall.keeper(1).signature(5n, never)).rejects.toEqual(unavailable);
    expect(hall.wrong).toEqual([]);
  });
});

describe('a member without shares of the committee that is', () => {
  test('gives no part, and makes the value of the others’', async () => {
    hall = new Hall([1]);
    expect(() => hall.keeper(1).partial(5n)).toThrow(
      expect.objectContaining({ code: 'BEACON_NO_SHARES', retry: true }),
    );
    expect(holds(5n, await hall.keeper(1).signature(5n, never))).toBe(true);
    expect(hall.asked.map(({ index }) => index)).toEqual([2, 3, 4, 5]);
    hall = new Hall([1]);
    hall.silence(2, 3);
    await expect(hall.keeper(1).signature(5n, never)).rejects.toEqual(unavailable);
  });

  test('names a wrong part too, by public shares that it asks for then and only then', async () => {
    hall = new Hall([1]);
    await hall.keeper(1).signature(5n, never);
    expect(hall.publicSharesAsked).toBe(0);
    hall.says.set(2, (honest) => ({ ...honest(), signature: otherMessage(2) }));
    for (const index of [3, 4, 5]) hall.says.set(index, later);
    expect(holds(6n, await hall.keeper(1).signature(6n, never))).toBe(true);
    expect([hall.publicSharesAsked, hall.wrong]).toEqual([1, [[2, 6n]]]);
  });

  test('as its shares are of a generation that is over', async () => {
    const generation = { ...state.generation, digest: tagHash('test/generation: v1', 8n), number: 8n };
    hall.committee = { ...state, generation };
    expect(() => hall.keeper(1).partial(5n)).toThrow(expect.objectContaining({ code: 'BEACON_NO_SHARES' }));
    await expect(hall.keeper(1).signature(5n, never)).rejects.toThrow('"0" gave');
  });

  test('as it is no longer in it', () => {
    const members = state.generation.members.slice(1);
    hall.committee = { ...state, generation: { ...state.generation, members } };
    expect(() => hall.keeper(1).partial(5n)).toThrow(expect.objectContaining({ code: 'BEACON_NO_SHARES' }));
  });

  test('as there are no keys yet', async () => {
    hall.committee = { ...state, keys: undefined };
    await expect(hall.keeper(1).signature(5n, never)).rejects.toThrow('no keys yet');
    hall.committee = undefined;
    await expect(hall.keeper(1).signature(5n, never)).rejects.toEqual(unavailable);
  });
});
