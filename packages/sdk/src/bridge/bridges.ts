import {
  bridgeAbi,
  type ChainAccount,
  type ChainView,
  homePhaRouteAbi,
  phaTokenAbi,
  type SentMessage,
  SentMessages,
} from '@cloister/chain';
import type { Address, BridgeSide, Bytes32, Hex, NetworkFile } from '@cloister/core';
import { decodeAbiParameters, type LocalAccount, parseEventLogs } from 'viem';
import { gatherBridgeProof } from './gatherBridgeProof.ts';
import { BridgeError, LinkChains, otherSide } from './linkChains.ts';

/** How far a message is on its way. Times in unix seconds, amounts in PHA's smallest unit. */
export type BridgeProgress =
  /** Its block can still be taken back; it is final once that of so many blocks before it is not the newest such one. */
  | { readonly step: 'sent'; readonly finalInBlocks: bigint }
  /** The gatekeepers sign it. `earlier`: messages of its sender that must arrive before it. */
  | { readonly step: 'final'; readonly signed: number; readonly needed: number; readonly earlier: bigint }
  | { readonly step: 'delivered' }
  /** It arrived, and is large: its route pays nothing before then. */
  | { readonly step: 'delayed'; readonly until: bigint; readonly left: bigint }
  /** It arrived, and waits for room: the route pays so much now. */
  | { readonly step: 'waiting'; readonly left: bigint; readonly payableNow: bigint }
  /** Its recipient failed; it can be tried again until then. */
  | { readonly step: 'failed'; readonly until: bigint }
  /** It expired on its way, and is void as soon as somebody shows it there. */
  | { readonly step: 'expired' }
  /** The gatekeepers sign that it is void, so that it is given back. */
  | { readonly step: 'void'; readonly signed: number; readonly needed: number }
  | { readonly step: 'refunded' }
  | { readonly step: 'refund delayed'; readonly until: bigint; readonly left: bigint }
  | { readonly step: 'refund waiting'; readonly left: bigint; readonly payableNow: bigint };

/** A message over a link. Of PHA, with what it carries. */
export type BridgeTransfer = {
  readonly id: Bytes32;
  /** The other chain of the link. */
  readonly chain: number;
  /** Sent from the network's own chain, or from the other one. */
  readonly direction: 'out' | 'back';
  readonly sender: Address;
  readonly number: bigint;
  readonly expiry: bigint;
  readonly pha: { readonly from: Address; readonly to: Address; readonly amount: bigint } | undefined;
  readonly progress: BridgeProgress;
};

export type BridgesComponents = {
  readonly network: NetworkFile;
  readonly view: ChainView;
  readonly fetch: typeof globalThis.fetch;
  /** On the chain of an id, by one of its RPCs. */
  readonly account: (
    account: LocalAccount | Hex,
    chain: { readonly chainId: number; readonly rpc: string },
  ) => ChainAccount;
};

export type SendPhaOptions = {
  readonly amount: bigint;
  /** On the other side. @default the sender's own account */
  readonly to?: Address;
  /** The link's other chain, where there are several. */
  readonly chain?: number;
  readonly account: LocalAccount | Hex;
  readonly signal?: AbortSignal;
};

/** The routes' own least amount. */
const leastPha = 10n ** 18n;

const phaPayload = [{ type: 'address' }, { type: 'address' }, { type: 'uint256' }] as const;

/** PHA and messages between the network's chain and others, as its network file links them. */
export class Bridges {
  readonly #components: BridgesComponents;
  readonly #links: readonly LinkChains[];

  constructor(components: BridgesComponents) {
    this.#components = components;
    const { network, view } = components;
    this.#links = (network.bridges ?? []).map((link) => new LinkChains(network, link, view));
  }

