import {
  type Address,
  type Bytes32,
  CloisterError,
  type Hex,
  maxLyingMembers,
  type RecordDomain,
  zeroAddress,
} from '@cloister/core';
import { fromHex, randomBytes, toHex } from '@cloister/crypto';
import type { Logger } from '@cloister/service';
import type { CommitteeState, Generation, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';
import { type HeldState, noState, stateKey } from './heldState.ts';
import { maxHeldStates, StateBook, type StateDisk } from './stateBook.ts';
import {
  parseStateRecordsRequest,
  type StateRecordsPage,
  signerOf,
  stateRecordsPageDigest,
  stateRecordsRequestDigest,
} from './stateRecords.ts';
import { isCertified, laterOf, maxFenceStep, refused } from './stateRules.ts';

export type StateRecoveryComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly book: StateBook;
  readonly disk: Pick<StateDisk, 'keepGeneration'>;
  readonly peers: Pick<Peers, 'stateRecords'>;
  /** The committee as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
  readonly log: Logger;
};

export type StateRecoveryInit = {
  readonly domain: RecordDomain;
  /** The generation up to which the disk has all that this member signed; undefined where there is nothing. */
  readonly keptGeneration: bigint | undefined;
};

/** What one member says it keeps. */
type Word = { readonly isComplete: boolean; readonly states: ReadonlyMap<string, HeldState> };

/**
 * Whether this member may sign heads: it must know what it signed before, and what others signed while it was none of them. A disk alone does
 * not tell, as its operator can put an older one back. So after a restart, and where it is new, it reads what a threshold of other
 * members keep, whose own words must be complete up to the present generation; or, where the committee has begun, hears of all
 * others that they keep nothing.
 */
export class StateRecovery {
  readonly #components: StateRecoveryComponents;
  readonly #domain: RecordDomain;
  /** The generation up to which this member's words about itself are complete. */
  #completeAt: bigint | undefined;
  /** The generation in which it may sign. */
  #wholeAt: bigint | undefined;
  #running: Promise<void> | undefined;

  constructor(components: StateRecoveryComponents, init: StateRecoveryInit) {
    this.#components = components;
    this.#domain = init.domain;
    this.#completeAt = init.keptGeneration;
  }

  /** Whether this member may sign heads in the generation. */
  isWholeAt(generation: bigint): boolean {
    return this.#wholeAt === generation;
  }

