import {
  type Address,
  type CertifiedStateHead,
  CloisterError,
  isLaterStateHead,
  type RecordDomain,
  type SignedStatePromise,
  type StatePartition,
  type StatePlace,
  type StateWriteRequest,
  stateHeadMessage,
  statePlace,
  statePromiseDigest,
  zeroAddress,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { verifySignatureNative } from '@cloister/threshold/native';
import type { Generation } from '../committeeState.ts';
import { type HeldState, noState } from './heldState.ts';
import { signerOf } from './stateRecords.ts';

/** By what a member judges certificates and promises. */
export type StateRulesInit = {
  readonly domain: RecordDomain;
  /** 48 bytes, G1. */
  readonly beaconKey: Uint8Array;
  readonly generation: Pick<Generation, 'number' | 'threshold' | 'members'>;
};

/** How far a fence may be raised at once: so that nobody uses all of them up. */
export const maxFenceStep = 1n << 20n;

/**
 * What a member keeps once it has let `holder` write under a fence. Throws STATE_FENCED for a fence that is lower than one before or
 * another's, STATE_FENCE_TOO_FAR, STATE_HELD.
 * @param isHeldByAnother whether the lease of who holds the fence now still runs, and is not the asking host's
 */
export function afterFence(
  held: HeldState | undefined,
  asked: StatePartition & { readonly fence: bigint },
  holder: Address,
  isHeldByAnother: boolean,
): HeldState {
  const { app, partition, fence } = asked;
  const before = held ?? noState(asked);
  if (fence < before.fence || (fence === before.fence && holder !== before.holder)) throw fenced(before.fence, fence);
  if (fence - before.fence > maxFenceStep)
    throw refused('STATE_FENCE_TOO_FAR', `The fence "${fence}" is too far above "${before.fence}"`);
  if (fence > before.fence && isHeldByAnother)
    throw refused('STATE_HELD', `Partition "${partition}" of app "${app}" is being written by "${before.holder}"`);
  return held?.fence === fence ? held : { ...before, fence, holder };
}

/**
 * What a member keeps once it has signed the proposed head. Throws StateRefusedError by the first rule that does not hold.
 * @param holder who signed the write
 */
export function afterWrite(
  held: HeldState | undefined,
  { write, promises, certified }: StateWriteRequest,
  holder: Address,
  init: StateRulesInit,
): HeldState {
  const { app, partition, version, fence, root } = write;
  const before = held ?? noState(write);
  const isFenceKnown = fence === before.fence && before.holder !== zeroAddress;
  if (fence < before.fence || fence === 0n || (isFenceKnown && holder !== before.holder))
    throw fenced(before.fence, fence);
  if (certified !== null && certified.fence > fence) throw fenced(certified.fence, fence);
  const isAdded = certified?.fence === fence;
  // Who has seen nothing of this fence yet believes it to a threshold of members.
  if (!isAdded || !isFenceKnown) assertPromised(promises, { app, partition, fence, holder }, init);
  if (certified !== null) assertCertified(before, certified, write, init);

  const from = statePlace(certified);
  if (isAdded && version !== from.version + 1n)
    throw refused('STATE_VERSION_OTHER', `Version "${from.version}" is followed by the next, got "${version}"`);
  if (!isAdded) {
    const shown = promises.map((promise) => promise.certified);
    const highest = shown.reduce((best, next) => (isLaterStateHead(next, best) ? next : best), statePlace(null));
    if (!isSamePlace(highest, from) || version !== from.version || root !== from.root)
      throw refused('STATE_TAKEOVER_OTHER', `Version "${highest.version}" is what the promises show, got "${version}"`);
  }

  for (const known of [before.signed, before.certified]) {
    if (known?.fence !== fence) continue;
    if (known.version === version && known.root === root) continue;
    if (version < known.version) throw refused('STATE_STALE', `Version "${known.version}" is there, got "${version}"`);
    if (version === known.version || !isAdded)
      throw refused('STATE_CONFLICT', `Under fence "${fence}" another head is there at version "${known.version}"`);
  }
  return {
    ...before,
    fence,
    holder,
    signed: { version, fence, root },
    certified: laterOf(before.certified, certified),
  };
}

/**
 * What a member keeps once it was told that the committee has signed a head. Throws STATE_FENCED for one under a fence that is over,
 * STATE_CERTIFICATE_INVALID.
 */
export function afterCertified(held: HeldState | undefined, head: CertifiedStateHead, init: StateRulesInit): HeldState {
  const before = held ?? noState(head);
  if (head.fence < before.fence || head.fence === 0n) throw fenced(before.fence, head.fence);
  assertCertified(before, head, head, init);
  const certified = laterOf(before.certified, head);
  if (held !== undefined && head.fence === held.fence && certified === held.certified) return held;
  const holder = head.fence > before.fence ? zeroAddress : before.holder;
  return { ...before, fence: head.fence, holder, certified };
}

/** Throws STATE_PROMISES_TOO_FEW unless enough members of now have let the holder write under the fence. */
function assertPromised(
  promises: readonly SignedStatePromise[],
  granted: StatePartition & { readonly fence: bigint; readonly holder: Address },
  { domain, generation }: StateRulesInit,
): void {
  const { number, members, threshold } = generation;
  const makers = new Set(
    promises
      .filter((promise) => promise.generation === number)
      .map(({ signature, ...promise }) => signerOf(statePromiseDigest(domain, { ...granted, ...promise }), signature)),
  );
  const isMember = (maker: Address | undefined) => members.some(({ signer }) => signer === maker);
  if (makers.size !== promises.length || ![...makers].every(isMember) || makers.size < threshold)
    throw refused(
      'STATE_PROMISES_TOO_FEW',
      `Expected promises of "${threshold}" distinct members of generation "${number}", and of nobody else`,
    );
}

function assertCertified(
  before: HeldState,
  head: CertifiedStateHead,
  { app, partition }: StatePartition,
  { domain, beaconKey }: StateRulesInit,
): void {
  if (isSameHead(before.certified, head)) return;
  if (head.app !== app || head.partition !== partition || !isCertified(domain, beaconKey, head))
    throw refused(
      'STATE_CERTIFICATE_INVALID',
      `The committee has not signed version "${head.version}" of partition "${head.partition}" under fence "${head.fence}"`,
    );
}

/** Whether the committee's beacon key signed the head. */
export function isCertified(domain: RecordDomain, beaconKey: Uint8Array, head: CertifiedStateHead): boolean {
  return verifySignatureNative(beaconKey, fromHex(stateHeadMessage(domain, head)), fromHex(head.signature));
}

/** The later of two certified heads. */
export function laterOf(left: CertifiedStateHead | null, right: CertifiedStateHead | null): CertifiedStateHead | null {
  if (left === null || right === null) return left ?? right;
  return isLaterStateHead(right, left) ? right : left;
}

function isSameHead(known: CertifiedStateHead | null, head: CertifiedStateHead): boolean {
  return (
    known !== null &&
    known.app === head.app &&
    known.partition === head.partition &&
    known.signature === head.signature &&
    isSamePlace(known, head)
  );
}

function isSamePlace(left: StatePlace, right: StatePlace): boolean {
  return left.version === right.version && left.fence === right.fence && left.root === right.root;
}

export type StateRefusedCode =
  | 'STATE_SIGNATURE_INVALID'
  /** The app's manifest names no state, or fewer partitions. */
  | 'STATE_PARTITION_UNKNOWN'
  | 'STATE_FENCED'
  | 'STATE_FENCE_TOO_FAR'
  | 'STATE_HELD'
  | 'STATE_PROMISES_TOO_FEW'
  | 'STATE_CERTIFICATE_INVALID'
  | 'STATE_VERSION_OTHER'
  | 'STATE_TAKEOVER_OTHER'
  | 'STATE_STALE'
  | 'STATE_CONFLICT'
  /** This member was restarted, or is new, and has not yet heard enough others. */
  | 'STATE_RECOVERING'
  /** This member holds no shares of the committee that is. */
  | 'STATE_NO_SHARES'
  | 'STATE_ASKER_UNKNOWN';

const mayPass: ReadonlySet<StateRefusedCode> = new Set(['STATE_HELD', 'STATE_RECOVERING', 'STATE_NO_SHARES']);

export function refused(code: StateRefusedCode, message: string): StateRefusedError {
  return new StateRefusedError(code, message);
}

function fenced(standing: bigint, asked: bigint): StateRefusedError {
  return refused('STATE_FENCED', `Fence "${standing}" stands, got "${asked}"`);
}

/** A fence or head that is not signed, by the rule that forbids it. */
export class StateRefusedError extends CloisterError<StateRefusedCode> {
  override readonly name = 'StateRefusedError';
  constructor(code: StateRefusedCode, message: string) {
    super({ code, message, retry: mayPass.has(code) });
  }
}
