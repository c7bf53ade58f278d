import type { Address, BridgeLink, BridgeMessage, Bytes32, Hex, MirroredGeneration } from '@cloister/core';
import type { ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import type { PastGeneration } from './committeeHistory.ts';
import { bridgeAbi, homePhaRouteAbi, remoteCommitteeAbi } from './generated/index.ts';

export const sentStates = ['none', 'sent', 'refunded'] as const;
export const arrivalStates = ['none', 'delivered', 'failed', 'void'] as const;

/** A message where it was to arrive. `expiry` in unix seconds, zero where it was not taken. */
export type BridgeArrival = { readonly state: (typeof arrivalStates)[number]; readonly expiry: bigint };

/** A message as it was sent, with what its recipient gets. */
export type SentMessage = { readonly id: Bytes32; readonly message: BridgeMessage; readonly payload: Hex };

/** PHA that arrived at a route and is not all paid. Amounts in the smallest unit, times in unix seconds. */
export type WaitingTransfer = {
  readonly to: Address;
  readonly left: bigint;
  readonly readyAt: bigint;
  readonly isRefund: boolean;
};

/** Which bridge a bridge is linked to, and whose proofs it takes. */
export type BridgeWiring = { readonly peerChain: bigint; readonly peerBridge: Address; readonly committee: Address };

/** Typed reads of one end of a link through a {@link ChainView}. */
export class BridgeReader {
  readonly view: ChainView;
  readonly bridge: Address;
  readonly phaRoute: Address;

  constructor(view: ChainView, { bridge, phaRoute }: BridgeLink['home']) {
    this.view = view;
    this.bridge = bridge;
    this.phaRoute = phaRoute;
  }

  async wiring(block?: bigint, signal?: AbortSignal): Promise<BridgeWiring> {
    const [peerChain, peerBridge, committee] = await Promise.all([
      this.view.read({ ...this.#bridge, functionName: 'peerChain', args: [], ...at(block) }, signal),
      this.view.read({ ...this.#bridge, functionName: 'peerBridge', args: [], ...at(block) }, signal),
      this.view.read({ ...this.#bridge, functionName: 'committee', args: [], ...at(block) }, signal),
    ]);
    return { peerChain, peerBridge: lower(peerBridge), committee: lower(committee) };
  }

  /** Of a message that was sent from here. */
  async sentState(id: Bytes32, block?: bigint, signal?: AbortSignal): Promise<(typeof sentStates)[number]> {
    const query = { ...this.#bridge, functionName: 'sentStatus', args: [id], ...at(block) } as const;
    return sentStates[await this.view.read(query, signal)] ?? 'none';
  }

  /** Of a message that was to arrive here. */
  async arrival(id: Bytes32, block?: bigint, signal?: AbortSignal): Promise<BridgeArrival> {
    const query = { ...this.#bridge, functionName: 'arrivalOf', args: [id], ...at(block) } as const;
    const { status, expiry } = await this.view.read(query, signal);
    return { state: arrivalStates[status] ?? 'none', expiry };
  }

  /** How many messages of a sender over there were taken here. */
  arrivedCount(sender: Address, block?: bigint, signal?: AbortSignal): Promise<bigint> {
    const query = { ...this.#bridge, functionName: 'arrivedCount', args: [sender], ...at(block) } as const;
    return this.view.read(query, signal);
  }

  /** What waits of a transfer at this end's route for PHA; undefined where nothing does. */
  async waiting(id: Bytes32, signal?: AbortSignal): Promise<WaitingTransfer | undefined> {
    const query = { ...this.#route, functionName: 'transferOf', args: [id] } as const;
    const { to, left, readyAt, isRefund } = await this.view.read(query, signal);
    return left === 0n ? undefined : { to: lower(to), left, readyAt, isRefund };
  }

  /** PHA that this end's route would pay now. */
  payableNow(signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#route, functionName: 'payableNow', args: [] }, signal);
  }

  /** The token that this end's route burns and mints. */
  async token(signal?: AbortSignal): Promise<Address> {
    return lower(await this.view.read({ ...this.#route, functionName: 'token', args: [] }, signal));
  }

  get #bridge() {
    return { address: this.bridge, abi: bridgeAbi } as const;
  }

  /** Both ends' routes have the same functions. */
  get #route() {
    return { address: this.phaRoute, abi: homePhaRouteAbi } as const;
  }
}

/** Typed reads of the committee's record on another chain. */
export class RemoteCommitteeReader {
  readonly view: ChainView;
  readonly address: Address;

  constructor(view: ChainView, { committee }: Pick<BridgeLink['remote'], 'committee'>) {
    this.view = view;
    this.address = committee;
  }

  /** The signers that count. */
  async current(block?: bigint, signal?: AbortSignal): Promise<MirroredGeneration> {
    return mirrored(await this.view.read({ ...this.#at, functionName: 'current', args: [], ...at(block) }, signal));
  }

  /** The signers that will count, and from when (unix seconds); undefined where none are announced. */
  async announced(
    block?: bigint,
    signal?: AbortSignal,
  ): Promise<{ readonly next: MirroredGeneration; readonly from: bigint } | undefined> {
    const query = { ...this.#at, functionName: 'announced', args: [], ...at(block) } as const;
    const [next, from] = await this.view.read(query, signal);
    return from === 0n ? undefined : { next: mirrored(next), from };
  }

  get #at() {
    return { address: this.address, abi: remoteCommitteeAbi } as const;
  }
}

/** Collects messages from the events of a bridge, in their order: two tell of each. */
export class SentMessages {
  readonly #take: (sent: SentMessage & { readonly blockNumber: bigint }) => void;
  #before: { readonly id: Bytes32; readonly message: BridgeMessage } | undefined;

  /** Of these events of a Bridge. */
  static readonly eventNames = ['BridgeMessageSent', 'MessageSent'];

  constructor(take: (sent: SentMessage & { readonly blockNumber: bigint }) => void) {
    this.#take = take;
  }

  see({ eventName, args, blockNumber }: ChainLog): void {
    if (eventName === 'BridgeMessageSent') {
      const { id, message } = args as { id: Bytes32; message: BridgeMessage };
      const { route, number, expiry, sender, recipient, payloadHash } = message;
      const lowered = { route, number, expiry, sender: lower(sender), recipient: lower(recipient), payloadHash };
      this.#before = { id, message: lowered };
      return;
    }
    const { sendId, payload } = args as { sendId: Bytes32; payload: Hex };
    const before = this.#before;
    if (before?.id === sendId) this.#take({ ...before, payload, blockNumber });
  }
}

/** Whether two generations have the same signers in the same order, and the same threshold. */
export function areSameSigners(
  left: Pick<MirroredGeneration, 'threshold' | 'signers'>,
  right: Pick<MirroredGeneration, 'threshold' | 'signers'>,
): boolean {
  const { signers } = right;
  return (
    left.threshold === right.threshold &&
    left.signers.length === signers.length &&
    left.signers.every((signer, index) => signer === signers[index])
  );
}

/** A generation of the committee at home as another chain would know it. */
export function mirrorOf<known extends PastGeneration | undefined>(
  generation: known,
): MirroredGeneration | Extract<known, undefined>;
export function mirrorOf(generation: PastGeneration | undefined): MirroredGeneration | undefined {
  if (generation === undefined) return undefined;
  const { number, threshold, members } = generation;
  return { generation: number, threshold, signers: members.map(({ signer }) => signer) };
}

function mirrored(read: { generation: bigint; threshold: number; signers: readonly string[] }): MirroredGeneration {
  return { generation: read.generation, threshold: read.threshold, signers: read.signers.map(lower) };
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}

function at(block: bigint | undefined): { block?: bigint } {
  return block === undefined ? {} : { block };
}
