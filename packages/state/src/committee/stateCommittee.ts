import {
  type Address,
  type Bytes32,
  type CertifiedStateHead,
  type Hex,
  isLaterStateHead,
  parseStateFenceAnswer,
  parseStateKept,
  parseStateWriteAnswer,
  type RecordDomain,
  type SignedStateFenceRequest,
  type SignedStatePromise,
  type StateHead,
  type StatePartition,
  stateFenceDigest,
  stateHeadMessage,
  stateKeptDigest,
  statePlace,
  statePromiseDigest,
  stateWriteDigest,
} from '@cloister/core';
import { fromHex, randomBytes, recoverAddress, toHex } from '@cloister/crypto';
import { type CombineInit, verifySignature } from '@cloister/threshold/combine';
import { StateError } from '../stateError.ts';
import { gather } from './gather.ts';
import { askMember, refusalOf, type StateGeneration, type StateMember } from './memberDoor.ts';
import { SignatureGatherer } from './signatureGatherer.ts';

export type StateCommitteeComponents = {
  /** The committee as of the newest final block. */
  readonly generation: (signal: AbortSignal) => Promise<StateGeneration>;
  /** Epoch and newest block that this host knows. */
  readonly now: (signal: AbortSignal) => Promise<{ readonly epoch: bigint; readonly block: bigint }>;
  /** This host as the registry knows it: its receipt signer. */
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly fetch?: typeof globalThis.fetch;
};

export type StateCommitteeInit = Pick<CombineInit, 'verify' | 'uncompress'> & {
  readonly domain: RecordDomain;
  /** The network's beacon key: 48 bytes, G1. */
  readonly beaconKey: Uint8Array;
  /** For each member's answer, in ms. @default 10_000 */
  readonly timeoutMs?: number;
};

/** For which app and partition this host asks. */
export type StateSubject = StatePartition & { readonly manifest: Bytes32; readonly keyVersion: number };

/** A fence that this host holds, and the newest acknowledged head under it. */
export type HeldFence = {
  /** By which members believe that the fence is this host's. */
  readonly promises: readonly SignedStatePromise[];
  readonly head: CertifiedStateHead;
};

/** A member's promise, with the certified head that it keeps. */
type Promised = { readonly promise: SignedStatePromise; readonly certified: CertifiedStateHead | null };

/** How often a fence is raised anew where others raise it too. */
const maxTakes = 4;

/**
 * The committee as a host that keeps an app's state sees it: takes a fence and goes on from the highest acknowledged head, has the next
 * ones signed and kept, and asks whether it is still the writer. Members, and whoever stands between, are trusted for nothing
 * alone: a head counts with the network's one signature, and as acknowledged with the word of a threshold of members that
 * they keep it.
 */
export class StateCommittee {
  readonly #components: Required<StateCommitteeComponents>;
  readonly #init: StateCommitteeInit & { readonly timeoutMs: number; readonly verify: typeof verifySignature };

  constructor(components: StateCommitteeComponents, init: StateCommitteeInit) {
    this.#components = { fetch: globalThis.fetch, ...components };
    this.#init = { timeoutMs: 10_000, verify: verifySignature, ...init };
  }

  /**
   * Becomes the partition's one writer: raises the fence, and has the highest head that a threshold of members keep signed and kept again
   * under it. Throws STATE_HELD, STATE_HEAD_UNAVAILABLE, STATE_FENCED where others raise it all the while, STATE_REFUSED.
   */
  async take(subject: StateSubject, signal: AbortSignal): Promise<HeldFence> {
    for (let attempt = 1; ; attempt++) {
      const generation = await this.#components.generation(signal);
      const fence = await this.#nextFence(subject, generation, attempt, signal);
      try {
        return await this.#takeFence(subject, fence, generation, signal);
      } catch (error) {
        const isRaised = error instanceof StateError && error.code === 'STATE_FENCED';
        if (!isRaised || attempt === maxTakes) throw error;
      }
    }
  }

  /**
   * Has the next head signed and kept: then it is acknowledged. Throws STATE_FENCED, STATE_REFUSED, and STATE_HEAD_UNAVAILABLE, after which it
   * may hold or not: the same call again finds out.
   */
  async add(subject: StateSubject, held: HeldFence, root: Bytes32, signal: AbortSignal): Promise<HeldFence> {
    const { version, fence } = held.head;
    const generation = await this.#components.generation(signal);
    return this.#propose(subject, { version: version + 1n, fence, root }, held.promises, held.head, generation, signal);
  }

