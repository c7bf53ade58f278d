import {
  areSameSigners,
  bridgeAbi,
  ChainAccount,
  ChainView,
  FinalLogs,
  homePhaRouteAbi,
  remoteCommitteeAbi,
  type SentMessage,
  SentMessages,
} from '@cloister/chain';
import {
  type BridgeSide,
  type Bytes32,
  CloisterError,
  type Hex,
  type NetworkFile,
  parseNetworkFile,
  sleep,
} from '@cloister/core';
import type { LocalAccount } from 'viem';
import { gatherBridgeProof, gatherHandoverProofs } from './gatherBridgeProof.ts';
import { LinkChains, otherSide } from './linkChains.ts';

/** One thing that was carried: a message's or transfer's id, or a handover's digest of none. */
export type Carried = {
  /** The other chain of the link. */
  readonly link: number;
  readonly what: 'delivered' | 'retried' | 'expired' | 'refunded' | 'released' | 'handed over';
  /** Where the transaction was. */
  readonly on: BridgeSide;
  readonly id: Bytes32 | null;
};

export type BridgeCarrierInit = {
  readonly network: NetworkFile | Uint8Array;
  /** Pays on every chain. */
  readonly account: LocalAccount | Hex;
  readonly onCarried?: (carried: Carried) => void;
  /** One message that can't be carried now, or a chain that can't be read: the rest goes on. */
  readonly onTrouble?: (error: CloisterError) => void;
  readonly fetch?: typeof globalThis.fetch;
  /** Between two looks at the chains, ms. @default 2_000 */
  readonly everyMs?: number;
};

/** Between two tries of a message whose recipient failed. */
const retryMs = 60_000;

/**
 * Brings what the committee signed from chain to chain, as anybody may: messages in each sender's order, refunds of what is void, waiting
 * transfers once there is room, handovers of the committee. Everything that it knows it reads from the chains, so it can be stopped at any
 * moment, and any number of them may run.
 */
export class BridgeCarrier {
  readonly #init: Required<Omit<BridgeCarrierInit, 'network' | 'account'>>;
  readonly #links: readonly LinkCarrier[];

  constructor(init: BridgeCarrierInit) {
    const network = parseNetworkFile(init.network);
    const home = new ChainView(network);
    const fetch = init.fetch ?? globalThis.fetch.bind(globalThis);
    this.#init = { onCarried: () => {}, onTrouble: () => {}, everyMs: 2_000, ...init, fetch };
    const own = new ChainAccount({ chainId: network.chainId, rpc: network.rpcs[0] as string, account: init.account });
    this.#links = (network.bridges ?? []).map((link) => {
      const remote = new ChainAccount({ chainId: link.chainId, rpc: link.rpcs[0] as string, account: init.account });
      return new LinkCarrier(new LinkChains(network, link, home), { home: own, remote }, this.#init);
    });
  }

  /** Carries until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.carry(signal);
      await sleep(this.#init.everyMs, signal).catch(() => {});
    }
  }

  /** One look at every link, and all that can be done now. Answers how much was carried. */
  async carry(signal?: AbortSignal): Promise<number> {
    let carried = 0;
    for (const link of this.#links) if (!isOver(signal)) carried += await link.carry(signal);
    return carried;
  }
}

type Accounts = Readonly<Record<BridgeSide, ChainAccount>>;
type Watch = Pick<Required<BridgeCarrierInit>, 'onCarried' | 'onTrouble' | 'fetch'>;

class LinkCarrier {
  readonly #chains: LinkChains;
  readonly #accounts: Accounts;
  readonly #watch: Watch;
  readonly #sides: readonly [SideCarrier, SideCarrier];
  #carried = 0;

  constructor(chains: LinkChains, accounts: Accounts, watch: Watch) {
    this.#chains = chains;
    this.#accounts = accounts;
    this.#watch = watch;
    this.#sides = [new SideCarrier(chains, 'home'), new SideCarrier(chains, 'remote')];
  }