  /** Follows the committee, and reads what is missing; one reading at a time. */
  follow(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#follow(signal).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What this member keeps, for another one that was restarted. Throws STATE_ASKER_UNKNOWN, STATE_RECOVERING, SchemaError. */
  page(json: unknown): StateRecordsPage {
    const { me, book, state } = this.#components;
    const request = parseStateRecordsRequest(json);
    const digest = stateRecordsRequestDigest(this.#domain, request);
    const generation = state()?.generation;
    if (generation === undefined) throw refused('STATE_RECOVERING', 'This member has not read the chain yet');
    const asker = signerOf(digest, request.signature);
    if (!generation.members.some(({ signer }) => signer === asker))
      throw refused('STATE_ASKER_UNKNOWN', `"${asker ?? 'nobody'}" is no member of generation "${generation.number}"`);
    // A member that counts this generation signs nothing any more in an earlier one: what it says of that is all there is.
    const page = {
      generation: generation.number,
      isComplete: this.#completeAt === generation.number,
      states: book.page(request.after),
    };
    return { ...page, signature: me.sign(stateRecordsPageDigest(this.#domain, digest, page)) };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { me, disk, state, log } = this.#components;
    const committee = state();
    const generation = committee?.generation;
    if (generation === undefined || generation.number === 0n || committee?.keys === undefined) return;
    if (this.#wholeAt === generation.number) return;
    if (!generation.members.some(({ signer }) => signer === me.signer)) return;
    const before = generation.number - 1n;
    const wasWhole = this.#wholeAt !== undefined && this.#wholeAt === before;
    if (this.#completeAt !== undefined && this.#completeAt !== generation.number)
      this.#completeAt = this.#completeAt === before ? generation.number : undefined;
    if (!wasWhole) {
      this.#wholeAt = undefined;
      const words = await this.#words(generation, signal);
      await this.#takeIn(words, generation, fromHex(committee.keys.beacon));
      log.info('state: heads known', {
        generation: generation.number,
        from: words.length,
        partitions: this.#components.book.size,
      });
    }
    await disk.keepGeneration(generation.number);
    this.#completeAt = generation.number;
    this.#wholeAt = generation.number;
  }

  /** The words to go by. Throws STATE_RECOVERY_WAITS while too few members say enough. */
  async #words(generation: Generation, signal: AbortSignal): Promise<readonly Word[]> {
    const { me, book } = this.#components;
    const others = generation.members.filter(({ signer }) => signer !== me.signer);
    const heard = await Promise.all(others.map((member) => this.#hear(member, generation.number, signal)));
    const words = heard.filter((word) => word !== undefined);
    const complete = words.filter(({ isComplete }) => isComplete);
    const needed = Math.min(generation.threshold, others.length);
    if (complete.length >= needed) return complete;
    // A committee that has just begun: nobody can have signed what nobody has heard of.
    if (words.length === others.length && book.size === 0 && words.every(({ states }) => states.size === 0))
      return words;
    throw new StateRecoveryError(needed, complete.length);
  }

  /** All that a member keeps, if it counts the same generation; undefined where it does not say. */
  async #hear(member: Member, generation: bigint, signal: AbortSignal): Promise<Word | undefined> {
    const states = new Map<string, HeldState>();
    let after = '';
    let isComplete = true;
    for (let page = 0; page <= maxHeldStates / StateBook.pageSize; page++) {
      const found = await this.#page(member, after, signal);
      if (found === undefined || found.generation !== generation) return undefined;
      isComplete &&= found.isComplete;
      for (const state of found.states) {
        const key = stateKey(state.app, state.partition);
        if (key <= after) return undefined;
        states.set(key, state);
        after = key;
      }
      if (found.states.length < StateBook.pageSize) return { isComplete, states };
    }
    return undefined;
  }

  async #page(member: Member, after: string, signal: AbortSignal): Promise<StateRecordsPage | undefined> {
    const { me, peers } = this.#components;
    const request = { nonce: toHex(randomBytes(32)) as Bytes32, after };
    const digest = stateRecordsRequestDigest(this.#domain, request);
    const page = await peers.stateRecords(member, { ...request, signature: me.sign(digest) }, signal);
    if (page === undefined) return undefined;
    const { signature, ...told } = page;
    return signerOf(stateRecordsPageDigest(this.#domain, digest, told), signature) === member.signer ? page : undefined;
  }

  /** Takes up, of each partition, what the words show. */
  async #takeIn(words: readonly Word[], { members, threshold }: Generation, beaconKey: Uint8Array): Promise<void> {
    const { book } = this.#components;
    const lying = maxLyingMembers(members.length, threshold);
    const keys = new Set(words.flatMap(({ states }) => [...states.keys()]));
    for (const key of keys) {
      const said = words.map(({ states }) => states.get(key));
      const { app, partition } = said.find((state) => state !== undefined) as HeldState;
      const known = book.get(app, partition);
      const own = known ?? noState({ app, partition });
      let { certified } = own;
      for (const state of said) {
        const told = state?.certified;
        if (told?.app !== app || told.partition !== partition || laterOf(certified, told) !== told) continue;
        if (isCertified(this.#domain, beaconKey, told)) certified = told;
      }
      // Of a partition that liars alone may have made up nothing is taken: a book has an end.
      const isNamed = said.filter((state) => state !== undefined).length > lying;
      if (known === undefined && certified === null && !isNamed) continue;
      await book.set({ ...own, ...highestFence([...said, own], lying), certified });
    }
  }
}

/**
 * The highest fence that was promised, as far as it can be without the word of liars alone. Its holder only where more than may lie name the
 * same: otherwise it is believed to the promises that it shows.
 */
function highestFence(said: readonly (HeldState | undefined)[], lying: number): Pick<HeldState, 'fence' | 'holder'> {
  const known = said.flatMap((state) => (state === undefined ? [] : [state]));
  const fences = said.map((state) => state?.fence ?? 0n).sort((left, right) => (left < right ? 1 : -1));
  const bound = (fences[lying] ?? 0n) + maxFenceStep;
  const [top = 0n] = fences;
  const fence = top < bound ? top : bound;
  const named = known.filter((state) => state.fence === fence).map(({ holder }) => holder);
  const holder = named.find((one) => named.filter((other) => other === one).length > lying);
  return { fence, holder: holder ?? zeroAddress };
}

/** Too few others say what they keep: they are away, or were restarted or changed together. */
export class StateRecoveryError extends CloisterError<'STATE_RECOVERY_WAITS'> {
  override readonly name = 'StateRecoveryError';
  constructor(threshold: number, complete: number) {
    super({
      code: 'STATE_RECOVERY_WAITS',
      message: `Of "${threshold}" other members needed, "${complete}" say all that they keep of apps’ state`,
      retry: true,
    });
  }
}
