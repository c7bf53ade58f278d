import { BridgeReader, ChainAccount, ChainView, phaTokenAbi, RemoteCommitteeReader } from '@cloister/chain';
import type { BridgeLink, BridgeSide, Hex } from '@cloister/core';
import type { RunningDevnet } from '../devnet.ts';
import type { Account } from './accounts.ts';
import { rpcCall } from './rpcCall.ts';

/** The other chain of a network that was started with --second-chain, and what only a development chain lets anyone do. */
export class SecondChain {
  readonly link: BridgeLink;
  readonly ends: Readonly<Record<BridgeSide, BridgeReader>>;
  readonly mirror: RemoteCommitteeReader;
  readonly #network: RunningDevnet;

  constructor(network: RunningDevnet) {
    const [link] = network.network.bridges ?? [];
    if (link === undefined) throw new Error('The network was started without a second chain');
    this.link = link;
    this.#network = network;
    const view = new ChainView(link);
    this.ends = {
      home: new BridgeReader(new ChainView(network.network), link.home),
      remote: new BridgeReader(view, link.remote),
    };
    this.mirror = new RemoteCommitteeReader(view, link.remote);
  }

  account(side: BridgeSide, { privateKey }: Pick<Account, 'privateKey'>): ChainAccount {
    const { chainId, rpcs } = side === 'home' ? this.#network.network : this.link;
    return new ChainAccount({ chainId, rpc: rpcs[0] as string, account: privateKey });
  }

  /** PHA that there is on a side. */
  supply(side: BridgeSide): Promise<bigint> {
    return this.#token(side, 'totalSupply', []);
  }

  balance(side: BridgeSide, { address }: Pick<Account, 'address'>): Promise<bigint> {
    return this.#token(side, 'balanceOf', [address]);
  }

  /** What went out through the route at home and has not come back. */
  outstanding(): Promise<bigint> {
    const { phaToken } = this.#network.network.contracts;
    const call = { address: phaToken, abi: phaTokenAbi, functionName: 'outstandingOf' } as const;
    return this.ends.home.view.read({ ...call, args: [this.link.home.phaRoute] });
  }

  /** A method of the other chain's own RPC. */
  rpc<T = unknown>(method: string, ...params: readonly unknown[]): Promise<T> {
    return rpcCall<T>(this.link.rpcs[0] as string, method, params);
  }

  async mine(blocks: number): Promise<void> {
    await this.rpc('anvil_mine', `0x${blocks.toString(16)}`);
  }

  /** Moves the other chain's clock ahead, and mines until that is final. */
  async passSeconds(seconds: number): Promise<void> {
    await this.rpc('evm_increaseTime', seconds);
    await this.mine(4);
  }

  async blockNumber(): Promise<bigint> {
    return BigInt(await this.rpc<Hex>('eth_blockNumber'));
  }

  #token(side: BridgeSide, functionName: 'totalSupply' | 'balanceOf', args: readonly unknown[]): Promise<bigint> {
    const address = side === 'home' ? this.#network.network.contracts.phaToken : this.link.remote.pha;
    const call = { address, abi: phaTokenAbi, functionName, args };
    return this.ends[side].view.read(call as never) as Promise<bigint>;
  }
}
