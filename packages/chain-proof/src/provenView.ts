import {
  type BlockId,
  ChainError,
  type ChainLog,
  ChainView,
  type ChainViewInit,
  decodeRead,
  type EventQuery,
  type Head,
  refusalIn,
  revertedError,
} from '@cloister/chain';
import { type Address, type Hex, withDeadline, zeroAddress } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import {
  type Abi,
  type AbiEvent,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  decodeEventLog,
  encodeFunctionData,
  getAbiItem,
  toEventSelector,
} from 'viem';
import { bloomMayHold } from './bloom.ts';
import { type Header, provenHeader } from './header.ts';
import { type CallResult, type CallState, runLocalCall } from './localCall.ts';
import { dropOldest, ProofCache } from './proofCache.ts';
import { ProofError } from './proofError.ts';
import { ProofSource, type ProofSourceInit } from './proofSource.ts';
import { provenLogs } from './provenReceipts.ts';
import { type AccessList, ProvenState } from './provenState.ts';

export type ProvenViewInit = ChainViewInit &
  Pick<ProofSourceInit, 'maxAnswerBytes' | 'pausesMs' | 'onAnswer'> & {
    /** A view of the same chain whose proofs this one uses too. Pins are each view's own. */
    readonly shares?: ProvenView;
  };

/** Headers kept by hash: those of some hours. */
const maxHeaders = 1_024;
/** States kept: reads come at the newest blocks. */
const maxStates = 16;
const maxPinned = 256;
/** Calls whose reads are remembered, to prove them at once the next time. */
const maxLearnt = 1_024;
/** Results kept: a call of one block gives the same again. */
const maxResults = 4_096;
/** What one call may read. */
const maxAccounts = 64;
const maxSlots = 4_096;
/** How many blocks back a branch is followed by its headers: a day of blocks every ten seconds. What is older is as all RPCs agree. */
export const provenBlocks = 8_192n;
/** Parents kept by hash: those of some apps' terms besides. */
const maxParents = 16_384;
/** Headers asked for at once, by number: hints, which the hashes decide on. */
const headersAtOnce = 32n;

/** What was proven, and is the same for every view. */
type Known = {
  readonly source: ProofSource;
  readonly cache: ProofCache;
  readonly headers: Map<Hex, Header>;
  readonly parents: Map<Hex, Hex>;
  readonly states: Map<Hex, ProvenState>;
  readonly learnt: Map<string, AccessList>;
  readonly results: Map<string, CallResult>;
};

/**
 * A {@link ChainView} whose values are proven instead of told: blocks by their headers, which give the hash that all RPCs name;
 * contract reads by running the code here, over accounts, words and code that are proven against the header's state root; events, and
 * that there are no others, by the blooms of all headers of a branch and the receipts of those blocks that may have any. So RPCs can
 * say which block is the newest, which is final, and what is older than {@link provenBlocks}, and nothing else; `pin` takes the
 * newest from them too.
 */
export class ProvenView extends ChainView {
  readonly #known: Known;
  readonly #timeoutMs: number;
  readonly #pinned = new Map<bigint, Hex>();
  /** Below this block, headers were asked for at once, and the one that was needed was not among them. */
  #unhelped = -1n;

  constructor(init: ProvenViewInit) {
    super(init);
    this.#known =
      init.shares !== undefined
        ? init.shares.#known
        : {
            source: new ProofSource(init),
            cache: new ProofCache(),
            headers: new Map(),
            parents: new Map(),
            states: new Map(),
            learnt: new Map(),
            results: new Map(),
          };
    this.#timeoutMs = init.timeoutMs ?? 10_000;
  }

