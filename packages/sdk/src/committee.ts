import { CommitteeReader, type CommitteeStatus, type RegistryReader } from '@cloister/chain';
import {
  type Address,
  describeError,
  memberRefusedBy,
  type NetworkFile,
  parseBoundedJson,
  readBounded,
  tickAt,
  withDeadline,
} from '@cloister/core';
import { BeaconReader, type BeaconRound } from '@cloister/placement';

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
  readonly #beacon: BeaconReader;

  constructor(components: CommitteeComponents) {
    this.#components = components;
    this.#reader = new CommitteeReader(components.registry.view, components.network.contracts);
    this.#beacon = new BeaconReader({ ...components, committee: this.#reader });
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
          const report = (await this.ask(endpoint, '/v1/gatekeeper', signal)) as { holdsShares?: unknown };
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

  /** A round's randomness, verified; default: the newest round. Throws BEACON_ABSENT, BEACON_UNAVAILABLE. */
  async beacon(round?: bigint, signal?: AbortSignal): Promise<BeaconRound> {
    return this.#beacon.round(round ?? (await this.currentRound(signal)), signal);
  }

  /** A member's answer to a read, at most 16 KiB within 5 s. Throws MemberRefusedError with the member's own code. */
  ask(endpoint: string, path: string, signal?: AbortSignal): Promise<unknown> {
    return withDeadline({ timeoutMs: memberTimeoutMs, signal, what: 'A gatekeeper' }, async (inner) => {
      const response = await this.#components.fetch(`${endpoint}${path}`, { signal: inner, redirect: 'error' });
      const bytes = await readBounded(response, maxAnswerBytes);
      const json = parseBoundedJson(bytes, maxAnswerBytes, 'answer of a gatekeeper');
      if (!response.ok) throw memberRefusedBy(json);
      return json;
    });
  }
}
