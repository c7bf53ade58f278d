import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, type Hex, zeroAddress } from '@cloister/core';
import {
  keccak256,
  numberToHex,
  parseTransaction,
  recoverTransactionAddress,
  stringToHex,
  type TransactionSerialized,
} from 'viem';

export type StubBlock = { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint };

/** One call of a contract, as a node runs it. */
export type StubCall = {
  readonly to: Address;
  readonly from: Address;
  readonly data: Hex;
  /** What the contract sees as the newest block. */
  readonly block: StubBlock;
  /** The block asked for: a number, or "latest" or "pending". */
  readonly at: string;
  /** Whether it is a transaction, whose effects stay. */
  readonly commits: boolean;
};

/** An event that a contract emitted. */
export type StubLog = {
  readonly address: Address;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: bigint;
};

/** What stands on the chain: answers a call, or throws {@link StubRevert}. */
export type StubContracts = (call: StubCall) => Hex;

/** A contract's refusal, with the ABI-encoded error. */
export class StubRevert extends Error {
  readonly data: Hex;
  constructor(data: Hex) {
    super('execution reverted');
    this.data = data;
  }
}

/** An error that the node itself answers. */
export class StubRpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

type LogFilter = {
  readonly address?: Address;
  readonly topics?: readonly (Hex | readonly Hex[] | null)[];
};

type Receipt = { readonly hash: Hex; readonly block: StubBlock; readonly from: Address; readonly ok: boolean };

/**
 * A chain in memory behind JSON-RPC on loopback: it mines one block for each transaction and keeps to the rules of a
 * node, except where `intercept` says otherwise.
 */
export class StubRpc {
  chainId = 31337;
  blocks: StubBlock[] = [];
  contracts: StubContracts = () => '0x';
  /** Oldest first. */
  logs: StubLog[] = [];
  /** A block is final when so many stand on it. */
  finalityBlocks = 0;
  /** A test's own answer to a method, or undefined to let the chain answer. May throw, or never resolve. */
  intercept: (method: string, params: readonly unknown[]) => unknown = () => undefined;
  readonly asked: { readonly method: string; readonly params: readonly unknown[] }[] = [];
  readonly #receipts = new Map<Hex, Receipt>();
  readonly #nonces = new Map<Address, number>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.mine();
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get head(): StubBlock {
    const head = this.blocks.at(-1);
    if (head === undefined) throw new Error('The chain has no block');
    return head;
  }

  /**
   * Adds a block; its time is now, but never before that of the last block, unless given, in unix seconds. `salt` gives a
   * block of another branch.
   */
  mine(given?: bigint, salt = ''): StubBlock {
    const number = BigInt(this.blocks.length);
    const now = BigInt(Math.floor(Date.now() / 1000));
    const last = this.blocks.at(-1)?.timestamp ?? 0n;
    const timestamp = given ?? (now > last ? now : last);
    const block = { number, hash: keccak256(stringToHex(`block ${number} ${salt}`)), timestamp };
    this.blocks.push(block);
    return block;
  }

