import { CommitteeReader, type CommitteeStatus, type RegistryReader } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  beaconMessage,
  beaconRandomness,
  CloisterError,
  describeError,
  type Hex,
  type NetworkFile,
  parseBoundedJson,
  readBounded,
  tickAt,
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

/** What a gatekeeper says of itself; nothing depends on it. `reachable` false where it does not answer. */
export type GatekeeperReport = {
  readonly operator: Address;
  readonly endpoint: string;
  readonly reachable: boolean;
  readonly holdsShares: boolean;
  readonly reason?: string;
};

export type CommitteeComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  readonly fetch: typeof globalThis.fetch;
};

const memberTimeoutMs = 5_000;
const maxAnswerBytes = 16 * 1024;

/** The network's committee as a client sees it: its members by the chain, its randomness by the network file's key. */
export class Committee {
  readonly #components: CommitteeComponents;
  readonly #reader: CommitteeReader;

  constructor(components: CommitteeComponents) {
    this.#components = components;
    this.#reader = new CommitteeReader(components.registry.view, components.network.contracts);
  }

  /** Members, threshold and keys at the newest block on which all RPCs agree. */
  async status(signal?: AbortSignal): Promise<CommitteeStatus> {
    const { number } = await this.#reader.view.head(signal);
    return this.#reader.status(number, signal);
  }

  /** How each member says it is; before there is a generation, each founder. */
  reports({ generation, next }: CommitteeStatus, signal?: AbortSignal): Promise<GatekeeperReport[]> {
    const members = generation.members.length > 0 ? generation.members : next.members;
    return Promise.all(
      members.map(async ({ operator, endpoint }) => {
        try {
          const report = (await this.#get(`${endpoint}/v1/gatekeeper`, signal)) as { holdsShares?: unknown };
          return { operator, endpoint, reachable: true, holdsShares: report.holdsShares === true };
        } catch (error) {
          return { operator, endpoint, reachable: false, holdsShares: false, reason: describeError(error) };
        }
      }),
    );
  }

  /** The round that the newest block is in. */
  async currentRound(signal?: AbortSignal): Promise<bigint> {
    const { registry } = this.#components;
    const { genesis, roundLength } = await registry.clock(signal);
    const head = registry.view.latest ?? (await registry.view.head(signal));
    return tickAt(head.timestamp, genesis, roundLength);
  }

  /**
   * A round's randomness, from the first gatekeeper that gives a signature which verifies under the network file's key; default: the
   * newest round. Throws BEACON_ABSENT where the network has no committee, BEACON_UNAVAILABLE where no member gives one.
   */
  async beacon(round?: bigint, signal?: AbortSignal): Promise<BeaconRound> {
    const { network } = this.#components;
    if (network.networkKeys === null)
      throw new CommitteeError('BEACON_ABSENT', 'The network file names no keys: this network has no committee');
    const wanted = round ?? (await this.currentRound(signal));
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const message = fromHex(beaconMessage(domain, wanted));
    const key = fromHex(network.networkKeys.beacon);
    const reasons: string[] = [];
    for (const { operator, endpoint } of (await this.status(signal)).generation.members) {
      try {
        const { signature } = (await this.#get(`${endpoint}/v1/beacon/${wanted}`, signal)) as { signature: Hex };
        if (verifySignature(key, message, fromHex(signature)))
          return { round: wanted, signature, randomness: beaconRandomness(signature) };
        reasons.push(`${operator} gave one that does not verify`);
      } catch (error) {
        signal?.throwIfAborted();
        reasons.push(`${operator}: ${describeError(error)}`);
      }
    }
    throw new CommitteeError(
      'BEACON_UNAVAILABLE',
      `No gatekeeper gives the randomness of round "${wanted}"${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`,
    );
  }

  #get(url: string, signal: AbortSignal | undefined): Promise<unknown> {
    return withDeadline({ timeoutMs: memberTimeoutMs, signal, what: 'A gatekeeper' }, async (inner) => {
      const response = await this.#components.fetch(url, { signal: inner, redirect: 'error' });
      const bytes = await readBounded(response, maxAnswerBytes);
      const json = parseBoundedJson(bytes, maxAnswerBytes, 'answer of a gatekeeper') as { message?: unknown };
      if (!response.ok) throw new Error(String(json.message ?? `it answered ${response.status}`));
      return json;
    });
  }
}

export type CommitteeErrorCode = 'BEACON_ABSENT' | 'BEACON_UNAVAILABLE';

export class CommitteeError extends CloisterError<CommitteeErrorCode> {
  override readonly name = 'CommitteeError';
  constructor(code: CommitteeErrorCode, message: string) {
    super({ code, message, retry: code === 'BEACON_UNAVAILABLE' });
  }
}
