import {
  type Address,
  type Bytes32,
  CloisterError,
  describeError,
  type Hex,
  type RecordDomain,
  sleep,
} from '@cloister/core';
import { fromHex, toHex, type X25519KeyPair } from '@cloister/crypto';
import type { Logger } from '@cloister/service';
import { publicShareAt } from '@cloister/threshold/dkg';
import type { Agreement, Made, Previous } from '../ceremony/agreement.ts';
import { Ceremony } from '../ceremony/ceremony.ts';
import { type CeremonyMessage, readCeremonyMessage } from '../ceremony/ceremonyMessage.ts';
import type { CommitteeChain, CommitteeState, HandoverRecord, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';
import { type PublicShares, publicSharesHash, publicSharesOf } from '../shares/publicShares.ts';
import type { ShareStore } from '../shares/shareStore.ts';
import type { CeremonyExchange } from './exchange.ts';
import { areSameMembers, sessionOf } from './session.ts';

export type HandoverComponents = {
  readonly chain: CommitteeChain;
  readonly store: ShareStore;
  readonly peers: Peers;
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex; readonly hpke: X25519KeyPair };
  /** Called whenever the store has changed and before anything is said on the strength of it. */
  readonly persist: () => Promise<void>;
  /** Whether a founder's enclave is what it should be: asked before the first key's first message. Throws why not. */
  readonly verifyFounder: (founder: Member, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
};

export type HandoverInit = {
  readonly domain: RecordDomain;
  readonly committee: Address;
  /** Seconds of the chain's clock that one attempt has; all members must have the same. */
  readonly attemptSeconds: number;
  /** The network's epoch at a block's timestamp. */
  readonly epochAt: (timestamp: bigint) => bigint;
  /** Start of epoch 0, unix seconds: attempts to move keys are counted from there, so that one begins with each epoch. */
  readonly genesis: bigint;
  /** How long a tick waits for the answers of others, in ms. */
  readonly patienceMs: number;
};

type Attempt = {
  readonly ceremony: Ceremony;
  readonly state: CommitteeState;
  readonly publicShares: Map<Bytes32, PublicShares>;
  readonly proposer: number;
  posted: boolean;
};

/**
 * Sees to it that the committee's keys pass on: makes the first ones when all founders are there, moves them in each epoch
 * and whenever members have changed, and takes up new shares when the chain has made them final.
 */
export class HandoverKeeper {
  readonly #components: HandoverComponents;
  readonly #init: HandoverInit;
  readonly #verified = new Set<string>();
  #attempt: Attempt | undefined;
  #final: CommitteeState | undefined;
  /** Members that have not yet answered what they were sent. */
  readonly #waiting = new Set<Address>();
  #lastObjection = '';

  constructor(components: HandoverComponents, init: HandoverInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * The committee as of the newest final block: whose shares count. A handover that is not final yet changes nothing, so that
   * the keys work on all the while.
   */
  get final(): CommitteeState | undefined {
    return this.#final;
  }

  /** Whether a handover is under way: then {@link tick} wants to be called often. */
  get isBusy(): boolean {
    return this.#attempt !== undefined;
  }

  /** Reads the chain, and does what is due. */
  async tick(signal: AbortSignal): Promise<void> {
    const { chain, store, persist, log } = this.#components;
    const final = await chain.finalized(signal);
    this.#final = final;
    if (store.follow(final.generation)) {
      await persist();
      const holds = store.active?.shares !== undefined;
      log[holds ? 'info' : 'warn']('handover: final', { generation: final.generation.number, holdsShares: holds });
    }
    const state = await chain.state(signal);
    const now = await chain.now(signal);
    if (!this.#isDue(state, final, now)) return this.#end();
    await this.#begin(state, now, signal);
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    // By the chain's clock, which is the same for all.
    const elapsedMs = this.#window(state, now).elapsedSeconds * 1_000;
    await attempt.ceremony.step(elapsedMs);
    await this.#exchange(attempt, signal);
    await attempt.ceremony.step(elapsedMs);
    await this.#post(attempt, elapsedMs, signal);
    const { objection } = attempt.ceremony;
    if (objection !== undefined && objection !== this.#lastObjection) {
      this.#lastObjection = objection;
      log.warn('handover: not signed', { objection });
    }
  }

  /** What a peer says and asks: takes in its messages, answers with those that it lacks. */
  async receive(exchange: CeremonyExchange): Promise<CeremonyExchange> {
    const ceremony = this.#attempt?.ceremony;
    if (ceremony === undefined || ceremony.session !== exchange.session)
      return { session: exchange.session, have: [], messages: [] };
    await this.#takeIn(ceremony, exchange);
    return messagesFor(ceremony, new Set(exchange.have));
  }

  stop(): void {
    this.#end();
  }

  /** A handover that is on the chain but may still be taken back is waited for, not followed by another. */
  #isDue(state: CommitteeState, final: CommitteeState, now: bigint): boolean {
    const { generation, next } = state;
    if (final.generation.number !== generation.number || next.members.length === 0) return false;
    if (!next.members.some(({ signer }) => signer === this.#components.me.signer) && !this.#isMember(state))
      return false;
    if (generation.number === 0n) return next.isComplete;
    const { epochAt } = this.#init;
    return epochAt(now) > epochAt(generation.since) || !areSameMembers(generation.members, next.members);
  }

  /** The attempt that is on, and for how long: by the chain's clock, from a moment that the chain gives. */
  #window({ generation, next }: CommitteeState, now: bigint): { attempt: bigint; elapsedSeconds: number } {
    const seconds = BigInt(this.#init.attemptSeconds);
    const start = (generation.number === 0n ? next.lastLeaseUntil : this.#init.genesis) % seconds;
    const since = now - start;
    return { attempt: since / seconds, elapsedSeconds: Number(since % seconds) };
  }

  #isMember({ generation }: CommitteeState): boolean {
    return generation.members.some(({ signer }) => signer === this.#components.me.signer);
  }

  async #begin(state: CommitteeState, now: bigint, signal: AbortSignal): Promise<void> {
    const { chain, store, me, log } = this.#components;
    const { domain, committee, attemptSeconds } = this.#init;
    const { attempt } = this.#window(state, now);
    const session = sessionOf({ chainId: domain.chainId, committee, state, attempt });
    if (this.#attempt?.ceremony.session === session) return;
    this.#end();
    const { generation, next } = state;
    if (generation.number === 0n) await this.#verifyFounders(next.members, signal);
    const previous = await this.#previous(state, signal);
    const proposer = Number(attempt % BigInt(next.members.length));
    const publicShares = new Map<Bytes32, PublicShares>();
    const ceremony = new Ceremony({
      domain,
      session,
      me,
      previous,
      threshold: next.threshold,
      receivers: next.members,
      proposer: (next.members[proposer] as Member).signer,
      phaseMs: (attemptSeconds * 1_000) / 5,
      digestOf: (made) => {
        const shares = publicSharesOf(made, next.members.length);
        const digest = chain.digestOf(recordOf(state, made, shares));
        publicShares.set(digest, shares);
        return digest;
      },
      keep: async ({ digest, shares }: Agreement) => {
        store.keep({
          number: generation.number + 1n,
          digest,
          publicShares: publicShares.get(digest) as PublicShares,
          shares,
        });
        await this.#components.persist();
      },
    });
    this.#attempt = {
      ceremony,
      state,
      publicShares,
      proposer,
      posted: false,
    };
    log.info('handover: attempt begins', {
      generation: generation.number + 1n,
      members: next.members.length,
      threshold: next.threshold,
      proposer,
      deals: previous === undefined || previous.shares !== undefined,
    });
  }

  /** The old generation, with its public shares as its members serve them and the chain's hash proves them. */
  async #previous({ generation }: CommitteeState, signal: AbortSignal): Promise<Previous | undefined> {
    if (generation.number === 0n) return undefined;
    const { store, peers } = this.#components;
    const held = store.active?.digest === generation.digest ? store.active : undefined;
    const shares = held?.publicShares ?? (await peers.publicShares(generation, signal));
    return {
      threshold: generation.threshold,
      signers: generation.members.map(({ signer }) => signer),
      publicSharesAt: (index) => {
        const { apps, beacon } = shares[index - 1] as PublicShares[number];
        return { apps: fromHex(apps), beacon: fromHex(beacon) };
      },
      shares: held?.shares,
    };
  }

  async #verifyFounders(founders: readonly Member[], signal: AbortSignal): Promise<void> {
    const { verifyFounder, me, log } = this.#components;
    for (const founder of founders) {
      const name = `${founder.signer}:${founder.hpkeKey}`;
      if (founder.signer === me.signer || this.#verified.has(name)) continue;
      await verifyFounder(founder, signal);
      this.#verified.add(name);
      log.info('handover: founder verified', { operator: founder.operator, signer: founder.signer });
    }
  }

  async #exchange({ ceremony, state }: Attempt, signal: AbortSignal): Promise<void> {
    const { me, peers } = this.#components;
    const others = new Map(
      [...state.generation.members, ...state.next.members]
        .filter(({ signer }) => signer !== me.signer)
        .map((member) => [member.signer, member]),
    );
    const exchanges = [...others.values()]
      .filter(({ signer }) => !this.#waiting.has(signer))
      .map(async (member) => {
        this.#waiting.add(member.signer);
        const known = peers.knownTo(member, ceremony.session);
        const answer = await peers
          .exchange(member, messagesFor(ceremony, known), signal)
          .finally(() => this.#waiting.delete(member.signer));
        if (answer !== undefined) await this.#takeIn(ceremony, answer);
      });
    // A member that hangs holds up nobody: what it says counts when it comes.
    const patience = new AbortController();
    const enough = sleep(this.#init.patienceMs, AbortSignal.any([signal, patience.signal])).catch(() => {});
    await Promise.race([Promise.all(exchanges), enough]).finally(() => patience.abort());
  }

  /** What is no message spoils none of those beside it, nor this member's turn: anybody may send it. */
  async #takeIn(ceremony: Ceremony, { messages }: CeremonyExchange): Promise<void> {
    for (const json of messages) {
      const message = messageOf(this.#init.domain, json);
      if (message !== undefined) await ceremony.receive(message);
    }
  }

  /** The proposer sends what was agreed on; where it does not, the others do, one after the other. */
  async #post(attempt: Attempt, elapsedMs: number, signal: AbortSignal): Promise<void> {
    const { ceremony, state, proposer } = attempt;
    const { agreed } = ceremony;
    if (agreed === undefined || attempt.posted) return;
    const { chain, me, log } = this.#components;
    const phaseMs = this.#init.attemptSeconds * 200;
    if (!ceremony.everybodySigned && elapsedMs < 3.5 * phaseMs) return;
    const members = state.next.members;
    const place = members.findIndex(({ signer }) => signer === me.signer);
    const turn = place === -1 ? members.length : (place - proposer + members.length) % members.length;
    if (turn > 0 && elapsedMs < (3.5 + turn / members.length) * phaseMs) return;
    attempt.posted = true;
    const record = recordOf(state, agreed.made, attempt.publicShares.get(agreed.digest) as PublicShares);
    const faults = [...ceremony.faults()].map(([dealer, fault]) => `${dealer} ${fault}`);
    try {
      await chain.handOver(record, agreed.signatures, signal);
      log.info('handover: on the chain', { generation: record.generation, signatures: agreed.signatures.size, faults });
    } catch (error) {
      if (signal.aborted) throw error;
      // Another member's transaction may have been first; if none was, the next attempt tries again.
      log.info('handover: not taken', { reason: describeError(error), refused: error instanceof CloisterError });
    }
  }

  #end(): void {
    this.#attempt?.ceremony.dispose();
    this.#attempt = undefined;
  }
}

function recordOf({ generation, next, keys }: CommitteeState, made: Made, shares: PublicShares): HandoverRecord {
  const dealerList = (generation.number === 0n ? next.members : generation.members).map(({ signer }) => signer);
  return {
    generation: generation.number + 1n,
    threshold: next.threshold,
    members: next.members,
    dealers: made.dealers.reduce((mask, dealer) => mask | (1 << dealerList.indexOf(dealer)), 0) >>> 0,
    transcriptHash: made.transcriptHash,
    publicSharesHash: publicSharesHash(shares),
    keys: keys ?? { apps: toHex(publicShareAt(made.apps, 0)), beacon: toHex(publicShareAt(made.beacon, 0)) },
  };
}

function messageOf(domain: RecordDomain, json: unknown): CeremonyMessage | undefined {
  try {
    return readCeremonyMessage(domain, json);
  } catch (error) {
    if (error instanceof CloisterError) return undefined;
    throw error;
  }
}

function messagesFor(ceremony: Ceremony, known: ReadonlySet<string>): CeremonyExchange {
  return {
    session: ceremony.session,
    have: [...ceremony.messages.keys()],
    messages: [...ceremony.messages].filter(([id]) => !known.has(id)).map(([, message]) => message),
  };
}
