import { type Address, CloisterError, type Hex } from '@cloister/core';
import { concatBytes, fromHex } from '@cloister/crypto';
import { type Commitments, parseCommitments, shareFits } from '@cloister/threshold/dkg';
import { openShares, type SharePair, sharePairFromBytes } from '../shares/sharePair.ts';
import type { CeremonyInit, Receiver } from './agreement.ts';
import type { CeremonyBody } from './ceremonyMessage.ts';

/** A dealing as this member sees it. */
export type Seen = {
  readonly apps: Commitments;
  readonly beacon: Commitments;
  /** For this member, once they fit: its own, or those that the dealer showed to all. */
  mine: SharePair | undefined;
};

/** Reads a dealing, and opens the shares in it that are for this member; 'broken' where it is none. */
export async function seeDealing(
  init: Pick<CeremonyInit, 'previous' | 'threshold' | 'receivers' | 'me' | 'session'>,
  dealer: Address,
  body: CeremonyBody['dealing'],
): Promise<Seen | 'broken'> {
  const { previous, threshold, receivers, me, session } = init;
  if (body.shares.length !== receivers.length) return 'broken';
  const old = previous?.publicSharesAt(previous.signers.indexOf(dealer) + 1);
  let seen: Seen;
  try {
    seen = {
      apps: parseCommitments(body.apps.map(fromHex), threshold, old?.apps),
      beacon: parseCommitments(body.beacon.map(fromHex), threshold, old?.beacon),
      mine: undefined,
    };
  } catch {
    return 'broken';
  }
  const index = receiverIndex(receivers, me.signer);
  if (index === 0) return seen;
  const sealed = body.shares[index - 1] as Hex;
  const pair = await openShares(sealed, { session, dealer, receiver: me.signer }, me.hpke).catch(() => undefined);
  if (pair !== undefined && fits(seen, index, pair)) seen.mine = pair;
  return seen;
}

/** The shares that a dealer showed to all for the receiver of an index, where they fit what it committed to. */
export function sharesShown(seen: Seen, index: number, answer: CeremonyBody['answer']): SharePair | undefined {
  const pair = pairOf(answer);
  return pair !== undefined && fits(seen, index, pair) ? pair : undefined;
}

/** A receiver's index, from 1; 0 for whoever is none. */
export function receiverIndex(receivers: readonly Receiver[], signer: Address): number {
  return receivers.findIndex((receiver) => receiver.signer === signer) + 1;
}

function fits(seen: Seen, index: number, pair: SharePair): boolean {
  return shareFits(seen.apps, index, pair.apps) && shareFits(seen.beacon, index, pair.beacon);
}

function pairOf(body: CeremonyBody['answer']): SharePair | undefined {
  try {
    return sharePairFromBytes(concatBytes(fromHex(body.apps), fromHex(body.beacon)));
  } catch (error) {
    if (error instanceof CloisterError) return undefined;
    throw error;
  }
}
