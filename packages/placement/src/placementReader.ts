import type { RegistryHistory } from '@cloister/chain';
import { firstBlockSince, type Head, type NetworkClock, type PastWorker, type RegistryReader } from '@cloister/chain';
import { type Bytes32, CloisterError, zeroBytes32 } from '@cloister/core';
import { type PlacementRules, type PlacementTerm, placementOf, placementTermAt } from '@cloister/economics';

export type PlacementReaderComponents = {
  readonly registry: RegistryReader;
  readonly history: RegistryHistory;
  /** A round's randomness, verified. Throws what may pass with `retry`. */
  readonly randomness: (round: bigint, signal: AbortSignal) => Promise<Bytes32>;
  readonly clock: NetworkClock;
  readonly termEpochs: bigint;
};

export type Placement = {
  readonly term: PlacementTerm;
  /** The term's first block. */
  readonly first: Head;
  readonly seed: Bytes32;
  /** Worker ids, the first choice first. */
  readonly hosts: readonly Bytes32[];
};

type Drawn = Pick<Placement, 'term' | 'first' | 'seed'> & { readonly atStart: readonly PastWorker[] };

const maxKeptTerms = 4_096;

/**
 * The hosts of an app on a running network, as PROTOCOL (Placement) has them. A term's draw is read once and kept, for as long as the
 * block that it began in stays part of the chain.
 */
export class PlacementReader {
  readonly #components: PlacementReaderComponents;
  readonly #drawn = new Map<Bytes32, Drawn>();

  constructor(components: PlacementReaderComponents) {
    this.#components = components;
  }

  /**
   * An app's hosts at a block, by the rules of the manifest that it serves then. Throws PLACEMENT_PENDING while the term's randomness
   * can't exist yet, REGISTRY_APP_UNKNOWN, ChainError, and what `randomness` throws.
   */
  async placementOf(app: Bytes32, rules: PlacementRules, head: Head, signal: AbortSignal): Promise<Placement> {
    const { registry, history, clock, termEpochs } = this.#components;
    const createdAt = await registry.appCreatedAt(app, head.number, signal);
    const term = placementTermAt(app, createdAt, head.timestamp, clock, termEpochs);
    const { first, seed, atStart } = await this.#draw(app, term, head, signal);
    const now = new Map((await history.workersAt(head, signal)).map((worker) => [worker.workerId, worker]));
    const hosts = placementOf({
      app,
      rules,
      seed,
      startsAt: first.timestamp,
      atStart: atStart.map((worker) => ({ ...worker, weight: 1n })),
      holdsNow: (workerId) => {
        const worker = now.get(workerId);
        return worker?.active === true && worker.leaseUntil > head.timestamp;
      },
    });
    return { term, first, seed, hosts };
  }

  async #draw(app: Bytes32, term: PlacementTerm, head: Head, signal: AbortSignal): Promise<Drawn> {
    const { registry, history } = this.#components;
    const known = this.#drawn.get(app);
    if (known !== undefined && known.term.startsAt === term.startsAt) {
      const now = await registry.view.blockOn(head, known.first.number, signal);
      if (now.hash === known.first.hash) return known;
    }
    this.#drawn.delete(app);
    const first = await firstBlockSince(registry.view, head, term.startsAt, signal);
    if (first === undefined) throw new PlacementError(app, 'its term has no block yet');
    const atStart = await history.workersAt(first, signal);
    const seed = await this.#seed(app, term, first, head, signal);
    const drawn = { term, first, seed, atStart };
    this.#drawn.set(app, drawn);
    if (this.#drawn.size > maxKeptTerms) this.#drawn.delete(this.#drawn.keys().next().value as Bytes32);
    return drawn;
  }

  /** The seed round's randomness; where there was no committee at the term's first block, the hash of the block after it. */
  async #seed(app: Bytes32, term: PlacementTerm, first: Head, head: Head, signal: AbortSignal): Promise<Bytes32> {
    const { registry, history, randomness, clock } = this.#components;
    if ((await history.networkKeysHashAt(first, signal)) === zeroBytes32) {
      if (first.number >= head.number) throw new PlacementError(app, 'it is drawn by the block after its deployment');
      return (await registry.view.blockOn(head, first.number + 1n, signal)).hash;
    }
    const begins = clock.genesis + term.seedRound * clock.roundLength;
    if (head.timestamp < begins)
      throw new PlacementError(
        app,
        `it is drawn by round "${term.seedRound}", which begins in ${begins - head.timestamp} s`,
      );
    return randomness(term.seedRound, signal);
  }
}

/** An app that was deployed a moment ago has no hosts yet. */
export class PlacementError extends CloisterError<'PLACEMENT_PENDING'> {
  override readonly name = 'PlacementError';
  constructor(app: Bytes32, why: string) {
    super({
      code: 'PLACEMENT_PENDING',
      message: `The app "${app}" is not placed yet: ${why}`,
      retry: true,
      hint: 'Ask again in a moment',
    });
  }
}
