import { type Address, type Bytes32, type Hex, tagHash } from '@cloister/core';
import { fromHex, keccak256, recoverAddress, toHex, utf8 } from '@cloister/crypto';
import { silentLogger } from '@cloister/service';
import type { CommitteeChain, CommitteeState, HandoverRecord, Member } from '../src/committeeState.ts';
import { type CeremonyExchange, parseExchange } from '../src/handover/exchange.ts';
import { HandoverKeeper } from '../src/handover/handoverKeeper.ts';
import { Peers } from '../src/peers/peers.ts';
import { publicSharesHash } from '../src/shares/publicShares.ts';
import { type HeldGeneration, ShareStore } from '../src/shares/shareStore.ts';
import { domain, makePerson, type Person } from './ceremonyRoom.ts';

export const committee: Address = `0x${'c0'.repeat(20)}`;
export const epochSeconds = 1_000n;
export const attemptSeconds = 30;

type Block = { readonly timestamp: bigint; readonly state: CommitteeState };

/** A chain in memory with the contract's rules for handovers; blocks are final when `finalityBlocks` more stand on them. */
export class TownChain {
  readonly blocks: Block[] = [];
  readonly finalityBlocks = 2;
  threshold = 3;
  members: Member[] = [];
  eligible = 0;
  lastLeaseUntil = 0n;
  refused: string[] = [];
  #now = 1_000_000n;

  mine(seconds = 1n): void {
    this.#now += seconds;
    this.blocks.push({ timestamp: this.#now, state: this.#stateNow() });
  }

  /** As when somebody registers now, for as long as a lease lasts. */
  lease(): void {
    this.lastLeaseUntil = this.#now + 3_600n;
  }

  /** Takes the newest blocks back. */
  reorganise(count: number): void {
    this.blocks.length -= count;
  }

  view(): CommitteeChain {
    const at = (index: number): CommitteeState => (this.blocks[Math.max(0, index)] as Block).state;
    return {
      state: async () => at(this.blocks.length - 1),
      finalized: async () => at(this.blocks.length - 1 - this.finalityBlocks),
      now: async () => this.#now,
      digestOf: handoverDigestOf,
      handOver: async (record, signatures) => this.#handOver(record, signatures),
    };
  }

  get latest(): CommitteeState {
    return (this.blocks.at(-1) as Block).state;
  }

  #stateNow(changes: Partial<CommitteeState> = {}): CommitteeState {
    const before = this.blocks.at(-1)?.state;
    return {
      generation: before?.generation ?? {
        number: 0n,
        threshold: 0,
        members: [],
        publicSharesHash: `0x${'00'.repeat(32)}`,
        digest: `0x${'00'.repeat(32)}`,
        since: 0n,
      },
      keys: before?.keys,
      ...changes,
      next: {
        threshold: this.threshold,
        members: [...this.members].sort((left, right) => (left.operator < right.operator ? -1 : 1)),
        isComplete: this.members.length >= this.eligible,
        lastLeaseUntil: this.lastLeaseUntil,
      },
    };
  }

  #handOver(record: HandoverRecord, signatures: ReadonlyMap<Address, Hex>): void {
    const { generation, next, keys } = this.latest;
    const digest = handoverDigestOf(record);
    const signed = (members: readonly Member[]) =>
      members.filter(({ signer }) => {
        const signature = signatures.get(signer);
        return signature !== undefined && recoverAddress(fromHex(digest), fromHex(signature)) === signer;
      }).length;
    const fault =
      record.generation !== generation.number + 1n
        ? 'another generation'
        : JSON.stringify(record.members) !== JSON.stringify(next.members)
          ? 'other members'
          : signed(next.members) < record.threshold
            ? 'too few hold shares'
            : signed(generation.members) < generation.threshold
              ? 'too few old members agree'
              : keys !== undefined && (keys.apps !== record.keys.apps || keys.beacon !== record.keys.beacon)
                ? 'other keys'
                : undefined;
    if (fault !== undefined) {
      this.refused.push(fault);
      throw new Error(fault);
    }
    this.#now += 1n;
    const made = { number: record.generation, threshold: record.threshold, members: record.members };
    this.blocks.push({
      timestamp: this.#now,
      state: this.#stateNow({
        generation: { ...made, publicSharesHash: record.publicSharesHash, digest, since: this.#now },
        keys: record.keys,
      }),
    });
  }
}

function handoverDigestOf(record: HandoverRecord): Bytes32 {
  const text = JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return tagHash('test/handover: v1', toHex(keccak256(utf8(text))));
}

/** One member: an enclave that can be stopped, started anew, or cut off. */
export class TownMember {
  readonly operator: Address;
  readonly town: Town;
  person!: Person;
  keeper!: HandoverKeeper;
  store = new ShareStore();
  /** What its device sealed, as a test may look at it. */
  sealed: readonly HeldGeneration[] = [];
  isUp = false;
  /** It reaches nobody and nobody reaches it: what it tries may fail, and is tried again. */
  isCutOff = false;

