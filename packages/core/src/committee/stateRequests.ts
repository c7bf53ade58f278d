import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import { type Address, type Bytes32, type Hex, zeroBytes32 } from '../hex.ts';
import * as z from '../schema.ts';
import {
  type CertifiedStateHead,
  certifiedStateHeadForm,
  type StateHead,
  type StatePartition,
  statePartitionFields,
} from './stateHead.ts';

/** Who asks, for what version of an app, and when: as in a key request. */
type StateAsk = StatePartition & {
  /** The manifest that the host serves. */
  readonly manifest: Bytes32;
  readonly keyVersion: number;
  /** Epoch and newest block that the host knows. */
  readonly epoch: bigint;
  readonly block: bigint;
};

/** A host's wish to be the one writer of a partition from now on, or to go on as it, signed by its receipt signer. */
export type StateFenceRequest = StateAsk & {
  /** Higher than any before; the same again to go on. */
  readonly fence: bigint;
  readonly nonce: Bytes32;
};

/** A host's proposal of a head under its fence, signed by its receipt signer. */
export type StateWrite = StateAsk & Pick<StateHead, 'version' | 'fence' | 'root'>;

export type SignedStateFenceRequest = StateFenceRequest & { readonly signature: Hex };
export type SignedStateWrite = StateWrite & { readonly signature: Hex };

/** Version, fence and root of a head; all zero where there is none. */
export type StatePlace = Pick<StateHead, 'version' | 'fence' | 'root'>;

/** A member's word that it signs and keeps nothing any more under a lower fence, with the highest certified head that it keeps. */
export type StatePromise = StatePartition & {
  /** Digest of the request that it answers. */
  readonly request: Bytes32;
  readonly fence: bigint;
  readonly holder: Address;
  readonly generation: bigint;
  readonly certified: StatePlace;
};

/** A promise as a writer passes it on: who made it the signature tells. */
export type SignedStatePromise = Pick<StatePromise, 'request' | 'generation' | 'certified'> & {
  readonly signature: Hex;
};

/** A member's answer to a fence request. */
export type StateFenceAnswer = {
  readonly generation: bigint;
  /** The highest certified head that it keeps; null where it keeps none. */
  readonly certified: CertifiedStateHead | null;
  /** Over {@link statePromiseDigest}. */
  readonly signature: Hex;
};

/** What a host sends to have a head signed. */
export type StateWriteRequest = {
  readonly write: SignedStateWrite;
  /** That its fence is the host's: promises of a threshold of members. */
  readonly promises: readonly SignedStatePromise[];
  /**
   * What it goes on from. Of the same fence: the version before. Of a lower one, or null: the highest that the promises show, which is proposed
   * again under the new fence.
   */
  readonly certified: CertifiedStateHead | null;
};

/** A member's part (96 bytes, G2) of the signature over a head. */
export type StateWriteAnswer = {
  readonly generation: bigint;
  /** The member's index in that generation, from 1. */
  readonly index: number;
  readonly partial: Hex;
};

/** The place of a head that there may be. */
export function statePlace(head: StatePlace | null | undefined): StatePlace {
  return { version: head?.version ?? 0n, fence: head?.fence ?? 0n, root: head?.root ?? zeroBytes32 };
}

const fenceType = structType(
  'StateFence(bytes32 app,bytes32 manifest,uint32 keyVersion,uint32 partition,uint64 fence,uint64 epoch,uint64 block,bytes32 nonce)',
);
const writeType = structType(
  'StateWrite(bytes32 app,bytes32 manifest,uint32 keyVersion,uint32 partition,uint64 version,uint64 fence,bytes32 root,uint64 epoch,uint64 block)',
);
const promiseType = structType(
  'StatePromise(bytes32 request,bytes32 app,uint32 partition,uint64 fence,address holder,uint64 generation,uint64 headVersion,uint64 headFence,bytes32 headRoot)',
);

