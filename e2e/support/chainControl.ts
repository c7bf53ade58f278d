import {
  batchAbi,
  batchBytecode,
  ChainAccount,
  deployContract,
  type GovernedCall,
  governAtOnce,
  workerRegistryAbi,
} from '@cloister/chain';
import type { Bytes32, Hex } from '@cloister/core';
import { encodeFunctionData } from 'viem';
import type { RunningDevnet } from '../devnet.ts';
import { type Account, accountsOf } from './accounts.ts';
import { clientOf } from './apps.ts';
import { rpcCall } from './rpcCall.ts';

/** What only a development chain lets anyone do, and what its deployer may do by the timelock. */
export class ChainControl {
  readonly rpcUrl: string;
  readonly #network: RunningDevnet;

  constructor(network: RunningDevnet) {
    this.#network = network;
    this.rpcUrl = network.network.rpcs[0] ?? '';
  }

  account({ privateKey }: Pick<Account, 'privateKey'>): ChainAccount {
    return new ChainAccount({ chainId: this.#network.network.chainId, rpc: this.rpcUrl, account: privateKey });
  }

  /** Makes the calls by the timelock, in one batch. */
  async govern(...calls: readonly GovernedCall[]): Promise<void> {
    const deployer = this.account(accountsOf(this.#network).deployer);
    await governAtOnce(deployer, this.rpcUrl, this.#network.network.contracts.timelock, calls);
  }

  /** Evicts a worker, as anyone may who shows its last registration. */
  async evict(workerId: Bytes32, by: Account): Promise<void> {
    const { contracts } = this.#network.network;
    const record = await clientOf(this.#network).registry.workerRecord(workerId);
    await this.account(by).write({
      address: contracts.workerRegistry,
      abi: workerRegistryAbi,
      functionName: 'evict',
      args: [workerId, record],
    });
  }

  /** Makes several calls in one transaction, all or none, as anyone may. */
  async batch(by: Account, ...calls: readonly GovernedCall[]): Promise<void> {
    const account = this.account(by);
    // Stands already: the same code and salt lead to the same address.
    const address = await deployContract(account, this.rpcUrl, {
      name: 'Batch',
      abi: batchAbi,
      bytecode: batchBytecode,
      args: [],
    });
    await account.write({ address, abi: batchAbi, functionName: 'execute', args: [calls] });
  }

  /** The call that evicts a worker, by the record of its last registration. */
  async evictCall(workerId: Bytes32): Promise<GovernedCall> {
    const args = [workerId, await clientOf(this.#network).registry.workerRecord(workerId)] as const;
    const data = encodeFunctionData({ abi: workerRegistryAbi, functionName: 'evict', args });
    return { target: this.#network.network.contracts.workerRegistry, data };
  }

  /** A method of the chain's own RPC. */
  rpc<T = unknown>(method: string, ...params: readonly unknown[]): Promise<T> {
    return rpcCall<T>(this.rpcUrl, method, params);
  }

  async blockNumber(): Promise<bigint> {
    return BigInt(await this.rpc<Hex>('eth_blockNumber'));
  }

  /** Mines blocks, each a second after the other by its timestamp. */
  async mine(blocks: number): Promise<void> {
    await this.rpc('anvil_mine', `0x${blocks.toString(16)}`);
  }

  /** Moves the chain's clock ahead, and mines a block that shows it. */
  async passSeconds(seconds: number): Promise<void> {
    await this.rpc('evm_increaseTime', seconds);
    await this.mine(1);
  }
}
