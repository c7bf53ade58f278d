import { type Address, CloisterError, type Hex, withDeadline } from '@cloister/core';
import {
  type Abi,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  createPublicClient,
  decodeFunctionResult,
  encodeFunctionData,
  http,
  type PublicClient,
} from 'viem';

/** A block that every RPC of the view knows. Timestamp in unix seconds. */
export type Head = { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint };

export type ChainViewInit = {
  readonly chainId: number;
  /** JSON-RPC URLs; every one must give the same answer. */
  readonly rpcs: readonly string[];
  readonly timeoutMs?: number;
};

/**
 * The chain as several untrusted RPCs agree on it: each value is read from all of them at one block, and the view
 * refuses when one differs, answers for another chain, or goes back behind what was seen.
 */
export class ChainView {
  readonly chainId: number;
  readonly #clients: readonly { readonly url: string; readonly client: PublicClient }[];
  readonly #timeoutMs: number;
  #latest: Head | undefined;
  #chainChecked = false;

  constructor(init: ChainViewInit) {
    this.chainId = init.chainId;
    this.#timeoutMs = init.timeoutMs ?? 10_000;
    this.#clients = init.rpcs.map((url) => ({
      url,
      client: createPublicClient({
        transport: http(url, { timeout: this.#timeoutMs, retryCount: 1 }),
        cacheTime: 0,
      }) as PublicClient,
    }));
  }

  /** The newest block that all RPCs know. Throws CHAIN_UNREACHABLE, CHAIN_WRONG_ID, CHAIN_SPLIT. */
  async head(signal?: AbortSignal): Promise<Head> {
    await this.#checkChainId(signal);
    const heights = await this.#all('reading the latest block', signal, ({ client }) =>
      client.getBlockNumber({ cacheTime: 0 }),
    );
    const lowest = heights.reduce((left, right) => (left < right ? left : right));
    const head = await this.blockAt(lowest, signal);
    this.#latest = head;
    return head;
  }

  /** The latest head that was read, or undefined before the first. */
  get latest(): Head | undefined {
    return this.#latest;
  }

  /** The block of a number, on which all RPCs must agree. */
  async blockAt(blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    const blocks = await this.#all('reading a block', signal, ({ client }) => client.getBlock({ blockNumber }));
    const [first] = blocks;
    if (first === undefined || first.hash === null || blocks.some((block) => block.hash !== first.hash))
      throw new ChainError('CHAIN_SPLIT', `The RPCs name different blocks "${blockNumber}"`, { blockNumber });
    return { number: first.number ?? blockNumber, hash: first.hash, timestamp: first.timestamp };
  }

  /**
   * A contract read at one block (the newest common one, if not given), equal on all RPCs.
   * Throws CHAIN_SPLIT where they differ, CHAIN_READ_REVERTED where the contract refuses.
   */
  async read<const abi extends Abi, name extends ContractFunctionName<abi, 'view' | 'pure'>>(
    query: {
      readonly address: Address;
      readonly abi: abi;
      readonly functionName: name;
      readonly args: ContractFunctionArgs<abi, 'view' | 'pure', name>;
      readonly block?: bigint;
    },
    signal?: AbortSignal,
  ): Promise<ContractFunctionReturnType<abi, 'view' | 'pure', name>> {
    const { address, abi, functionName, args } = query;
    // viem's own signatures resolve these generics; the casts only say what the parameter types already fix.
    const data = encodeFunctionData({ abi, functionName, args } as unknown as Parameters<typeof encodeFunctionData>[0]);
    const blockNumber = query.block ?? (await this.head(signal)).number;
    const answers = await this.#all(
      `calling ${functionName}`,
      signal,
      async ({ client }) => (await client.call({ to: address, data, blockNumber })).data ?? '0x',
    );
    const [first] = answers;
    if (first === undefined || answers.some((answer) => answer !== first))
      throw new ChainError('CHAIN_SPLIT', `The RPCs answer "${functionName}" differently at block "${blockNumber}"`, {
        functionName,
        blockNumber,
      });
    if (first === '0x')
      throw new ChainError('CHAIN_NO_CONTRACT', `No contract answers "${functionName}" at "${address}"`, {
        address,
        functionName,
      });
    return decodeFunctionResult({ abi, functionName, data: first } as unknown as Parameters<
      typeof decodeFunctionResult
    >[0]) as ContractFunctionReturnType<abi, 'view' | 'pure', name>;
  }

  /** The arguments of all past events of one kind, as the first RPC lists them: a hint, which others may not share. */
  async events(
    query: {
      readonly address: Address;
      readonly abi: Abi;
      readonly eventName: string;
      readonly args: Record<string, unknown>;
    },
    signal?: AbortSignal,
  ): Promise<readonly object[]> {
    const [first] = this.#clients;
    if (first === undefined) return [];
    const logs = await withDeadline({ timeoutMs: this.#timeoutMs, signal, what: `Listing ${query.eventName}` }, () =>
      first.client.getContractEvents({ ...query, fromBlock: 0n, toBlock: 'latest', strict: true } as Parameters<
        PublicClient['getContractEvents']
      >[0]),
    );
    return logs.map((log) => ('args' in log && typeof log.args === 'object' && log.args !== null ? log.args : {}));
  }

  async #checkChainId(signal: AbortSignal | undefined): Promise<void> {
    if (this.#chainChecked) return;
    const ids = await this.#all('reading the chain id', signal, ({ client }) => client.getChainId());
    ids.forEach((id, index) => {
      if (id !== this.chainId)
        throw new ChainError(
          'CHAIN_WRONG_ID',
          `Expected chain "${this.chainId}" behind ${this.#clients[index]?.url}, got "${id}"`,
          { id },
        );
    });
    this.#chainChecked = true;
  }

  #all<T>(
    what: string,
    signal: AbortSignal | undefined,
    ask: (rpc: { readonly url: string; readonly client: PublicClient }) => Promise<T>,
  ): Promise<T[]> {
    return withDeadline({ timeoutMs: this.#timeoutMs, signal, what: `The chain (${what})` }, () =>
      Promise.all(
        this.#clients.map(async (rpc) => {
          try {
            return await ask(rpc);
          } catch (cause) {
            const short =
              cause instanceof Error && 'shortMessage' in cause ? String(cause.shortMessage) : String(cause);
            if (/revert/i.test(short))
              throw new ChainError('CHAIN_READ_REVERTED', `The contract refused while ${what}: ${short}`, {}, cause);
            throw new ChainError(
              'CHAIN_UNREACHABLE',
              `The RPC ${rpc.url} failed while ${what}: ${short.split('\n')[0]}`,
              { url: rpc.url },
              cause,
            );
          }
        }),
      ),
    );
  }
}

export type ChainErrorCode =
  | 'CHAIN_UNREACHABLE'
  | 'CHAIN_WRONG_ID'
  | 'CHAIN_SPLIT'
  | 'CHAIN_NO_CONTRACT'
  | 'CHAIN_READ_REVERTED'
  | 'CHAIN_STALE';

export class ChainError extends CloisterError<ChainErrorCode> {
  override readonly name = 'ChainError';
  constructor(code: ChainErrorCode, message: string, meta: Readonly<Record<string, unknown>>, cause?: unknown) {
    super({ code, message, meta, cause, retry: code === 'CHAIN_UNREACHABLE' || code === 'CHAIN_SPLIT' });
  }
}
