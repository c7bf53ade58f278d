import { evidenceJson, type NitroDocument, type SnpDocument } from '@cloister/attestation/verify';
import type { CommitteeMember, CommitteeReader } from '@cloister/chain';
import {
  type Address,
  type AttestationResult,
  attestationResultDigest,
  attestationResultEvidence,
  type Bytes32,
  CloisterError,
  committeeProof,
  describeError,
  type Hex,
  type MemberRefusal,
  MemberRefusedError,
  maxAttestationResultBytes,
  memberRefusedBy,
  parseBoundedJson,
  parseSignedAttestationResult,
  type RecordDomain,
  readBounded,
  teeTypes,
  withDeadline,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { recoverAddress } from '@cloister/crypto/native-secp256k1';
import type { Logger } from '@cloister/service';
import { type ChainEvidence, ChainEvidenceError, type TeePolicies } from './intelChainEvidence.ts';

export type CommitteeChainEvidenceInit = {
  readonly registry: TeePolicies;
  readonly committee: Pick<CommitteeReader, 'view' | 'status'>;
  readonly domain: RecordDomain;
  readonly log: Logger;
  readonly fetch?: typeof globalThis.fetch;
};

type Signed = { readonly member: CommitteeMember; readonly result: AttestationResult; readonly signature: Hex };
const memberTimeoutMs = 15_000;

/**
 * Brings SEV-SNP and Nitro evidence to the chain, which can't check it: every member of the committee is asked at once for its
 * signed result, and the first threshold of equal ones is what the contract takes. What single members say counts for nothing.
 */
export class CommitteeChainEvidence {
  readonly #init: CommitteeChainEvidenceInit;
  readonly #fetch: typeof globalThis.fetch;

  constructor(init: CommitteeChainEvidenceInit) {
    this.#init = init;
    this.#fetch = init.fetch ?? globalThis.fetch;
  }

  /**
   * Throws CHAIN_EVIDENCE_UNSUPPORTED where the registry takes no registrations by this type; COMMITTEE_ABSENT before there is a
   * committee, RESULT_REFUSED with the members' reason, RESULT_UNAVAILABLE while too few of them say the same.
   */
  async of(document: SnpDocument | NitroDocument, signal: AbortSignal): Promise<ChainEvidence> {
    const { registry, committee, log } = this.#init;
    const teeType = teeTypes[document.teeType];
    if ((await registry.teePolicy(teeType, undefined, signal)) === undefined)
      throw new ChainEvidenceError(`The network takes no registrations by evidence of "${document.teeType}"`);
    // The newest: the contract takes the word of those who are members when the transaction comes.
    const head = await committee.view.head(signal);
    const { generation } = await committee.status(head.number, signal);
    if (generation.number === 0n || generation.members.length === 0)
      throw new CommitteeEvidenceError(
        'COMMITTEE_ABSENT',
        'There is no committee yet that could judge this evidence',
        [],
      );
    const { result, proof } = await this.#collect(document, generation, signal);
    log.info('chain: evidence judged by the committee', {
      members: generation.threshold,
      validUntil: result.validUntil,
    });
    return { teeType, evidence: attestationResultEvidence(result, proof) };
  }

  /** Asks all members at once, and is done with the first threshold of them that say the same. */
  async #collect(
    document: SnpDocument | NitroDocument,
    { members, threshold }: { readonly members: readonly CommitteeMember[]; readonly threshold: number },
    signal: AbortSignal,
  ): Promise<{ readonly result: AttestationResult; readonly proof: Hex }> {
    const body = JSON.stringify(evidenceJson(document));
    const signers = members.map(({ signer }) => signer);
    const byDigest = new Map<Bytes32, Map<Address, Hex>>();
    const refusals: MemberRefusal[] = [];
    const ended = new AbortController();
    const inner = AbortSignal.any([signal, ended.signal]);
    try {
      return await new Promise((resolve, reject) => {
        let open = members.length;
        const onSigned = ({ member, result, signature }: Signed): void => {
          const digest = attestationResultDigest(this.#init.domain, result);
          const signatures = byDigest.get(digest) ?? new Map<Address, Hex>();
          byDigest.set(digest, signatures.set(member.signer, signature));
          const proof = committeeProof(signers, threshold, signatures);
          if (proof !== undefined) resolve({ result, proof });
        };
        const onEnd = (): void => {
          if (--open === 0) reject(failure(threshold, members.length, byDigest, refusals));
        };
        for (const member of members)
          this.#ask(member, document.teeType, body, inner)
            .then(onSigned, (error: unknown) => refusals.push(refusalOf(member, error)))
            .then(onEnd)
            .catch(reject);
      });
    } finally {
      ended.abort();
    }
  }

  #ask(member: CommitteeMember, teeType: 'sev-snp' | 'nitro', body: string, signal: AbortSignal): Promise<Signed> {
    return withDeadline(
      { timeoutMs: memberTimeoutMs, signal, what: `Gatekeeper ${member.operator}` },
      async (inner) => {
        const response = await this.#fetch(`${member.endpoint}/v1/attestations`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          signal: inner,
          redirect: 'error',
        });
        const bytes = await readBounded(response, maxAttestationResultBytes);
        const json = parseBoundedJson(bytes, maxAttestationResultBytes, 'attestation result');
        if (!response.ok) throw memberRefusedBy(json);
        const { signature, ...result } = parseSignedAttestationResult(json);
        if (result.teeType !== teeTypes[teeType]) throw new Error('its result is of another TEE type');
        const digest = attestationResultDigest(this.#init.domain, result);
        if (recoverAddress(fromHex(digest), fromHex(signature)) !== member.signer)
          throw new Error('its result is signed by another');
        return { member, result, signature };
      },
    );
  }
}

