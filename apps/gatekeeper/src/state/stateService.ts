import {
  type Address,
  type Bytes32,
  type CertifiedStateHead,
  type Hex,
  parseCertifiedStateHead,
  parseSignedStateFenceRequest,
  parseStateWriteRequest,
  type RecordDomain,
  type StateFenceAnswer,
  type StateKept,
  type StatePartition,
  type StateWriteAnswer,
  stateFenceDigest,
  stateHeadMessage,
  stateKeptDigest,
  statePlace,
  statePromiseDigest,
  stateWriteDigest,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { Counter, Logger } from '@cloister/service';
import { signWithShare } from '@cloister/threshold/native';
import type { CommitteeState, Generation } from '../committeeState.ts';
import type { StateFacts } from '../keys/chainKeyFacts.ts';
import { assertRecent, checkKeyRequest, KeyRefusedError, type KeyRulesInit } from '../keys/keyRules.ts';
import type { SharePair } from '../shares/sharePair.ts';
import type { ShareStore } from '../shares/shareStore.ts';
import { type HeldState, stateKey } from './heldState.ts';
import { type StateBook, StateBookError } from './stateBook.ts';
import { signerOf } from './stateRecords.ts';
import type { StateRecovery } from './stateRecovery.ts';
import { afterCertified, afterFence, afterWrite, refused, StateRefusedError } from './stateRules.ts';

export type StateServiceComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly store: ShareStore;
  /** The committee whose shares count: as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
  /** What is true at the newest witnessed block; the asker has seen block `from`. Throws ChainError where the chain can't be read, is split or old: then nothing is signed. */
  readonly facts: (from: bigint, signal: AbortSignal) => Promise<StateFacts>;
  readonly book: StateBook;
  readonly recovery: Pick<StateRecovery, 'isWholeAt'>;
  readonly answered: Counter;
  readonly log: Logger;
};

export type StateServiceInit = { readonly domain: RecordDomain; readonly leaseSeconds?: bigint } & KeyRulesInit;

/** What anybody may know of a partition. */
export type StateStatus = {
  readonly generation: bigint;
  readonly fence: bigint;
  readonly holder: Address;
  readonly certified: CertifiedStateHead | null;
};

/** How long after a writer's last request no other host gets the fence, in seconds of the chain's clock. */
const defaultLeaseSeconds = 20n;

/** What this member signs with now. */
type Standing = {
  readonly generation: Generation;
  readonly index: number;
  readonly shares: SharePair;
  readonly beaconKey: Uint8Array;
};

/** Signs an app's state heads for its one writer: one head for each version and fence, none under a fence that is over. */
export class StateService {
  readonly #components: StateServiceComponents;
  readonly #init: Required<StateServiceInit>;
  /** Until when the lease of who holds a fence runs, unix seconds. Waiting is a courtesy, so a restart forgets it. */
  readonly #leases = new Map<string, bigint>();
  /** Which hosts were let in, for what, at which block. */
  readonly #passed = new Set<string>();

  constructor(components: StateServiceComponents, init: StateServiceInit) {
    this.#components = components;
    this.#init = { leaseSeconds: defaultLeaseSeconds, ...init };
  }

