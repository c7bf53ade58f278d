import { type Address, evictionTreeOf, type Hex, roundStatementMessage, tagHash, zeroBytes32 } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import { publicShareAt } from '@cloister/threshold/dkg';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CommitteeState } from '../src/committeeState.ts';
import { HeadWatchError } from '../src/heads/headWatch.ts';
import { RoundAheadError, type RoundFacts, readRoundFacts } from '../src/rounds/roundFacts.ts';
import { RoundKeeper } from '../src/rounds/roundKeeper.ts';
import { publicSharesHash, publicSharesOf } from '../src/shares/publicShares.ts';
import { ShareStore } from '../src/shares/shareStore.ts';
import { BeaconSigner } from '../src/signing/beaconSigner.ts';
import type { MemberPartial } from '../src/signing/memberPartial.ts';
import { domain, type Generation, makeGeneration, makePeople, type Person } from './ceremonyRoom.ts';

const never = new AbortController().signal;
const digest = tagHash('test/generation: v1', 7n);
const evicted: readonly Address[] = [`0x${'ee'.repeat(20)}`];
const hashOf = (block: bigint, branch: string): Hex => tagHash(`test/${branch}: v1`, block);

let people: Person[];
let made: Generation;
let state: CommitteeState;
beforeAll(async () => {
  people = await makePeople(5);
  made = await makeGeneration({ receivers: people, threshold: 3 });
  const members = people.map(({ signer, hpkeKey }) => ({ operator: signer, signer, hpkeKey, endpoint: 'http://x' }));
  const shares = publicSharesOf(made.made, people.length);
  state = {
    generation: { number: 7n, threshold: 3, members, publicSharesHash: publicSharesHash(shares), digest, since: 1n },
    next: { threshold: 3, members, isComplete: true, lastLeaseUntil: 0n },
    keys: { apps: toHex(publicShareAt(made.made.apps, 0)), beacon: toHex(publicShareAt(made.made.beacon, 0)) },
  };
});

/** Five members, each of whom sees a chain; all the same one unless a test says otherwise. */
class Hall {
  round = 100n;
  readonly branches = new Map<number, string>();
  readonly unwitnessed = new Set<number>();
  readonly silent = new Set<number>();
  /** What a member answers in place of its own part. */
  readonly says = new Map<number, (honest: MemberPartial) => MemberPartial>();
  readonly wrong: number[] = [];
  read = 0;
  keepers: RoundKeeper[] = people.map((_, position) => this.start(position + 1));

  start(index: number): RoundKeeper {
    const person = people[index - 1] as Person;
    const store = new ShareStore();
    const shares = made.shares.get(person.signer);
    store.keep({ number: 7n, digest, publicShares: publicSharesOf(made.made, people.length), shares });
    store.follow(state.generation);
    const peers = {
      roundPartial: async ({ signer }: { readonly signer: Address }, round: bigint, signal: AbortSignal) => {
        const other = people.findIndex((one) => one.signer === signer) + 1;
        if (this.silent.has(other)) return undefined;
        const honest = await this.keeper(other)
          .partial(round, signal)
          .catch(() => undefined);
        return honest && (this.says.get(other)?.(honest) ?? honest);
      },
    };
    return new RoundKeeper(
      {
        signer: new BeaconSigner({
          me: person.signer,
          store,
          peers: { publicShares: async () => publicSharesOf(made.made, people.length) },
          state: () => state,
        }),
        peers,
        round: () => (this.round < 0n ? undefined : this.round),
        facts: async (round): Promise<RoundFacts> => {
          this.read += 1;
          return {
            statement: {
              round,
              time: round * 30n - 4n,
              block: round * 3n - 1n,
              blockHash: hashOf(round, this.branches.get(index) ?? 'main'),
              evictionRoot: evictionTreeOf(evicted).root,
            },
            evicted,
          };
        },
        assertWitnessed: () => {
          if (this.unwitnessed.has(index)) throw new HeadWatchError('nobody else sees it');
        },
        onWrongPartial: (other) => this.wrong.push(other),
      },
      { domain },
    );
  }