  /**
   * From now on contract reads at this block's number are of this block, whatever the RPCs say; also once it is no longer on their
   * chain. So a view that is pinned is for decisions at pinned blocks, and for nothing that follows a chain.
   */
  pin({ number, hash }: Pick<Head, 'number' | 'hash'>): void {
    this.#pinned.delete(number);
    this.#pinned.set(number, hash);
    dropOldest(this.#pinned, maxPinned);
  }

  /**
   * Makes sure at the start that an RPC proves what stands at an address in the newest state. Throws CHAIN_NO_PROOFS where none does,
   * CHAIN_NO_CONTRACT where nothing stands there, and as {@link read}.
   */
  async assertProofs(address: Address, signal?: AbortSignal): Promise<void> {
    const { hash } = await this.head(signal);
    await withDeadline(
      { timeoutMs: this.#timeoutMs, signal, what: 'The chain (proving a contract)' },
      async (inner) => {
        const code = await this.#stateOf(await this.#header(hash, inner)).code(address.toLowerCase() as Hex);
        if (code.length === 0)
          throw new ChainError('CHAIN_NO_CONTRACT', `No contract stands at "${address}"`, { address });
      },
    );
  }

  /** The block of a number on which all RPCs agree, proven by its header. Throws CHAIN_HEADER_INVALID. */
  override async blockAt(blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    const { hash } = await super.blockAt(blockNumber, signal);
    return headOf(await this.#headerAt(blockNumber, hash, signal));
  }

  /**
   * The block of a number on the branch that ends in `end`, by the hashes that headers name their parents by: no RPC is believed. What is
   * further back than {@link provenBlocks} is as all RPCs agree. Throws CHAIN_HEADER_INVALID, and as {@link ChainView.blockOn}.
   */
  override async blockOn(end: BlockId, blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    if (blockNumber > end.number || end.number - blockNumber > provenBlocks)
      return super.blockOn(end, blockNumber, signal);
    let { hash } = await this.#headerAt(end.number, end.hash, signal);
    for (let number = end.number; number > blockNumber; number -= 1n) hash = await this.#parentOf(number, hash, signal);
    return headOf(await this.#headerAt(blockNumber, hash, signal));
  }

  /**
   * All events of these kinds on the branch that ends in `end`, and no others: proven for its last {@link provenBlocks}, as all RPCs
   * agree before. Throws CHAIN_HEADER_INVALID, CHAIN_RECEIPTS_INVALID, and as {@link ChainView.logsUpTo}.
   */
  override async logsUpTo(query: EventQuery, end: BlockId, signal?: AbortSignal): Promise<readonly ChainLog[]> {
    const { address, abi, eventNames, fromBlock } = query;
    const events = eventNames.map((name) => getAbiItem({ abi, name }) as AbiEvent);
    const wanted: WantedEvents = { address: address.toLowerCase() as Hex, events, topics: events.map(toEventSelector) };
    const floor = end.number - provenBlocks + 1n;
    const from = fromBlock > floor ? fromBlock : floor;
    const found: ChainLog[][] = [];
    let hash: Hex = end.hash;
    for (let number = end.number; number >= from && number >= 0n; number -= 1n) {
      const header = await this.#walked(number, hash, signal);
      if (mayHold(header, wanted)) found.push(await this.#events(header, wanted, signal));
      hash = header.parentHash;
    }
    const older = fromBlock < from ? await super.logsUpTo(query, { number: from - 1n, hash }, signal) : [];
    return [...older, ...found.reverse().flat()];
  }

  /**
   * A contract read at one block, run here over proven state. Throws CHAIN_READ_REVERTED where the contract refuses,
   * CHAIN_NO_CONTRACT, ProofError where something is not proven or can't be run, and as {@link blockAt}.
   */
  override async read<const abi extends Abi, name extends ContractFunctionName<abi, 'view' | 'pure'>>(
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
    const answer = await this.#answer(functionName, { to: address, data, block: query.block }, signal);
    return decodeRead({ address, abi, functionName, data: answer }) as ContractFunctionReturnType<
      abi,
      'view' | 'pure',
      name
    >;
  }

  /** What a contract answers to any call data, run here over proven state. Throws as {@link read}. */
  override call(
    call: { readonly to: Address; readonly data: Hex; readonly block: bigint },
    signal?: AbortSignal,
  ): Promise<Hex> {
    return this.#answer(call.data.slice(0, 10), call, signal);
  }

  /** What an account has at a block, in wei, proven. Throws ProofError, and as {@link blockAt}. */
  override async balance(account: Address, block: bigint, signal?: AbortSignal): Promise<bigint> {
    const hash = await this.#hashFor(block, signal);
    const limits = { timeoutMs: this.#timeoutMs, signal, what: 'The chain (proving a balance)' };
    return withDeadline(limits, async (inner) => {
      const state = this.#stateOf(await this.#header(hash, inner));
      return (await state.account(account.toLowerCase() as Hex))?.balance ?? 0n;
    });
  }

  async #answer(
    name: string,
    { to: address, data, block }: { readonly to: Address; readonly data: Hex; readonly block: bigint | undefined },
    signal: AbortSignal | undefined,
  ): Promise<Hex> {
    const hash = await this.#hashFor(block, signal);
    const to = address.toLowerCase() as Hex;
    const what = `The chain (proving ${name})`;
    const key = `${hash}${to}${data}`;
    const result =
      this.#known.results.get(key) ??
      (await withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, async (inner) => {
        const state = this.#stateOf(await this.#header(hash, inner));
        return this.#run(state, to, data, inner);
      }));
    this.#known.results.set(key, result);
    dropOldest(this.#known.results, maxResults);
    if (result.reverted) throw revertedError(name, refusalIn(result.data === '0x' ? undefined : result.data));
    return result.data;
  }

  async #hashFor(block: bigint | undefined, signal: AbortSignal | undefined): Promise<Hex> {
    if (block === undefined) return (await this.head(signal)).hash;
    const pinned = this.#pinned.get(block);
    if (pinned === undefined) return (await this.blockAt(block, signal)).hash;
    return (await this.#headerAt(block, pinned, signal)).hash;
  }

  async #headerAt(blockNumber: bigint, hash: Hex, signal: AbortSignal | undefined): Promise<Header> {
    const header = await this.#header(hash, signal);
    if (header.number !== blockNumber)
      throw new ProofError('CHAIN_HEADER_INVALID', `Block "${hash}" is not number "${blockNumber}"`, { hash });
    return header;
  }

  async #events(header: Header, wanted: WantedEvents, signal: AbortSignal | undefined): Promise<ChainLog[]> {
    const { address, events, topics } = wanted;
    const { number, hash } = header;
    const what = 'The chain (proving events)';
    const logs = await withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, (inner) =>
      this.#known.source.ask('eth_getBlockReceipts', [hash], (told) => provenLogs(told, header), inner),
    );
    return logs
      .filter((log) => log.address === address && topics.includes(log.topics[0] as Hex))
      .map(({ topics: [selector, ...indexed], data }) => {
        const decoded = decodeEventLog({ abi: events, data, topics: [selector as Hex, ...indexed] });
        return { eventName: decoded.eventName, args: (decoded.args ?? {}) as ChainLog['args'], blockNumber: number };
      });
  }

  async #parentOf(number: bigint, hash: Hex, signal: AbortSignal | undefined): Promise<Hex> {
    return this.#known.parents.get(hash) ?? (await this.#walked(number, hash, signal)).parentHash;
  }

  /**
   * A header on the way back along a branch. Where the way leads on through unknown ones, a number of these are asked for at once; where
   * that was of no use, these blocks come one by one.
   */
  async #walked(number: bigint, hash: Hex, signal: AbortSignal | undefined): Promise<Header> {
    const { headers } = this.#known;
    const isNew = !headers.has(hash);
    const header = await this.#headerAt(number, hash, signal);
    const isUnhelped = number <= this.#unhelped && number > this.#unhelped - headersAtOnce;
    if (!isNew || number === 0n || headers.has(header.parentHash) || isUnhelped) return header;
    await this.#hintHeaders(number - 1n, signal);
    if (!headers.has(header.parentHash)) this.#unhelped = number;
    return header;
  }

