import type { Hex } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { createCustomCommon, Hardfork, Mainnet, type StateManagerInterface } from '@ethereumjs/common';
import { createEVM, type EVM, EVMError } from '@ethereumjs/evm';
import { Account, Address } from '@ethereumjs/util';
import type { Header, HeaderFork } from './header.ts';
import { ProofError } from './proofError.ts';
import type { ProvenAccount } from './provenAccount.ts';

/** What a call reads; each of them proven by whoever gives it. Addresses in lower case. */
export type CallState = {
  readonly account: (address: Hex) => Promise<ProvenAccount | undefined>;
  readonly code: (address: Hex) => Promise<Uint8Array>;
  readonly slot: (address: Hex, slot: bigint) => Promise<bigint>;
};

export type LocalCall = { readonly chainId: number; readonly header: Header; readonly to: Hex; readonly data: Hex };

/** What the call gave back, or the data with which the contract refused. */
export type CallResult = { readonly reverted: boolean; readonly data: Hex };

/** Reads of ours take less than a million; code that only loops has used these after some seconds. */
const maxGas = 10_000_000n;

/** Precompiles that are the same in every fork known here: ecrecover, sha256, identity. */
const precompiles: ReadonlySet<bigint> = new Set([1n, 2n, 4n]);
/** Addresses that forks give to precompiles. */
const lastReserved = 0xffffn;

const hardforks: Readonly<Record<HeaderFork, string>> = {
  london: Hardfork.London,
  shanghai: Hardfork.Shanghai,
  cancun: Hardfork.Cancun,
  prague: Hardfork.Prague,
};

/**
 * Runs a call that changes nothing under the rules of the header's fork. It comes from the contract itself, not from the zero address
 * as nodes have it, whose account would have to be proven too; a read that asks who reads is none. Throws what the state throws, and CHAIN_CALL_UNSUPPORTED where the contract asks for what isn't proven (an earlier block's hash, the price of blobs), for a
 * precompile that not every fork has, or fails in another way than by refusing.
 */
export async function runLocalCall(call: LocalCall, state: CallState): Promise<CallResult> {
  const rules = `${call.chainId} ${call.header.fork}`;
  const idle = idleMachines.get(rules) ?? [];
  idleMachines.set(rules, idle);
  const machine = idle.pop() ?? (await Machine.create(call.chainId, call.header.fork));
  const result = await machine.run(call, state);
  // One whose call was broken off is in the middle of something, and is let go.
  if (idle.length < maxIdle) idle.push(machine);
  return result;
}

/** EVMs that wait for their next call, by chain and fork: to make one takes ten times as long as a small call. */
const idleMachines = new Map<string, Machine[]>();
const maxIdle = 8;

type Running = { readonly to: Hex; readonly state: CallState; unsupported?: ProofError };

/** An EVM that runs one call after the other, each over the state that comes with it. */
class Machine {
  #running: Running | undefined;
  #evm: EVM | undefined;

