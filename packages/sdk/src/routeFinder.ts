import { RegistryHistory, type RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  type Manifest,
  type NetworkFile,
  needsKeys,
  placementTermEpochs,
  type RoundStatement,
  sleep,
  type WorkerAnnouncement,
  workloadKinds,
} from '@cloister/core';
import { type Placement, PlacementReader } from '@cloister/placement';
import type { ServingApp } from './apps.ts';
import { isChainAway } from './chainAway.ts';
import type { Committee } from './committee.ts';
import type { ReceiptWatch } from './equivocation/receiptWatch.ts';
import type { Gateways } from './gateways.ts';
import type { RoundStatements } from './roundStatements.ts';
import type { Route, Routes } from './route.ts';
import type { ProofStep } from './steps.ts';
import {
  offersKind,
  tcbEvaluationOf,
  type VerifiedWorker,
  WorkerRefusedError,
  type WorkerVerifier,
} from './verifyWorker.ts';

export type RouteFinderComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly committee: Committee;
  readonly verifier: WorkerVerifier;
  readonly statements: RoundStatements;
  readonly receipts: Pick<ReceiptWatch, 'isCaught'>;
};

/** A worker as a gateway lists it, and what verifying it gave. */
export type ListedWorker = { readonly gateway: string; readonly announcement: WorkerAnnouncement } & (
  | { readonly verified: VerifiedWorker; readonly refusal?: never }
  | { readonly refusal: WorkerRefusedError; readonly verified?: never }
);

/** By which way a worker was verified, and when, in unix milliseconds of this machine's clock. */
type Verified = { readonly route: Route; readonly atMs: number; readonly isDoubted?: boolean };

/** How workers for a call are chosen. */
export type RouteWish = {
  /** Whether what was verified before is looked at again. */
  readonly refresh: boolean;
  /** The only worker that will do. */
  readonly only?: Bytes32 | undefined;
};

/** How long a verification may be relied on before it is made again, by this machine's clock. */
const maxVerificationAgeMs = 120_000;
/** The same where only the committee's statements can be had: they say who was evicted, and nothing of images and collateral. */
const maxWitnessedAgeMs = 3_600_000;
const maxHostsAgeMs = 15_000;
const maxKnownHosts = 1_024;
const maxKnownWorkers = 4_096;
/** A round and the time to sign it. */
const maxPlacementWaitMs = 60_000;
const passingPlacement = new Set(['PLACEMENT_PENDING', 'BEACON_UNAVAILABLE']);

/**
 * Finds verified workers for an app: those that gateways list and that suit its manifest, or those that host it. Remembers what it
 * verified for a while; while no RPC can be asked, goes on by what the committee signed.
 */
export class RouteFinder {
  readonly #components: RouteFinderComponents;
  readonly #verified = new Map<string, Verified>();
  readonly #hosts = new Map<Bytes32, { readonly hosts: readonly Bytes32[]; readonly atMs: number }>();
  #placements: Promise<PlacementReader> | undefined;

  constructor(components: RouteFinderComponents) {
    this.#components = components;
  }