  async #hintHeaders(last: bigint, signal: AbortSignal | undefined): Promise<void> {
    const first = last < headersAtOnce ? 0n : last - headersAtOnce + 1n;
    const numbers = Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index));
    const what = 'The chain (reading headers)';
    await withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, (inner) =>
      Promise.all(
        numbers.map(async (number) => {
          const block = `0x${number.toString(16)}`;
          const header = await this.#known.source.hint('eth_getBlockByNumber', [block, false], headerByItsHash, inner);
          if (header !== undefined) this.#keep(header);
        }),
      ),
    );
  }

  #keep(header: Header): void {
    const { headers, parents } = this.#known;
    headers.set(header.hash, header);
    parents.set(header.hash, header.parentHash);
    dropOldest(headers, maxHeaders);
    dropOldest(parents, maxParents);
  }

  async #run(state: ProvenState, to: Hex, data: Hex, signal: AbortSignal): Promise<CallResult> {
    const key = `${to}${data}`;
    const learnt = this.#known.learnt.get(key);
    if (learnt !== undefined) await state.prefetch(learnt);
    let hinted = learnt !== undefined;
    const read = new Map<Hex, Set<bigint>>();
    let slots = 0;
    const note = async (address: Hex, slot?: bigint): Promise<void> => {
      signal.throwIfAborted();
      const known = read.get(address) ?? new Set<bigint>();
      read.set(address, known);
      if (slot !== undefined && !known.has(slot)) {
        known.add(slot);
        slots += 1;
      }
      if (read.size > maxAccounts || slots > maxSlots)
        throw new ProofError(
          'CHAIN_CALL_TOO_LARGE',
          `The call of "${to}" reads more than "${maxAccounts}" accounts or "${maxSlots}" slots`,
          { to },
        );
      if (hinted || state.knows(address, slot)) return;
      hinted = true;
      // Only which proofs to ask for at once hangs on the hint: a wrong one costs time.
      const hint = await this.#hint(state.header, to, data, signal).catch(() => undefined);
      if (hint !== undefined) await state.prefetch(hint).catch(() => {});
    };
    const recorded: CallState = {
      account: async (address) => {
        await note(address);
        return state.account(address);
      },
      code: async (address) => {
        await note(address);
        return state.code(address);
      },
      slot: async (address, slot) => {
        await note(address, slot);
        return state.slot(address, slot);
      },
    };
    const result = await runLocalCall({ chainId: this.chainId, header: state.header, to, data }, recorded);
    this.#known.learnt.delete(key);
    this.#known.learnt.set(key, read);
    dropOldest(this.#known.learnt, maxLearnt);
    return result;
  }

  #hint(header: Header, to: Hex, data: Hex, signal: AbortSignal): Promise<AccessList> {
    const block = `0x${header.number.toString(16)}`;
    return this.#known.source.ask(
      'eth_createAccessList',
      [{ from: zeroAddress, to, data }, block],
      (told) => accessListOf(told, to),
      signal,
    );
  }

  #stateOf(header: Header): ProvenState {
    const state =
      this.#known.states.get(header.hash) ??
      new ProvenState(header, { source: this.#known.source, cache: this.#known.cache, timeoutMs: this.#timeoutMs });
    this.#known.states.delete(header.hash);
    this.#known.states.set(header.hash, state);
    dropOldest(this.#known.states, maxStates);
    return state;
  }

  async #header(hash: Hex, signal: AbortSignal | undefined): Promise<Header> {
    const known = this.#known.headers.get(hash);
    if (known !== undefined) return known;
    const header = await withDeadline(
      { timeoutMs: this.#timeoutMs, signal, what: 'The chain (reading a header)' },
      (inner) => this.#known.source.ask('eth_getBlockByHash', [hash, false], (told) => provenHeader(told, hash), inner),
    );
    this.#keep(header);
    return header;
  }
}

type WantedEvents = {
  /** In lower case. */
  readonly address: Hex;
  readonly events: readonly AbiEvent[];
  /** Their first topics, in the same order. */
  readonly topics: readonly Hex[];
};

function mayHold({ logsBloom }: Header, { address, topics }: WantedEvents): boolean {
  const bloom = fromHex(logsBloom);
  return bloomMayHold(bloom, fromHex(address)) && topics.some((topic) => bloomMayHold(bloom, fromHex(topic)));
}

/** A header under the hash that its RPC names, which it must have; whose block that is shows when a walk comes by. */
function headerByItsHash(told: unknown): Header {
  const { hash } = (told ?? {}) as { readonly hash?: unknown };
  if (typeof hash !== 'string' || !/^0x[0-9a-f]{64}$/.test(hash))
    throw new ProofError('CHAIN_HEADER_INVALID', 'A header came without its hash');
  return provenHeader(told, hash as Hex);
}

function headOf({ number, hash, timestamp }: Header): Head {
  return { number, hash, timestamp };
}

/** Throws nothing that is kept: a hint that is malformed or too large is none. */
function accessListOf(told: unknown, to: Hex): AccessList {
  const { accessList } = (told ?? {}) as { readonly accessList?: unknown };
  const list = new Map<Hex, Set<bigint>>([[to, new Set()]]);
  if (!Array.isArray(accessList) || accessList.length > maxAccounts) return list;
  let slots = 0;
  for (const { address, storageKeys } of accessList as { address: unknown; storageKeys: unknown }[]) {
    if (typeof address !== 'string' || !/^0x[0-9a-f]{40}$/i.test(address) || !Array.isArray(storageKeys)) return list;
    slots += storageKeys.length;
    if (slots > maxSlots || !storageKeys.every((key) => /^0x[0-9a-f]{1,64}$/i.test(String(key)))) return list;
    const name = address.toLowerCase() as Hex;
    list.set(name, new Set([...(list.get(name) ?? []), ...storageKeys.map((key) => BigInt(String(key)))]));
  }
  return list;
}