  async carry(signal: AbortSignal | undefined): Promise<number> {
    this.#carried = 0;
    await this.#try(signal, () => this.#handOver(signal));
    for (const side of this.#sides)
      await this.#try(signal, async () => {
        await side.follow(signal);
        for (const sent of [...side.pending.values()]) await this.#try(signal, () => this.#bring(side, sent, signal));
        for (const id of [...side.voided]) await this.#try(signal, () => this.#refund(side, id, signal));
        for (const id of [...side.waiting]) await this.#try(signal, () => this.#release(side, id, signal));
      });
    return this.#carried;
  }

  /** One that fails keeps none of the others waiting. */
  async #try(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    if (isOver(signal)) return;
    try {
      await work();
    } catch (error) {
      if (isOver(signal)) return;
      if (!(error instanceof CloisterError)) throw error;
      this.#watch.onTrouble(error);
    }
  }

  #done(what: Carried['what'], on: BridgeSide, id: Bytes32 | null): void {
    this.#carried += 1;
    this.#watch.onCarried({ link: this.#chains.link.chainId, what, on, id });
  }

  /** What is final at both ends is done with; what is not is looked at again. */
  async #bring(side: SideCarrier, sent: SentMessage, signal: AbortSignal | undefined): Promise<void> {
    const { id, message, payload } = sent;
    const on = otherSide(side.from);
    const end = this.#chains.end(on);
    const [final, head] = [await end.view.finalized(signal), await end.view.head(signal)];
    const settled = await end.arrival(id, final.number, signal);
    const taken = await end.arrivedCount(message.sender, final.number, signal);
    if (settled.state !== 'none' && settled.state !== 'failed') side.pending.delete(id);
    else if (settled.state === 'none' && taken >= message.number) {
      // Another has its number: it can never arrive.
      side.pending.delete(id);
      side.keepVoided(sent);
      return;
    }
    const { state, expiry } = await end.arrival(id, head.number, signal);
    const write = this.#accounts[on];
    const at = { address: end.bridge, abi: bridgeAbi } as const;
    if (state === 'none') {
      if ((await end.arrivedCount(message.sender, head.number, signal)) + 1n !== message.number) return;
      const statement = { statement: 'message', link: this.#chains.link.chainId, from: side.from, message } as const;
      const { proof } = await gatherBridgeProof(this.#chains, statement, this.#watch, signal);
      if (proof === undefined) return;
      await write.write({ ...at, functionName: 'deliver', args: [message, payload, proof] }, signal);
      this.#done('delivered', on, id);
    } else if (state === 'failed' && head.timestamp >= expiry) {
      await write.write({ ...at, functionName: 'expire', args: [id] }, signal);
      this.#done('expired', on, id);
    } else if (state === 'failed' && side.mayRetry(id)) {
      await write.write({ ...at, functionName: 'retry', args: [message, payload] }, signal);
      this.#done('retried', on, id);
    }
  }

  async #refund(side: SideCarrier, id: Bytes32, signal: AbortSignal | undefined): Promise<void> {
    const source = this.#chains.end(side.from);
    const final = await source.view.finalized(signal);
    const state = await source.sentState(id, final.number, signal);
    // What was never sent was forged; what was given back is done with.
    if (state !== 'sent') return side.forgetVoided(id);
    if ((await source.sentState(id, undefined, signal)) !== 'sent') return;
    const sent = await side.sent(id, signal);
    if (sent === undefined) return;
    const { message, payload } = sent;
    const statement = { statement: 'void', link: this.#chains.link.chainId, from: side.from, message } as const;
    const { proof } = await gatherBridgeProof(this.#chains, statement, this.#watch, signal);
    if (proof === undefined) return;
    const call = { address: source.bridge, abi: bridgeAbi, functionName: 'refund' } as const;
    await this.#accounts[side.from].write({ ...call, args: [message, payload, proof] }, signal);
    this.#done('refunded', side.from, id);
  }

  /** Of what waits at this side's own route. */
  async #release(side: SideCarrier, id: Bytes32, signal: AbortSignal | undefined): Promise<void> {
    const end = this.#chains.end(side.from);
    const transfer = await end.waiting(id, signal);
    if (transfer === undefined) return void side.waiting.delete(id);
    const { timestamp } = await end.view.head(signal);
    if (timestamp < transfer.readyAt || (await end.payableNow(signal)) === 0n) return;
    const call = { address: end.phaRoute, abi: homePhaRouteAbi, functionName: 'release' } as const;
    await this.#accounts[side.from].write({ ...call, args: [id] }, signal);
    this.#done('released', side.from, id);
  }

  async #handOver(signal: AbortSignal | undefined): Promise<void> {
    const { mirror, link } = this.#chains;
    const next = await this.#chains.generation(signal);
    if (areSameSigners(await mirror.current(undefined, signal), next)) return;
    if ((await mirror.announced(undefined, signal)) !== undefined) return;
    const proofs = await gatherHandoverProofs(this.#chains, next, this.#watch, signal);
    if (proofs === undefined) return;
    const call = { address: link.remote.committee, abi: remoteCommitteeAbi, functionName: 'handOver' } as const;
    await this.#accounts.remote.write({ ...call, args: [next, proofs.previous, proofs.held] }, signal);
    this.#done('handed over', 'remote', null);
  }
}

