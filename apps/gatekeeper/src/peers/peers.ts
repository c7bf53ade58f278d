import {
  type Bytes32,
  CloisterError,
  describeError,
  type EpochIndex,
  maxEpochIndexBytes,
  maxMeasurementVectorBytes,
  parseBoundedJson,
  parseEpochIndex,
  parseSignedChainHead,
  readBounded,
  type SignedChainHead,
  withDeadline,
  schema as z,
} from '@cloister/core';
import type { Generation, Member } from '../committeeState.ts';
import { type CeremonyExchange, maxExchangeBytes, parseExchange } from '../handover/exchange.ts';
import { type PublicShares, parsePublicShares, publicSharesHash } from '../shares/publicShares.ts';
import type { MemberPartial } from '../signing/memberPartial.ts';
import {
  maxStateRecordsPageBytes,
  parseStateRecordsPage,
  type StateRecordsPage,
  type StateRecordsRequest,
} from '../state/stateRecords.ts';

export type PeersInit = {
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
  readonly onTrouble?: (member: Member, reason: string) => void;
};

const maxSmallBytes = 16 * 1024;
const partialJson = z.strictObject({
  generation: z.uintString(64),
  index: z.intBetween(1, 32),
  signature: z.hexOf(96),
});

/**
 * The other members, over HTTP. They, and whoever stands between, are trusted for nothing: messages are signed, shares
 * sealed, partials verified. A member that does not answer is simply not there.
 */
export class Peers {
  readonly #timeoutMs: number;
  readonly #fetch: typeof globalThis.fetch;
  readonly #onTrouble: (member: Member, reason: string) => void;
  /** What a member said that it has: it need not be sent again. */
  readonly #known = new Map<string, { readonly session: Bytes32; readonly ids: ReadonlySet<string> }>();

  constructor(init: PeersInit = {}) {
    this.#timeoutMs = init.timeoutMs ?? 3_000;
    this.#fetch = init.fetch ?? globalThis.fetch;
    this.#onTrouble = init.onTrouble ?? (() => {});
  }

  knownTo({ signer }: Member, session: Bytes32): ReadonlySet<string> {
    const known = this.#known.get(signer);
    return known?.session === session ? known.ids : new Set();
  }

  /** Undefined where the member does not answer, or with something else. */
  async exchange(
    member: Member,
    exchange: CeremonyExchange,
    signal: AbortSignal,
  ): Promise<CeremonyExchange | undefined> {
    return this.#ask(member, async () => {
      const answer = parseExchange(await this.#json(member, '/v1/ceremony', maxExchangeBytes, signal, exchange));
      if (answer.session !== exchange.session) throw new PeerError('it answered about another session');
      this.#known.set(member.signer, { session: exchange.session, ids: new Set(answer.have) });
      return answer;
    });
  }

  /** A generation's public shares, from the first member that serves those of the chain's hash. Throws PEER_SHARES_UNKNOWN. */
  async publicShares(generation: Generation, signal: AbortSignal): Promise<PublicShares> {
    for (const member of generation.members) {
      const shares = await this.#ask(member, async () => {
        const path = `/v1/generations/${generation.number}/public-shares`;
        const found = parsePublicShares(await this.#json(member, path, maxSmallBytes, signal));
        if (publicSharesHash(found) !== generation.publicSharesHash)
          throw new PeerError('its public shares are others');
        return found;
      });
      if (shares !== undefined) return shares;
    }
    throw new CloisterError({
      code: 'PEER_SHARES_UNKNOWN',
      message: `No member serves the public shares of generation "${generation.number}"`,
      retry: true,
    });
  }

  async beaconPartial(member: Member, round: bigint, signal: AbortSignal): Promise<MemberPartial | undefined> {
    return this.#partial(member, `/v1/beacon/${round}/partial`, signal);
  }

  /** A member's part of what is to be said of a round, by its own view of the chain. */
  async roundPartial(member: Member, round: bigint, signal: AbortSignal): Promise<MemberPartial | undefined> {
    return this.#partial(member, `/v1/rounds/${round}/partial`, signal);
  }

  /** The newest block that a member says it sees, its signature not yet checked. */
  async head(member: Member, signal: AbortSignal): Promise<SignedChainHead | undefined> {
    return this.#ask(member, async () =>
      parseSignedChainHead(await this.#json(member, '/v1/head', maxSmallBytes, signal)),
    );
  }

  /** What a member has of an epoch, no signature in it checked. */
  async epochIndex(member: Member, epoch: bigint, signal: AbortSignal): Promise<EpochIndex | undefined> {
    return this.#ask(member, async () => {
      const index = parseEpochIndex(await this.#json(member, `/v1/epochs/${epoch}`, maxEpochIndexBytes, signal));
      if (index.epoch !== epoch) throw new PeerError('it answered about another epoch');
      return index;
    });
  }

  /** The bytes that a member has for a vector's id, not yet checked. */
  async measurementVector(member: Member, id: Bytes32, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#ask(member, () => this.#bytes(member, `/v1/epochs/vectors/${id}`, maxMeasurementVectorBytes, signal));
  }

  /** One page of what a member keeps of apps' state, its signature not yet checked. */
  async stateRecords(
    member: Member,
    request: StateRecordsRequest,
    signal: AbortSignal,
  ): Promise<StateRecordsPage | undefined> {
    return this.#ask(member, async () =>
      parseStateRecordsPage(await this.#json(member, '/v1/state/records', maxStateRecordsPageBytes, signal, request)),
    );
  }

  /** The evidence that a member registered with. Throws PEER_FAILED. */
  async evidence(member: Member, signal: AbortSignal): Promise<unknown> {
    return this.#json(member, '/v1/evidence', 256 * 1024, signal);
  }

  #partial(member: Member, path: string, signal: AbortSignal): Promise<MemberPartial | undefined> {
    return this.#ask(
      member,
      async () =>
        z.parseWith(
          partialJson,
          await this.#json(member, path, maxSmallBytes, signal),
          'partial signature',
        ) as MemberPartial,
    );
  }

  async #ask<T>(member: Member, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#onTrouble(member, describeError(error));
      return undefined;
    }
  }

  async #json(member: Member, path: string, maxBytes: number, signal: AbortSignal, body?: unknown): Promise<unknown> {
    return parseBoundedJson(await this.#bytes(member, path, maxBytes, signal, body), maxBytes, 'answer');
  }

  #bytes(member: Member, path: string, maxBytes: number, signal: AbortSignal, body?: unknown): Promise<Uint8Array> {
    const what = `Member ${member.operator} at ${member.endpoint}`;
    return withDeadline({ timeoutMs: this.#timeoutMs, signal, what }, async (inner) => {
      const response = await this.#fetch(`${member.endpoint}${path}`, {
        signal: inner,
        redirect: 'error',
        ...(body === undefined
          ? {}
          : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      }).catch((cause: unknown) => {
        throw new PeerError(`it does not answer (${describeError(cause)})`, cause);
      });
      const bytes = await readBounded(response, maxBytes);
      if (!response.ok) throw new PeerError(`it answered ${response.status}`);
      return bytes;
    });
  }
}

export class PeerError extends CloisterError<'PEER_FAILED'> {
  override readonly name = 'PeerError';
  constructor(reason: string, cause?: unknown) {
    super({ code: 'PEER_FAILED', message: `A member is of no use now: ${reason}`, retry: true, cause });
  }
}
