import { beaconMessage, CloisterError, type Hex, type RecordDomain } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import type { Peers } from '../peers/peers.ts';
import type { BeaconSigner } from '../signing/beaconSigner.ts';
import type { MemberPartial } from '../signing/memberPartial.ts';

export type BeaconComponents = {
  readonly signer: BeaconSigner;
  readonly peers: Peers;
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
  partial(round: bigint): MemberPartial {
    this.#assertBegun(round);
    this.#components.assertWitnessed();
    const part = this.#components.signer.partial(this.#message(round));
    if (part === undefined)
      throw new BeaconError('BEACON_NO_SHARES', 'This member holds no shares of the committee that is', round);
    return part;
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
    const { signer, peers, assertWitnessed, onWrongPartial } = this.#components;
    const message = this.#message(round);
    const own = signer.partial(message);
    if (own !== undefined) assertWitnessed();
    const gathering = {
      message,
      own,
      ask: (member: Parameters<Peers['beaconPartial']>[0], inner: AbortSignal) =>
        peers.beaconPartial(member, round, inner),
      onWrong: (index: number) => onWrongPartial(index, round),
    };
    const gathered = await signer.gather(gathering, signal);
    if ('signature' in gathered) return gathered.signature;
    const { have, need } = gathered;
    throw new BeaconError(
      'BEACON_UNAVAILABLE',
      need === 0
        ? 'The committee has no keys yet'
        : `Of "${need}" members needed, "${have}" gave their part of round "${round}"`,
      round,
    );
  }

  #message(round: bigint): Uint8Array {
    return fromHex(beaconMessage(this.#init.domain, round));
  }

  #assertBegun(round: bigint): void {
    const now = this.#components.now();
    if (now === undefined || round < 0n || round > this.#init.roundAt(now))
      throw new BeaconError('BEACON_ROUND_AHEAD', `Round "${round}" has not begun`, round);
  }
}

export type BeaconErrorCode = 'BEACON_ROUND_AHEAD' | 'BEACON_NO_SHARES' | 'BEACON_UNAVAILABLE';

export class BeaconError extends CloisterError<BeaconErrorCode> {
  override readonly name = 'BeaconError';
  constructor(code: BeaconErrorCode, message: string, round: bigint) {
    super({ code, message, meta: { round }, retry: true });
  }
}
