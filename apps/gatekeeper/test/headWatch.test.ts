import { ChainError, type Head } from '@cloister/chain';
import { type Bytes32, type ChainHead, chainHeadDigest, type SignedChainHead, tagHash } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitteeState, Member } from '../src/committeeState.ts';
import { HeadWatch } from '../src/heads/headWatch.ts';

const domain = { chainId: 31337, registry: `0x${'77'.repeat(20)}` } as const;
const signal = new AbortController().signal;
const hashOf = (branch: string, number: bigint): Bytes32 => tagHash(`test/${branch}: v1`, number);

/** A committee of four, any three of which suffice; the first is the one whose watch is tested. */
class Town {
  readonly secrets: SecretBytes[] = Array.from({ length: 4 }, generateSecp256k1);
  readonly members: Member[] = this.secrets.map((secret, index) => ({
    operator: `0x${String(index + 1).padStart(40, '0')}`,
    signer: addressOf(secret),
    hpkeKey: `0x${'11'.repeat(32)}`,
    endpoint: `http://member-${index}`,
  }));
  /** The chain as this member's RPCs show it. */
  branch = 'true';
  newest = 100n;
  ms = 0;
  /** What each other member says; undefined: it does not answer. */
  readonly told = new Map<number, { branch?: string; number?: bigint; by?: number; hash?: Bytes32 } | undefined>();
  /** Members that take their time, and until when. */
  readonly hanging = new Map<number, Promise<void>>();
  readonly asked: number[] = [];
  readonly differing: number[] = [];
  /** Blocks that decisions were made by, oldest first. */
  readonly decidedBy: bigint[] = [];
  readonly watch: HeadWatch;

  constructor() {
    const [me] = this.secrets;
    if (me === undefined) throw new Error('nobody');
    const block = (number: bigint): Head => {
      if (number > this.newest) throw new ChainError('CHAIN_BLOCK_UNKNOWN', 'no such block', {});
      return { number, hash: hashOf(this.branch, number), timestamp: number * 10n };
    };
    this.watch = new HeadWatch(
      {
        me: { signer: addressOf(me), sign: (digest) => toHex(signDigest(me, fromHex(digest))) },
        view: {
          head: async () => block(this.newest),
          // Hashes here name branches: an end has only ancestors of its own.
          blockOn: async (end, number) => {
            expect(end.hash).toBe(hashOf(this.branch, this.newest));
            return block(number);
          },
        },
        onWitnessed: ({ number }) => this.decidedBy.push(number),
        peers: {
          head: async (member) => {
            const index = this.members.indexOf(member);
            this.asked.push(index);
            await this.hanging.get(index);
            return this.#headOf(index);
          },
        },
        state: () => ({ generation: { number: 1n, threshold: 3, members: this.members } }) as unknown as CommitteeState,
        clockMs: () => this.ms,
        onDiffering: (member) => this.differing.push(this.members.indexOf(member)),
      },
      { domain, maxAgeMs: 1_000, maxLagBlocks: 10n, patienceMs: 50, answersMs: 5 },
    );
  }

  #headOf(index: number): SignedChainHead | undefined {
    if (this.told.has(index) && this.told.get(index) === undefined) return undefined;
    const { branch = 'true', number = this.newest, by = index, hash } = this.told.get(index) ?? {};
    const head: ChainHead = { number, hash: hash ?? hashOf(branch, number), timestamp: number * 10n };
    const signature = toHex(signDigest(this.secrets[by] as SecretBytes, fromHex(chainHeadDigest(domain, head))));
    return { ...head, signature };
  }

  get isWitnessed(): boolean {
    try {
      this.watch.assertWitnessed({ number: this.newest });
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'CHAIN_UNWITNESSED', retry: true });
      return false;
    }
  }
}

let town: Town;
beforeEach(() => {
  town = new Town();
});

describe('the chain that a member sees', () => {
  test('is trusted once a threshold, itself included, sees it too', async () => {
    expect(town.watch.own).toBeUndefined();
    expect(town.isWitnessed).toBe(false);
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(true);
    expect(town.watch.own).toMatchObject({ number: 100n, hash: hashOf('true', 100n), timestamp: 1_000n });
  });

  test('is trusted while one member is away, and not while two are', async () => {
    town.told.set(1, undefined);
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(true);
    town.told.set(2, undefined);
    town.ms += 1_001;
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
  });

  test('is not trusted where its RPCs show another one, from the first look on', async () => {
    await town.watch.tick(signal);
    town.branch = 'forged';
    for (const index of [1, 2, 3]) town.told.set(index, { branch: 'true' });
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
    expect(town.differing.sort()).toEqual([1, 2, 3]);
  });

  test('is trusted in spite of one member that sees or makes up another', async () => {
    town.told.set(3, { branch: 'forged' });
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(true);
    town.told.set(2, { branch: 'forged' });
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
  });

  test('is not trusted on heads that another signed in their names, or on one that is no block of it', async () => {
    for (const index of [1, 2, 3]) town.told.set(index, { by: 0 });
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
    for (const index of [1, 2, 3]) town.told.set(index, { hash: `0x${'00'.repeat(32)}` });
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
  });
});

