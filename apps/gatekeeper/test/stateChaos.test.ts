import { type HeldFence, type StateCommittee, StateStore } from '@cloister/state';
import { describe, expect, test } from 'vitest';
import type { Disk, Host, StateMemberAtWork } from './stateTown.ts';
import { bytes, keyOf, makeHost, StateTown, signal, subject, text } from './stateTown.ts';

const runs = process.env.CLOISTER_LONG === '1' ? 60 : 4;
const turns = 40;
const lossRate = 0.03;

/** Numbers from 0 to 1 that a seed fixes (mulberry32). */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A store, the host that opened it, and what a copy of that host's memory has. */
type Opened = { readonly store: StateStore; readonly host: Host; readonly memory: { held: HeldFence } };

/** One partition under everything that the promise allows; what is acknowledged is written down beside. */
class Chaos {
  readonly town: StateTown;
  readonly chance: () => number;
  readonly hosts: readonly Host[] = [makeHost(), makeHost(), makeHost()];
  readonly open: Opened[] = [];
  readonly acknowledged: string[] = [];
  readonly roots = new Map<bigint, string>();
  /** Messages on a long way. */
  readonly late: (() => Promise<unknown>)[] = [];
  /** The one member that may be down, or have another's disk. */
  #sick: StateMemberAtWork | undefined;
  #ids = 0;
  #isCalm = false;

  constructor(town: StateTown, seed: number) {
    this.town = town;
    this.chance = chances(seed);
    for (const member of town.members) {
      // An answer may be lost as well as a question.
      member.lie = (_, answer) => {
        if (!this.#isCalm && this.chance() < lossRate) throw new Error('no answer');
        return answer;
      };
    }
    town.isLate = (deliver) => {
      const isLate = !this.#isCalm && this.chance() < lossRate;
      if (isLate) this.late.push(deliver);
      return isLate;
    };
    town.isOpen = () => this.#isCalm || this.chance() >= lossRate;
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.chance() * from.length)];
  }

  /** Opens the partition again; whatever was acknowledged before must be there. */
  async enter(): Promise<void> {
    const host = this.pick(this.hosts) as Host;
    const before = [...this.acknowledged];
    this.town.now += this.chance() < 0.7 ? 100n : 5n;
    const committee = this.town.committeeOf(host);
    const opened = await this.#tried(() => this.#opened(committee, host, () => committee.take(subject, signal)));
    if (opened === undefined) return;
    this.open.push(opened);
    this.#check(opened, before);
  }

  /** A copy of a worker, made while it runs. */
  async clone(): Promise<void> {
    const one = this.pick(this.open);
    if (one === undefined) return;
    const { held } = one.memory;
    const copy = await this.#tried(() => this.#opened(this.town.committeeOf(one.host), one.host, async () => held));
    if (copy !== undefined) this.open.push(copy);
  }

  /** Adds to what is there, in one transaction. */
  async write(one = this.pick(this.open)): Promise<void> {
    if (one === undefined) return;
    this.#ids += 1;
    const id = `${this.#ids}`;
    const { store } = one;
    await this.#tried(async () => {
      await store.transaction((inside) => {
        inside.put('all', bytes(`${text(inside.get('all')) ?? ''}${id},`));
      }, signal);
      this.acknowledged.push(id);
      const { version, root } = store.head;
      const other = this.roots.get(version) ?? root;
      expect(root, `version ${version} acknowledged twice`).toBe(other);
      this.roots.set(version, root);
    }, one);
  }

  /** What a store confirms is the newest. */
  async read(): Promise<void> {
    const one = this.pick(this.open);
    if (one === undefined) return;
    const before = [...this.acknowledged];
    await this.#tried(async () => {
      await one.store.confirm(signal);
      this.#check(one, before);
    }, one);
  }

  /** What was long on its way arrives. */
  async arrive(): Promise<void> {
    const at = Math.floor(this.chance() * this.late.length);
    const [deliver] = this.late.splice(at, 1);
    await deliver?.().catch(() => {});
  }

  async kill(): Promise<void> {
    const at = Math.floor(this.chance() * this.open.length);
    const [one] = this.open.splice(at, 1);
    // A killed process closes nothing: what it had under way is cut off where it is.
    if (this.chance() < 0.5) await one?.store.close();
  }

  /** One member goes, comes back with its disk, or forgets what it kept since: never two of them at once. */
  async ail(): Promise<void> {
    const whole = this.town.members.every(({ recovery, isUp }) => isUp && recovery.isWholeAt(1n));
    if (whole) this.#sick = this.pick(this.town.members);
    const sick = this.#sick;
    if (sick === undefined) return;
    if (sick.isUp && this.chance() < 0.4) return sick.stop();
    sick.start();
    await this.town.follow();
  }

  /** The one that lies: it goes back to what it kept some time ago. */
  async forget(liar: StateMemberAtWork, disks: Disk[]): Promise<void> {
    disks.push(liar.disk);
    const old = this.pick(disks) as Disk;
    for (const state of old.states.values()) await liar.book.set(state);
  }

  async heal(): Promise<void> {
    this.#isCalm = true;
    for (const member of this.town.members) if (!member.isUp) member.start();
    for (let turn = 0; turn < 3; turn++) await this.town.follow();
    this.town.wait();
    const committee = this.town.committeeOf(makeHost());
    const last = await this.#opened(committee, this.hosts[0] as Host, () => committee.take(subject, signal));
    this.#check(last, this.acknowledged);
    await this.write(last);
    expect(this.acknowledged.at(-1)).toBe(`${this.#ids}`);
  }

  #check({ store }: Opened, acknowledged: readonly string[]): void {
    const all = (text(store.get('all')) ?? '').split(',');
    expect(all).toEqual(expect.arrayContaining([...acknowledged]));
  }

  async #opened(committee: StateCommittee, host: Host, take: () => Promise<HeldFence>): Promise<Opened> {
    const memory: { held: HeldFence } = { held: { promises: [], head: {} as HeldFence['head'] } };
    const remember = (held: HeldFence) => {
      memory.held = held;
      return held;
    };
    const components = {
      blobs: this.town.blobs,
      keyOf,
      committee: {
        take: async () => remember(await take()),
        add: async (...asked: Parameters<StateCommittee['add']>) => remember(await committee.add(...asked)),
        confirm: (...asked: Parameters<StateCommittee['confirm']>) => committee.confirm(...asked),
      },
    };
    return { store: await StateStore.open(components, subject, signal), host, memory };
  }

  /** Everything may fail, by a refusal or because nobody answers, and nothing else. */
  async #tried<T>(work: () => Promise<T>, one?: Opened): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { name, code } = error as { readonly name: string; readonly code: string };
      if (name !== 'StateError') throw error;
      // Who is fenced has nothing more to say.
      if (one !== undefined && code === 'STATE_FENCED' && this.open.includes(one))
        this.open.splice(this.open.indexOf(one), 1);
      return undefined;
    }
  }
}