  /**
   * Makes sure that this host is still the one writer, and its head the newest: a threshold of members say so. Throws STATE_FENCED,
   * STATE_STALE where a copy of this host has written, STATE_HEAD_UNAVAILABLE, STATE_REFUSED.
   */
  async confirm(subject: StateSubject, { head }: HeldFence, signal: AbortSignal): Promise<void> {
    const generation = await this.#components.generation(signal);
    const promised = await this.#promises(subject, head.fence, generation, signal);
    const later = promised.find(({ certified }) => certified !== null && isLaterStateHead(certified, head));
    if (later !== undefined)
      throw new StateError(
        'STATE_STALE',
        `Version "${later.certified?.version}" was written under this very fence, "${head.version}" is the last here`,
      );
  }

  /**
   * A fence above those that a threshold of members have seen, the higher the more often it was tried. The first time a threshold of answers is
   * enough, so that nobody waits for a member that hangs; then all count, as one that makes a number up may have been among the first.
   */
  async #nextFence(
    { app, partition }: StateSubject,
    generation: StateGeneration,
    attempt: number,
    signal: AbortSignal,
  ): Promise<bigint> {
    const { members, threshold } = generation;
    const ask = async (member: StateMember, inner: AbortSignal): Promise<bigint> => {
      try {
        return fenceIn(await askMember(this.#door, member, { app, partition }, undefined, inner));
      } catch (error) {
        if (refusalOf(member, error).code === 'NOT_FOUND') return 0n;
        throw error;
      }
    };
    const enough = (fences: readonly bigint[]) => (fences.length >= threshold ? [...fences] : undefined);
    const known =
      attempt === 1
        ? await gather(generation, (member, _, inner) => ask(member, inner), enough, signal)
        : (await Promise.allSettled(members.map((member) => ask(member, signal)))).flatMap((one) =>
            one.status === 'fulfilled' ? [one.value] : [],
          );
    signal.throwIfAborted();
    known.sort((left, right) => (left < right ? -1 : 1));
    return (known[Math.min(threshold, known.length) - 1] ?? 0n) + BigInt(attempt);
  }

  async #takeFence(
    subject: StateSubject,
    fence: bigint,
    generation: StateGeneration,
    signal: AbortSignal,
  ): Promise<HeldFence> {
    const promised = await this.#promises(subject, fence, generation, signal);
    const promises = promised.map(({ promise }) => promise);
    const found = promised.reduce<CertifiedStateHead | null>(
      (best, { certified }) =>
        certified !== null && (best === null || isLaterStateHead(certified, best)) ? certified : best,
      null,
    );
    const { version, root } = statePlace(found);
    return this.#propose(subject, { version, fence, root }, promises, found, generation, signal);
  }

  /** Promises of a threshold of members, each verified. */
  async #promises(
    subject: StateSubject,
    fence: bigint,
    generation: StateGeneration,
    signal: AbortSignal,
  ): Promise<readonly Promised[]> {
    const { me, now } = this.#components;
    const nonce: Bytes32 = toHex(randomBytes(32));
    const unsigned = { ...subject, fence, ...(await now(signal)), nonce };
    const digest = stateFenceDigest(this.#init.domain, unsigned);
    const request = { ...unsigned, signature: me.sign(digest) };
    return gather(
      generation,
      (member, _, inner) => this.#promise(member, request, digest, generation, inner),
      (promised) => (promised.length >= generation.threshold ? [...promised] : undefined),
      signal,
    );
  }

  /** One member's promise, verified: by that member, in answer to this request, with a head that the committee has signed. */
  async #promise(
    member: StateMember,
    asked: SignedStateFenceRequest,
    request: Bytes32,
    generation: StateGeneration,
    signal: AbortSignal,
  ): Promise<Promised> {
    const { app, partition, fence } = asked;
    const answer = parseStateFenceAnswer(await askMember(this.#door, member, 'fence', asked, signal));
    const { certified, signature } = answer;
    const told = { request, generation: answer.generation, certified: statePlace(certified) };
    const holder = this.#components.me.signer;
    const digest = statePromiseDigest(this.#init.domain, { ...told, app, partition, fence, holder });
    assertSaidBy(member, generation, { ...answer, digest });
    if (
      certified !== null &&
      (certified.app !== app || certified.partition !== partition || !this.#isCertified(certified))
    )
      throw useless('the committee has not signed the head that it shows');
    return { promise: { ...told, signature }, certified };
  }

  /** Has a head signed by the committee, then kept by a threshold of members. */
  async #propose(
    subject: StateSubject,
    next: Pick<StateHead, 'version' | 'fence' | 'root'>,
    promises: readonly SignedStatePromise[],
    certified: CertifiedStateHead | null,
    generation: StateGeneration,
    signal: AbortSignal,
  ): Promise<HeldFence> {
    const { me, now } = this.#components;
    const { app, partition } = subject;
    const { version, fence, root } = next;
    const head = { app, partition, version, fence, root };
    const unsigned = { ...subject, ...next, ...(await now(signal)) };
    const write = { ...unsigned, signature: me.sign(stateWriteDigest(this.#init.domain, unsigned)) };
    const signed = { ...head, signature: await this.#sign(head, { write, promises, certified }, generation, signal) };
    await this.#keep(signed, generation, signal);
    return { promises, head: signed };
  }

  #sign(head: StateHead, request: object, generation: StateGeneration, signal: AbortSignal): Promise<Hex> {
    const { beaconKey, verify, uncompress } = this.#init;
    const parts = new SignatureGatherer(stateHeadMessage(this.#init.domain, head), {
      beaconKey,
      threshold: generation.threshold,
      verify,
      ...(uncompress && { uncompress }),
    });
    return gather(
      generation,
      async (member, index, inner) => {
        const answer = parseStateWriteAnswer(await askMember(this.#door, member, 'head', request, inner));
        // Each speaks for itself: another's place is not to be taken by whoever answers first.
        if (answer.index !== index) throw useless(`it answers as member "${answer.index}"`);
        parts.add(answer.generation, index, answer.partial);
      },
      () => parts.signature,
      signal,
    );
  }

  async #keep(head: CertifiedStateHead, generation: StateGeneration, signal: AbortSignal): Promise<void> {
    const { domain } = this.#init;
    const message = stateHeadMessage(domain, head);
    await gather(
      generation,
      async (member, _, inner) => {
        const answer = parseStateKept(await askMember(this.#door, member, 'certified', head, inner));
        const digest = stateKeptDigest(domain, message, answer.generation);
        assertSaidBy(member, generation, { ...answer, digest });
      },
      (kept) => kept.length >= generation.threshold || undefined,
      signal,
    );
  }

  #isCertified(head: CertifiedStateHead): boolean {
    const { domain, beaconKey, verify } = this.#init;
    try {
      return verify(beaconKey, fromHex(stateHeadMessage(domain, head)), fromHex(head.signature));
    } catch {
      return false; // no point of the curve
    }
  }

  get #door(): { readonly fetch: typeof globalThis.fetch; readonly timeoutMs: number } {
    return { fetch: this.#components.fetch, timeoutMs: this.#init.timeoutMs };
  }
}

/** Throws unless the member signed the digest, as one of the present generation. */
function assertSaidBy(
  { signer }: StateMember,
  { number }: StateGeneration,
  said: { readonly generation: bigint; readonly digest: Bytes32; readonly signature: Hex },
): void {
  if (!isSignedBy(said.digest, said.signature, signer)) throw useless('it is signed by another');
  if (said.generation !== number) throw useless(`it counts generation "${said.generation}" as the present one`);
}

function isSignedBy(digest: Bytes32, signature: Hex, signer: Address): boolean {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature)) === signer;
  } catch {
    return false;
  }
}

/** The fence that a member says it knows. */
function fenceIn(json: unknown): bigint {
  const { fence } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  // Half of all fences are left for those above the one that is named.
  if (typeof fence !== 'string' || !/^[0-9]{1,19}$/.test(fence) || BigInt(fence) >> 63n !== 0n)
    throw useless('it names no fence');
  return BigInt(fence);
}

/** An answer that does not count. */
function useless(why: string): StateError {
  return new StateError('STATE_REFUSED', `A gatekeeper's answer does not count: ${why}`);
}