  static async create(chainId: number, fork: HeaderFork): Promise<Machine> {
    const machine = new Machine();
    const refuse = (why: string) => machine.#refuse(why);
    const evm = await createEVM({
      common: createCustomCommon({ chainId }, Mainnet, { hardfork: hardforks[fork] }),
      stateManager: new CallStateManager(() => machine.#current.state, refuse),
      blockchain: {
        getBlock: () => Promise.reject(refuse('it asks for the hash of an earlier block')),
        putBlock: () => Promise.reject(refuse('it keeps a block')),
        shallowCopy() {
          return this;
        },
      },
    });
    evm.events.on('beforeMessage', ({ codeAddress }) => {
      const called = BigInt(codeAddress.toString());
      if (called > 0n && called <= lastReserved && !precompiles.has(called))
        throw refuse(`it calls the precompile "${called}"`);
    });
    machine.#evm = evm;
    return machine;
  }

  async run({ header, to, data }: LocalCall, state: CallState): Promise<CallResult> {
    const evm = this.#evm as EVM;
    const running: Running = { to, state };
    this.#running = running;
    evm.journal.cleanJournal();
    const { execResult } = await evm.runCall({
      to: new Address(fromHex(to)),
      caller: new Address(fromHex(to)),
      data: fromHex(data),
      gasLimit: maxGas,
      isStatic: true,
      skipBalance: true,
      skipNonceIncrement: true,
      block: {
        header: {
          number: header.number,
          timestamp: header.timestamp,
          coinbase: new Address(fromHex(header.coinbase)),
          difficulty: header.difficulty,
          prevRandao: fromHex(header.prevRandao),
          gasLimit: header.gasLimit,
          baseFeePerGas: header.baseFeePerGas,
          getBlobGasPrice: () => {
            throw this.#refuse('it asks for the price of blobs');
          },
        },
      },
    });
    if (running.unsupported !== undefined) throw running.unsupported;
    const { exceptionError, returnValue } = execResult;
    if (exceptionError !== undefined && exceptionError.error !== EVMError.errorMessages.REVERT)
      throw this.#refuse(`it ends with "${exceptionError.error}"`);
    this.#running = undefined;
    return { reverted: exceptionError !== undefined, data: toHex(returnValue) };
  }

  get #current(): Running {
    if (this.#running === undefined) throw new ProofError('CHAIN_CALL_UNSUPPORTED', 'No call is running');
    return this.#running;
  }

  #refuse(why: string): ProofError {
    const running = this.#current;
    const { to } = running;
    running.unsupported ??= new ProofError('CHAIN_CALL_UNSUPPORTED', `The call of "${to}" can't be run here: ${why}`, {
      to,
    });
    return running.unsupported;
  }
}

/** The proven state as the EVM asks for it. What a call puts aside (balances of nothing sent) lasts as long as the call. */
class CallStateManager implements StateManagerInterface {
  readonly #state: () => CallState;
  readonly #refuse: (why: string) => ProofError;

  constructor(state: () => CallState, refuse: (why: string) => ProofError) {
    this.#state = state;
    this.#refuse = refuse;
  }

  readonly originalStorageCache = {
    get: (address: Address, key: Uint8Array) => this.getStorage(address, key),
    clear: () => {},
  };

  async getAccount(address: Address): Promise<Account | undefined> {
    const account = await this.#state().account(hexOf(address));
    if (account === undefined) return undefined;
    const { nonce, balance, storageRoot, codeHash } = account;
    return new Account(nonce, balance, fromHex(storageRoot), fromHex(codeHash));
  }

  getCode(address: Address): Promise<Uint8Array> {
    return this.#state().code(hexOf(address));
  }

  async getCodeSize(address: Address): Promise<number> {
    return (await this.getCode(address)).length;
  }

  /** Without leading zeros, as the EVM expects. */
  async getStorage(address: Address, key: Uint8Array): Promise<Uint8Array> {
    const word = await this.#state().slot(hexOf(address), BigInt(toHex(key)));
    if (word === 0n) return new Uint8Array();
    const hex = word.toString(16);
    return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
  }

  // Called for transfers of nothing; a static call changes no account.
  async putAccount(): Promise<void> {}
  async checkpoint(): Promise<void> {}
  async commit(): Promise<void> {}
  async revert(): Promise<void> {}
  clearCaches(): void {}
  shallowCopy(): StateManagerInterface {
    return new CallStateManager(this.#state, this.#refuse);
  }

  async deleteAccount(): Promise<void> {
    throw this.#refuse('it deletes an account');
  }
  async modifyAccountFields(): Promise<void> {
    throw this.#refuse('it changes an account');
  }
  async putCode(): Promise<void> {
    throw this.#refuse('it makes a contract');
  }
  async putStorage(): Promise<void> {
    throw this.#refuse('it changes storage');
  }
  async clearStorage(): Promise<void> {
    throw this.#refuse('it changes storage');
  }
  async getStateRoot(): Promise<Uint8Array> {
    throw this.#refuse('it asks for the root of a state');
  }
  async setStateRoot(): Promise<void> {
    throw this.#refuse('it changes the state');
  }
  async hasStateRoot(): Promise<boolean> {
    return false;
  }
}

function hexOf(address: Address): Hex {
  return address.toString().toLowerCase() as Hex;
}