  keeper(index: number): RoundKeeper {
    return this.keepers[index - 1] as RoundKeeper;
  }

  /** All members have seen the round that is, and then comes the next. */
  async goOn(): Promise<void> {
    await Promise.all(this.keepers.map((keeper) => keeper.partial(this.round, never).catch(() => {})));
    this.round += 1n;
  }
}

let hall: Hall;
beforeEach(async () => {
  hall = new Hall();
  await hall.goOn();
});

const holds = ({ signature, ...statement }: Awaited<ReturnType<RoundKeeper['statement']>>['statement']) =>
  verifySignature(
    publicShareAt(made.made.beacon, 0),
    fromHex(roundStatementMessage(domain, statement)),
    fromHex(signature),
  );

describe('a round’s statement', () => {
  test('is made by any threshold of members that see one chain, and is the same whoever makes it', async () => {
    const all = await Promise.all(hall.keepers.map((keeper) => keeper.statement(101n, never)));
    const [first] = all;
    expect(all.every(({ statement }) => statement.signature === first?.statement.signature)).toBe(true);
    expect(first?.statement).toMatchObject({ round: 101n, time: 3_026n, block: 302n, blockHash: hashOf(101n, 'main') });
    expect(holds(first?.statement as never)).toBe(true);
    expect(first?.evicted).toEqual(evicted);
    hall.silent.add(2).add(3);
    await hall.goOn();
    expect(holds((await hall.keeper(1).statement(102n, never)).statement)).toBe(true);
    expect(hall.keeper(1).newest().statement.round).toBe(102n);
  });

  test('is not made by fewer, nor of parts about different chains', async () => {
    hall.silent.add(2).add(3).add(4);
    const unavailable = expect.objectContaining({ code: 'ROUND_UNAVAILABLE', retry: true });
    await expect(hall.keeper(1).statement(101n, never)).rejects.toEqual(unavailable);
    hall.silent.clear();
    for (const index of [2, 3, 4]) hall.branches.set(index, 'other');
    await expect(hall.keeper(1).statement(101n, never)).rejects.toEqual(unavailable);
    expect(hall.wrong).toEqual([]);
    // The others, who are enough, say it of the chain that they see.
    const theirs = await hall.keeper(2).statement(101n, never);
    expect([holds(theirs.statement), theirs.statement.blockHash]).toEqual([true, hashOf(101n, 'other')]);
  });

  test('is made although one member says something else, or lies about its place', async () => {
    hall.branches.set(2, 'other');
    hall.says.set(3, (honest) => ({ ...honest, index: 4 }));
    expect(holds((await hall.keeper(1).statement(101n, never)).statement)).toBe(true);
  });

  test('there is none before the first', () => {
    expect(() => hall.keeper(1).newest()).toThrow(expect.objectContaining({ code: 'ROUND_UNAVAILABLE' }));
  });
});

describe('a member signs one statement for a round', () => {
  test('whatever the chain shows it later', async () => {
    const before = await hall.keeper(1).partial(101n, never);
    hall.branches.set(1, 'reorganised');
    expect(await hall.keeper(1).partial(101n, never)).toEqual(before);
  });

  test('and none for a round in which it may have signed before it was restarted', async () => {
    const before = await hall.keeper(1).partial(101n, never);
    hall.branches.set(1, 'reorganised');
    hall.keepers[0] = hall.start(1);
    const refused = expect.objectContaining({ code: 'ROUND_NOT_SIGNED', retry: true });
    await expect(hall.keeper(1).partial(101n, never)).rejects.toEqual(refused);
    await expect(hall.keeper(1).partial(100n, never)).rejects.toEqual(refused);
    hall.round = 102n;
    await expect(hall.keeper(1).partial(101n, never)).rejects.toEqual(refused);
    expect((await hall.keeper(1).partial(102n, never)).signature).not.toBe(before.signature);
  });

  test('and gives others’ for such a round', async () => {
    hall.keepers[0] = hall.start(1);
    expect(holds((await hall.keeper(1).statement(101n, never)).statement)).toBe(true);
    hall.silent.add(2).add(3);
    hall.keepers[0] = hall.start(1);
    await expect(hall.keeper(1).statement(101n, never)).rejects.toThrow('"2" gave');
  });
});

