import { type Address, beaconMessage, CloisterError, type Hex, type RecordDomain } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { combineVerified, type Partial } from '@cloister/threshold/combine';
import { signWithShare, uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';
import type { CommitteeState } from '../committeeState.ts';
import type { BeaconPartial, Peers } from '../peers/peers.ts';
import type { ShareStore } from '../shares/shareStore.ts';

export type BeaconComponents = {
  /** This member's signer. */
  readonly me: Address;
  readonly store: ShareStore;
  readonly peers: Peers;
  /** The committee whose shares count: as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
  /** Timestamp of the newest block, unix seconds; undefined before one was read. */
  readonly now: () => bigint | undefined;
  /** Throws CHAIN_UNWITNESSED where enough others do not see the chain that this member sees: its rounds may not have begun. */
  readonly assertWitnessed: () => void;
  readonly onWrongPartial: (index: number, round: bigint) => void;
};

export type BeaconInit = {
  readonly domain: RecordDomain;
  /** The network's round at a block's timestamp. */
  readonly roundAt: (timestamp: bigint) => bigint;
};

const keptRounds = 512;

/**
 * The network's randomness: in each round the beacon key's one signature over the round's number. Any round that has begun
 * can be had at any time, from any threshold of members; none can before, and none can be drawn twice.
 */
export class BeaconKeeper {
  readonly #components: BeaconComponents;
  readonly #init: BeaconInit;
  readonly #signatures = new Map<bigint, Promise<Hex>>();

  constructor(components: BeaconComponents, init: BeaconInit) {
    this.#components = components;
    this.#init = init;
  }

  /** This member's part. Throws BEACON_ROUND_AHEAD, BEACON_NO_SHARES, CHAIN_UNWITNESSED. */
  partial(round: bigint): BeaconPartial {
    this.#assertBegun(round);
    this.#components.assertWitnessed();
    const { store, state } = this.#components;
    const active = store.active;
    const position =
      state()?.generation.digest === active?.digest ? this.#position(active?.publicShares.length ?? 0) : -1;
    if (active?.shares === undefined || position === -1)
      throw new BeaconError('BEACON_NO_SHARES', 'This member holds no shares of the committee that is', round);
    const signature = signWithShare(active.shares.beacon, fromHex(beaconMessage(this.#init.domain, round)));
    return { generation: active.number, index: position + 1, signature: toHex(signature) };
  }

  /**
   * The round's signature, 96 bytes, verified. Throws BEACON_ROUND_AHEAD, and BEACON_UNAVAILABLE while too few members give
   * their part: a round is late then, and never another one.
   */
  signature(round: bigint, signal: AbortSignal): Promise<Hex> {
    this.#assertBegun(round);
    const known = this.#signatures.get(round);
    if (known !== undefined) return known;
    const made = this.#make(round, signal);
    this.#signatures.set(round, made);
    made.catch(() => this.#signatures.delete(round));
    while (this.#signatures.size > keptRounds) this.#signatures.delete(this.#signatures.keys().next().value as bigint);
    return made;
  }

  async #make(round: bigint, signal: AbortSignal): Promise<Hex> {
    const { me, store, peers, state, onWrongPartial } = this.#components;
    const committee = state();
    const active = store.active;
    if (committee?.keys === undefined)
      throw new BeaconError('BEACON_UNAVAILABLE', 'The committee has no keys yet', round);
    const { generation, keys } = committee;
    const message = fromHex(beaconMessage(this.#init.domain, round));
    const own = active?.shares === undefined || active.digest !== generation.digest ? undefined : this.partial(round);
    let publicShares = active?.digest === generation.digest ? active.publicShares : undefined;
    const partials: Partial[] = [];
    const combine = (): Hex | undefined => {
      if (partials.length < generation.threshold) return undefined;
      try {
        const { signature, wrong } = combineVerified(partials, {
          message,
          publicKey: fromHex(keys.beacon),
          threshold: generation.threshold,
          verify: verifySignatureNative,
          uncompress: uncompressG2Native,
          ...(publicShares && {
            publicShareOf: (index: number) => {
              const share = publicShares?.[index - 1];
              return share && fromHex(share.beacon);
            },
          }),
        });
        for (const index of wrong) onWrongPartial(index, round);
        return toHex(signature);
      } catch (error) {
        if (error instanceof CloisterError) return undefined;
        throw error;
      }
    };
    const take = (part: BeaconPartial | undefined): Hex | undefined => {
      const isKnown = part === undefined || partials.some(({ index }) => index === part.index);
      if (isKnown || part.generation !== generation.number) return undefined;
      partials.push({ index: part.index, signature: fromHex(part.signature) });
      return combine();
    };
    const ended = new AbortController();
    const inner = AbortSignal.any([signal, ended.signal]);
    try {
      const alone = take(own);
      if (alone !== undefined) return alone;
      // The first that suffice are enough: nobody waits for a member that hangs.
      return await Promise.any(
        generation.members
          .map((member, position) => ({ member, index: position + 1 }))
          .filter(({ member }) => member.signer !== me)
          .map(async ({ member, index }) => {
            const part = await peers.beaconPartial(member, round, inner);
            // Each speaks for itself: another's place is not to be taken by whoever answers first.
            const made = part?.index === index ? take(part) : undefined;
            if (made === undefined) throw new Error('not enough yet');
            return made;
          }),
      );
    } catch {
      // Who holds no shares knows nobody's public share: asked for only where there would be enough parts but for wrong ones.
      if (publicShares === undefined && partials.length > generation.threshold) {
        publicShares = await peers.publicShares(generation, signal).catch(() => undefined);
        const mended = publicShares && combine();
        if (mended !== undefined) return mended;
      }
      throw new BeaconError(
        'BEACON_UNAVAILABLE',
        `Of "${generation.threshold}" members needed, "${partials.length}" gave their part of round "${round}"`,
        round,
      );
    } finally {
      ended.abort();
    }
  }

  #assertBegun(round: bigint): void {
    const now = this.#components.now();
    if (now === undefined || round < 0n || round > this.#init.roundAt(now))
      throw new BeaconError('BEACON_ROUND_AHEAD', `Round "${round}" has not begun`, round);
  }

  /** This member's place in the generation that counts. */
  #position(count: number): number {
    const index =
      this.#components.state()?.generation.members.findIndex(({ signer }) => signer === this.#components.me) ?? -1;
    return index < count ? index : -1;
  }
}

export type BeaconErrorCode = 'BEACON_ROUND_AHEAD' | 'BEACON_NO_SHARES' | 'BEACON_UNAVAILABLE';

export class BeaconError extends CloisterError<BeaconErrorCode> {
  override readonly name = 'BeaconError';
  constructor(code: BeaconErrorCode, message: string, round: bigint) {
    super({ code, message, meta: { round }, retry: true });
  }
}
