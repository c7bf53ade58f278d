import { type Address, type Bytes32, CloisterError } from '@cloister/core';
import type { Equivocation } from '@cloister/sdk';
import type { Logger } from '@cloister/service';
import type { CommitteeState } from '../committeeState.ts';
import { Turns } from '../turns.ts';
import type { TwoRecords } from './recordWatch.ts';
import type { SlashChain } from './slashChain.ts';

export type SlashComponents = {
  readonly chain: SlashChain;
  readonly operator: Address;
  readonly state: () => CommitteeState | undefined;
  readonly log: Logger;
};

/** A proof that was not shown yet; `triedAt` in unix seconds of the chain. */
type Found = {
  readonly signer: Address;
  readonly show: (signal: AbortSignal) => Promise<Bytes32>;
  triedAt: bigint | undefined;
};

/** Proofs that wait to be shown. */
const maxFound = 64;
/** Between two tries of one proof, seconds of the chain's time. */
const retrySeconds = 60n;
/** Of a proof that the chain will never take from this member. */
const hopeless: ReadonlySet<string> = new Set(['EQUIVOCATION_SIGNER_UNKNOWN', 'EQUIVOCATION_REPORTED_BEFORE']);

/**
 * Sees to it that faults have their price: shows the chain what this member has found proven, and ends cases whose time for a
 * veto is over, in turns with the others. Anybody else may do both as well.
 *
 * In memory only: a worker that goes on is caught again, and a case stands on the chain.
 */
export class SlashKeeper {
  readonly #components: SlashComponents;
  readonly #turns: Turns<Bytes32>;
  /** By what was done, and by whom. */
  readonly #found = new Map<string, Found>();

  constructor(components: SlashComponents) {
    this.#components = components;
    this.#turns = new Turns(components);
  }

  /** A worker's two receipts, to be shown at the next tick; each signer has one proof. */
  found(equivocation: Equivocation): void {
    const show = (signal: AbortSignal) => this.#components.chain.report(equivocation, signal);
    this.#keep('a worker has signed two receipts for one place', { signer: equivocation.signer, show });
  }

  /** A gatekeeper's two records, likewise. */
  foundRecords(proof: TwoRecords): void {
    const show = (signal: AbortSignal) => this.#components.chain.reportTwoRecords(proof, signal);
    this.#keep('a gatekeeper has signed two records of one attempt', { signer: proof.signer, show });
  }

  #keep(what: string, { signer, show }: Pick<Found, 'signer' | 'show'>): void {
    const key = `${what}: ${signer}`;
    if (this.#found.has(key) || this.#found.size >= maxFound) return;
    this.#components.log.warn(`slashing: ${what}`, { signer });
    this.#found.set(key, { signer, show, triedAt: undefined });
  }

  /** Does what is this member's to do now. */
  async tick(signal: AbortSignal): Promise<void> {
    const now = await this.#components.chain.finalTimestamp(signal);
    await this.#report(now, signal);
    await this.#settle(now, signal);
  }

  async #report(now: bigint, signal: AbortSignal): Promise<void> {
    const { log } = this.#components;
    for (const [key, found] of this.#found) {
      const { signer } = found;
      if (found.triedAt !== undefined && now - found.triedAt < retrySeconds) continue;
      found.triedAt = now;
      try {
        const caseId = await found.show(signal);
        this.#found.delete(key);
        log.info('slashing: reported', { signer, caseId });
      } catch (error) {
        if (signal.aborted || !(error instanceof CloisterError)) throw error;
        if (hopeless.has(error.code)) this.#found.delete(key);
        log.warn('slashing: not reported', { signer, error });
      }
    }
  }

  async #settle(now: bigint, signal: AbortSignal): Promise<void> {
    const { chain, log } = this.#components;
    const open = await chain.openCases(signal);
    this.#turns.keepOnly(new Set(open.map(({ caseId }) => caseId)));
    for (const { caseId, settleFrom } of open) {
      const first = (members: number) => Number(BigInt(caseId) % BigInt(members));
      if (!this.#turns.takes({ key: caseId, since: settleFrom, first }, now)) continue;
      try {
        await chain.settle(caseId, signal);
        log.info('slashing: settled', { caseId });
      } catch (error) {
        if (signal.aborted || !(error instanceof CloisterError)) throw error;
        // One that can't be settled keeps none of the others waiting.
        log.warn('slashing: not settled', { caseId, error });
      }
    }
  }
}