function isOver(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What of one side's messages is not done with yet: read from final events, so that nothing of it is ever taken back. */
class SideCarrier {
  readonly from: BridgeSide;
  /** Sent from here, in their order. */
  readonly pending = new Map<Bytes32, SentMessage>();
  /** Of those that were sent from here, void over there. */
  readonly voided = new Set<Bytes32>();
  /** Transfers that this side's route has not paid. */
  readonly waiting = new Set<Bytes32>();
  readonly #known = new Map<Bytes32, SentMessage>();
  readonly #triedAtMs = new Map<Bytes32, number>();
  readonly #chains: LinkChains;
  readonly #sent: FinalLogs;
  readonly #void: FinalLogs;
  readonly #queued: FinalLogs;

  constructor(chains: LinkChains, from: BridgeSide) {
    this.from = from;
    this.#chains = chains;
    const [here, there] = [chains.end(from), chains.end(otherSide(from))];
    const messages = new SentMessages((sent) => this.pending.set(sent.id, sent));
    const bridge = { abi: bridgeAbi };
    this.#sent = new FinalLogs(
      here.view,
      { ...bridge, address: here.bridge, eventNames: SentMessages.eventNames },
      (log) => messages.see(log),
    );
    this.#void = new FinalLogs(
      there.view,
      { ...bridge, address: there.bridge, eventNames: ['BridgeMessageVoided'] },
      ({ args }) => this.voided.add(args.id as Bytes32),
    );
    this.#queued = new FinalLogs(
      here.view,
      { abi: homePhaRouteAbi, address: here.phaRoute, eventNames: ['TransferQueued'] },
      ({ args }) => this.waiting.add(args.id as Bytes32),
    );
  }

  async follow(signal: AbortSignal | undefined): Promise<void> {
    const here = await this.#chains.end(this.from).view.finalized(signal);
    const there = await this.#chains.end(otherSide(this.from)).view.finalized(signal);
    await this.#sent.follow(here, signal);
    await this.#queued.follow(here, signal);
    await this.#void.follow(there, signal);
  }

  keepVoided(sent: SentMessage): void {
    this.#known.set(sent.id, sent);
    this.voided.add(sent.id);
  }

  forgetVoided(id: Bytes32): void {
    this.voided.delete(id);
    this.#known.delete(id);
    this.#triedAtMs.delete(id);
  }

  /** A message that this side sent, by its id. */
  async sent(id: Bytes32, signal: AbortSignal | undefined): Promise<SentMessage | undefined> {
    const known = this.pending.get(id) ?? this.#known.get(id);
    if (known !== undefined) return known;
    let found: SentMessage | undefined;
    const messages = new SentMessages((sent) => {
      found = sent;
    });
    const { view, bridge } = this.#chains.end(this.from);
    const query = { address: bridge, abi: bridgeAbi };
    const [own] = await view.events({ ...query, eventName: 'BridgeMessageSent', args: { id } }, signal);
    const [standard] = await view.events({ ...query, eventName: 'MessageSent', args: { sendId: id } }, signal);
    if (own === undefined || standard === undefined) return undefined;
    messages.see({ eventName: 'BridgeMessageSent', args: own as Record<string, unknown>, blockNumber: 0n });
    messages.see({ eventName: 'MessageSent', args: standard as Record<string, unknown>, blockNumber: 0n });
    return found;
  }

  mayRetry(id: Bytes32): boolean {
    const now = performance.now();
    if (now - (this.#triedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < retryMs) return false;
    this.#triedAtMs.set(id, now);
    return true;
  }
}
