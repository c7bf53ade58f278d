import type { CommitteeMember, CommitteeReader } from '@cloister/chain';
import {
  type Bytes32,
  beaconMessage,
  beaconRandomness,
  CloisterError,
  describeError,
  type Hex,
  isHexOf,
  type NetworkFile,
  parseBoundedJson,
  readBounded,
  sleep,
  withDeadline,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';

/** One round of the network's randomness, verified here. */
export type BeaconRound = {
  readonly round: bigint;
  /** The committee's one signature over the round, 96 bytes. */
  readonly signature: Hex;
  /** keccak256 of the signature. */
  readonly randomness: Bytes32;
};

export type BeaconReaderComponents = {
  readonly network: NetworkFile;
  readonly committee: CommitteeReader;
  readonly fetch?: typeof globalThis.fetch | undefined;
};

const memberTimeoutMs = 5_000;
const maxAnswerBytes = 16 * 1024;
const keptRounds = 256;
const attempts = 5;
const retryMs = 700;

/** What each member said, and whether one of them only lags behind the chain. */
type Failure = { readonly reasons: readonly string[]; readonly isAhead: boolean };

/** A round's randomness from whichever gatekeeper gives it: they can withhold it, and not change it. */
export class BeaconReader {
  readonly #components: BeaconReaderComponents;
  readonly #known = new Map<bigint, BeaconRound>();

  constructor(components: BeaconReaderComponents) {
    this.#components = components;
  }

  /**
   * The randomness of a round, from the first gatekeeper whose signature verifies under the network file's key. Throws BEACON_ABSENT where
   * the network has no committee, BEACON_UNAVAILABLE where no member gives one.
   */
  async round(round: bigint, signal?: AbortSignal): Promise<BeaconRound> {
    const known = this.#known.get(round);
    if (known !== undefined) return known;
    const { network, committee } = this.#components;
    if (network.networkKeys === null)
      throw new BeaconReaderError('BEACON_ABSENT', 'The network file names no keys: this network has no committee');
    const message = fromHex(
      beaconMessage({ chainId: network.chainId, registry: network.contracts.workerRegistry }, round),
    );
    const key = fromHex(network.networkKeys.beacon);
    const { number } = await committee.view.head(signal);
    const { generation } = await committee.status(number, signal);
    let failure: Failure = { reasons: [], isAhead: false };
    // A member looks at the chain now and then: of a round that has just begun it may not know yet.
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await sleep(retryMs, signal);
      const made = await this.#fromAny(generation.members, round, { message, key }, signal);
      if ('signature' in made) {
        this.#known.set(round, made);
        if (this.#known.size > keptRounds) this.#known.delete(this.#known.keys().next().value as bigint);
        return made;
      }
      failure = made;
      if (!made.isAhead) break;
    }
    const { reasons } = failure;
    throw new BeaconReaderError(
      'BEACON_UNAVAILABLE',
      `No gatekeeper gives the randomness of round "${round}"${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`,
    );
  }

  async #fromAny(
    members: readonly CommitteeMember[],
    round: bigint,
    { message, key }: { readonly message: Uint8Array; readonly key: Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<BeaconRound | Failure> {
    const reasons: string[] = [];
    let isAhead = false;
    for (const { operator, endpoint } of members) {
      try {
        const signature = await this.#ask(endpoint, round, signal);
        if (!verifySignature(key, message, fromHex(signature))) throw new Error('it gave one that does not verify');
        return { round, signature, randomness: beaconRandomness(signature) };
      } catch (error) {
        signal?.throwIfAborted();
        reasons.push(`${operator}: ${describeError(error)}`);
        isAhead ||= error instanceof RoundAhead;
      }
    }
    return { reasons, isAhead };
  }

  #ask(endpoint: string, round: bigint, signal: AbortSignal | undefined): Promise<Hex> {
    return withDeadline({ timeoutMs: memberTimeoutMs, signal, what: 'A gatekeeper' }, async (inner) => {
      const fetch = this.#components.fetch ?? globalThis.fetch;
      const response = await fetch(`${endpoint}/v1/beacon/${round}`, { signal: inner, redirect: 'error' });
      const bytes = await readBounded(response, maxAnswerBytes);
      const json = parseBoundedJson(bytes, maxAnswerBytes, 'answer of a gatekeeper') as Record<string, unknown> | null;
      const message = String(json?.message ?? `it answered ${response.status}`);
      if (json?.code === 'BEACON_ROUND_AHEAD') throw new RoundAhead(message);
      if (!response.ok) throw new Error(message);
      if (!isHexOf(json?.signature, 96)) throw new Error('it gave no signature of 96 bytes');
      return json.signature;
    });
  }
}

class RoundAhead extends Error {}

export type BeaconReaderErrorCode = 'BEACON_ABSENT' | 'BEACON_UNAVAILABLE';

export class BeaconReaderError extends CloisterError<BeaconReaderErrorCode> {
  override readonly name = 'BeaconReaderError';
  constructor(code: BeaconReaderErrorCode, message: string) {
    super({ code, message, retry: code === 'BEACON_UNAVAILABLE' });
  }
}