/** The EIP-712 digest that the host's receipt signer signs. */
export function stateFenceDigest(domain: RecordDomain, request: StateFenceRequest): Bytes32 {
  const { app, manifest, keyVersion, partition, fence, epoch, block, nonce } = request;
  return typedDataDigest(
    domain,
    hashStruct(fenceType, app, manifest, keyVersion, partition, fence, epoch, block, nonce),
  );
}

/** The EIP-712 digest that the host's receipt signer signs. */
export function stateWriteDigest(domain: RecordDomain, write: StateWrite): Bytes32 {
  const { app, manifest, keyVersion, partition, version, fence, root, epoch, block } = write;
  return typedDataDigest(
    domain,
    hashStruct(writeType, app, manifest, keyVersion, partition, version, fence, root, epoch, block),
  );
}

/** The EIP-712 digest that the member's signer signs: who hides a head that it keeps can't deny it. */
export function statePromiseDigest(domain: RecordDomain, promise: StatePromise): Bytes32 {
  const { request, app, partition, fence, holder, generation, certified } = promise;
  const { version, root } = certified;
  return typedDataDigest(
    domain,
    hashStruct(promiseType, request, app, partition, fence, holder, generation, version, certified.fence, root),
  );
}

const askFields = {
  ...statePartitionFields,
  manifest: z.bytes32,
  keyVersion: z.intBetween(1, 0xffff_ffff),
  epoch: z.uintString(64),
  block: z.uintString(64),
} as const;
const placeFields = { version: z.uintString(64), fence: z.uintString(64), root: z.bytes32 } as const;

const fenceJson = z.strictObject({
  ...askFields,
  fence: z.uintString(64),
  nonce: z.bytes32,
  signature: z.hexOf(65),
});
const promiseJson = z.strictObject({
  request: z.bytes32,
  generation: z.uintString(64),
  certified: z.strictObject(placeFields),
  signature: z.hexOf(65),
});
const writeRequestJson = z.strictObject({
  write: z.strictObject({ ...askFields, ...placeFields, signature: z.hexOf(65) }),
  promises: z.array(promiseJson).check(z.refineArray(1, 32)),
  certified: z.nullable(certifiedStateHeadForm),
});
const fenceAnswerJson = z.strictObject({
  generation: z.uintString(64),
  certified: z.nullable(certifiedStateHeadForm),
  signature: z.hexOf(65),
});
const writeAnswerJson = z.strictObject({
  generation: z.uintString(64),
  index: z.intBetween(1, 32),
  partial: z.hexOf(96),
});

/** Largest request and answer about state, in bytes: 32 promises of about 500 bytes, and what is written. */
export const maxStateRequestBytes = 24_576;
export const maxStateAnswerBytes = 4_096;

/** Reads the body of a fence request. Throws SchemaError. */
export function parseSignedStateFenceRequest(json: unknown): SignedStateFenceRequest {
  return z.parseWith(fenceJson, json, 'state fence request') as SignedStateFenceRequest;
}

/** Reads the body of a write. Throws SchemaError. */
export function parseStateWriteRequest(json: unknown): StateWriteRequest {
  return z.parseWith(writeRequestJson, json, 'state write') as StateWriteRequest;
}

/** Reads a member's answer to a fence request. Throws SchemaError. */
export function parseStateFenceAnswer(json: unknown): StateFenceAnswer {
  return z.parseWith(fenceAnswerJson, json, 'state fence answer') as StateFenceAnswer;
}

/** Reads a member's answer to a write. Throws SchemaError. */
export function parseStateWriteAnswer(json: unknown): StateWriteAnswer {
  return z.parseWith(writeAnswerJson, json, 'state write answer') as StateWriteAnswer;
}

/** Any record of state as JSON has it: whole numbers beyond 2^53 as decimal strings. */
export function stateRecordToJson(record: object): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  ) as Record<string, unknown>;
}