  /** Lets a host write under a fence. Throws StateRefusedError, KeyRefusedError, StateBookError, SchemaError, ChainError. */
  async fence(json: unknown, signal: AbortSignal): Promise<StateFenceAnswer> {
    const { me, book } = this.#components;
    const { domain } = this.#init;
    const { signature, ...request } = parseSignedStateFenceRequest(json);
    const digest = stateFenceDigest(domain, request);
    return this.#answered(request, async () => {
      const holder = signerOf(digest, signature);
      assertSigned(holder);
      const facts = await this.#check(request, holder, signal);
      return book.inTurn(request.app, request.partition, async () => {
        const held = book.get(request.app, request.partition);
        const isHeld = await this.#isHeldByAnother(held, { holder, manifest: request.manifest }, facts, signal);
        const { generation } = this.#standing();
        const next = afterFence(held, request, holder, isHeld);
        const { app, partition, fence } = request;
        const promise = { request: digest, app, partition, fence, holder, generation: generation.number };
        const certified = statePlace(next.certified);
        const answer = {
          generation: generation.number,
          certified: next.certified,
          signature: me.sign(statePromiseDigest(domain, { ...promise, certified })),
        };
        this.#renewLease(request, facts.now);
        await book.set(next);
        return answer;
      });
    });
  }

  /** This member's part of the signature over a head. Throws as {@link fence} does. */
  async write(json: unknown, signal: AbortSignal): Promise<StateWriteAnswer> {
    const { book } = this.#components;
    const { domain } = this.#init;
    const request = parseStateWriteRequest(json);
    const { signature, ...write } = request.write;
    return this.#answered(write, async () => {
      const holder = signerOf(stateWriteDigest(domain, write), signature);
      assertSigned(holder);
      const facts = await this.#check(write, holder, signal);
      return book.inTurn(write.app, write.partition, async () => {
        const { generation, index, shares, beaconKey } = this.#standing();
        const next = afterWrite(book.get(write.app, write.partition), request, holder, {
          domain,
          beaconKey,
          generation,
        });
        const partial = signWithShare(shares.beacon, fromHex(stateHeadMessage(domain, write)));
        this.#renewLease(write, facts.now);
        // Kept before the part leaves: a restart in between forgets nothing that was signed.
        await book.set(next);
        return { generation: generation.number, index, partial: toHex(partial) };
      });
    });
  }

  /**
   * Keeps a head that the committee has signed, for whoever takes a fence later: only what a threshold of members keep is acknowledged. Anybody
   * may bring it, as its signature tells all. Throws StateRefusedError, StateBookError, SchemaError.
   */
  async keep(json: unknown): Promise<StateKept> {
    const { me, book } = this.#components;
    const { domain } = this.#init;
    const head = parseCertifiedStateHead(json);
    return this.#answered(head, () =>
      book.inTurn(head.app, head.partition, async () => {
        const { generation, beaconKey } = this.#standing();
        const next = afterCertified(book.get(head.app, head.partition), head, { domain, beaconKey, generation });
        const signature = me.sign(stateKeptDigest(domain, stateHeadMessage(domain, head), generation.number));
        await book.set(next);
        return { generation: generation.number, signature };
      }),
    );
  }

  /** Undefined where this member knows nothing of the partition. */
  status({ app, partition }: StatePartition): StateStatus | undefined {
    const held = this.#components.book.get(app, partition);
    const generation = this.#components.state()?.generation;
    if (held === undefined || generation === undefined) return undefined;
    const { fence, holder, certified } = held;
    return { generation: generation.number, fence, holder, certified };
  }

  /** Throws unless a host may have the app's state key now, and the partition is one of the app's. */
  async #check(
    asked: StatePartition & {
      readonly manifest: Bytes32;
      readonly keyVersion: number;
      readonly epoch: bigint;
      readonly block: bigint;
    },
    holder: Address,
    signal: AbortSignal,
  ): Promise<StateFacts> {
    const { app, partition, manifest, keyVersion, epoch, block } = asked;
    const facts = await this.#components.facts(asked.block, signal);
    assertRecent(asked, facts, this.#init);
    // At one block the same question has the same answer: a writer asks many times between two blocks.
    const question = [holder, app, manifest, keyVersion, facts.block, facts.now].join();
    if (!this.#passed.has(question)) {
      const key = { app, manifest, keyVersion, epoch, block, class: 'state', context: zeroBytes32 } as const;
      await checkKeyRequest(key, holder, facts, this.#init, signal);
      if (this.#passed.size >= maxPassed) this.#passed.clear();
      this.#passed.add(question);
    }
    if (!(await facts.hasPartition(manifest, partition, signal)))
      throw refused('STATE_PARTITION_UNKNOWN', `The app's state has no partition number "${partition}"`);
    return facts;
  }

  /** Throws STATE_NO_SHARES, STATE_RECOVERING. */
  #standing(): Standing {
    const { me, store, state, recovery } = this.#components;
    const committee = state();
    const active = store.active;
    const generation = committee?.generation;
    const index = generation?.members.findIndex(({ signer }) => signer === me.signer) ?? -1;
    if (
      generation === undefined ||
      committee?.keys === undefined ||
      active?.shares === undefined ||
      generation.digest !== active.digest ||
      index === -1
    )
      throw refused('STATE_NO_SHARES', 'This member holds no shares of the committee that is');
    if (!recovery.isWholeAt(generation.number))
      throw refused('STATE_RECOVERING', 'This member has not heard yet what enough others signed');
    return { generation, index: index + 1, shares: active.shares, beaconKey: fromHex(committee.keys.beacon) };
  }

  /** Whether the present writer is another one, has lately written, and is still a worker that the app is placed on. */
  async #isHeldByAnother(
    held: HeldState | undefined,
    asking: { readonly holder: Address; readonly manifest: Bytes32 },
    facts: StateFacts,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (held === undefined || held.fence === 0n || held.holder === asking.holder) return false;
    const until = this.#leases.get(stateKey(held.app, held.partition));
    if (until === undefined || until < facts.now) return false;
    const worker = await facts.worker(held.holder, signal);
    if (worker?.active !== true) return false;
    // A term has ended: who is no host any more gets nothing signed, so nobody need wait for it.
    const { hosts } = await facts.placement(held.app, asking.manifest, signal);
    return hosts.includes(worker.workerId);
  }

  #renewLease({ app, partition }: StatePartition, now: bigint): void {
    const key = stateKey(app, partition);
    this.#leases.delete(key);
    this.#leases.set(key, now + this.#init.leaseSeconds);
    while (this.#leases.size > maxLeases) this.#leases.delete(this.#leases.keys().next().value as string);
  }

  async #answered<T>({ app, partition }: StatePartition, work: () => Promise<T>): Promise<T> {
    const { answered, log } = this.#components;
    try {
      const answer = await work();
      answered.add(1, { outcome: 'signed' });
      return answer;
    } catch (error) {
      if (error instanceof StateRefusedError || error instanceof KeyRefusedError || error instanceof StateBookError) {
        answered.add(1, { outcome: error.code });
        log.info('state: refused', { code: error.code, app, partition, reason: error.message });
      }
      throw error;
    }
  }
}

const maxLeases = 65_536;
const maxPassed = 4_096;

function assertSigned(holder: Address | undefined): asserts holder is Address {
  if (holder === undefined) throw refused('STATE_SIGNATURE_INVALID', 'No key made the signature over this request');
}
