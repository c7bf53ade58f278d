import { ChainError, type EpochFacts, noEarners } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type EpochIndex,
  type EpochRecord,
  epochIndexToJson,
  epochRecordDigest,
  type Hex,
  type WorkerMeasurement,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { silentLogger } from '@cloister/service';
import type { CommitteeState, Member } from '../src/committeeState.ts';
import type { ArchivedEpoch, EpochArchive } from '../src/epochs/epochArchive.ts';
import type { EpochChain } from '../src/epochs/epochChain.ts';
import { EpochKeeper } from '../src/epochs/epochKeeper.ts';
import type { KeptEpoch } from '../src/epochs/sealedEpoch.ts';
import { Peers } from '../src/peers/peers.ts';
import { RecordWatch, type TwoRecords } from '../src/slashing/recordWatch.ts';
import { domain, makePerson, type Person } from './ceremonyRoom.ts';

export const epochSeconds = 1_000n;
const turnSeconds = 2n;
export const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const never = new AbortController().signal;

export const measurement = (worker: number, changes: Partial<WorkerMeasurement> = {}): WorkerMeasurement => ({
  workerId: b32(worker),
  asked: 60,
  answered: 60,
  latencyMs: 20,
  work: 1_000n,
  ...changes,
});

/** A chain in memory: all that is final, with the contract's rule for records. */
export class EpochTownChain {
  readonly town: EpochTown;
  /** Starts with the first epoch nearly over. */
  now = epochSeconds - turnSeconds;
  readonly records: EpochRecord[] = [];
  /** By how many seconds the newest block is ahead of the newest final one. */
  ahead = 0n;
  /** The members are not told of it. */
  isNewestUnknown = false;
  /** Posts that came, those that were refused too. */
  posts = 0;
  /** Told of each before it counts. */
  beforePost: (record: EpochRecord) => void = () => {};
  workers: EpochFacts['workers'] = [1, 2].map((byte) => ({
    workerId: b32(byte),
    signer: `0x${(byte + 0x50).toString(16).repeat(20)}`,
    platformId: b32(byte + 0x60),
    operator: `0x${'0e'.repeat(20)}`,
    teeType: 2,
    stake: 1n,
  }));

  earners: EpochFacts['earners'] = noEarners;
  /** As the contract tells it, where that is not what stands in `records`. */
  last: bigint | undefined;

  constructor(town: EpochTown) {
    this.town = town;
  }

  view(): EpochChain {
    return {
      finalTimestamp: async () => this.now,
      newestTimestamp: async () => this.now + (this.isNewestUnknown ? 0n : this.ahead),
      factsOf: async (epoch) => this.#factsOf(epoch),
      lastRecorded: async () => this.last ?? this.records.at(-1)?.epoch,
      post: async (record, signatures) => this.#post(record, signatures),
    };
  }

  #factsOf(epoch: bigint): EpochFacts {
    const { threshold } = this.town;
    return {
      epoch,
      endsAt: (epoch + 1n) * epochSeconds,
      firstRound: epoch * 10n,
      block: 100n * (epoch + 1n),
      blockHash: b32(0xb0 + Number(epoch)),
      generation: { number: 1n, threshold, members: this.town.membersAtEnd },
      workers: this.workers,
      evicted: [],
      earners: this.earners,
    };
  }

  #post(record: EpochRecord, signatures: ReadonlyMap<Address, Hex>): void {
    this.posts += 1;
    this.beforePost(record);
    const digest = epochRecordDigest(domain, record);
    const signed = this.town.members.filter(({ person: { signer } }) => {
      const signature = signatures.get(signer);
      return signature !== undefined && recoverAddress(fromHex(digest), fromHex(signature)) === signer;
    });
    if (signed.length < this.town.threshold) throw new Error('too few signatures');
    if ((this.records.at(-1)?.epoch ?? -1n) >= record.epoch) return;
    if (this.now + this.ahead >= (record.epoch + 2n) * epochSeconds)
      throw new ChainError('CHAIN_READ_REVERTED', 'EpochRecordsTooLate', {});
    this.records.push(record);
  }
}

export class EpochTownMember {
  readonly town: EpochTown;
  readonly operator: Address;
  person!: Person;
  keeper!: EpochKeeper;
  isUp = false;
  kept: KeptEpoch | undefined;
  /** Of members that signed two records. */
  readonly proofs: TwoRecords[] = [];
  /** What its disk has of epochs that are over. */
  readonly archived = new Map<bigint, ArchivedEpoch>();
  measurements: readonly WorkerMeasurement[] = [measurement(1), measurement(2, { latencyMs: 30 })];

  constructor(town: EpochTown, operator: Address) {
    this.town = town;
    this.operator = operator;
  }

  get member(): Member {
    const { signer, hpkeKey } = this.person;
    return { operator: this.operator, signer, hpkeKey, endpoint: `http://member-${this.operator}` };
  }

