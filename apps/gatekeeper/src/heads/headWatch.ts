import type { Head } from '@cloister/chain';
import type { ProvenView } from '@cloister/chain-proof';
import {
  type Address,
  type Bytes32,
  type ChainHead,
  CloisterError,
  chainHeadDigest,
  DeadlineError,
  type Hex,
  type RecordDomain,
  type SignedChainHead,
  sleep,
  withDeadline,
  zeroBytes32,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { CommitteeState, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';

export type HeadWatchComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly view: Pick<ProvenView, 'head' | 'blockOn'>;
  /** Told of each block by which is decided from now on. */
  readonly onWitnessed: (head: Head) => void;
  readonly peers: Pick<Peers, 'head'>;
  /** The committee as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
  /** Milliseconds of a clock that only goes forward. */
  readonly clockMs: () => number;
  readonly onDiffering: (member: Member, head: ChainHead) => void;
};

export type HeadWatchInit = {
  readonly domain: RecordDomain;
  readonly maxAgeMs?: number;
  readonly maxLagBlocks?: bigint;
  readonly patienceMs?: number;
  /** How long a look waits for the others' heads. A member that hangs holds up nobody: what it says counts when it comes. */
  readonly answersMs?: number;
};

type Witness = { readonly number: bigint; readonly hash: Bytes32; readonly atMs: number };

/** How long another member's word counts. */
const defaultMaxAgeMs = 20_000;
/** How many blocks two members may be apart. */
const defaultMaxLagBlocks = 16n;
/** Heads kept of each member: of one that is ahead, an earlier one is compared. */
const keptHeads = 8;
/** How long a decision waits until a block that its asker has seen is witnessed: the others look every two seconds. */
const defaultPatienceMs = 3_000;
const defaultAnswersMs = 750;
/** Decisions that wait at once; more are made by what is witnessed already. */
const maxWaiting = 64;

/**
 * Whether the chain that this member's RPCs show is the one that the others see. Members tell each other their newest heads, signed; what
 * rests on the chain is refused unless a threshold of members, this one among them, have lately named blocks of this very chain near its
 * end. So whoever holds all RPCs of one member can show it a chain of his own, and gets nothing by it: decisions are made at the newest
 * block that a threshold has named or built on, found from their signed heads by the hashes that headers name their parents by.
 */
export class HeadWatch {
  readonly #components: HeadWatchComponents;
  readonly #domain: RecordDomain;
  readonly #maxAgeMs: number;
  readonly #maxLagBlocks: bigint;
  readonly #witnesses = new Map<Address, Witness>();
  readonly #heads = new Map<Address, ChainHead[]>();
  readonly #patienceMs: number;
  readonly #answersMs: number;
  /** Members that have not yet answered: each is asked again only when it has. */
  readonly #asked = new Set<Address>();
  #own: SignedChainHead | undefined;
  #newest: ChainHead = { number: 0n, hash: zeroBytes32, timestamp: 0n };
  #witnessed: Head | undefined;
  #waiting: (() => void)[] = [];

  constructor(components: HeadWatchComponents, init: HeadWatchInit) {
    this.#components = components;
    this.#domain = init.domain;
    this.#maxAgeMs = init.maxAgeMs ?? defaultMaxAgeMs;
    this.#maxLagBlocks = init.maxLagBlocks ?? defaultMaxLagBlocks;
    this.#patienceMs = init.patienceMs ?? defaultPatienceMs;
    this.#answersMs = init.answersMs ?? defaultAnswersMs;
  }

  /** This member's newest head for the others; undefined before there is one. */
  get own(): SignedChainHead | undefined {
    return this.#own;
  }

  /** Reads the newest block, and asks every member for its own. A member that does not answer is simply no witness. */
  async tick(signal: AbortSignal): Promise<void> {
    const { view, me, peers, state, onWitnessed } = this.#components;
    const { number, hash, timestamp } = await view.head(signal);
    const head = { number, hash, timestamp };
    this.#newest = head;
    this.#own = { ...head, signature: me.sign(chainHeadDigest(this.#domain, head)) };
    const others = state()?.generation.members.filter(({ signer }) => signer !== me.signer) ?? [];
    const answers = others
      .filter(({ signer }) => !this.#asked.has(signer))
      .map(async (member) => {
        this.#asked.add(member.signer);
        const told = await peers.head(member, signal).finally(() => this.#asked.delete(member.signer));
        // The newest of now, which may be a later one than when it was asked.
        if (told !== undefined && this.#isFrom(member, told)) await this.#compare(member, told, this.#newest, signal);
      });
    const patience = new AbortController();
    const enough = sleep(this.#answersMs, AbortSignal.any([signal, patience.signal])).catch(() => {});
    await Promise.race([Promise.all(answers), enough]).finally(() => patience.abort());
    this.#witnessed = await this.#newestWitnessed(head, signal);
    if (this.#witnessed !== undefined) onWitnessed(this.#witnessed);
    for (const ticked of this.#waiting.splice(0)) ticked();
  }

  /**
   * The newest block that a threshold of members, this one among them, have lately named or built on: by it and no later one is
   * decided. Waits a little where the asker has seen a newer one, `from`, which the others are about to see. Throws CHAIN_UNWITNESSED.
   */
  async witnessed(from: bigint, signal: AbortSignal): Promise<Head> {
    const isNear = this.#own !== undefined && from <= this.#own.number + this.#maxLagBlocks;
    if (isNear && this.#waiting.length < maxWaiting) await this.#until(from, signal);
    const own = this.#own ?? { number: 0n };
    this.assertWitnessed(own);
    if (this.#witnessed === undefined)
      throw new HeadWatchError(`No block before "${own.number}" is one that enough members have lately seen`);
    return this.#witnessed;
  }

  /** Throws CHAIN_UNWITNESSED unless enough members have lately seen the chain that ends in this head. */
  assertWitnessed(head: Pick<Head, 'number'>): void {
    const { state, me, clockMs } = this.#components;
    const generation = state()?.generation;
    const threshold = generation?.threshold ?? 0;
    const since = clockMs() - this.#maxAgeMs;
    const seen = (generation?.members ?? []).filter(({ signer }) => {
      if (signer === me.signer) return true;
      const witness = this.#witnesses.get(signer);
      return witness !== undefined && witness.atMs >= since && head.number - witness.number <= this.#maxLagBlocks;
    });
    if (threshold === 0 || seen.length < threshold)
      throw new HeadWatchError(
        `Of "${threshold}" members needed, "${seen.length}" have lately seen the chain that this member sees at block "${head.number}"`,
      );
  }

  async #until(from: bigint, signal: AbortSignal): Promise<void> {
    const what = 'Waiting for a witnessed block';
    try {
      await withDeadline({ timeoutMs: this.#patienceMs, signal, what }, async (inner) => {
        while ((this.#witnessed?.number ?? -1n) < from && !inner.aborted)
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
      });
    } catch (error) {
      if (!(error instanceof DeadlineError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
    }
  }

  async #newestWitnessed(own: Head, signal: AbortSignal): Promise<Head | undefined> {
    const { state, me, clockMs, view } = this.#components;
    const { members = [], threshold = 0 } = state()?.generation ?? {};
    const since = clockMs() - this.#maxAgeMs;
    const named: bigint[] = [];
    for (const { signer } of members) {
      const witness = this.#witnesses.get(signer);
      if (signer === me.signer) named.push(own.number);
      else if (witness !== undefined && witness.atMs >= since && (await this.#isBehind(own, witness, signal)))
        named.push(witness.number);
    }
    const number = named.sort((left, right) => (left < right ? 1 : -1))[threshold - 1];
    return number === undefined ? undefined : view.blockOn(own, number, signal);
  }

  /** Whether the block that a witness named is, still, one that this member's newest block is built on, and near it. */
  async #isBehind(own: Head, { number, hash }: Witness, signal: AbortSignal): Promise<boolean> {
    if (number > own.number || own.number - number > this.#maxLagBlocks) return false;
    return (await this.#components.view.blockOn(own, number, signal)).hash === hash;
  }

  #isFrom({ signer }: Member, head: SignedChainHead): boolean {
    try {
      return recoverAddress(fromHex(chainHeadDigest(this.#domain, head)), fromHex(head.signature)) === signer;
    } catch {
      return false;
    }
  }

  async #compare(member: Member, told: ChainHead, own: ChainHead, signal: AbortSignal): Promise<void> {
    const known = this.#heads.get(member.signer) ?? [];
    const heads = [told, ...known.filter(({ hash }) => hash !== told.hash)].slice(0, keptHeads);
    this.#heads.set(member.signer, heads);
    // This member lags, or the other does.
    if (told.number > own.number + this.#maxLagBlocks) return;
    const common = heads.find(({ number }) => number <= own.number);
    if (common === undefined) return;
    const block = await this.#components.view.blockOn(own, common.number, signal).catch((error: unknown) => {
      if (error instanceof CloisterError) return undefined;
      throw error;
    });
    if (block === undefined) return;
    if (block.hash !== common.hash) {
      this.#witnesses.delete(member.signer);
      this.#components.onDiffering(member, common);
      return;
    }
    this.#witnesses.set(member.signer, { number: common.number, hash: common.hash, atMs: this.#components.clockMs() });
  }
}

/** What this member sees of the chain is not what enough others see: it lags, they are away, or somebody shows it another one. */
export class HeadWatchError extends CloisterError<'CHAIN_UNWITNESSED'> {
  override readonly name = 'HeadWatchError';
  constructor(message: string) {
    super({ code: 'CHAIN_UNWITNESSED', message, retry: true });
  }
}