describe('members that are not at the same block', () => {
  test('compare a block that both have: of one that is ahead, what it said before', async () => {
    for (const index of [1, 2, 3]) town.told.set(index, { number: 98n });
    await town.watch.tick(signal);
    for (const index of [1, 2, 3]) town.told.set(index, { number: 105n });
    town.ms += 900;
    await town.watch.tick(signal);
    town.ms += 900;
    expect(town.isWitnessed).toBe(true);
  });

  test('are no witnesses when this member lags behind them', async () => {
    await town.watch.tick(signal);
    for (const index of [1, 2, 3]) town.told.set(index, { number: 111n });
    town.ms += 1_001;
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
  });

  test('are no witnesses of a branch that begins after the block that they named', async () => {
    await town.watch.tick(signal);
    town.newest = 111n;
    expect(town.isWitnessed).toBe(false);
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(true);
  });

  test('count for a while only', async () => {
    await town.watch.tick(signal);
    town.ms += 1_000;
    expect(town.isWitnessed).toBe(true);
    town.ms += 1;
    expect(town.isWitnessed).toBe(false);
  });
});

describe('a member that hangs', () => {
  test('holds up nobody, and is asked no second time until it has answered', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    town.hanging.set(3, promise);
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(true);
    expect(town.decidedBy).toEqual([100n]);
    town.newest = 101n;
    await town.watch.tick(signal);
    expect(town.decidedBy).toEqual([100n, 101n]);
    expect(town.asked.filter((index) => index === 3)).toHaveLength(1);
    resolve();
    await promise;
    town.newest = 102n;
    await town.watch.tick(signal);
    expect(town.asked.filter((index) => index === 3)).toHaveLength(2);
  });

  test('is heard when it answers, of the chain as it is then', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const index of [1, 2, 3]) town.hanging.set(index, promise);
    await town.watch.tick(signal);
    expect(town.isWitnessed).toBe(false);
    town.newest = 105n;
    await town.watch.tick(signal);
    for (const index of [1, 2, 3]) town.told.set(index, { number: 104n });
    resolve();
    await expect.poll(() => town.isWitnessed).toBe(true);
    await town.watch.tick(signal);
    expect(town.decidedBy.at(-1)).toBe(104n);
  });

  test('and all the others too keep nobody from ending', async () => {
    for (const index of [1, 2, 3]) town.hanging.set(index, new Promise(() => {}));
    const leaving = new AbortController();
    const ticking = town.watch.tick(leaving.signal);
    leaving.abort();
    await ticking;
    expect(town.isWitnessed).toBe(false);
  });
});

describe('the block that is decided by', () => {
  const unwitnessed = { code: 'CHAIN_UNWITNESSED', retry: true };
  const witnessed = (from = 0n) => town.watch.witnessed(from, signal);

  test('is none before a look, and with too few members', async () => {
    await expect(witnessed()).rejects.toMatchObject(unwitnessed);
    town.told.set(1, undefined);
    town.told.set(2, undefined);
    await town.watch.tick(signal);
    await expect(witnessed()).rejects.toMatchObject(unwitnessed);
    expect(town.decidedBy).toEqual([]);
  });

  test('is the newest that a threshold has named or built on, this member being one of them', async () => {
    town.told.set(1, { number: 99n });
    town.told.set(2, { number: 97n });
    town.told.set(3, { number: 95n });
    await town.watch.tick(signal);
    expect(await witnessed()).toEqual({ number: 97n, hash: hashOf('true', 97n), timestamp: 970n });
    expect(town.decidedBy).toEqual([97n]);
  });

  test('is not moved by a member that names another branch, an old block, or none', async () => {
    town.told.set(1, { number: 99n });
    town.told.set(2, { number: 97n });
    for (const lie of [{ branch: 'forged', number: 100n }, { number: 89n }, { by: 0 }, undefined]) {
      town.told.set(3, lie);
      await town.watch.tick(signal);
      expect(await witnessed()).toMatchObject({ number: 97n });
    }
  });

  test('is none where the blocks that were named are gone from the chain since', async () => {
    await town.watch.tick(signal);
    town.branch = 'reorganised';
    for (const index of [1, 2, 3]) town.told.set(index, undefined);
    await town.watch.tick(signal);
    await expect(witnessed()).rejects.toMatchObject(unwitnessed);
  });

  test('is none once members were last heard too long ago', async () => {
    await town.watch.tick(signal);
    town.ms += 1_001;
    await expect(witnessed()).rejects.toMatchObject(unwitnessed);
  });

  test('is waited for where the asker has seen a newer one, a while, and not where that is far ahead', async () => {
    for (const index of [1, 2, 3]) town.told.set(index, { number: 99n });
    await town.watch.tick(signal);
    const patient = witnessed(100n);
    for (const index of [1, 2, 3]) town.told.delete(index);
    await town.watch.tick(signal);
    expect(await patient).toMatchObject({ number: 100n });
    expect(await witnessed(101n)).toMatchObject({ number: 100n });
    expect(await witnessed(10_000n)).toMatchObject({ number: 100n });
    const aborted = AbortSignal.abort();
    await expect(town.watch.witnessed(101n, aborted)).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
