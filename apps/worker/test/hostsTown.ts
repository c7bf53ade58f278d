import { type Bytes32, type CertifiedStateHead, functionManifest, type Manifest, zeroBytes32 } from '@cloister/core';
import type { InvocationRequest } from '@cloister/sandbox';
import { type HeldFence, StateError, StateStore, type StateSubject } from '@cloister/state';
import { expect } from 'vitest';
import { b32, keyOf, MemoryBlobs, signal } from '../../../packages/state/test/helpers.ts';
import type { LoadedApp } from '../src/appLoader.ts';
import { Scheduler } from '../src/schedules/scheduler.ts';
import type { ServedVersion } from '../src/schedules/schedulerComponents.ts';
import { AppStates, defaultAppStatesInit } from '../src/state/appStates.ts';
import { StubDriver } from './stubDriver.ts';

export const app: Bytes32 = b32(1);
const leaseSeconds = 20;

/** A committee as hosts see it: one writer by lease and fence, one head of a version, nothing under a fence that is over. */
class StrictCommittee {
  readonly #town: HostsTown;
  #head: CertifiedStateHead = {
    ...{ app, partition: 1_023 },
    version: 0n,
    fence: 0n,
    root: zeroBytes32,
    signature: '0x',
  };
  #holder = '';
  #heldUntil = 0;
  /** What it answers in place of the next signature. */
  fails: { readonly error: Error; readonly signs: boolean } | undefined;

  constructor(town: HostsTown) {
    this.#town = town;
  }

  /** As the worker of this name sees it: copies of one worker have one name. */
  of(name: string) {
    const assertHeld = (held: HeldFence): void => {
      if (held.head.fence < this.#head.fence) throw new StateError('STATE_FENCED', 'another has taken over');
      if (held.head.version !== this.#head.version) throw new StateError('STATE_STALE', 'a copy has written');
      this.#heldUntil = this.#town.now + leaseSeconds;
    };
    return {
      take: async (): Promise<HeldFence> => {
        const isHeld = this.#holder !== '' && this.#holder !== name && this.#town.now < this.#heldUntil;
        if (isHeld) throw new StateError('STATE_HELD', `"${this.#holder}" writes`);
        [this.#holder, this.#heldUntil] = [name, this.#town.now + leaseSeconds];
        this.#head = { ...this.#head, fence: this.#head.fence + 1n };
        return { promises: [], head: this.#head };
      },
      add: async (_: StateSubject, held: HeldFence, root: Bytes32): Promise<HeldFence> => {
        await Promise.resolve();
        assertHeld(held);
        const { fails } = this;
        this.fails = undefined;
        const next = { ...held.head, version: held.head.version + 1n, root };
        if (fails === undefined || fails.signs) this.#head = next;
        if (fails !== undefined) throw fails.error;
        return { ...held, head: next };
      },
      confirm: async (_: StateSubject, held: HeldFence): Promise<void> => assertHeld(held),
    };
  }
}

/** One host of the app, with a sandbox that is a function of the test. */
export class Host {
  readonly name: string;
  readonly driver = new StubDriver();
  readonly states: AppStates;
  readonly scheduler: Scheduler;
  #wakes: number | undefined = 0;
  #killed = new AbortController();
  /** What it takes for the time, where that is not the town's. */
  now: (() => number) | undefined;
  isAlive = true;

  constructor(town: HostsTown, name: string) {
    this.name = name;
    const committee = town.committee.of(name);
    this.states = new AppStates(
      {
        open(subject) {
          // Members refuse requests with any other field.
          expect(Object.keys(subject).sort()).toEqual(['app', 'keyVersion', 'manifest', 'partition']);
          return StateStore.open({ committee, blobs: town.blobs, keyOf }, subject, signal);
        },
        elsewhere: (subject, asked) => town.askOthers(this, subject, asked),
      },
      { ...defaultAppStatesInit, nowMs: () => town.now * 1_000 },
    );
    this.driver.run = (request) => town.run(request, this);
    const time = () => this.now?.() ?? town.now;
    this.scheduler = new Scheduler(
      {
        scheduled: {
          follow: async () => {},
          read: () => {},
          settled: async () => {},
          due: (now) => (this.#wakes !== undefined && this.#wakes <= now ? [{ app, publisher: 'owner' }] : []),
          next: (_, at) => {
            this.#wakes = at;
          },
        },
        serving: async () => town.version,
        hosts: async () => town.hosts.map((host) => b32(host.name.charCodeAt(0))),
        states: this.states,
        apps: {
          load: async () => {
            const tenant = await this.driver.open({ tenant: app } as never);
            return { ...town.version, tenant, keyVersion: 1n } as unknown as LoadedApp;
          },
        },
        services: { of: () => undefined },
        workerId: b32(name.charCodeAt(0)),
        now: time,
        log: { info() {}, warn: (message, fields) => void town.warnings.push(`${name}: ${message}: ${fields?.error}`) },
      },
      { tickMs: 1, followMs: 0 },
    );
  }

  get wakes(): number | undefined {
    return this.#wakes;
  }

  tick(): Promise<void> {
    return this.isAlive ? this.scheduler.tick(this.#killed.signal) : Promise.resolve();
  }

  /** As a process that is ended: what it began comes to nothing, and it is asked nothing more. */
  kill(): void {
    this.isAlive = false;
    this.#killed.abort(new Error('killed'));
  }
}

/** Hosts of one app, each with its own memory, over one committee, one store and one chain. */
export class HostsTown {
  /** The chain's time, unix seconds. */
  now: number;
  readonly committee = new StrictCommittee(this);
  readonly blobs = new MemoryBlobs();
  readonly hosts: Host[];
  readonly warnings: string[] = [];
  version: ServedVersion;
  /** Runs that were begun, and by whom. */
  readonly runs: { readonly host: string; readonly scheduled: NonNullable<InvocationRequest['scheduled']> }[] = [];
  /** Awaited by each run. */
  during: (host: Host) => Promise<void> = async () => {};

  constructor(now: number, names: readonly string[], manifest: Partial<Manifest>) {
    this.now = now;
    this.version = {
      app,
      manifestId: b32(2),
      keyVersion: 1,
      manifest: functionManifest({ name: 'scheduled', code: { sha256: b32(3), bytes: 1 }, ...manifest }),
    };
    this.hosts = names.map((name) => new Host(this, name));
  }

  async run(request: InvocationRequest, host: Host) {
    if (request.scheduled === undefined) throw new Error('Not a run by schedule');
    this.runs.push({ host: host.name, scheduled: request.scheduled });
    await this.during(host);
    return { status: 204 };
  }

  /** As the relay asks a partition's writer. */
  async askOthers(asking: Host, subject: StateSubject, asked: Parameters<AppStates['ask']>[2]) {
    for (const host of this.hosts) {
      if (host === asking || !host.isAlive) continue;
      const answer = await host.states.askedByHost(subject, subject.partition, asked, signal);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** Lets time pass, a second at a time, in which each host looks what is due. */
  async pass(seconds: number, { waits = true } = {}): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.now += 1;
      await Promise.all(this.hosts.map((host) => host.tick()));
      if (waits)
        await Promise.all(this.hosts.filter(({ isAlive }) => isAlive).map(({ scheduler }) => scheduler.settled()));
      else await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async stop(): Promise<void> {
    for (const host of this.hosts) host.kill();
    await Promise.all(this.hosts.map(({ states }) => states.close()));
  }
}
