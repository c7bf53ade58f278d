import { evidenceJson } from '@cloister/attestation/verify';
import type { NetworkClock } from '@cloister/chain';
import { type Address, type Bytes32, CloisterError, describeError, sleep, tickAt } from '@cloister/core';
import type { LeaseKeeper } from '@cloister/enclave';
import type { Logger } from '@cloister/service';
import type { BeaconKeeper } from './beacon/beaconKeeper.ts';
import type { CommitteeChain } from './committeeState.ts';
import type { EpochKeeper } from './epochs/epochKeeper.ts';
import type { RewardKeeper } from './epochs/rewardKeeper.ts';
import type { HandoverKeeper } from './handover/handoverKeeper.ts';
import type { HeadWatch } from './heads/headWatch.ts';
import type { ReleaseLog } from './keys/releaseLog.ts';
import type { RoundKeeper } from './rounds/roundKeeper.ts';
import type { ShareStore } from './shares/shareStore.ts';
import type { PublicReceipts } from './slashing/publicReceipts.ts';
import type { SlashKeeper } from './slashing/slashKeeper.ts';
import type { StateRecovery } from './state/stateRecovery.ts';

export type GatekeeperComponents = {
  readonly chain: CommitteeChain;
  readonly lease: LeaseKeeper;
  readonly handovers: HandoverKeeper;
  readonly beacon: BeaconKeeper;
  readonly rounds: RoundKeeper;
  readonly heads: HeadWatch;
  readonly stateRecovery: Pick<StateRecovery, 'follow' | 'isWholeAt'>;
  readonly epochs: EpochKeeper;
  readonly rewards: Pick<RewardKeeper, 'tick'>;
  readonly slashes: Pick<SlashKeeper, 'tick'>;
  readonly publicReceipts: Pick<PublicReceipts, 'tick'>;
  readonly store: ShareStore;
  readonly releases: ReleaseLog;
  readonly clock: NetworkClock;
  readonly log: Logger;
};

export type GatekeeperInit = {
  readonly operator: Address;
  readonly signer: Address;
  readonly hpkeKey: Bytes32;
  readonly simulated: boolean;
  readonly sealsAtRest: boolean;
  readonly tickMs: number;
};

/** While a handover is under way messages are exchanged this often, in ms. */
const busyTickMs = 250;

/** The enclave service of one member: registered, holding shares, handing them on, making the beacon, for as long as it runs. */
export class Gatekeeper {
  readonly #components: GatekeeperComponents;
  readonly #init: GatekeeperInit;
  #now: bigint | undefined;
  #loop: Promise<void> | undefined;
  #lastTrouble = '';
  #lastStateTrouble = '';
  #isRegistered = false;
  #recording: Promise<unknown> | undefined;