  /** Both chains of a link. Throws BRIDGE_ABSENT, BRIDGE_CHAIN_UNKNOWN. */
  chains(chain?: number): LinkChains {
    const [first] = this.#links;
    if (first === undefined)
      throw new BridgeError('BRIDGE_ABSENT', 'This network has no bridge', 'Use a network file that names one');
    if (chain === undefined && this.#links.length === 1) return first;
    const found = this.#links.find(({ link }) => link.chainId === chain);
    if (found !== undefined) return found;
    const known = this.#links.map(({ link }) => `"${link.chainId}"`).join(', ');
    throw new BridgeError('BRIDGE_CHAIN_UNKNOWN', `No link leads to chain "${chain ?? ''}"`, `There are: ${known}`);
  }

  /**
   * Sends PHA to an account on the other chain: burns it here, within an allowance that is given before. Throws BRIDGE_UNUSABLE,
   * BRIDGE_AMOUNT_TOO_LOW, BRIDGE_BALANCE_TOO_LOW, TransactionError.
   */
  send(options: SendPhaOptions): Promise<BridgeTransfer> {
    return this.#send('home', options);
  }

  /** The same from the other chain to this one. */
  back(options: SendPhaOptions): Promise<BridgeTransfer> {
    return this.#send('remote', options);
  }

  /** What an account has of PHA on a link's side. */
  async balance(side: BridgeSide, account: Address, chain?: number, signal?: AbortSignal): Promise<bigint> {
    const end = this.chains(chain).end(side);
    const token = { address: await end.token(signal), abi: phaTokenAbi } as const;
    return end.view.read({ ...token, functionName: 'balanceOf', args: [account] }, signal);
  }

  /** A message on any link, and how far it is. Throws BRIDGE_TRANSFER_UNKNOWN. */
  async transfer(id: Bytes32, signal?: AbortSignal): Promise<BridgeTransfer> {
    for (const chains of this.#links)
      for (const from of ['home', 'remote'] as const) {
        const [found] = await this.#sent(chains, from, (sent) => sent.id === id, signal);
        if (found !== undefined) return this.#status(chains, from, found, signal);
      }
    throw new BridgeError(
      'BRIDGE_TRANSFER_UNKNOWN',
      `No message "${id}" was sent on any link`,
      'If it was sent a moment ago, its chain may have taken it back; see "cloister bridge list"',
    );
  }

  /** An account's transfers of PHA on all links, newest last, and its other messages. */
  async transfers(account: Address, signal?: AbortSignal): Promise<readonly BridgeTransfer[]> {
    const found: BridgeTransfer[] = [];
    for (const chains of this.#links)
      for (const from of ['home', 'remote'] as const) {
        const isOf = (sent: SentMessage) => {
          const pha = phaIn(chains, from, sent);
          return sent.message.sender === account || pha?.from === account || pha?.to === account;
        };
        for (const sent of await this.#sent(chains, from, isOf, signal))
          found.push(await this.#status(chains, from, sent, signal));
      }
    return found;
  }

  async #send(from: BridgeSide, options: SendPhaOptions): Promise<BridgeTransfer> {
    const { amount, signal } = options;
    const chains = this.chains(options.chain);
    if (amount < leastPha)
      throw new BridgeError('BRIDGE_AMOUNT_TOO_LOW', `Expected 1 PHA or more, got "${amount}" units`, 'Send more');
    await chains.assertUsable(signal);
    const end = chains.end(from);
    const { network } = this.#components;
    const chain = from === 'home' ? network : chains.link;
    const account = this.#components.account(options.account, { chainId: chain.chainId, rpc: chain.rpcs[0] as string });
    const token = { address: await end.token(signal), abi: phaTokenAbi } as const;
    const own = await end.view.read({ ...token, functionName: 'balanceOf', args: [account.address] }, signal);
    if (own < amount)
      throw new BridgeError(
        'BRIDGE_BALANCE_TOO_LOW',
        `"${account.address}" has "${own}" units of PHA on chain "${chain.chainId}", and "${amount}" are to be sent`,
        'Send less',
      );
    const allowance = { ...token, functionName: 'allowance', args: [account.address, end.phaRoute] } as const;
    if ((await end.view.read(allowance, signal)) < amount)
      await account.write({ ...token, functionName: 'approve', args: [end.phaRoute, amount] }, signal);
    const call = { address: end.phaRoute, abi: homePhaRouteAbi, functionName: 'send' } as const;
    const { logs, blockNumber } = await account.write(
      { ...call, args: [options.to ?? account.address, amount] },
      signal,
    );
    let sent: (SentMessage & { readonly blockNumber: bigint }) | undefined;
    const messages = new SentMessages((one) => {
      sent = one;
    });
    for (const log of parseEventLogs({ abi: bridgeAbi, logs }))
      if (SentMessages.eventNames.includes(log.eventName))
        messages.see({ eventName: log.eventName, args: log.args as Record<string, unknown>, blockNumber });
    if (sent === undefined)
      throw new BridgeError('BRIDGE_UNUSABLE', `The route "${end.phaRoute}" sent no message`, 'Check the network file');
    return this.#status(chains, from, sent, signal);
  }

  async #sent(
    chains: LinkChains,
    from: BridgeSide,
    isWanted: (sent: SentMessage) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<readonly (SentMessage & { readonly blockNumber: bigint })[]> {
    const found: (SentMessage & { readonly blockNumber: bigint })[] = [];
    const messages = new SentMessages((sent) => {
      if (isWanted(sent)) found.push(sent);
    });
    const { view, bridge } = chains.end(from);
    const query = { address: bridge, abi: bridgeAbi, eventNames: SentMessages.eventNames, fromBlock: 0n };
    for (const log of await view.logsUpTo(query, await view.head(signal), signal)) messages.see(log);
    return found;
  }

  async #status(
    chains: LinkChains,
    from: BridgeSide,
    sent: SentMessage & { readonly blockNumber: bigint },
    signal: AbortSignal | undefined,
  ): Promise<BridgeTransfer> {
    const { id, message } = sent;
    return {
      id,
      chain: chains.link.chainId,
      direction: from === 'home' ? 'out' : 'back',
      sender: message.sender,
      number: message.number,
      expiry: message.expiry,
      pha: phaIn(chains, from, sent),
      progress: await this.#progress(chains, from, sent, signal),
    };
  }

  async #progress(
    chains: LinkChains,
    from: BridgeSide,
    { id, message, blockNumber }: SentMessage & { readonly blockNumber: bigint },
    signal: AbortSignal | undefined,
  ): Promise<BridgeProgress> {
    const [source, destination] = [chains.end(from), chains.end(otherSide(from))];
    if ((await source.sentState(id, undefined, signal)) === 'refunded') {
      const waits = await waitOf(source, id, signal);
      if (waits === undefined) return { step: 'refunded' };
      return 'until' in waits ? { step: 'refund delayed', ...waits } : { step: 'refund waiting', ...waits };
    }
    const { timestamp } = await destination.view.head(signal);
    const [{ state, expiry }, taken] = await Promise.all([
      destination.arrival(id, undefined, signal),
      destination.arrivedCount(message.sender, undefined, signal),
    ]);
    if (state === 'delivered') {
      const waits = await waitOf(destination, id, signal);
      if (waits === undefined) return { step: 'delivered' };
      return 'until' in waits ? { step: 'delayed', ...waits } : { step: 'waiting', ...waits };
    }
    if (state === 'failed') return { step: 'failed', until: expiry };
    const ask = async (statement: 'message' | 'void') => {
      const asked = { statement, link: chains.link.chainId, from, message } as const;
      const { have, need } = await gatherBridgeProof(chains, asked, this.#components, signal);
      return { signed: have, needed: need };
    };
    if (state === 'void' || taken >= message.number) return { step: 'void', ...(await ask('void')) };
    const final = await source.view.finalized(signal);
    if (final.number < blockNumber) return { step: 'sent', finalInBlocks: blockNumber - final.number };
    if (timestamp >= message.expiry) return { step: 'expired' };
    return { step: 'final', ...(await ask('message')), earlier: message.number - taken - 1n };
  }
}

/** What a route has not paid of a transfer: until when it is delayed, or how much there is room for. */
async function waitOf(
  end: ReturnType<LinkChains['end']>,
  id: Bytes32,
  signal: AbortSignal | undefined,
): Promise<
  { readonly until: bigint; readonly left: bigint } | { readonly left: bigint; readonly payableNow: bigint } | undefined
> {
  const [transfer, { timestamp }] = await Promise.all([end.waiting(id, signal), end.view.head(signal)]);
  if (transfer === undefined) return undefined;
  const { left, readyAt } = transfer;
  if (timestamp < readyAt) return { until: readyAt, left };
  return { left, payableNow: await end.payableNow(signal) };
}

function phaIn(chains: LinkChains, from: BridgeSide, { message, payload }: SentMessage): BridgeTransfer['pha'] {
  if (message.sender !== chains.end(from).phaRoute) return undefined;
  const [sender, to, amount] = decodeAbiParameters(phaPayload, payload);
  return { from: sender.toLowerCase() as Address, to: to.toLowerCase() as Address, amount };
}
