import { type Address, CloisterError, type Hex } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { combineVerified, type Partial } from '@cloister/threshold/combine';
import { signWithShare, uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';
import type { CommitteeState, Member } from '../committeeState.ts';
import type { Peers } from '../peers/peers.ts';
import type { ShareStore } from '../shares/shareStore.ts';
import type { MemberPartial } from './memberPartial.ts';

export type BeaconSignerComponents = {
  /** This member's signer. */
  readonly me: Address;
  readonly store: ShareStore;
  readonly peers: Pick<Peers, 'publicShares'>;
  /** The committee whose shares count: as of the newest final block. */
  readonly state: () => CommitteeState | undefined;
};

export type Gathering = {
  /** What is signed. Its tag says what it is, so that no signature means two things. */
  readonly message: Uint8Array;
  readonly own: MemberPartial | undefined;
  /** Another member's part of the same message; undefined where it gives none. */
  readonly ask: (member: Member, signal: AbortSignal) => Promise<MemberPartial | undefined>;
  readonly onWrong: (index: number) => void;
};

/** Enough good parts, or how many there were of how many needed; 0 needed where there are no keys. */
export type Gathered = { readonly signature: Hex } | { readonly have: number; readonly need: number };

/** The beacon key's signatures, of which each member makes a part and any threshold of members the whole. */
export class BeaconSigner {
  readonly #components: BeaconSignerComponents;

  constructor(components: BeaconSignerComponents) {
    this.#components = components;
  }

  /** This member's part; undefined where it holds no shares of the committee that counts. */
  partial(message: Uint8Array): MemberPartial | undefined {
    const { me, store, state } = this.#components;
    const { active } = store;
    const generation = state()?.generation;
    if (active?.shares === undefined || generation?.digest !== active.digest) return undefined;
    const position = generation.members.findIndex(({ signer }) => signer === me);
    if (position === -1 || position >= active.publicShares.length) return undefined;
    return {
      generation: active.number,
      index: position + 1,
      signature: toHex(signWithShare(active.shares.beacon, message)),
    };
  }

  /**
   * The committee's signature, 96 bytes, verified. Asks all members at once and takes the first parts that suffice: nobody waits for a
   * member that hangs, and a wrong part costs a second look alone.
   */
  async gather({ message, own, ask, onWrong }: Gathering, signal: AbortSignal): Promise<Gathered> {
    const { me, store, peers, state } = this.#components;
    const committee = state();
    if (committee?.keys === undefined) return { have: 0, need: 0 };
    const { generation, keys } = committee;
    const active = store.active;
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
        for (const index of wrong) onWrong(index);
        return toHex(signature);
      } catch (error) {
        if (error instanceof CloisterError) return undefined;
        throw error;
      }
    };
    const take = (part: MemberPartial | undefined): Hex | undefined => {
      const isKnown = part === undefined || partials.some(({ index }) => index === part.index);
      if (isKnown || part.generation !== generation.number) return undefined;
      partials.push({ index: part.index, signature: fromHex(part.signature) });
      return combine();
    };
    const ended = new AbortController();
    const inner = AbortSignal.any([signal, ended.signal]);
    try {
      const alone = take(own);
      if (alone !== undefined) return { signature: alone };
      const signature = await Promise.any(
        generation.members
          .map((member, position) => ({ member, index: position + 1 }))
          .filter(({ member }) => member.signer !== me)
          .map(async ({ member, index }) => {
            const part = await ask(member, inner);
            // Each speaks for itself: another's place is not to be taken by whoever answers first.
            const made = part?.index === index ? take(part) : undefined;
            if (made === undefined) throw new Error('not enough yet');
            return made;
          }),
      );
      return { signature };
    } catch {
      // Who holds no shares knows nobody's public share: asked for only where there would be enough parts but for wrong ones.
      if (publicShares === undefined && partials.length > generation.threshold) {
        publicShares = await peers.publicShares(generation, signal).catch(() => undefined);
        const mended = publicShares && combine();
        if (mended !== undefined) return { signature: mended };
      }
      return { have: partials.length, need: generation.threshold };
    } finally {
      ended.abort();
    }
  }
}
