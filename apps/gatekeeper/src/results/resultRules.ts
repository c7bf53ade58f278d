import {
  AttestationError,
  appraise,
  type Claims,
  type EvidenceDocument,
  EvidenceVerifier,
  networkPolicy,
  networkTrustRoots,
  serialiseEvidence,
  snpTcbFloors,
  statedConfigIdOf,
} from '@cloister/attestation/verify';
import {
  type AttestationResult,
  type Bytes32,
  type Hex,
  type NetworkFile,
  tcbStatusUpToDate,
  teeTypes,
  zeroBytes32,
} from '@cloister/core';
import { keccak256, toHex } from '@cloister/crypto';
import { ListWatch } from './listWatch.ts';
import { refused } from './resultErrors.ts';

/** What a result rests on besides the evidence, read at one recent block on which all RPCs agree. */
export interface ResultFacts {
  readonly block: bigint;
  /** Unix seconds: the only clock. */
  readonly time: bigint;
  /** What registering by evidence of this type asks; undefined where it can't register. */
  policy(teeType: number, signal: AbortSignal): Promise<ResultPolicy | undefined>;
  /** The block of this chain with that hash; undefined where there is none. */
  blockOf(
    hash: Bytes32,
    signal: AbortSignal,
  ): Promise<{ readonly number: bigint; readonly timestamp: bigint } | undefined>;
}

export type ResultPolicy = {
  readonly acceptedTcbStatuses: readonly string[];
  readonly minimumTcbEvaluationDataNumber: number;
};

/** Blocks that evidence may be behind: as far as contracts can look back. The registry asks for more. */
const maxAttestedBlocks = 8_191n;
/** A result counts no longer after the block that its evidence names: in time for lists and floors to be looked at again. */
const maxResultSeconds = 86_400n;

/**
 * Judges evidence of SEV-SNP and Nitro for the chain, which can't check their signatures. Everything in a result follows from the
 * evidence, from the block that it names and from what this code was built with, nothing from when it is asked: so members that
 * judge the same evidence say the same.
 */
export class ResultRules {
  readonly #network: Pick<NetworkFile, 'simulated' | 'trustRoots'>;
  readonly #verifier: EvidenceVerifier;
  readonly #lists: ListWatch;

  constructor(network: Pick<NetworkFile, 'simulated' | 'trustRoots'>) {
    this.#network = network;
    const roots = networkTrustRoots(network.trustRoots);
    this.#verifier = new EvidenceVerifier({ roots });
    this.#lists = new ListWatch(roots);
  }

  /**
   * The result for a document, read as a checklist. Throws AttestationError where the evidence does not verify or is not
   * acceptable, ResultRefusedError, ChainError.
   */
  async judge(document: EvidenceDocument, facts: ResultFacts, signal: AbortSignal): Promise<AttestationResult> {
    const { teeType } = document;
    if (teeType !== 'sev-snp' && teeType !== 'nitro')
      throw refused('RESULT_TYPE_REFUSED', `The chain checks evidence of "${teeType}" itself`);
    const policy = await facts.policy(teeTypes[teeType], signal);
    if (policy === undefined)
      throw refused('RESULT_TYPE_REFUSED', `The network takes no registrations by evidence of "${teeType}"`);

    const now = Number(facts.time);
    const claims: Claims = await this.#verifier.verify(document, now);
    if (document.teeType === 'sev-snp') await this.#lists.assertNewest(document, now);
    const verdict = appraise(claims, networkPolicy(this.#network));
    if (!verdict.ok) {
      const { code, message, place, value } = verdict.refusal;
      throw new AttestationError({ code, message, place: place ?? 'claims', value });
    }
    const edition = teeType === 'sev-snp' ? snpTcbFloors.edition : 0;
    assertAsked(policy, edition);

    const configId = statedConfigIdOf(claims);
    const { reportData, platformId } = claims;
    if (reportData === null || configId === null)
      throw refused('RESULT_UNBOUND', 'The evidence states no report data of 64 bytes, or no network file');
    const [head, tail] = [reportData.slice(0, 66) as Bytes32, `0x${reportData.slice(66)}` as Bytes32];
    const attested = await facts.blockOf(tail, signal);
    if (attested === undefined || attested.number > facts.block || attested.number + maxAttestedBlocks < facts.block)
      throw refused('RESULT_BLOCK_UNKNOWN', `The evidence names no recent block of this chain: "${tail}"`);
    const latest = attested.timestamp + maxResultSeconds;
    const holds = BigInt(claims.notAfter);
    return {
      teeType: teeTypes[teeType],
      simulated: claims.simulated,
      tcbStatus: tcbStatusUpToDate,
      tcbEvaluationDataNumber: edition,
      validUntil: holds < latest ? holds : latest,
      imageId: claims.imageId,
      configId,
      platformId: platformId === null ? zeroBytes32 : paddedPlatformId(platformId),
      evidenceHash: toHex(keccak256(serialiseEvidence(document))),
      reportDataHead: head,
      reportDataTail: tail,
    };
  }
}

/** Only what is up to date gets a result, by the floors of this edition. */
function assertAsked(policy: ResultPolicy, edition: number): void {
  const { acceptedTcbStatuses, minimumTcbEvaluationDataNumber } = policy;
  if (acceptedTcbStatuses.includes('UpToDate') && edition >= minimumTcbEvaluationDataNumber) return;
  throw refused(
    'RESULT_POLICY_UNMET',
    `The registry takes "${acceptedTcbStatuses.join('", "')}" by TCB data "${minimumTcbEvaluationDataNumber}" or later; this member judges by "${edition}"`,
  );
}

/** 16 bytes as the chain has them: 16 zero bytes behind. */
export function paddedPlatformId(platformId: Hex): Bytes32 {
  return `${platformId}${'0'.repeat(32)}` as Bytes32;
}
