import { parseEvidence } from '@cloister/attestation/verify';
import {
  type Address,
  attestationResultDigest,
  type Bytes32,
  CloisterError,
  type Hex,
  type RecordDomain,
  SchemaError,
  signedAttestationResultToJson,
} from '@cloister/core';
import { type Counter, type Logger, TokenBuckets } from '@cloister/service';
import { refused } from './resultErrors.ts';
import type { ResultFacts, ResultRules } from './resultRules.ts';

export type ResultServiceComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly rules: ResultRules;
  /** What is true now. Throws ChainError where the chain can't be read, is split or old: then nothing is signed. */
  readonly facts: (signal: AbortSignal) => Promise<ResultFacts>;
  readonly answered: Counter;
  readonly log: Logger;
  /** Monotonic, ms. */
  readonly clockMs?: () => number;
};

/** A worker asks now and then, all its members at once; judging takes some milliseconds of RSA and P-384. */
const requestBurst = 16;
const requestsPerSecond = 0.5;

/** Signs what this member found of evidence that the chain can't check. The chain believes it where enough members say the same. */
export class ResultService {
  readonly #components: ResultServiceComponents;
  readonly #domain: RecordDomain;
  readonly #rate: TokenBuckets;

  constructor(components: ResultServiceComponents, { domain }: { readonly domain: RecordDomain }) {
    this.#components = components;
    this.#domain = domain;
    const now = components.clockMs === undefined ? {} : { now: components.clockMs };
    this.#rate = new TokenBuckets({ burst: requestBurst, perSecond: requestsPerSecond, ...now });
  }

  /** Throws RESULT_RATE_LIMITED. A body is read only after it. @param client whoever counts as one, by address */
  admit(client: string): void {
    const waitMs = this.#rate.take(client);
    if (waitMs > 0)
      throw refused('RESULT_RATE_LIMITED', `Too much evidence from this address; wait ${Math.ceil(waitMs / 1000)} s`);
  }

  /** The signed result as JSON. Throws SchemaError, AttestationError, ResultRefusedError, ChainError. */
  async answer(json: unknown, signal: AbortSignal): Promise<Record<string, unknown>> {
    const { me, rules, facts, answered, log } = this.#components;
    if (typeof json !== 'object' || json === null) throw new SchemaError('evidence', '$', 'no object');
    try {
      const document = parseEvidence(json);
      const result = await rules.judge(document, await facts(signal), signal);
      const signature = me.sign(attestationResultDigest(this.#domain, result));
      answered.add(1, { outcome: 'signed' });
      return signedAttestationResultToJson({ ...result, signature });
    } catch (error) {
      if (error instanceof CloisterError) {
        answered.add(1, { outcome: error.code });
        log.info('results: refused', { code: error.code, reason: error.message });
      }
      throw error;
    }
  }
}