const seeds = Array.from({ length: runs }, (_, index) => [0x5eed + index] as const);

describe('whatever crashes, is lost or copied', () => {
  test.each(seeds)('with members that come and go, nothing acknowledged is lost or doubled (seed %i)', async (seed) => {
    const chaos = new Chaos(await StateTown.of(4, 3), seed);
    await play(chaos, () => chaos.ail());
  });

  test.each(seeds)('with one that lies about what it kept, either (seed %i)', async (seed) => {
    const town = await StateTown.of(4, 3);
    const chaos = new Chaos(town, seed);
    const disks: Disk[] = [];
    await play(chaos, () => chaos.forget(town.member(2), disks));
  });

  test.each(seeds.slice(0, runs / 2))('of seven two may lie (seed %i)', async (seed) => {
    const town = await StateTown.of(7, 5);
    const chaos = new Chaos(town, seed);
    const disks: readonly Disk[][] = [[], []];
    await play(chaos, async () => {
      for (const [at, kept] of disks.entries()) await chaos.forget(town.member(at), kept);
    });
  });
});

async function play(chaos: Chaos, trouble: () => Promise<unknown>): Promise<void> {
  await chaos.enter();
  for (let turn = 0; turn < turns; turn++) {
    const chance = chaos.chance();
    if (chance < 0.2) await chaos.enter();
    else if (chance < 0.55) await chaos.write();
    else if (chance < 0.65) await Promise.all([chaos.write(), chaos.write()]);
    else if (chance < 0.72) await chaos.clone();
    else if (chance < 0.8) await chaos.kill();
    else if (chance < 0.88) await chaos.read();
    else await trouble();
    if (chaos.chance() < 0.5) await chaos.arrive();
  }
  await chaos.heal();
  expect(chaos.acknowledged.length).toBeGreaterThan(1);
}
