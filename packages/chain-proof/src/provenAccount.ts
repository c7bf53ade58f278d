import type { Hex } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { ProofError } from './proofError.ts';
import { decodeRlp, integerOf, type RlpItem } from './rlp.ts';
import { emptyTrieRoot, provenValue } from './trieProof.ts';

/** An account as a state trie has it. */
export type ProvenAccount = {
  readonly nonce: bigint;
  /** Wei. */
  readonly balance: bigint;
  readonly storageRoot: Hex;
  /** keccak256 of its code. */
  readonly codeHash: Hex;
};

export const emptyCodeHash = toHex(keccak256(new Uint8Array()));
export const emptyStorageRoot = toHex(emptyTrieRoot);

/** The account at an address in the state of this root; undefined where there is none. Throws CHAIN_PROOF_INVALID. */
export function provenAccount(stateRoot: Hex, address: Hex, nodes: readonly Uint8Array[]): ProvenAccount | undefined {
  const value = provenValue(fromHex(stateRoot), keccak256(fromHex(address)), nodes);
  if (value === undefined) return undefined;
  const fields = decodeRlp(value);
  if (fields instanceof Uint8Array || fields.length !== 4) throw malformed(address);
  const [nonce, balance, storageRoot, codeHash] = fields;
  return {
    nonce: integerOf(nonce, 8),
    balance: integerOf(balance, 32),
    storageRoot: hashOf(storageRoot, address),
    codeHash: hashOf(codeHash, address),
  };
}

/** A word of an account's storage; zero where the trie has none. Throws CHAIN_PROOF_INVALID. */
export function provenSlot(storageRoot: Hex, slot: bigint, nodes: readonly Uint8Array[]): bigint {
  const value = provenValue(fromHex(storageRoot), keccak256(fromHex(slotKey(slot))), nodes);
  // Anvil keeps words that were set to zero, where the protocol takes them out; they are zero either way.
  return value === undefined ? 0n : integerOf(decodeRlp(value), 32);
}

/** A slot's number as EIP-1186 has it: 32 bytes. */
export function slotKey(slot: bigint): Hex {
  return `0x${slot.toString(16).padStart(64, '0')}`;
}

function hashOf(item: RlpItem | undefined, address: Hex): Hex {
  if (!(item instanceof Uint8Array) || item.length !== 32) throw malformed(address);
  return toHex(item);
}

function malformed(address: Hex): ProofError {
  return new ProofError('CHAIN_PROOF_INVALID', `The account "${address}" is malformed`);
}
