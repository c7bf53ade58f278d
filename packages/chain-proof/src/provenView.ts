import {
  ChainError,
  ChainView,
  type ChainViewInit,
  decodeRead,
  type Head,
  refusalIn,
  revertedError,
} from '@cloister/chain';
import { type Address, type Hex, withDeadline, zeroAddress } from '@cloister/core';
import {
  type Abi,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  encodeFunctionData,
} from 'viem';
import { type Header, provenHeader } from './header.ts';
import { type CallResult, type CallState, runLocalCall } from './localCall.ts';
import { dropOldest, ProofCache } from './proofCache.ts';
import { ProofError } from './proofError.ts';
import { ProofSource, type ProofSourceInit } from './proofSource.ts';
import { type AccessList, ProvenState } from './provenState.ts';

export type ProvenViewInit = ChainViewInit &
  Pick<ProofSourceInit, 'maxAnswerBytes' | 'onAnswer'> & {
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
/** How many blocks back a block's ancestors are followed. */
const maxAncestors = 1_024n;

/** What was proven, and is the same for every view. */
type Known = {
  readonly source: ProofSource;
  readonly cache: ProofCache;
  readonly headers: Map<Hex, Header>;
  readonly states: Map<Hex, ProvenState>;
  readonly learnt: Map<string, AccessList>;
  readonly results: Map<string, CallResult>;
};

/**
 * A {@link ChainView} whose values are proven instead of told: blocks by their headers, which give the hash that all RPCs name;
 * contract reads by running the code here, over accounts, words and code that are proven against the header's state root. So RPCs
 * can say which block is the newest, and nothing else; `pin` takes that from them too. Events are still as all RPCs list them.
 */
export class ProvenView extends ChainView {
  readonly #known: Known;
  readonly #timeoutMs: number;
  readonly #pinned = new Map<bigint, Hex>();

  constructor(init: ProvenViewInit) {
    super(init);
    this.#known =
      init.shares !== undefined
        ? init.shares.#known
        : {
            source: new ProofSource(init),
            cache: new ProofCache(),
            headers: new Map(),
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
   * The block of a number that the chain up to `end` has, by the hashes that headers name their parents by: no RPC is believed.
   * Throws CHAIN_BLOCK_UNKNOWN for one after `end`, or further before it than is followed.
   */
  async ancestor(end: Pick<Head, 'hash'>, blockNumber: bigint, signal?: AbortSignal): Promise<Head> {
    let header = await this.#header(end.hash, signal);
    if (blockNumber > header.number || header.number - blockNumber > maxAncestors)
      throw new ChainError('CHAIN_BLOCK_UNKNOWN', `Block "${blockNumber}" is not in reach of "${header.number}"`, {
        blockNumber,
        end: header.number,
      });
    while (header.number > blockNumber) {
      const parent = await this.#header(header.parentHash, signal);
      if (parent.number + 1n !== header.number)
        throw new ProofError('CHAIN_HEADER_INVALID', `The parent of block "${header.number}" is "${parent.number}"`);
      header = parent;
    }
    return headOf(header);
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
    const hash = await this.#hashFor(query.block, signal);
    const to = address.toLowerCase() as Hex;
    const what = `The chain (proving ${functionName})`;
    const key = `${hash}${to}${data}`;
    const result =
      this.#known.results.get(key) ??
      (await withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, async (inner) => {
        const state = this.#stateOf(await this.#header(hash, inner));
        return this.#run(state, to, data, inner);
      }));
    this.#known.results.set(key, result);
    dropOldest(this.#known.results, maxResults);
    if (result.reverted) throw revertedError(functionName, refusalIn(result.data === '0x' ? undefined : result.data));
    return decodeRead({ address, abi, functionName, data: result.data }) as ContractFunctionReturnType<
      abi,
      'view' | 'pure',
      name
    >;
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
    this.#known.headers.set(hash, header);
    dropOldest(this.#known.headers, maxHeaders);
    return header;
  }
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
