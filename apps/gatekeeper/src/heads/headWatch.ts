import type { ChainView, Head } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type ChainHead,
  CloisterError,
  chainHeadDigest,
  type Hex,
  type RecordDomain,
  type SignedChainHead,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { CommitteeState, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';

export type HeadWatchComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly view: Pick<ChainView, 'head' | 'blockAt'>;
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
};

type Witness = { readonly number: bigint; readonly atMs: number };

/** How long another member's word counts. */
const defaultMaxAgeMs = 20_000;
/** How many blocks two members may be apart. */
const defaultMaxLagBlocks = 16n;
/** Heads kept of each member: of one that is ahead, an earlier one is compared. */
const keptHeads = 8;

/**
 * Whether the chain that this member's RPCs show is the one that the others see. Members tell each other their newest heads, signed; what
 * rests on the chain is refused unless a threshold of members, this one among them, have lately named blocks of this very chain near its
 * end. So whoever holds all RPCs of one member can show it a chain of his own, and gets nothing by it.
 */
export class HeadWatch {
  readonly #components: HeadWatchComponents;
  readonly #domain: RecordDomain;
  readonly #maxAgeMs: number;
  readonly #maxLagBlocks: bigint;
  readonly #witnesses = new Map<Address, Witness>();
  readonly #heads = new Map<Address, ChainHead[]>();
  #own: SignedChainHead | undefined;

  constructor(components: HeadWatchComponents, init: HeadWatchInit) {
    this.#components = components;
    this.#domain = init.domain;
    this.#maxAgeMs = init.maxAgeMs ?? defaultMaxAgeMs;
    this.#maxLagBlocks = init.maxLagBlocks ?? defaultMaxLagBlocks;
  }

  /** This member's newest head for the others; undefined before there is one. */
  get own(): SignedChainHead | undefined {
    return this.#own;
  }

  /** Reads the newest block, and asks every member for its own. A member that does not answer is simply no witness. */
  async tick(signal: AbortSignal): Promise<void> {
    const { view, me, peers, state } = this.#components;
    const { number, hash, timestamp } = await view.head(signal);
    const head = { number, hash, timestamp };
    this.#own = { ...head, signature: me.sign(chainHeadDigest(this.#domain, head)) };
    const others = state()?.generation.members.filter(({ signer }) => signer !== me.signer) ?? [];
    await Promise.all(
      others.map(async (member) => {
        const told = await peers.head(member, signal);
        if (told !== undefined && this.#isFrom(member, told)) await this.#compare(member, told, head, signal);
      }),
    );
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
    const block = await this.#components.view.blockAt(common.number, signal).catch((error: unknown) => {
      if (error instanceof CloisterError) return undefined;
      throw error;
    });
    if (block === undefined) return;
    if (block.hash !== common.hash) {
      this.#witnesses.delete(member.signer);
      this.#components.onDiffering(member, common);
      return;
    }
    this.#witnesses.set(member.signer, { number: common.number, atMs: this.#components.clockMs() });
  }
}

/** What this member sees of the chain is not what enough others see: it lags, they are away, or somebody shows it another one. */
export class HeadWatchError extends CloisterError<'CHAIN_UNWITNESSED'> {
  override readonly name = 'HeadWatchError';
  constructor(message: string) {
    super({ code: 'CHAIN_UNWITNESSED', message, retry: true });
  }
}
