import { type Hex, withDeadline } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import type { Header } from './header.ts';
import type { ProofCache } from './proofCache.ts';
import { ProofError } from './proofError.ts';
import type { ProofSource } from './proofSource.ts';
import {
  emptyCodeHash,
  emptyStorageRoot,
  type ProvenAccount,
  provenAccount,
  provenSlot,
  slotKey,
} from './provenAccount.ts';

export type ProvenStateComponents = {
  readonly source: ProofSource;
  readonly cache: ProofCache;
  readonly timeoutMs: number;
};

/** Slots of accounts, by the accounts' addresses in lower case. */
export type AccessList = ReadonlyMap<Hex, ReadonlySet<bigint>>;

/** Slots that are asked for at once. */
const maxSlotsAtOnce = 256;
const maxCodeBytes = 128 * 1_024;

/** The state after one block, of which every account, word and code is proven before it is given. Addresses in lower case. */
export class ProvenState {
  readonly header: Header;
  readonly #components: ProvenStateComponents;
  readonly #accounts = new Map<Hex, ProvenAccount | undefined>();
  /** What is being asked for, so that reads which overlap ask once. */
  readonly #asking = new Map<string, Promise<void>>();

  constructor(header: Header, components: ProvenStateComponents) {
    this.header = header;
    this.#components = components;
  }

  knows(address: Hex, slot?: bigint): boolean {
    if (!this.#accounts.has(address)) return false;
    return slot === undefined || this.#word(address, slot) !== undefined;
  }

  /** Throws CHAIN_PROOF_INVALID, CHAIN_NO_PROOFS, CHAIN_UNREACHABLE, DEADLINE_EXCEEDED, as all reads do. */
  async account(address: Hex): Promise<ProvenAccount | undefined> {
    if (!this.#accounts.has(address)) await this.#prove(address, []);
    return this.#accounts.get(address);
  }

  /** A word of storage; zero where there is none. */
  async slot(address: Hex, slot: bigint): Promise<bigint> {
    if (!this.knows(address)) await this.#prove(address, [slot]);
    const known = this.#word(address, slot);
    if (known !== undefined) return known;
    await this.#prove(address, [slot]);
    const word = this.#word(address, slot);
    if (word === undefined)
      throw new ProofError('CHAIN_PROOF_INVALID', `No proof came of slot "${slot}" of "${address}"`);
    return word;
  }

  /** An account's code. Throws CHAIN_CODE_INVALID where it is not what the account's hash names. */
  async code(address: Hex): Promise<Uint8Array> {
    const account = await this.account(address);
    if (account === undefined || account.codeHash === emptyCodeHash) return new Uint8Array();
    const { codeHash } = account;
    if (this.#components.cache.code(codeHash) === undefined)
      await this.#once(`code ${codeHash}`, (signal) => this.#askCode(address, codeHash, signal));
    return this.#components.cache.code(codeHash) ?? new Uint8Array();
  }

  /** Proves whatever of the list is not known: in one round trip, or in two for accounts that have changed since they were proven last. */
  async prefetch(list: AccessList): Promise<void> {
    await Promise.all(
      [...list].map(async ([address, slots]) => {
        const { cache } = this.#components;
        const lastRoot = cache.lastRoot(address);
        if (!this.knows(address)) {
          const isKept = lastRoot !== undefined && [...slots].every((slot) => cache.slot(lastRoot, slot) !== undefined);
          await this.#prove(address, isKept ? [] : [...slots].slice(0, maxSlotsAtOnce));
        }
        const missing = [...slots].filter((slot) => !this.knows(address, slot));
        for (let from = 0; from < missing.length; from += maxSlotsAtOnce)
          await this.#prove(address, missing.slice(from, from + maxSlotsAtOnce));
      }),
    );
  }

  #word(address: Hex, slot: bigint): bigint | undefined {
    const account = this.#accounts.get(address);
    if (account === undefined || account.storageRoot === emptyStorageRoot) return 0n;
    return this.#components.cache.slot(account.storageRoot, slot);
  }

  #prove(address: Hex, slots: readonly bigint[]): Promise<void> {
    const keys = slots.map(slotKey);
    return this.#once(`${address} ${keys.join()}`, async (signal) => {
      const { source, cache } = this.#components;
      const params = [address, keys, { blockHash: this.header.hash }];
      const proven = await source.ask('eth_getProof', params, (told) => this.#check(told, address, slots), signal);
      this.#accounts.set(address, proven.account);
      const root = proven.account?.storageRoot ?? emptyStorageRoot;
      cache.keepRoot(address, root);
      proven.words.forEach((word, index) => {
        cache.keepSlot(root, slots[index] as bigint, word);
      });
    });
  }

  #check(told: unknown, address: Hex, slots: readonly bigint[]) {
    const proof = objectOf(told, 'the proof');
    const account = provenAccount(this.header.stateRoot, address, nodesOf(proof.accountProof));
    const parts = proof.storageProof;
    if (!Array.isArray(parts) || parts.length !== slots.length)
      throw new ProofError('CHAIN_PROOF_INVALID', `Asked for "${slots.length}" slots of "${address}", got others`);
    const root = account?.storageRoot ?? emptyStorageRoot;
    const words = slots.map((slot, index) => {
      const part = objectOf(parts[index], 'the proof of a slot');
      const word = provenSlot(root, slot, nodesOf(part.proof));
      // What it says beside the proof is not used; but whoever contradicts himself is not asked again.
      if (numberOf(part.value) !== word)
        throw new ProofError('CHAIN_PROOF_INVALID', `Slot "${slot}" of "${address}" is not what its proof says`);
      return word;
    });
    return { account, words };
  }

  async #askCode(address: Hex, codeHash: Hex, signal: AbortSignal): Promise<void> {
    const { source, cache } = this.#components;
    const code = await source.ask(
      'eth_getCode',
      [address, { blockHash: this.header.hash }],
      (told) => {
        const bytes = typeof told === 'string' && told.length <= 2 + 2 * maxCodeBytes ? bytesOf(told) : undefined;
        if (bytes === undefined || toHex(keccak256(bytes)) !== codeHash)
          throw new ProofError('CHAIN_CODE_INVALID', `The code told of "${address}" is not "${codeHash}"`, { address });
        return bytes;
      },
      signal,
    );
    cache.keepCode(codeHash, code);
  }

  async #once(key: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      const { timeoutMs } = this.#components;
      asking = withDeadline({ timeoutMs, what: 'Proving the chain’s state' }, work).finally(() =>
        this.#asking.delete(key),
      );
      this.#asking.set(key, asking);
    }
    await asking;
  }
}

/** Nodes more than any path has are refused with their number, before they are read. */
const maxNodes = 65;

function nodesOf(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || value.length > maxNodes)
    throw new ProofError('CHAIN_PROOF_INVALID', 'A proof is no list of nodes');
  return value.map((node) => {
    const bytes = typeof node === 'string' ? bytesOf(node) : undefined;
    if (bytes === undefined) throw new ProofError('CHAIN_PROOF_INVALID', 'A node of a proof is no hex string');
    return bytes;
  });
}

function bytesOf(text: string): Uint8Array | undefined {
  return /^0x([0-9a-f]{2})*$/i.test(text) ? fromHex(text) : undefined;
}

function numberOf(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[0-9a-f]{1,64}$/i.test(value) ? BigInt(value) : undefined;
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null)
    throw new ProofError('CHAIN_PROOF_INVALID', `An RPC's answer is not ${what}`);
  return value as Readonly<Record<string, unknown>>;
}
