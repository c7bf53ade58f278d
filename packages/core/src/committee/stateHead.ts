import { tagHash } from '../abi.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import { maxStatePartitions } from '../manifest.ts';
import * as z from '../schema.ts';

/** One log of an app: what one writer at a time may add to. */
export type StatePartition = { readonly app: Bytes32; readonly partition: number };

/** How far a partition's log goes. */
export type StateHead = StatePartition & {
  /** Counts the entries; 0, with root zero, before the first. */
  readonly version: bigint;
  /** The fence under which it was proposed. */
  readonly fence: bigint;
  /** Address of the newest entry, which names the one before it. */
  readonly root: Bytes32;
};

/** A head with the committee's one signature (96 bytes, G2, beacon key) over {@link stateHeadMessage}. */
export type CertifiedStateHead = StateHead & { readonly signature: Hex };

/** A member's word that it keeps a certified head, and tells it to whoever takes a fence. */
export type StateKept = { readonly generation: bigint; readonly signature: Hex };

/** H("cloister/state-head: v1", chainId, registry, app, partition, version, fence, root): what the committee's beacon key signs. */
export function stateHeadMessage(domain: RecordDomain, head: StateHead): Bytes32 {
  const { app, partition, version, fence, root } = head;
  return tagHash('cloister/state-head: v1', domain.chainId, domain.registry, app, partition, version, fence, root);
}

const keptType = structType('StateKept(bytes32 head,uint64 generation)');

/**
 * The EIP-712 digest that the member's signer signs.
 * @param head {@link stateHeadMessage} of the head that it keeps
 */
export function stateKeptDigest(domain: RecordDomain, head: Bytes32, generation: bigint): Bytes32 {
  return typedDataDigest(domain, hashStruct(keptType, head, generation));
}

/** How many members may lie without two heads of one version being acknowledged: 2t − n − 1. */
export function maxLyingMembers(members: number, threshold: number): number {
  return 2 * threshold - members - 1;
}

/** Whether `left` stands above `right`: by fence, then by version. */
export function isLaterStateHead(
  left: Pick<StateHead, 'fence' | 'version'>,
  right: Pick<StateHead, 'fence' | 'version'>,
): boolean {
  return left.fence > right.fence || (left.fence === right.fence && left.version > right.version);
}

/** The fields that name a partition in a JSON form. */
export const statePartitionFields = {
  app: z.bytes32,
  partition: z.intBetween(0, maxStatePartitions - 1),
} as const;

/** The form of a {@link CertifiedStateHead}. */
export const certifiedStateHeadForm = z.strictObject({
  ...statePartitionFields,
  version: z.uintString(64),
  fence: z.uintString(64),
  root: z.bytes32,
  signature: z.hexOf(96),
});
const keptJson = z.strictObject({ generation: z.uintString(64), signature: z.hexOf(65) });

/** Reads a certified head; its signature is still to be verified. Throws SchemaError. */
export function parseCertifiedStateHead(json: unknown): CertifiedStateHead {
  return z.parseWith(certifiedStateHeadForm, json, 'certified state head') as CertifiedStateHead;
}

/** Reads a member's word that it keeps a head. Throws SchemaError. */
export function parseStateKept(json: unknown): StateKept {
  return z.parseWith(keptJson, json, 'answer to a certified state head') as StateKept;
}