  /** Every worker that any gateway lists, verified now or refused with the reason. */
  async workers(signal?: AbortSignal): Promise<ListedWorker[]> {
    const seen = new Map<string, ListedWorker>();
    for (const gateway of this.#components.gateways.urls) {
      const announcements = await this.#components.gateways.directory(gateway, signal).catch(() => []);
      const listed = await Promise.all(announcements.map((announcement) => this.#list(gateway, announcement, signal)));
      for (const worker of listed) {
        const known = seen.get(worker.announcement.workerId);
        if (known === undefined || (known.refusal !== undefined && worker.verified !== undefined))
          seen.set(worker.announcement.workerId, worker);
      }
    }
    return [...seen.values()];
  }

  /** The same of one worker alone, as the first gateway shows it by which it is verified. */
  async #worker(workerId: Bytes32, signal: AbortSignal): Promise<ListedWorker[]> {
    let listed: ListedWorker[] = [];
    for (const gateway of this.#components.gateways.urls) {
      const announcement = await this.#components.gateways
        .announcement(gateway, workerId, signal)
        .catch(() => undefined);
      if (announcement?.workerId !== workerId) continue;
      const worker = await this.#list(gateway, announcement, signal);
      if (worker.verified !== undefined) return [worker];
      listed = [worker];
    }
    return listed;
  }

  async #list(
    gateway: string,
    announcement: WorkerAnnouncement,
    signal: AbortSignal | undefined,
  ): Promise<ListedWorker> {
    try {
      return { gateway, announcement, verified: await this.#components.verifier.verify(announcement, signal) };
    } catch (refusal) {
      if (refusal instanceof WorkerRefusedError) return { gateway, announcement, refusal };
      throw refusal;
    }
  }

  /** The hosts of this app are read anew when they are needed next. */
  forgetHosts(app: Bytes32): void {
    this.#hosts.delete(app);
  }

  /** This worker is said to take this key no more: it is verified again before the next call, where that can be done. */
  doubt(route: Route): void {
    const { workerId } = route.worker;
    const known = this.#verified.get(workerId);
    if (known?.route === route) this.#verified.set(workerId, { ...known, isDoubted: true });
  }

  /** An app's hosts now. Throws PLACEMENT_PENDING in the round of its deployment. */
  async placement(app: Bytes32, manifest: Manifest, signal: AbortSignal): Promise<Placement> {
    const { network, registry, committee } = this.#components;
    this.#placements ??= registry.clock(signal).then(
      (clock) =>
        new PlacementReader({
          registry,
          history: new RegistryHistory(registry.view, network.contracts),
          randomness: async (round, inner) => (await committee.beacon(round, inner)).randomness,
          clock,
          termEpochs: placementTermEpochs(network),
        }),
    );
    this.#placements.catch(() => {
      this.#placements = undefined;
    });
    return (await this.#placements).placementOf(app, manifest, await registry.view.head(signal), signal);
  }

  /** The app's hosts, read again after a while. A new app is drawn by the next round's randomness: waits for that. */
  async #hostsOf(app: Bytes32, manifest: Manifest, refresh: boolean, signal: AbortSignal): Promise<readonly Bytes32[]> {
    const known = this.#hosts.get(app);
    if (!refresh && known !== undefined && Date.now() - known.atMs < maxHostsAgeMs) return known.hosts;
    try {
      const { hosts } = await this.#awaitPlacement(app, manifest, signal);
      this.#hosts.set(app, { hosts, atMs: Date.now() });
      if (this.#hosts.size > maxKnownHosts) this.#hosts.delete(this.#hosts.keys().next().value as Bytes32);
      return hosts;
    } catch (error) {
      // Whoever is no longer one of them gets no key, and refuses, signed.
      if (known !== undefined && isChainAway(error)) return known.hosts;
      throw error;
    }
  }

  async #awaitPlacement(app: Bytes32, manifest: Manifest, signal: AbortSignal): Promise<Placement> {
    const deadline = Date.now() + maxPlacementWaitMs;
    for (;;) {
      try {
        return await this.placement(app, manifest, signal);
      } catch (error) {
        const mayPass = error instanceof CloisterError && passingPlacement.has(error.code);
        if (!mayPass || Date.now() > deadline) throw error;
      }
      await sleep(500, signal);
    }
  }

  /**
   * Workers that were verified within the hour and by the committee's word are not evicted, while their key is valid: what there is
   * to go by while no RPC can be asked.
   */
  async #witnessed(verified: readonly Verified[], signal: AbortSignal): Promise<Route[]> {
    const found = await Promise.all(
      verified.map(async ({ route: { gateway, worker }, atMs }): Promise<Route[]> => {
        if (Date.now() - atMs >= maxWitnessedAgeMs) return [];
        const statement = await this.#components.statements
          .proofFor(worker.receiptSigner, signal)
          .catch(() => undefined);
        // The lease lasts as long as the key at least.
        if (statement === undefined || worker.keyNotAfter <= statement.time) return [];
        return [{ gateway, worker: { ...worker, steps: [...worker.steps, witnessedStep(statement)] } }];
      }),
    );
    return found.flat();
  }

  /** Verified ways to workers that suit the manifest, in random order so that load spreads; or why there is none. */
  async routes({ app, manifest }: ServingApp, { refresh, only }: RouteWish, signal: AbortSignal): Promise<Routes> {
    const hosts = needsKeys(manifest) ? await this.#hostsOf(app, manifest, refresh, signal) : undefined;
    const unsuited = (route: Route) => {
      if (only !== undefined && route.worker.workerId !== only) return 'another one is asked for';
      if (this.#components.receipts.isCaught(route.worker.receiptSigner))
        return 'it has signed two different receipts for one sequence';
      return whyUnsuited(route, manifest, hosts);
    };
    const suited = [...this.#verified.values()].filter(({ route }) => unsuited(route) === undefined);
    const usable = suited.filter((known) => !refresh && isFresh(known)).map(({ route }) => route);
    if (usable.length > 0) return { usable: shuffled(usable), unusable: [] };
    const listed = await (only === undefined ? this.workers(signal) : this.#worker(only, signal)).catch(
      (error: unknown) => {
        if (isChainAway(error)) return error as CloisterError;
        throw error;
      },
    );
    if (listed instanceof CloisterError || isOldChain(listed)) {
      const witnessed = await this.#witnessed(suited, signal);
      if (witnessed.length > 0) return { usable: shuffled(witnessed), unusable: [] };
    }
    if (listed instanceof CloisterError) throw listed;
    if (only === undefined) this.#verified.clear();
    const routes: Route[] = [];
    const unusable: string[] = [];
    for (const { announcement, gateway, verified, refusal } of listed) {
      if (verified === undefined) {
        unusable.push(`${announcement.workerId}: ${refusal.message}`);
        continue;
      }
      const route: Route = { gateway, worker: verified };
      this.#verified.delete(verified.workerId);
      this.#verified.set(verified.workerId, { route, atMs: Date.now() });
      if (this.#verified.size > maxKnownWorkers) this.#verified.delete(this.#verified.keys().next().value as string);
      const why = unsuited(route);
      if (why === undefined) routes.push(route);
      else unusable.push(`${verified.workerId}: ${why}`);
    }
    return { usable: shuffled(routes), unusable };
  }
}

/** Whether all that there is to say of these workers is that the RPCs show an old chain. */
function isOldChain(listed: readonly ListedWorker[]): boolean {
  return listed.length > 0 && listed.every(({ refusal }) => refusal?.code === 'WORKER_CHAIN_STALE');
}

function isFresh({ route, atMs, isDoubted }: Verified): boolean {
  if (isDoubted) return false;
  const keyEndsMs = Number(route.worker.keyNotAfter) * 1000;
  return Date.now() - atMs < maxVerificationAgeMs && Date.now() < keyEndsMs;
}

/** Why a verified worker is not for this manifest; undefined where it is. */
function whyUnsuited(
  { worker: { workerId, kinds, claims } }: Route,
  { kind, placement }: Manifest,
  hosts: readonly Bytes32[] | undefined,
): string | undefined {
  if (hosts !== undefined && !hosts.includes(workerId)) return 'the app is not placed on it';
  if (!offersKind(kinds, workloadKinds[kind])) return `it runs no ${kind}s`;
  if (!placement.teeTypes.includes(claims.teeType)) return `its TEE is ${claims.teeType}`;
  const minimum = placement.minTcbEvaluationDataNumber;
  if (tcbEvaluationOf(claims) >= minimum) return undefined;
  return `its TCB was judged by data ${tcbEvaluationOf(claims)}, the app wants ${minimum} or later`;
}

function witnessedStep({ round, block, time }: RoundStatement): ProofStep {
  return {
    id: 'witnessed',
    title: 'No RPC could be asked; the committee signed that the worker, verified before, was not evicted since',
    ok: true,
    detail: `round ${round}, block ${block}, ${new Date(Number(time) * 1000).toISOString()}`,
  };
}

function shuffled<T>(items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((left, right) => left.key - right.key).map(({ item }) => item);
}
