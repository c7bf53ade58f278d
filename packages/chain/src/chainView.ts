import { type Address, CloisterError, type Hex, withDeadline } from '@cloister/core';
import {
  type Abi,
  type AbiEvent,
  BaseError,
  BlockNotFoundError,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  createPublicClient,
  decodeFunctionResult,
  encodeFunctionData,
  getAbiItem,
  http,
  isHex,
  type Log,
  type PublicClient,
} from 'viem';
import type { BlockId, ChainLog, EventQuery, Head } from './chainLog.ts';
import { pagedLogs } from './pagedLogs.ts';
import { type ContractRefusal, refusalIn } from './refusal.ts';
import { resultsDigest, type SimulatedResults, type Simulation, simulateBy } from './simulation.ts';

export type ChainViewInit = {
  readonly chainId: number;
  /** JSON-RPC URLs; every one must give the same answer. */
  readonly rpcs: readonly string[];
  readonly timeoutMs?: number;
};

/** Transactions whose calldata one question gives. */
export const maxCalldata = 256;

/**
 * The chain as several untrusted RPCs agree on it: each value is read from all of them at one block, and the view
 * refuses when one differs, answers for another chain, or goes back behind what was seen. A reorganisation that reaches
 * the same height again is followed: what a caller binds to is a block's hash.
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

  /** The newest block that all RPCs know. Throws CHAIN_UNREACHABLE, CHAIN_WRONG_ID, CHAIN_SPLIT, CHAIN_STALE. */
  async head(signal?: AbortSignal): Promise<Head> {
    await this.#checkChainId(signal);
    // As of the question: reads that overlap may be answered in another order than they were asked.
    const seen = this.#latest?.number ?? 0n;
    const heights = await this.#all('reading the latest block', signal, ({ client }) =>
      client.getBlockNumber({ cacheTime: 0 }),
    );
    const lowest = heights.reduce((left, right) => (left < right ? left : right));
    const head = await this.blockAt(lowest, signal);
    if (head.number < seen)
      throw new ChainError('CHAIN_STALE', `The chain is at block "${head.number}" and was at "${seen}" before`, {
        number: head.number,
        seen,
      });
    if (head.number >= (this.#latest?.number ?? 0n)) this.#latest = head;
    return head;
  }

  /**
   * The newest block that no RPC takes back any more. Follows each chain's own rule for finality; an RPC that has none is
   * a chain that can't be used for what must not be undone. Throws as {@link head}.
   */
  async finalized(signal?: AbortSignal): Promise<Head> {
    await this.#checkChainId(signal);
    const blocks = await this.#all('reading the finalized block', signal, ({ client }) =>
      client.getBlock({ blockTag: 'finalized' }),
    );
    const lowest = blocks.reduce((left, right) => (left.number < right.number ? left : right));
    return this.blockAt(lowest.number, signal);
  }

  /** The latest head that was read, or undefined before the first. */
  get latest(): Head | undefined {
    return this.#latest;
  }

  /** The block of a number, on which all RPCs must agree. Throws CHAIN_BLOCK_UNKNOWN where one has none. */
  async blockAt(blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    const blocks = await this.#all('reading a block', signal, ({ client }) => client.getBlock({ blockNumber }));
    const [first] = blocks;
    if (first === undefined || first.hash === null || blocks.some((block) => block.hash !== first.hash))
      throw new ChainError('CHAIN_SPLIT', `The RPCs name different blocks "${blockNumber}"`, { blockNumber });
    return { number: first.number ?? blockNumber, hash: first.hash, timestamp: first.timestamp };
  }

  /** The block of a hash that all RPCs have on their chain; undefined where one does not. */
  async blockByHash(hash: Hex, signal?: AbortSignal): Promise<Head | undefined> {
    const [first] = this.#clients;
    if (first === undefined) return undefined;
    try {
      const [named] = await this.#all('reading a block by its hash', signal, ({ client }) =>
        client.getBlock({ blockHash: hash }),
      );
      if (named === undefined || named.number === null) return undefined;
      const known = await this.blockAt(named.number, signal);
      return known.hash === hash ? known : undefined;
    } catch (error) {
      if (error instanceof ChainError && (error.code === 'CHAIN_BLOCK_UNKNOWN' || error.code === 'CHAIN_SPLIT'))
        return undefined;
      throw error;
    }
  }

  /**
   * A contract read at one block (the newest common one, if not given), equal on all RPCs.
   * Throws CHAIN_SPLIT where they differ, CHAIN_READ_REVERTED where all of them say that the contract refuses.
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
    const block = query.block ?? (await this.head(signal)).number;
    const answer = await this.#call(functionName, { to: address, data, block }, signal);
    return decodeRead({ address, abi, functionName, data: answer }) as ContractFunctionReturnType<
      abi,
      'view' | 'pure',
      name
    >;
  }

  /** What a contract answers at a block to call data of any kind, as {@link read}; "0x" where there is no contract. */
  call(call: { readonly to: Address; readonly data: Hex; readonly block: bigint }, signal?: AbortSignal): Promise<Hex> {
    return this.#call(call.data.slice(0, 10), call, signal);
  }

  /** What an account has at a block, in wei, equal on all RPCs. Throws CHAIN_SPLIT where they differ. */
  async balance(account: Address, block: bigint, signal?: AbortSignal): Promise<bigint> {
    const answers = await this.#all('reading a balance', signal, ({ client }) =>
      client.getBalance({ address: account, blockNumber: block }),
    );
    const [first] = answers;
    if (first === undefined || answers.some((other) => other !== first))
      throw new ChainError('CHAIN_SPLIT', `The RPCs name different balances of "${account}" at block "${block}"`, {
        account,
        block,
      });
    return first;
  }

  /** How many transactions an account has sent by a block: the nonce of its next. Throws CHAIN_SPLIT where the RPCs differ. */
  async transactionCount(account: Address, block: bigint, signal?: AbortSignal): Promise<number> {
    const answers = await this.#all('reading a nonce', signal, ({ client }) =>
      client.getTransactionCount({ address: account, blockNumber: block }),
    );
    const [first] = answers;
    if (first === undefined || answers.some((other) => other !== first))
      throw new ChainError('CHAIN_SPLIT', `The RPCs name different nonces of "${account}" at block "${block}"`, {
        account,
        block,
      });
    return first;
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
    const [logs = []] = await this.#all(
      `listing ${query.eventName}`,
      signal,
      ({ client }) =>
        client.getContractEvents({ ...query, fromBlock: 0n, toBlock: 'latest', strict: true } as Parameters<
          PublicClient['getContractEvents']
        >[0]),
      this.#clients.slice(0, 1),
    );
    return logs.map((log) => ('args' in log && typeof log.args === 'object' && log.args !== null ? log.args : {}));
  }

  /**
   * All events of the named kinds that a contract emitted in these blocks, both ends included, in the chain's order and equal on all
   * RPCs. Throws CHAIN_SPLIT where they differ, CHAIN_UNREACHABLE where one does not give them.
   */
  async logs(query: EventQuery & { readonly toBlock: bigint }, signal?: AbortSignal): Promise<readonly ChainLog[]> {
    const { address, abi, eventNames, fromBlock, toBlock } = query;
    const events = eventNames.map((name) => getAbiItem({ abi, name }) as AbiEvent);
    const lists = await this.#all('listing events', signal, ({ client }) =>
      client.getLogs({ address, events, fromBlock, toBlock, strict: true }),
    );
    const [first] = lists;
    if (first === undefined) return [];
    const seen = logsDigest(first);
    if (lists.some((other) => logsDigest(other) !== seen))
      throw new ChainError('CHAIN_SPLIT', `The RPCs list different events of blocks "${fromBlock}" to "${toBlock}"`, {
        fromBlock,
        toBlock,
      });
    return first.map(({ eventName, args, blockNumber }) => ({
      eventName: eventName as string,
      args: args as Record<string, unknown>,
      blockNumber: blockNumber as bigint,
    }));
  }

  /**
   * What was sent to a contract in the transactions in which it emitted these events, as the first RPC has it: a hint, which others may not
   * share, of which only what is signed in it can be believed. The first {@link maxCalldata}; none of those in which another contract
   * called it.
   */
  async calldata(query: EventQuery & { readonly toBlock: bigint }, signal?: AbortSignal): Promise<readonly Hex[]> {
    const { address, abi, eventNames, fromBlock, toBlock } = query;
    const events = eventNames.map((name) => getAbiItem({ abi, name }) as AbiEvent);
    const one = this.#clients.slice(0, 1);
    const asked = ({ client }: { readonly client: PublicClient }) =>
      client.getLogs({ address, events, fromBlock, toBlock, strict: true });
    const [logs = []] = await this.#all('listing transactions', signal, asked, one);
    const hashes = [...new Set(logs.map(({ transactionHash }) => transactionHash))].slice(0, maxCalldata);
    const sent: Hex[] = [];
    for (const hash of hashes) {
      const read = ({ client }: { readonly client: PublicClient }) => client.getTransaction({ hash });
      const [transaction] = await this.#all('reading a transaction', signal, read, one);
      if (transaction?.to?.toLowerCase() === address) sent.push(transaction.input);
    }
    return sent;
  }

  /**
   * What {@link logs} gives, up to this very block, in as many questions as it takes. Throws CHAIN_SPLIT where the RPCs' chain has, or gets meanwhile,
   * another block of its number, and as {@link logs}.
   */
  async logsUpTo(query: EventQuery, end: BlockId, signal?: AbortSignal): Promise<readonly ChainLog[]> {
    await this.blockOn(end, end.number, signal);
    const found = await pagedLogs(this, { ...query, toBlock: end.number }, signal);
    await this.blockOn(end, end.number, signal);
    return found;
  }

  /**
   * The block of a number on the branch that ends in `end`, as all RPCs have it. Throws CHAIN_SPLIT where they have another block of
   * the end's number, CHAIN_BLOCK_UNKNOWN for a number after it.
   */
  async blockOn(end: BlockId, blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    if (blockNumber > end.number)
      throw new ChainError('CHAIN_BLOCK_UNKNOWN', `Block "${blockNumber}" is after "${end.number}"`, { blockNumber });
    const found = await this.blockAt(blockNumber, signal);
    const { hash } = blockNumber === end.number ? found : await this.blockAt(end.number, signal);
    if (hash !== end.hash)
      throw new ChainError('CHAIN_SPLIT', `Block "${end.number}" is "${hash}" and no longer "${end.hash}"`, {
        blockNumber: end.number,
        hash: end.hash,
      });
    return found;
  }

  /**
   * What calls would do and what would be read behind them, equal on all RPCs that can say (`eth_simulateV1`). Throws CHAIN_NO_SIMULATION
   * where none can, CHAIN_SPLIT where they differ.
   */
  async simulate(simulation: Simulation, signal?: AbortSignal): Promise<SimulatedResults> {
    const answers = await this.#all('simulating calls', signal, ({ client }) => simulateBy(client, simulation));
    const [first, ...others] = answers.flatMap((answer) => answer ?? []);
    if (first === undefined)
      throw new ChainError('CHAIN_NO_SIMULATION', 'No RPC of this network simulates calls (eth_simulateV1)', {});
    const digest = resultsDigest(first);
    if (others.some((other) => resultsDigest(other) !== digest))
      throw new ChainError('CHAIN_SPLIT', `The RPCs simulate calls on block "${simulation.block}" differently`, {
        block: simulation.block,
      });
    return first;
  }

  async #call(
    name: string,
    { to, data, block }: { readonly to: Address; readonly data: Hex; readonly block: bigint },
    signal: AbortSignal | undefined,
  ): Promise<Hex> {
    const answers = await this.#all(`calling ${name}`, signal, async ({ client }) =>
      client.call({ to, data, blockNumber: block }).then(
        (answer): Answer => ({ data: answer.data ?? '0x', refusal: undefined }),
        (cause: unknown): Answer => ({ data: undefined, refusal: refusalOf(cause) }),
      ),
    );
    const [answer] = answers;
    if (answer === undefined || answers.some((other) => !sameAnswer(answer, other)))
      throw new ChainError('CHAIN_SPLIT', `The RPCs answer "${name}" differently at block "${block}"`, {
        functionName: name,
        blockNumber: block,
      });
    if (answer.refusal !== undefined) throw revertedError(name, answer.refusal);
    return answer.data;
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
    clients = this.#clients,
  ): Promise<T[]> {
    return withDeadline({ timeoutMs: this.#timeoutMs, signal, what: `The chain (${what})` }, () =>
      Promise.all(
        clients.map(async (rpc) => {
          try {
            return await ask(rpc);
          } catch (cause) {
            if (cause instanceof BlockNotFoundError)
              throw new ChainError(
                'CHAIN_BLOCK_UNKNOWN',
                `The RPC ${rpc.url} has no such block`,
                { url: rpc.url },
                cause,
              );
            const short = shortMessageOf(cause);
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

function logsDigest(logs: readonly Log[]): string {
  return logs.map(({ blockHash, logIndex, topics, data }) => `${blockHash}${logIndex}${topics.join()}${data}`).join();
}

type Answer =
  | { readonly data: Hex; readonly refusal: undefined }
  | { readonly data: undefined; readonly refusal: ContractRefusal };

/** A refusal is an answer like any other: one RPC's word for it is not enough. */
function sameAnswer(left: Answer, right: Answer): boolean {
  if (left.refusal === undefined || right.refusal === undefined)
    return left.refusal === right.refusal && left.data === right.data;
  return left.refusal.errorName === right.refusal.errorName && `${left.refusal.args}` === `${right.refusal.args}`;
}

/** The contract's own error in a reverted read, by the ABIs of this network's contracts. Rethrows any other failure. */
function refusalOf(cause: unknown): ContractRefusal {
  if (!/revert/i.test(shortMessageOf(cause))) throw cause;
  return refusalIn(revertDataOf(cause), cause);
}

/** CHAIN_READ_REVERTED for a refusal. */
export function revertedError(functionName: string, { errorName, args, cause }: ContractRefusal): ChainError {
  return new ChainError(
    'CHAIN_READ_REVERTED',
    `The contract refused while calling ${functionName}: ${errorName}(${args.join(', ')})`,
    { errorName, args },
    cause,
  );
}

/** A call's answer by its ABI. Throws CHAIN_NO_CONTRACT for nothing. */
export function decodeRead(answer: {
  readonly address: Address;
  readonly abi: Abi;
  readonly functionName: string;
  readonly data: Hex;
}): unknown {
  const { address, abi, functionName, data } = answer;
  if (data === '0x')
    throw new ChainError('CHAIN_NO_CONTRACT', `No contract answers "${functionName}" at "${address}"`, {
      address,
      functionName,
    });
  return decodeFunctionResult({ abi, functionName, data });
}

function revertDataOf(cause: unknown): Hex | undefined {
  if (!(cause instanceof BaseError)) return undefined;
  const found = cause.walk((error) => isHex((error as { readonly data?: unknown } | null | undefined)?.data));
  const data = (found as { readonly data?: unknown } | null)?.data;
  return isHex(data) ? data : undefined;
}

function shortMessageOf(cause: unknown): string {
  return cause instanceof BaseError ? cause.shortMessage : String(cause);
}

export type ChainErrorCode =
  | 'CHAIN_UNREACHABLE'
  | 'CHAIN_WRONG_ID'
  | 'CHAIN_SPLIT'
  | 'CHAIN_BLOCK_UNKNOWN'
  | 'CHAIN_BLOCK_NOT_FINAL'
  | 'CHAIN_NO_CONTRACT'
  | 'CHAIN_READ_REVERTED'
  | 'CHAIN_STALE'
  | 'CHAIN_NO_SIMULATION'
  /** A transaction that would fail, and was not signed. */
  | 'CHAIN_SEND_REVERTED'
  /** A signed transaction that no RPC has. */
  | 'CHAIN_SEND_NOT_TAKEN';

/** What is over once the RPCs are back, or have caught up with each other. */
const mayPass: ReadonlySet<ChainErrorCode> = new Set([
  'CHAIN_UNREACHABLE',
  'CHAIN_SPLIT',
  'CHAIN_STALE',
  'CHAIN_BLOCK_NOT_FINAL',
  'CHAIN_SEND_NOT_TAKEN',
]);

export class ChainError extends CloisterError<ChainErrorCode> {
  override readonly name = 'ChainError';
  constructor(code: ChainErrorCode, message: string, meta: Readonly<Record<string, unknown>>, cause?: unknown) {
    super({ code, message, meta, cause, retry: mayPass.has(code) });
  }
}
