import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { abiEncodeWords } from '../abi.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Address, Bytes32, Hex } from '../hex.ts';

/** A set of shares as the members sign for it and the chain takes it up. */
export type Handover = {
  /** From 1; one more than the generation before. */
  readonly generation: bigint;
  readonly threshold: number;
  readonly membersHash: Bytes32;
  /** Bit i: member i of the generation before dealt; for the first, of the new list. */
  readonly dealers: number;
  readonly transcriptHash: Bytes32;
  readonly publicSharesHash: Bytes32;
  readonly networkKeysHash: Bytes32;
};

const handoverType = structType(
  'Handover(uint64 generation,uint8 threshold,bytes32 membersHash,uint32 dealers,bytes32 transcriptHash,bytes32 publicSharesHash,bytes32 networkKeysHash)',
);

/** The EIP-712 digest that old and new members sign. */
export function handoverDigest(domain: RecordDomain, handover: Handover): Bytes32 {
  const { generation, threshold, membersHash, dealers, transcriptHash, publicSharesHash, networkKeysHash } = handover;
  return typedDataDigest(
    domain,
    hashStruct(
      handoverType,
      generation,
      threshold,
      membersHash,
      dealers,
      transcriptHash,
      publicSharesHash,
      networkKeysHash,
    ),
  );
}

/** keccak256(abi.encode(address[] operators, address[] signers, bytes32[] hpkeKeys)), in the members' order. */
export function membersHash(
  members: readonly { readonly operator: Address; readonly signer: Address; readonly hpkeKey: Bytes32 }[],
): Bytes32 {
  const count = members.length;
  const arrayBytes = 32 * (count + 1);
  return toHex(
    keccak256(
      abiEncodeWords(
        96,
        96 + arrayBytes,
        96 + 2 * arrayBytes,
        count,
        ...members.map(({ operator }) => operator),
        count,
        ...members.map(({ signer }) => signer),
        count,
        ...members.map(({ hpkeKey }) => hpkeKey),
      ),
    ),
  );
}

/** H(appsPublicKey, beaconPublicKey) = keccak256(abi.encode(bytes, bytes)); each 48 bytes, compressed. */
export function networkKeysHash(keys: { readonly apps: Hex; readonly beacon: Hex }): Bytes32 {
  const padded = (key: Hex): Uint8Array => concatBytes(fromHex(key), new Uint8Array(16));
  return toHex(
    keccak256(
      concatBytes(
        abiEncodeWords(64, 160),
        abiEncodeWords(48),
        padded(keys.apps),
        abiEncodeWords(48),
        padded(keys.beacon),
      ),
    ),
  );
}

/**
 * That members signed a digest, as contracts read it: a bitmap of 4 bytes (bit i: member i), then the signatures in that
 * order. `threshold` of them, of the first members that signed; undefined where fewer did.
 * @param signers in the members' order
 */
export function committeeProof(
  signers: readonly Address[],
  threshold: number,
  signatures: ReadonlyMap<Address, Hex>,
): Hex | undefined {
  const signing = signers.flatMap((signer, index) => {
    const signature = signatures.get(signer);
    return signature === undefined ? [] : [{ index, signature }];
  });
  if (signing.length < threshold) return undefined;
  const chosen = signing.slice(0, threshold);
  const bitmap = chosen.reduce((mask, { index }) => mask | (1 << index), 0) >>> 0;
  return `0x${bitmap.toString(16).padStart(8, '0')}${chosen.map(({ signature }) => signature.slice(2)).join('')}`;
}
