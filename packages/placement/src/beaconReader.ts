import type { CommitteeReader } from '@cloister/chain';
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
    const reasons: string[] = [];
    for (const { operator, endpoint } of generation.members) {
      try {
        const signature = await this.#ask(endpoint, round, signal);
        if (!verifySignature(key, message, fromHex(signature))) throw new Error('it gave one that does not verify');
        const made = { round, signature, randomness: beaconRandomness(signature) };
        this.#known.set(round, made);
        if (this.#known.size > keptRounds) this.#known.delete(this.#known.keys().next().value as bigint);
        return made;
      } catch (error) {
        signal?.throwIfAborted();
        reasons.push(`${operator}: ${describeError(error)}`);
      }
    }
    throw new BeaconReaderError(
      'BEACON_UNAVAILABLE',
      `No gatekeeper gives the randomness of round "${round}"${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`,
    );
  }

  #ask(endpoint: string, round: bigint, signal: AbortSignal | undefined): Promise<Hex> {
    return withDeadline({ timeoutMs: memberTimeoutMs, signal, what: 'A gatekeeper' }, async (inner) => {
      const fetch = this.#components.fetch ?? globalThis.fetch;
      const response = await fetch(`${endpoint}/v1/beacon/${round}`, { signal: inner, redirect: 'error' });
      const bytes = await readBounded(response, maxAnswerBytes);
      const json = parseBoundedJson(bytes, maxAnswerBytes, 'answer of a gatekeeper') as Record<string, unknown> | null;
      if (!response.ok) throw new Error(String(json?.message ?? `it answered ${response.status}`));
      if (!isHexOf(json?.signature, 96)) throw new Error('it gave no signature of 96 bytes');
      return json.signature;
    });
  }
}

export type BeaconReaderErrorCode = 'BEACON_ABSENT' | 'BEACON_UNAVAILABLE';

export class BeaconReaderError extends CloisterError<BeaconReaderErrorCode> {
  override readonly name = 'BeaconReaderError';
  constructor(code: BeaconReaderErrorCode, message: string) {
    super({ code, message, retry: code === 'BEACON_UNAVAILABLE' });
  }
}