describe('nothing is said', () => {
  test('of a chain that nobody else sees, until they do', async () => {
    hall.unwitnessed.add(1);
    await expect(hall.keeper(1).partial(101n, never)).rejects.toEqual(
      expect.objectContaining({ code: 'CHAIN_UNWITNESSED' }),
    );
    hall.unwitnessed.clear();
    await expect(hall.keeper(1).partial(101n, never)).resolves.toMatchObject({ index: 1 });
  });

  test('of a round that has not begun, or is long over', async () => {
    const notBegun = expect.objectContaining({ code: 'ROUND_NOT_BEGUN', retry: true });
    await expect(hall.keeper(1).partial(102n, never)).rejects.toEqual(notBegun);
    expect(() => hall.keeper(1).statement(102n, never)).toThrow(notBegun);
    hall.round = 133n;
    expect(() => hall.keeper(1).statement(101n, never)).toThrow(
      expect.objectContaining({ code: 'ROUND_OVER', retry: false }),
    );
    await expect(hall.keeper(1).partial(102n, never)).resolves.toMatchObject({ index: 1 });
    hall.round = -1n;
    await expect(hall.keeper(1).partial(0n, never)).rejects.toEqual(notBegun);
  });

  test('twice: the chain is read once for a round, however many ask', async () => {
    const before = hall.read;
    await Promise.all([1, 2, 3].map(() => hall.keeper(1).partial(101n, never)));
    expect(hall.read).toBe(before + 1);
  });
});

describe('what there is to say of a round', () => {
  const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };
  /** Blocks at these timestamps, the first with number 0. */
  const viewOf = (...timestamps: readonly bigint[]) => {
    const blocks = timestamps.map((timestamp, index) => ({
      number: BigInt(index),
      hash: hashOf(BigInt(index), 'main'),
      timestamp,
    }));
    const last = blocks.length - 1;
    const blockAt = async (number: bigint) => blocks[Number(number)] as (typeof blocks)[number];
    return {
      head: async () => blocks[last] as (typeof blocks)[number],
      blockAt,
      blockOn: (_: unknown, number: bigint) => blockAt(number),
    };
  };
  const history = {
    evictedAt: async ({ number }: { number: bigint }) =>
      number < 2n
        ? []
        : [
            { signer: evicted[0] as Address, leaseUntil: 1_010n },
            { signer: `0x${'dd'.repeat(20)}` as const, leaseUntil: 1_009n },
          ],
  };
  const facts = (view: ReturnType<typeof viewOf>, round: bigint) =>
    readRoundFacts({ view, history, clock }, round, never);

  test('is the last block before it, and who was evicted by then, however far the chain has come', async () => {
    const expected = {
      statement: {
        round: 1n,
        time: 1_009n,
        block: 2n,
        blockHash: hashOf(2n, 'main'),
        evictionRoot: evictionTreeOf(evicted).root,
      },
      evicted,
    };
    expect(await facts(viewOf(990n, 1_003n, 1_009n, 1_010n), 1n)).toEqual(expected);
    expect(await facts(viewOf(990n, 1_003n, 1_009n, 1_055n, 1_060n, 1_070n, 1_080n), 1n)).toEqual(expected);
    expect(await facts(viewOf(990n, 1_003n, 1_009n, 1_055n), 5n)).toMatchObject({
      statement: { round: 5n, block: 2n },
    });
  });

  test('is of nobody evicted where nobody was', async () => {
    expect(await facts(viewOf(990n, 1_003n, 1_012n), 1n)).toMatchObject({
      statement: { block: 1n, evictionRoot: evictionTreeOf([]).root },
      evicted: [],
    });
    expect(evictionTreeOf([]).root).not.toBe(zeroBytes32);
  });

  test('is not known before a block of the round, or a later one, is there', async () => {
    await expect(facts(viewOf(990n, 1_003n, 1_009n), 1n)).rejects.toThrow(RoundAheadError);
    await expect(facts(viewOf(1_010n, 1_011n), 1n)).rejects.toThrow(RoundAheadError);
  });
});
