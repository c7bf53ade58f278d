import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';
import { type KeyClass, type KeyIdentity, keyClasses } from './keyIdentity.ts';

/** A host's wish for one key of an app, signed by its receipt signer. */
export type KeyRequest = KeyIdentity & {
  /** The manifest that the host serves. */
  readonly manifest: Bytes32;
  /** Epoch and newest block that the host knows. */
  readonly epoch: bigint;
  readonly block: bigint;
  readonly nonce: Bytes32;
  /** X25519 key, made for this request alone. */
  readonly hpkeKey: Bytes32;
};

const keyRequestType = structType(
  'KeyRequest(bytes32 app,bytes32 manifest,uint32 keyVersion,uint8 class,bytes32 context,uint64 epoch,uint64 block,bytes32 nonce,bytes32 hpkeKey)',
);

/** The EIP-712 digest that the receipt signer signs. */
export function keyRequestDigest(domain: RecordDomain, request: KeyRequest): Bytes32 {
  const { app, manifest, keyVersion, context, epoch, block, nonce, hpkeKey } = request;
  return typedDataDigest(
    domain,
    hashStruct(
      keyRequestType,
      app,
      manifest,
      keyVersion,
      keyClasses[request.class],
      context,
      epoch,
      block,
      nonce,
      hpkeKey,
    ),
  );
}

/** A gatekeeper's answer: its partial signature over the identity, sealed to the request's key. */
export type KeyAnswer = {
  /** Digest of the request. */
  readonly request: Bytes32;
  readonly generation: bigint;
  /** The member's index in that generation, from 1. */
  readonly index: number;
  /** keccak256 of the sealed partial. */
  readonly sealedHash: Bytes32;
};

const keyAnswerType = structType('KeyAnswer(bytes32 request,uint64 generation,uint8 index,bytes32 sealedHash)');

/** The EIP-712 digest that the member's signer signs: who sealed a wrong partial can't deny it. */
export function keyAnswerDigest(domain: RecordDomain, answer: KeyAnswer): Bytes32 {
  return typedDataDigest(
    domain,
    hashStruct(keyAnswerType, answer.request, answer.generation, answer.index, answer.sealedHash),
  );
}

const signedRequestJson = z.strictObject({
  app: z.bytes32,
  manifest: z.bytes32,
  keyVersion: z.intBetween(1, 0xffff_ffff),
  class: z.enumOf(Object.keys(keyClasses) as [KeyClass, ...KeyClass[]]),
  context: z.bytes32,
  epoch: z.uintString(64),
  block: z.uintString(64),
  nonce: z.bytes32,
  hpkeKey: z.bytes32,
  signature: z.hexOf(65),
});

export type SignedKeyRequest = KeyRequest & { readonly signature: Hex };
export const maxKeyRequestBytes = 4_096;

/** Reads the body of a key request. Throws SchemaError. */
export function parseSignedKeyRequest(json: unknown): SignedKeyRequest {
  return z.parseWith(signedRequestJson, json, 'key request') as SignedKeyRequest;
}

/** The request as JSON has it. */
export function signedKeyRequestToJson(request: SignedKeyRequest): Record<string, unknown> {
  return { ...request, epoch: request.epoch.toString(), block: request.block.toString() };
}

const sealedAnswerJson = z.strictObject({
  generation: z.uintString(64),
  index: z.intBetween(1, 255),
  sealed: z.hexOf(32 + 96 + 16),
  signature: z.hexOf(65),
});

export type SealedKeyAnswer = {
  readonly generation: bigint;
  readonly index: number;
  /** HPKE: encapsulated key ‖ ciphertext of the partial (96 bytes, G2). */
  readonly sealed: Hex;
  readonly signature: Hex;
};

/** Reads a gatekeeper's answer. Throws SchemaError. */
export function parseSealedKeyAnswer(json: unknown): SealedKeyAnswer {
  return z.parseWith(sealedAnswerJson, json, 'key answer') as SealedKeyAnswer;
}
