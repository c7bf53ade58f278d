import { ChainError } from '@cloister/chain';
import { type Address, type Bytes32, type EpochRecord, holdsLeaf, merkleRoot } from '@cloister/core';
import { type PoolReward, rewardLeaf } from '@cloister/economics';
import { silentLogger } from '@cloister/service';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitteeState } from '../src/committeeState.ts';
import type { ProvenReward, RecordedEpoch, RewardChain } from '../src/epochs/rewardChain.ts';
import { RewardKeeper } from '../src/epochs/rewardKeeper.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const signal = new AbortController().signal;
const members = [1, 2, 3].map(address);
const state = () =>
  ({ generation: { members: members.map((operator) => ({ operator })) } }) as unknown as CommitteeState;
const challengeSeconds = 100n;

const rewardsOf = (epoch: bigint): PoolReward[] =>
  [0xa1, 0xa2, 0xa3].map((byte) => ({ epoch, operator: address(byte), amount: BigInt(byte) }));
const leavesOf = (rewards: readonly PoolReward[]) => ({
  rewardsRoot: rewards.map((says) => ({ leaf: rewardLeaf(says), says })),
});

/** With the contract's rules. */
class Chain implements RewardChain {
  now = 1_000n;
  records: RecordedEpoch[] = [];
  readonly pots = new Map<bigint, { root: Bytes32; claimableAt: bigint; isBlocked: boolean }>();
  readonly claimed: string[] = [];
  isSplit = false;
  opened = 0;
  fails = false;
  /** Whoever's reward makes the whole transaction fail. */
  closed: Address | undefined;
  /** Whoever's reward the contract passes over. */
  passedOver: Address | undefined;
  /** Of each transaction of claims. */
  readonly sizes: number[] = [];

  record(epoch: bigint, rewards: readonly PoolReward[]): void {
    const rewardsRoot = merkleRoot(rewards.map((reward) => rewardLeaf(reward)));
    const total = rewards.reduce((sum, { amount }) => sum + amount, 0n);
    // Member 1, counted from 0, proposed it.
    const record = { epoch, attempt: 1, beacon: b32(0), rewardsRoot, totals: { rewards: total } } as EpochRecord;
    this.records.push({ record, digest: b32(Number(epoch)), postedAt: this.now });
  }

  finalTimestamp = async () => this.now;
  recorded = async () => this.records;
  paysOthers = async () => this.isSplit;
  potOf = async (epoch: bigint) => this.pots.get(epoch) ?? { claimableAt: 0n, isBlocked: false };
  isClaimed = async (epoch: bigint, operator: Address) => this.claimed.includes(`${epoch} ${operator}`);

  open = async ({ epoch, rewardsRoot }: EpochRecord) => {
    this.opened += 1;
    if (this.fails) throw new ChainError('CHAIN_UNREACHABLE', 'away', {});
    if (this.pots.has(epoch)) throw new ChainError('CHAIN_READ_REVERTED', 'EpochRewardsAlreadyOpen', {});
    this.pots.set(epoch, { root: rewardsRoot, claimableAt: this.now + challengeSeconds, isBlocked: false });
  };

  claimMany = async (epoch: bigint, rewards: readonly ProvenReward[]) => {
    this.sizes.push(rewards.length);
    if (rewards.some(({ operator }) => operator === this.closed))
      throw new ChainError('CHAIN_READ_REVERTED', 'out of gas', {});
    const pot = this.pots.get(epoch);
    if (pot === undefined || pot.isBlocked || this.now < pot.claimableAt) throw new Error('not claimable');
    for (const { proof, ...reward } of rewards) {
      const claim = `${epoch} ${reward.operator}`;
      if (!holdsLeaf(pot.root, rewardLeaf(reward), proof)) throw new Error('not in the root');
      if (this.claimed.includes(claim)) throw new Error('twice');
      if (reward.operator !== this.passedOver) this.claimed.push(claim);
    }
  };
}

let chain: Chain;
let served: Map<Bytes32, unknown>;
let keepers: RewardKeeper[];
const keeperOf = (operator: Address) =>
  new RewardKeeper({ chain, operator, state, leaves: async (digest) => served.get(digest), log: silentLogger });
beforeEach(() => {
  chain = new Chain();
  served = new Map();
  keepers = members.map(keeperOf);
});
const turn = async (seconds = 10n, who: readonly RewardKeeper[] = keepers) => {
  for (const keeper of who) await keeper.tick(signal);
  chain.now += seconds;
};
const recordOf = (epoch: bigint, rewards = rewardsOf(epoch)) => {
  chain.record(epoch, rewards);
  served.set(b32(Number(epoch)), leavesOf(rewards));
};
const claims = (epoch: bigint) => rewardsOf(epoch).map(({ operator }) => `${epoch} ${operator}`);

