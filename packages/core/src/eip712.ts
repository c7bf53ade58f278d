import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { type AbiWord, abiWord, type Keccak256 } from './abi.ts';
import type { Address, Bytes32 } from './hex.ts';

/** The EIP-712 domain of every Cloister record: the chain, and the WorkerRegistry as verifying contract. */
export type RecordDomain = { readonly chainId: number; readonly registry: Address };

/** A struct type whose fields are all static words: its encoded type, hashed once. */
export type StructType = { readonly typeHash: Bytes32; readonly encodedType: string };

export function structType(encodedType: string): StructType {
  return { encodedType, typeHash: toHex(keccak256(utf8(encodedType))) };
}

const domainType = structType('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)');
const separators = new Map<string, Bytes32>();
const maxCachedSeparators = 64;

/** The EIP-712 domain separator for name "Cloister", version "1". */
export function domainSeparator(domain: RecordDomain): Bytes32 {
  const key = `${domain.chainId}:${domain.registry}`;
  const known = separators.get(key);
  if (known !== undefined) return known;
  const { chainId, registry: verifyingContract } = domain;
  const separator = namedDomainSeparator({ name: 'Cloister', version: '1', chainId, verifyingContract });
  if (separators.size >= maxCachedSeparators) separators.clear();
  separators.set(key, separator);
  return separator;
}

/** The EIP-712 domain separator of any contract whose domain has these four fields and no salt. */
export function namedDomainSeparator(domain: {
  readonly name: string;
  readonly version: string;
  readonly chainId: number;
  readonly verifyingContract: Address;
}): Bytes32 {
  const { name, version, chainId, verifyingContract } = domain;
  const hashOf = (text: string) => toHex(keccak256(utf8(text)));
  return hashStruct(domainType, hashOf(name), hashOf(version), chainId, verifyingContract);
}

/** hashStruct of EIP-712 for a struct of static words; strings must be given as the keccak256 of their bytes. */
export function hashStruct(type: StructType, ...words: readonly AbiWord[]): Bytes32 {
  return hashStructWith(keccak256, type, words);
}

/** The same with a given Keccak-256. */
export function hashStructWith(keccak: Keccak256, type: StructType, words: readonly AbiWord[]): Bytes32 {
  return toHex(keccak(concatBytes(fromHex(type.typeHash), ...words.map(abiWord))));
}

/** The digest that is signed: keccak256(0x1901 ‖ domain separator ‖ struct hash). */
export function typedDataDigest(domain: RecordDomain, structHash: Bytes32, keccak: Keccak256 = keccak256): Bytes32 {
  return toHex(
    keccak(concatBytes(new Uint8Array([0x19, 0x01]), fromHex(domainSeparator(domain)), fromHex(structHash))),
  );
}