  constructor(town: Town, operator: Address) {
    this.town = town;
    this.operator = operator;
  }

  get member(): Member {
    const { signer, hpkeKey } = this.person;
    return { operator: this.operator, signer, hpkeKey, endpoint: `http://member-${this.operator}` };
  }

  /** @param from what an enclave that seals opens again: its keys and shares; without it everything is new */
  async start(from?: { readonly person: Person; readonly sealed: readonly HeldGeneration[] }): Promise<void> {
    this.person = from?.person ?? (await makePerson());
    this.store = new ShareStore();
    for (const one of from?.sealed ?? []) this.store.keep({ ...one, shares: one.shares && copyOf(one.shares) });
    this.keeper = new HandoverKeeper(
      {
        chain: this.town.chain.view(),
        store: this.store,
        peers: new Peers({ fetch: this.town.fetchFor(this), timeoutMs: 500 }),
        me: this.person,
        persist: async () => {
          this.sealed = this.store.held.map((one) => ({ ...one, shares: one.shares && copyOf(one.shares) }));
        },
        verifyFounder: async (founder) => this.town.verifyFounder(founder),
        log: silentLogger,
      },
      {
        domain,
        committee,
        attemptSeconds,
        epochAt: (timestamp) => timestamp / epochSeconds,
        genesis: 0n,
        patienceMs: 10_000,
      },
    );
    this.isUp = true;
    const { chain } = this.town;
    chain.lease();
    chain.members = [...chain.members.filter(({ operator }) => operator !== this.operator), this.member];
  }

  stop(): void {
    this.isUp = false;
    this.keeper.stop();
    this.store.wipe();
  }
}

/** Members, a chain, and roads between them that a test can close. */
export class Town {
  readonly chain = new TownChain();
  readonly members: TownMember[];
  /** Whether a message from one member reaches another. */
  isOpen: (from: TownMember, to: TownMember) => boolean = () => true;
  verifyFounder: (founder: Member) => void = () => {};
  /** What a member's answer about a ceremony becomes before it goes out. */
  answers: (from: TownMember, answer: CeremonyExchange) => CeremonyExchange = (_, answer) => answer;

  constructor(count: number, threshold: number) {
    this.chain.threshold = threshold;
    this.chain.eligible = count;
    this.members = Array.from(
      { length: count },
      (_, index) => new TownMember(this, `0x${(index + 1).toString(16).padStart(40, '0')}`),
    );
  }

  async startAll(): Promise<void> {
    for (const member of this.members) await member.start();
    this.chain.mine();
  }

  /** Time goes on until `done`, a block a turn; throws after `turns`. */
  async until(done: () => boolean, turns = 120): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      if (done()) return;
      this.chain.mine();
      const up = this.members.filter(({ isUp }) => isUp);
      await Promise.all(
        up.map(({ keeper, isCutOff }) => (isCutOff ? keeper.tick(never).catch(() => {}) : keeper.tick(never))),
      );
    }
    throw new Error(`It did not come to pass; the chain refused: ${this.chain.refused.join(', ')}`);
  }

  /** Until the generation of that number is final and taken up by everybody who is up. */
  async untilGeneration(number: bigint, turns?: number): Promise<void> {
    await this.until(
      () => this.members.every(({ isUp, store }) => !isUp || (store.active?.number ?? 0n) >= number),
      turns,
    );
  }

  fetchFor(from: TownMember): typeof fetch {
    return async (input, init) => {
      const url = new URL(String(input));
      const to = this.members.find(({ operator }) => url.hostname === `member-${operator}`);
      if (to === undefined || !to.isUp || !from.isUp || from.isCutOff || to.isCutOff || !this.isOpen(from, to))
        throw new Error('no answer');
      if (url.pathname === '/v1/ceremony')
        return Response.json(this.answers(to, await to.keeper.receive(parseExchange(JSON.parse(String(init?.body))))));
      const [, generation] = /^\/v1\/generations\/(\d+)\/public-shares$/.exec(url.pathname) ?? [];
      const held = to.store.held.find(({ number }) => String(number) === generation);
      return held === undefined ? new Response('', { status: 404 }) : Response.json(held.publicShares);
    };
  }
}

/** The hash that the chain must have for what a member holds. */
export function heldHash(member: TownMember): Bytes32 | undefined {
  const { active } = member.store;
  return active && publicSharesHash(active.publicShares);
}

const never = new AbortController().signal;

function copyOf(pair: NonNullable<HeldGeneration['shares']>): NonNullable<HeldGeneration['shares']> {
  const copy = (secret: typeof pair.apps) => new (Object.getPrototypeOf(secret).constructor)(secret.reveal().slice());
  return { apps: copy(pair.apps), beacon: copy(pair.beacon) };
}