  asks(method: string): number {
    return this.asked.filter((one) => one.method === method).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { id, method, params = [] } = JSON.parse(text) as { id: number; method: string; params?: unknown[] };
    this.asked.push({ method, params });
    let body: object;
    try {
      const own = await this.intercept(method, params);
      const result = own === undefined ? await this.#run(method, params) : own;
      body = { jsonrpc: '2.0', id, result };
    } catch (error) {
      const code = error instanceof StubRevert ? 3 : error instanceof StubRpcError ? error.code : -32_603;
      const data = error instanceof StubRevert ? { data: error.data } : {};
      body = { jsonrpc: '2.0', id, error: { code, message: (error as Error).message, ...data } };
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  async #run(method: string, params: readonly unknown[]): Promise<unknown> {
    const [first, second] = params;
    switch (method) {
      case 'eth_chainId':
        return numberToHex(this.chainId);
      case 'eth_blockNumber':
        return numberToHex(this.head.number);
      case 'eth_getBlockByNumber':
        return this.#block(String(first));
      case 'eth_getBlockByHash':
        return this.#block(String(this.blocks.find(({ hash }) => hash === first)?.number));
      case 'eth_getLogs':
        return this.#logs(first as LogFilter);
      case 'eth_call': {
        const { to, from, data } = first as { to: Address; from?: Address; data: Hex };
        return this.contracts({
          to: to.toLowerCase() as Address,
          from: (from ?? zeroAddress).toLowerCase() as Address,
          data,
          block: this.#blockOf(String(second)) ?? this.head,
          at: String(second),
          commits: false,
        });
      }
      case 'eth_getTransactionCount':
        return numberToHex(this.#nonces.get(String(first).toLowerCase() as Address) ?? 0);
      case 'eth_estimateGas':
        return numberToHex(1_000_000);
      case 'eth_gasPrice':
      case 'eth_maxPriorityFeePerGas':
        return numberToHex(1_000_000_000);
      case 'eth_sendRawTransaction':
        return this.#transact(first as TransactionSerialized);
      case 'eth_getTransactionReceipt':
        return this.#receipt(first as Hex);
      default:
        throw new StubRpcError(-32_601, `the method ${method} does not exist`);
    }
  }

  #blockOf(tag: string): StubBlock | undefined {
    if (tag === 'finalized') return this.blocks[Math.max(0, this.blocks.length - 1 - this.finalityBlocks)];
    return tag === 'latest' || tag === 'pending' ? this.head : this.blocks[Number(tag)];
  }

  #block(tag: string): object | null {
    if (Number(tag) > 2 ** 60) throw new StubRpcError(-32_602, 'invalid block number');
    const block = this.#blockOf(tag);
    if (block === undefined) return null;
    return {
      number: numberToHex(block.number),
      hash: block.hash,
      timestamp: numberToHex(block.timestamp),
      baseFeePerGas: numberToHex(1_000_000_000),
      gasLimit: numberToHex(30_000_000),
      gasUsed: '0x0',
      transactions: [],
    };
  }

  #logs({ address, topics = [] }: LogFilter): object[] {
    const has = (log: StubLog, topic: Hex | readonly Hex[] | null, index: number) =>
      topic === null || [topic].flat().includes(log.topics[index] as Hex);
    return this.logs
      .map((log, index) => ({ log, index }))
      .filter(({ log }) => address === undefined || log.address === address.toLowerCase())
      .filter(({ log }) => topics.every((topic, index) => has(log, topic, index)))
      .map(({ log, index }) => ({
        ...log,
        blockNumber: numberToHex(log.blockNumber),
        blockHash: this.blocks[Number(log.blockNumber)]?.hash ?? this.head.hash,
        transactionHash: this.head.hash,
        transactionIndex: '0x0',
        logIndex: numberToHex(index),
        removed: false,
      }));
  }

  async #transact(serialized: TransactionSerialized): Promise<Hex> {
    const { to, data = '0x', nonce = 0 } = parseTransaction(serialized);
    const from = (await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase() as Address;
    if (nonce !== (this.#nonces.get(from) ?? 0)) throw new StubRpcError(-32_000, 'nonce too low');
    this.#nonces.set(from, nonce + 1);
    const hash = keccak256(serialized);
    const before = this.head;
    const block = this.mine();
    let ok = true;
    try {
      this.contracts({
        to: (to ?? zeroAddress).toLowerCase() as Address,
        from,
        data,
        block: before,
        at: 'pending',
        commits: true,
      });
    } catch (error) {
      if (!(error instanceof StubRevert)) throw error;
      ok = false;
    }
    this.#receipts.set(hash, { hash, block, from, ok });
    return hash;
  }

  #receipt(transactionHash: Hex): object | null {
    const receipt = this.#receipts.get(transactionHash);
    if (receipt === undefined) return null;
    return {
      transactionHash,
      blockHash: receipt.block.hash,
      blockNumber: numberToHex(receipt.block.number),
      from: receipt.from,
      to: null,
      status: receipt.ok ? '0x1' : '0x0',
      cumulativeGasUsed: '0x5208',
      effectiveGasPrice: '0x1',
      gasUsed: '0x5208',
      logs: [],
      logsBloom: `0x${'00'.repeat(256)}`,
      transactionIndex: '0x0',
      type: '0x2',
    };
  }
}
