import { concatBytes, fromHex, toHex } from '@cloister/crypto';
import { abiEncodeWords } from '../abi.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';

/**
 * What the committee says of evidence that the chain can't check itself (attestation result, RFC 9334). Chain and registry are
 * those of the domain that it is signed in; operator, receipt signer and keys stand in `reportDataHead`, the block in `reportDataTail`.
 */
export type AttestationResult = {
  /** As the chain numbers TEE types. */
  readonly teeType: number;
  readonly simulated: boolean;
  /** As the chain numbers TCB statuses. */
  readonly tcbStatus: number;
  /** Of the floors that the TCB was held against; 0 where there is nothing to hold. */
  readonly tcbEvaluationDataNumber: number;
  /** Unix seconds. */
  readonly validUntil: bigint;
  readonly imageId: Bytes32;
  readonly configId: Bytes32;
  /** 16 bytes and 16 zero bytes; zero where the evidence names no machine. */
  readonly platformId: Bytes32;
  /** keccak256 of the evidence document: what the TEE signed, certificates and revocation list. */
  readonly evidenceHash: Bytes32;
  readonly reportDataHead: Bytes32;
  readonly reportDataTail: Bytes32;
};

/** With one member's signature over its digest, 65 bytes. */
export type SignedAttestationResult = AttestationResult & { readonly signature: Hex };

/** That a platform's evidence counts no longer, for ever. */
export type PlatformRevocation = { readonly teeType: number; readonly platformId: Bytes32 };

/** TCB status UpToDate, as the chain numbers it. */
export const tcbStatusUpToDate = 1;

const resultType = structType(
  'AttestationResult(uint8 teeType,bool simulated,uint8 tcbStatus,uint32 tcbEvaluationDataNumber,uint64 validUntil,bytes32 imageId,bytes32 configId,bytes32 platformId,bytes32 evidenceHash,bytes32 reportDataHead,bytes32 reportDataTail)',
);
const revocationType = structType('PlatformRevocation(uint8 teeType,bytes32 platformId)');

function wordsOf(result: AttestationResult) {
  return [
    result.teeType,
    result.simulated ? 1 : 0,
    result.tcbStatus,
    result.tcbEvaluationDataNumber,
    result.validUntil,
    result.imageId,
    result.configId,
    result.platformId,
    result.evidenceHash,
    result.reportDataHead,
    result.reportDataTail,
  ] as const;
}

/** The EIP-712 digest that members sign: `CommitteeResultVerifier.resultDigest`. */
export function attestationResultDigest(domain: RecordDomain, result: AttestationResult): Bytes32 {
  return typedDataDigest(domain, hashStruct(resultType, ...wordsOf(result)));
}

/** The EIP-712 digest that members sign: `CommitteeResultVerifier.revocationDigest`. */
export function platformRevocationDigest(domain: RecordDomain, { teeType, platformId }: PlatformRevocation): Bytes32 {
  return typedDataDigest(domain, hashStruct(revocationType, teeType, platformId));
}

/** Evidence as `CommitteeResultVerifier` takes it: abi.encode(AttestationResult result, bytes proof). */
export function attestationResultEvidence(result: AttestationResult, proof: Hex): Hex {
  const bytes = fromHex(proof);
  const words = wordsOf(result);
  const padding = new Uint8Array((32 - (bytes.length % 32)) % 32);
  return toHex(concatBytes(abiEncodeWords(...words, (words.length + 1) * 32, bytes.length), bytes, padding));
}

const signedResultJson = z.strictObject({
  teeType: z.intBetween(1, 255),
  simulated: z.boolean(),
  tcbStatus: z.intBetween(1, 7),
  tcbEvaluationDataNumber: z.uint(0xffff_ffff),
  validUntil: z.uintString(64),
  imageId: z.bytes32,
  configId: z.bytes32,
  platformId: z.bytes32,
  evidenceHash: z.bytes32,
  reportDataHead: z.bytes32,
  reportDataTail: z.bytes32,
  signature: z.hexOf(65),
});

/** Bytes of a signed result as JSON, at most. */
export const maxAttestationResultBytes = 2_048;
/** Bytes of the evidence that a member judges: what fits an announcement, which must hold it too. */
export const maxJudgedEvidenceBytes = 256 * 1024;

/** Reads a member's signed result; who signed it is for who checks it. Throws SchemaError. */
export function parseSignedAttestationResult(json: unknown): SignedAttestationResult {
  return z.parseWith(signedResultJson, json, 'attestation result') as SignedAttestationResult;
}

/** The signed result as JSON has it. */
export function signedAttestationResultToJson(result: SignedAttestationResult): Record<string, unknown> {
  return { ...result, validUntil: result.validUntil.toString() };
}

const signedRevocationJson = z.strictObject({
  teeType: z.intBetween(1, 255),
  platformId: z.bytes32,
  signature: z.hexOf(65),
});

/** Reads a member's signed revocation. Throws SchemaError. */
export function parseSignedPlatformRevocation(json: unknown): PlatformRevocation & { readonly signature: Hex } {
  return z.parseWith(signedRevocationJson, json, 'platform revocation') as PlatformRevocation & { signature: Hex };
}