  /** @param seals whether what it had committed to before is there again */
  start(seals = true): void {
    const kept = seals ? this.kept : undefined;
    this.keeper = new EpochKeeper(
      {
        chain: this.town.chain.view(),
        peers: new Peers({ fetch: this.town.fetchFor(this), timeoutMs: 500 }),
        me: { operator: this.operator, ...this.person },
        state: () => this.town.state(),
        beaconOf: async () => this.town.beacon,
        measurementsOf: () => this.measurements,
        releaseLogHead: () => b32(0xcc),
        assertWitnessed: () => this.town.assertWitnessed(this),
        signed: new RecordWatch((proof) => void this.proofs.push(proof)),
        keep: {
          kept,
          keep: async (epoch) => {
            this.kept = epoch;
          },
        },
        archive: this.#archive(),
        clockMs: () => Number(this.town.chain.now) * 1_000,
        log: silentLogger,
      },
      { domain, epochAt: (timestamp) => timestamp / epochSeconds, commitMs: 4_000 },
    );
    this.isUp = true;
  }

  #archive(): EpochArchive {
    const { archived } = this;
    const inAny = <T>(find: (epoch: ArchivedEpoch) => T | undefined) => [...archived.values()].map(find).find(Boolean);
    return {
      add: async (epoch) => void archived.set(epoch.index.epoch, epoch),
      index: async (epoch) => archived.get(epoch)?.index,
      vector: async (id) => inAny(({ vectors }) => vectors.get(id)),
      leaves: async (digest) => inAny(({ leaves }) => leaves.get(digest)),
    };
  }
}

/** Members with their keepers of epochs, a chain, and what a member's answers become on their way. */
export class EpochTown {
  readonly chain = new EpochTownChain(this);
  readonly threshold: number;
  members: EpochTownMember[] = [];
  /** Member 0 proposes in attempt 0. */
  beacon: Bytes32 = `0x${'00'.repeat(32)}`;
  assertWitnessed: (member: EpochTownMember) => void = () => {};
  /** What one member tells another of an epoch; undefined for no answer. */
  tells: (from: EpochTownMember, to: EpochTownMember, index: EpochIndex) => EpochIndex | undefined = (_, __, index) =>
    index;
  gives: (from: EpochTownMember, to: EpochTownMember, bytes: Uint8Array) => Uint8Array | undefined = (_, __, bytes) =>
    bytes;

  constructor(threshold: number) {
    this.threshold = threshold;
  }

  static async of(count: number, threshold: number): Promise<EpochTown> {
    const town = new EpochTown(threshold);
    for (let index = 1; index <= count; index += 1) {
      const member = new EpochTownMember(town, `0x${index.toString(16).padStart(40, '0')}`);
      member.person = await makePerson();
      town.members.push(member);
      member.start();
    }
    // Everybody has seen the chain before the epoch ends.
    await town.turn();
    return town;
  }

  get membersAtEnd(): readonly { operator: Address; signer: Address }[] {
    return this.members.map(({ operator, person: { signer } }) => ({ operator, signer }));
  }

  state(): CommitteeState {
    const members = this.members.map(({ member }) => member);
    const generation = { number: 1n, threshold: this.threshold, members, since: 0n };
    return { generation } as unknown as CommitteeState;
  }

  async turn(seconds = turnSeconds): Promise<void> {
    await Promise.all(this.members.filter(({ isUp }) => isUp).map(({ keeper }) => keeper.tick(never)));
    this.chain.now += seconds;
  }

  /** Time goes on until `done`; throws after so many turns. */
  async until(done: () => boolean | Promise<boolean>, turns = 120): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) {
      if (await done()) return;
      await this.turn();
    }
    const objections = this.members.map(({ keeper }) => keeper.objection).filter((text) => text !== '');
    throw new Error(`It did not come to pass: ${objections.join('; ')}`);
  }

  /** Until the first epoch's record is there. */
  async recorded(turns?: number): Promise<EpochRecord> {
    await this.until(() => this.chain.records.length > 0, turns);
    return this.chain.records[0] as EpochRecord;
  }

  fetchFor(from: EpochTownMember): typeof fetch {
    return async (input) => {
      const url = new URL(String(input));
      const to = this.members.find(({ operator }) => url.hostname === `member-${operator}`);
      if (to === undefined || !to.isUp || !from.isUp) throw new Error('no answer');
      const [, id] = /^\/v1\/epochs\/vectors\/(0x[0-9a-f]{64})$/.exec(url.pathname) ?? [];
      if (id !== undefined) {
        const bytes = await to.keeper.vector(id as Bytes32);
        const given = bytes && this.gives(to, from, bytes);
        return given === undefined ? new Response('', { status: 404 }) : new Response(given.slice());
      }
      const [, epoch] = /^\/v1\/epochs\/(\d+)$/.exec(url.pathname) ?? [];
      const index = await to.keeper.index(BigInt(epoch ?? -1));
      const told = index && this.tells(to, from, index);
      return told === undefined ? new Response('', { status: 404 }) : Response.json(epochIndexToJson(told));
    };
  }
}