function refusalOf({ operator }: CommitteeMember, error: unknown): MemberRefusal {
  if (error instanceof MemberRefusedError) return { member: operator, code: error.code, message: error.message };
  return { member: operator, code: 'NO_ANSWER', message: describeError(error) };
}

/** What a member says that waiting may mend. */
const passing = new Set(['NO_ANSWER', 'RESULT_BLOCK_UNKNOWN', 'RESULT_RATE_LIMITED', 'INTERNAL', 'REFUSED']);

function mayPass({ code }: MemberRefusal): boolean {
  return passing.has(code) || code.startsWith('CHAIN_') || code.startsWith('GATEKEEPER_');
}

function failure(
  threshold: number,
  members: number,
  byDigest: ReadonlyMap<Bytes32, ReadonlyMap<Address, Hex>>,
  refusals: readonly MemberRefusal[],
): CommitteeEvidenceError {
  const reasons = refusals.map(({ member, code, message }) => `${member.slice(0, 10)}: ${code}, ${message}`).join('; ');
  const final = refusals.filter((refusal) => !mayPass(refusal));
  // So many say no for good that the others are too few.
  if (final.length > members - threshold)
    return new CommitteeEvidenceError('RESULT_REFUSED', `The committee refuses this evidence (${reasons})`, refusals);
  const most = Math.max(0, ...[...byDigest.values()].map(({ size }) => size));
  const why = reasons === '' ? '' : ` (${reasons})`;
  return new CommitteeEvidenceError(
    'RESULT_UNAVAILABLE',
    `Of "${threshold}" gatekeepers needed, "${most}" say the same of this evidence${why}`,
    refusals,
  );
}

export type CommitteeEvidenceErrorCode = 'COMMITTEE_ABSENT' | 'RESULT_REFUSED' | 'RESULT_UNAVAILABLE';

/** Evidence that the committee did not vouch for. */
export class CommitteeEvidenceError extends CloisterError<CommitteeEvidenceErrorCode> {
  override readonly name = 'CommitteeEvidenceError';
  constructor(code: CommitteeEvidenceErrorCode, message: string, refusals: readonly { readonly code: string }[]) {
    super({
      code,
      message,
      meta: { codes: refusals.map((refusal) => refusal.code) },
      hint:
        code === 'RESULT_REFUSED'
          ? '"cloister attest --out FILE" and "cloister verify-evidence FILE --tree" show what does not hold'
          : 'It is tried again; "cloister committee" shows the members',
      retry: code !== 'RESULT_REFUSED',
    });
  }
}