describe('a record is carried out', () => {
  test('by its proposer, once, and claimed when its challenge time is over', async () => {
    recordOf(7n);
    const [first, second, third] = keepers as [RewardKeeper, RewardKeeper, RewardKeeper];
    await turn(0n, [first, third]);
    expect(chain.opened).toBe(0);
    await turn(10n, [second]);
    expect(chain.opened).toBe(1);
    for (let count = 0; count < 9; count += 1) await turn();
    expect(chain.claimed).toEqual([]);
    for (let count = 0; count < 40; count += 1) await turn();
    expect(chain.claimed).toEqual(claims(7n));
    expect(chain.opened).toBe(1);
  });

  test('by the next ones where the proposer is away, a minute later each', async () => {
    recordOf(7n);
    const others = [keepers[0], keepers[2]] as [RewardKeeper, RewardKeeper];
    while (chain.now < 1_060n) await turn(10n, others);
    expect(chain.opened).toBe(0);
    await turn(10n, others);
    expect(chain.opened).toBe(1);
    for (let count = 0; count < 40; count += 1) await turn(10n, others);
    expect(chain.claimed).toEqual(claims(7n));
  });

  test('again where it failed, but once in each turn', async () => {
    recordOf(7n);
    chain.fails = true;
    for (let count = 0; count < 18; count += 1) await turn();
    expect(chain.opened).toBe(3);
    chain.fails = false;
    await turn();
    expect(chain.pots.size).toBe(1);
  });

  test('in one transaction for all pools, and once more for one that was passed over', async () => {
    recordOf(7n);
    chain.passedOver = address(0xa1);
    for (let count = 0; count < 40; count += 1) await turn();
    expect(chain.claimed).toEqual(claims(7n).slice(1));
    expect(chain.sizes[0]).toBe(3);
    expect(new Set(chain.sizes.slice(1))).toEqual(new Set([1]));
    chain.passedOver = undefined;
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.claimed).toEqual([...claims(7n).slice(1), ...claims(7n).slice(0, 1)]);
  });

  test('64 pools a transaction, of which one that fails keeps no other from being sent', async () => {
    const many = Array.from({ length: 130 }, (_, index) => ({
      epoch: 7n,
      operator: `0x${(index + 1).toString(16).padStart(40, '0')}` as Address,
      amount: 1n,
    }));
    recordOf(7n, many);
    chain.closed = many[0]?.operator;
    while (chain.sizes.length === 0) await turn();
    expect(chain.sizes).toEqual([64, 64, 2]);
    expect(chain.claimed).toEqual(many.slice(64).map(({ operator }) => `7 ${operator}`));
    chain.closed = undefined;
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.sizes.slice(3)).toEqual([64]);
    expect(chain.claimed).toHaveLength(130);
  });

  test('by a member that has started anew, without a second claim', async () => {
    recordOf(7n);
    await turn();
    chain.claimed.push(`7 ${address(0xa2)}`);
    keepers = members.map(keeperOf);
    for (let count = 0; count < 40; count += 1) await turn();
    expect([...chain.claimed].sort()).toEqual(claims(7n));
  });

  test('each of several, whatever becomes of another', async () => {
    recordOf(7n);
    recordOf(8n);
    // Nobody has the leaves of the first one, or they are not its own.
    served.set(b32(7), leavesOf([{ epoch: 7n, operator: address(0xee), amount: 10n ** 24n }]));
    for (let count = 0; count < 40; count += 1) await turn();
    expect(chain.claimed).toEqual(claims(8n));
    // As they come from a member's disk.
    served.set(
      b32(7),
      JSON.parse(
        JSON.stringify(leavesOf(rewardsOf(7n)), (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
      ),
    );
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.claimed).toEqual([...claims(8n), ...claims(7n)]);
  });
});

describe('nothing is done', () => {
  test('for a record without rewards, but where others get their part of the emission', async () => {
    recordOf(7n, []);
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.opened).toBe(0);
    chain.isSplit = true;
    recordOf(8n, []);
    for (let count = 0; count < 20; count += 1) await turn();
    expect([...chain.pots.keys()]).toEqual([8n]);
  });

  test('while an epoch is blocked, and all of it once that is lifted', async () => {
    recordOf(7n);
    await turn();
    const pot = chain.pots.get(7n) as { isBlocked: boolean };
    pot.isBlocked = true;
    for (let count = 0; count < 40; count += 1) await turn();
    expect(chain.claimed).toEqual([]);
    pot.isBlocked = false;
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.claimed).toEqual(claims(7n));
  });
});