  constructor(components: GatekeeperComponents, init: GatekeeperInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Timestamp of the newest block that was read, unix seconds. */
  get now(): bigint | undefined {
    return this.#now;
  }

  /** Whether it has: only then there is evidence to show. */
  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** Registers, then follows the chain until `signal` aborts. */
  async start(signal: AbortSignal, onLost: (error: unknown) => void): Promise<void> {
    const { lease, log } = this.#components;
    const { leaseUntil } = await lease.registerPatiently(signal);
    this.#isRegistered = true;
    log.info('registration: done', { operator: this.#init.operator, signer: this.#init.signer, leaseUntil });
    const { epochs, rewards, slashes, publicReceipts } = this.#components;
    this.#recording = Promise.all([
      this.#repeat('epochs', (inner) => epochs.tick(inner), signal),
      this.#repeat('rewards', (inner) => rewards.tick(inner), signal),
      this.#repeat('slashing', (inner) => slashes.tick(inner), signal),
      this.#repeat('public receipts', (inner) => publicReceipts.tick(inner), signal),
    ]);
    this.#loop = this.#follow(signal).catch((error: unknown) => {
      if (!signal.aborted) onLost(error);
    });
  }

  async stop(): Promise<void> {
    await this.#loop;
    await this.#recording;
    this.#components.handovers.stop();
    this.#components.store.wipe();
  }

  /** What anybody may know of this member. */
  status(): Record<string, unknown> {
    const { handovers, store, releases, stateRecovery, clock } = this.#components;
    const { operator, signer, hpkeKey, simulated, sealsAtRest } = this.#init;
    const generation = handovers.final?.generation;
    return {
      operator,
      signer,
      hpkeKey,
      simulated,
      sealsAtRest,
      generation: generation?.number ?? null,
      threshold: generation?.threshold ?? null,
      members: generation?.members.map((member) => member.operator) ?? [],
      /** Whether this member holds shares of the generation that counts. */
      holdsShares: store.active?.shares !== undefined && store.active.digest === generation?.digest,
      /** Whether it has heard from enough others what they keep of apps' state. */
      signsState: generation !== undefined && stateRecovery.isWholeAt(generation.number),
      keys: handovers.final?.keys ?? null,
      handoverUnderWay: handovers.isBusy,
      round: this.#now === undefined ? null : tickAt(this.#now, clock.genesis, clock.roundLength),
      releases: releases.head,
    };
  }

  /** The evidence that this member is registered by, as others verify it. */
  evidence(): unknown {
    return evidenceJson(this.#components.lease.current.evidence);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#tick(signal);
        if (this.#lastTrouble !== '') this.#components.log.info('gatekeeper: goes on');
        this.#lastTrouble = '';
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof CloisterError && error.code === 'TRANSACTION_REFUSED') throw error;
        const trouble = describeError(error);
        if (trouble !== this.#lastTrouble) this.#components.log.warn('gatekeeper: waiting', { error });
        this.#lastTrouble = trouble;
      }
      await sleep(this.#components.handovers.isBusy ? busyTickMs : this.#init.tickMs, signal).catch(() => {});
      if (signal.aborted) return;
    }
  }

  #sayOfState(trouble: string): void {
    if (trouble !== '' && trouble !== this.#lastStateTrouble)
      this.#components.log.info('state: waiting', { reason: trouble });
    this.#lastStateTrouble = trouble;
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { chain, lease, handovers, beacon, rounds, heads, stateRecovery, clock } = this.#components;
    await Promise.all([handovers.tick(signal), heads.tick(signal)]);
    // Beside the rest: keys and randomness do not wait for what others keep of apps' state.
    void stateRecovery.follow(signal).then(
      () => this.#sayOfState(''),
      (error: unknown) => {
        if (!signal.aborted) this.#sayOfState(describeError(error));
      },
    );
    const now = await chain.now(signal);
    const round = tickAt(now, clock.genesis, clock.roundLength);
    const isNewRound = this.#now === undefined || round > tickAt(this.#now, clock.genesis, clock.roundLength);
    this.#now = now;
    if (await lease.isDue(now, signal)) await lease.registerPatiently(signal);
    // Made ahead of anybody's question; a member that can't now is asked again when somebody wants it.
    if (handovers.final?.keys === undefined) return;
    if (isNewRound) void beacon.signature(round, signal).catch(() => {});
    // At every look until it is there: members come to a round one after the other, and the first finds too few.
    void rounds.statement(round, signal).catch(() => {});
  }

  /** By itself: keys and the beacon wait for nobody's measurements, nor these for whoever does not answer about those. */
  async #repeat(what: string, tick: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { log } = this.#components;
    let lastTrouble = '';
    while (!signal.aborted) {
      try {
        await tick(signal);
        lastTrouble = '';
      } catch (error) {
        const trouble = describeError(error);
        if (!signal.aborted && trouble !== lastTrouble) log.warn(`${what}: waiting`, { error });
        lastTrouble = trouble;
      }
      await sleep(this.#init.tickMs, signal).catch(() => {});
    }
  }
}
