import {
  type Address,
  type Bytes32,
  CloisterError,
  imagePolicies,
  type StateFenceRequest,
  stateFenceDigest,
  stateRecordToJson,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, SecretBytes, sha256, signDigest, toHex } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import { type StateBlobs, StateCommittee, StateStore, type StateSubject } from '@cloister/state';
import { publicShareAt } from '@cloister/threshold/dkg';
import { uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';
import type { CommitteeState, Member } from '../src/committeeState.ts';
import type { StateFacts } from '../src/keys/chainKeyFacts.ts';
import { Peers } from '../src/peers/peers.ts';
import { publicSharesOf } from '../src/shares/publicShares.ts';
import type { SharePair } from '../src/shares/sharePair.ts';
import { ShareStore } from '../src/shares/shareStore.ts';
import { type HeldState, stateKey } from '../src/state/heldState.ts';
import { StateBook } from '../src/state/stateBook.ts';
import { StateRecovery } from '../src/state/stateRecovery.ts';
import { StateService } from '../src/state/stateService.ts';
import { domain, type Generation, makeGeneration, makePeople, type Person } from './ceremonyRoom.ts';

export const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
export const subject: StateSubject = { app: b32(1), partition: 3, manifest: b32(2), keyVersion: 1 };
export const signal = new AbortController().signal;

/** What one member's device sealed; a test may keep an old one, or take it away. */
export type Disk = { readonly states: ReadonlyMap<string, HeldState>; readonly generation: bigint | undefined };
const emptyDisk: Disk = { states: new Map(), generation: undefined };

/** One member: an enclave that can be stopped, started with any disk, or made to lie. */
export class StateMemberAtWork {
  readonly town: StateTown;
  readonly person: Person;
  disk: Disk = emptyDisk;
  isUp = true;
  book!: StateBook;
  recovery!: StateRecovery;
  service!: StateService;
  store = new ShareStore();
  /** What its answer becomes before it goes out. */
  lie: (path: string, answer: unknown, body: unknown) => unknown = (_, answer) => answer;
  /** Throws, or waits, before what it keeps is kept. */
  beforeKeep: () => void | Promise<void> = () => {};

  constructor(town: StateTown, person: Person) {
    this.town = town;
    this.person = person;
    this.start(emptyDisk);
  }

  get member(): Member {
    const { signer, hpkeKey } = this.person;
    return { operator: signer, signer, hpkeKey, endpoint: `http://member-${signer}` };
  }

  start(disk: Disk = this.disk): void {
    const { town, person } = this;
    this.disk = disk;
    this.isUp = true;
    this.book = new StateBook([...disk.states.values()], {
      keep: async (state) => {
        await this.beforeKeep();
        const states = new Map(this.disk.states).set(stateKey(state.app, state.partition), state);
        this.disk = { ...this.disk, states };
      },
      keepGeneration: async (generation) => {
        this.disk = { ...this.disk, generation };
      },
    });
    const peers = new Peers({ fetch: town.fetchFor(this), timeoutMs: 2_000 });
    const keepGeneration = async (generation: bigint) => {
      this.disk = { ...this.disk, generation };
    };
    const state = () => town.state;
    this.recovery = new StateRecovery(
      { me: person, book: this.book, disk: { keepGeneration }, peers, state, log: silentLogger },
      { domain, keptGeneration: disk.generation },
    );
    this.service = new StateService(
      {
        me: person,
        store: this.store,
        state,
        facts: async () => town.facts(),
        book: this.book,
        recovery: this.recovery,
        answered: createMetrics().counter({ name: 'test_total', help: 'test' }),
        log: silentLogger,
      },
      { domain, maxBlockDistance: 10n, maxAppsPerPlatform: 5 },
    );
  }

  stop(): void {
    this.isUp = false;
  }

  async answer(path: string, body: unknown): Promise<unknown> {
    if (path === '/v1/state/fence') return this.service.fence(body, signal);
    if (path === '/v1/state/head') return this.service.write(body, signal);
    if (path === '/v1/state/certified') return this.service.keep(body);
    if (path === '/v1/state/records') return this.recovery.page(body);
    const [, app, partition] = /^\/v1\/state\/(0x[0-9a-f]{64})\/(\d+)$/.exec(path) ?? [];
    const known = this.service.status({ app: app as Bytes32, partition: Number(partition) });
    if (known === undefined) throw new CloisterError({ code: 'NOT_FOUND', message: 'Nothing here' });
    return known;
  }
}

/** A host: a worker with a signer of its own. */
export type Host = { readonly signer: Address; readonly sign: (digest: Bytes32) => `0x${string}` };

export function makeHost(): Host {
  const secret = generateSecp256k1();
  return { signer: addressOf(secret), sign: (digest) => toHex(signDigest(secret, fromHex(digest))) };
}

/** Blobs in memory. */
export class MemoryBlobs implements StateBlobs {
  readonly held = new Map<Bytes32, Uint8Array>();
  async put(id: Bytes32, bytes: Uint8Array): Promise<void> {
    if (toHex(sha256(bytes)) !== id) throw new Error('Bytes of another address');
    this.held.set(id, bytes.slice());
  }
  async get(id: Bytes32): Promise<Uint8Array | undefined> {
    return this.held.get(id);
  }
}

/** A committee in one process, hosts that ask it, and roads between them that a test can close. */
export class StateTown {
  members: StateMemberAtWork[] = [];
  generation!: Generation;
  state!: CommitteeState;
  now = 1_000n;
  block = 100n;
  readonly hosts = new Set<Address>();
  readonly inactive = new Set<Address>();
  partitions = 8;
  facts: () => StateFacts = () => this.#facts();
  readonly blobs = new MemoryBlobs();
  /** Whether a message from a host or member reaches a member. */
  isOpen: (from: Address, to: StateMemberAtWork, path: string) => boolean = () => true;

  /** Whether a message is held back, to be delivered later: its sender hears nothing. */
  isLate: (deliver: () => Promise<unknown>) => boolean = () => false;

  static async of(count: number, threshold: number): Promise<StateTown> {
    const town = new StateTown();
    const name = `${count}/${threshold}`;
    const made = founded.get(name) ?? makePeople(count).then((receivers) => makeGeneration({ receivers, threshold }));
    founded.set(name, made);
    town.#take(await made, 1n);
    await town.follow();
    return town;
  }

  /** The committee's shares move to other members; who leaves stays reachable only if it is up. */
  async reshare(people: readonly Person[], threshold: number, number: bigint): Promise<void> {
    this.#take(await makeGeneration({ receivers: people, threshold, previous: this.generation }), number);
  }

  /** Everybody who is up looks at the chain. */
  async follow(): Promise<readonly unknown[]> {
    const up = this.members.filter(({ isUp }) => isUp);
    const done = await Promise.allSettled(up.map(({ recovery }) => recovery.follow(signal)));
    return done.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  }

  member(index: number): StateMemberAtWork {
    return this.members[index] as StateMemberAtWork;
  }

  committeeOf(host: Host): StateCommittee {
    this.hosts.add(host.signer);
    return new StateCommittee(
      {
        generation: async () => this.state.generation,
        now: async () => ({ epoch: 10n, block: this.block }),
        me: host,
        fetch: this.fetchFor(host),
      },
      { domain, beaconKey: this.beaconKey, verify: verifySignatureNative, uncompress: uncompressG2Native },
    );
  }

  get beaconKey(): Uint8Array {
    return publicShareAt(this.generation.made.beacon, 0);
  }

  open(
    host: Host,
    { blobs = this.blobs, of = subject }: { readonly blobs?: StateBlobs; readonly of?: StateSubject } = {},
  ): Promise<StateStore> {
    return StateStore.open({ committee: this.committeeOf(host), blobs, keyOf }, of, signal);
  }

  /** A later writer: after the lease of the one before. */
  wait(): void {
    this.now += 100n;
  }

  fetchFor(from: Host | StateMemberAtWork): typeof fetch {
    const address = 'signer' in from ? from.signer : from.person.signer;
    return async (input, init) => {
      const url = new URL(String(input));
      const to = this.members.find(({ person }) => url.hostname === `member-${person.signer}`);
      const isFromUp = !(from instanceof StateMemberAtWork) || from.isUp;
      if (to === undefined || !to.isUp || !isFromUp || !this.isOpen(address, to, url.pathname))
        throw new Error('no answer');
      const body = init?.body === undefined ? undefined : JSON.parse(String(init.body));
      if (this.isLate(() => to.answer(url.pathname, body))) throw new Error('no answer');
      try {
        const answer = await to.answer(url.pathname, body);
        if (!to.isUp) throw new Error('no answer');
        return Response.json(to.lie(url.pathname, stateRecordToJson(answer as object), body));
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        return Response.json({ code: error.code, message: error.message }, { status: error.retry ? 503 : 403 });
      }
    };
  }

  #take(generation: Generation, number: bigint): void {
    this.generation = generation;
    const known = new Map(this.members.map((member) => [member.person.signer, member]));
    const atWork = generation.people.map((person) => known.get(person.signer) ?? new StateMemberAtWork(this, person));
    const leaving = this.members.filter((member) => !atWork.includes(member));
    const members = atWork.map(({ member }) => member);
    const key = (name: 'apps' | 'beacon') => toHex(publicShareAt(generation.made[name], 0));
    const digest = b32(0xd0 + Number(number));
    this.state = {
      generation: {
        number,
        threshold: generation.threshold,
        members,
        publicSharesHash: zeroBytes32,
        digest,
        since: 1n,
      },
      next: { threshold: generation.threshold, members, isComplete: true, lastLeaseUntil: 0n },
      keys: { apps: key('apps'), beacon: key('beacon') },
    };
    const publicShares = publicSharesOf(generation.made, members.length);
    for (const { store, person } of atWork) {
      // What is handed on is overwritten, and another town may be founded on the same.
      store.keep({ number, digest, publicShares, shares: copyOf(generation.shares.get(person.signer)) });
      store.follow(this.state.generation);
    }
    for (const { store } of leaving) store.follow(this.state.generation);
    this.members = [...atWork, ...leaving];
  }

  #facts(): StateFacts {
    return {
      block: this.block,
      now: this.now,
      epoch: 10n,
      finalRound: 20n,
      networkKeysHash: b32(6),
      worker: async (signer) => ({
        workerId: this.hosts.has(signer as Address) ? b32(3) : b32(4),
        active: !this.inactive.has(signer as Address),
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
      app: async () => ({ manifestId: b32(2), keyVersion: 2, minKeyVersion: 1, imagePolicy: imagePolicies.network }),
      isImagePinned: async () => false,
      placement: async () => ({ hosts: [b32(3)], minTcbEvaluationDataNumber: 0 }),
      appsOf: () => 0,
      hasPartition: async (_manifest, partition) => partition < this.partitions,
    };
  }
}

/** A member's share of the beacon key, as a liar uses it. */
export function shareOf({ store }: StateMemberAtWork): SecretBytes {
  const shares = store.active?.shares;
  if (shares === undefined) throw new Error('It holds no shares');
  return shares.beacon;
}

/** Foundings that took their time, by size and threshold. */
const founded = new Map<string, Promise<Generation>>();

function copyOf(pair: SharePair | undefined): SharePair | undefined {
  const copy = (secret: SecretBytes) => new SecretBytes(secret.reveal().slice());
  return pair && { apps: copy(pair.apps), beacon: copy(pair.beacon) };
}

/** The partition's key, as the committee's signature would give it. */
export async function keyOf(keyVersion: number): Promise<SecretBytes> {
  return new SecretBytes(new Uint8Array(32).fill(0x40 + keyVersion));
}

/** A signed fence request, as a host sends it. */
export function fenceRequest(host: Host, changes: Partial<StateFenceRequest> = {}): Record<string, unknown> {
  const request = { ...subject, fence: 1n, epoch: 10n, block: 100n, nonce: b32(9), ...changes };
  return stateRecordToJson({ ...request, signature: host.sign(stateFenceDigest(domain, request)) });
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);
