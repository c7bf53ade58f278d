import { type Bytes32, CloisterError } from '@cloister/core';
import { type HeldState, stateKey } from './heldState.ts';

/** Where what a member must not forget is kept. */
export interface StateDisk {
  /** Resolves once the state outlives a restart. */
  keep(state: HeldState): Promise<void>;
  /** The same for the generation up to which all that this member signed is kept. */
  keepGeneration(generation: bigint): Promise<void>;
}

export type KeptStates = {
  readonly states: readonly HeldState[];
  /** Undefined where nothing was kept. */
  readonly generation: bigint | undefined;
};

/** Partitions that one member keeps: bounds its memory, its disk, and what another reads from it after a restart. */
export const maxHeldStates = 16_384;
const pageSize = 64;

/** Every partition's state at this member, in memory and on its disk. */
export class StateBook {
  readonly #states: Map<string, HeldState>;
  readonly #disk: StateDisk;
  readonly #maxStates: number;
  /** What the disk may not have. */
  readonly #unkept = new Set<string>();
  /** Turns of those who change a partition. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #sorted: readonly string[] | undefined;

  constructor(kept: readonly HeldState[], disk: StateDisk, init: { readonly maxStates?: number } = {}) {
    this.#states = new Map(kept.map((state) => [stateKey(state.app, state.partition), state]));
    this.#disk = disk;
    this.#maxStates = init.maxStates ?? maxHeldStates;
  }

  get size(): number {
    return this.#states.size;
  }

  get(app: Bytes32, partition: number): HeldState | undefined {
    return this.#states.get(stateKey(app, partition));
  }

  /**
   * Takes the state up at once, and resolves once it outlives a restart: at once where it does already. Throws STATE_BOOK_FULL, and what the disk
   * throws: then it counts all the same, and the next call tries again.
   */
  async set(state: HeldState): Promise<void> {
    const key = stateKey(state.app, state.partition);
    if (this.#states.get(key) === state && !this.#unkept.has(key)) return;
    if (!this.#states.has(key)) {
      if (this.#states.size >= this.#maxStates) throw new StateBookError(this.#maxStates);
      this.#sorted = undefined;
    }
    this.#states.set(key, state);
    this.#unkept.add(key);
    await this.#disk.keep(state);
    this.#unkept.delete(key);
  }

  /** Runs `work` when nobody else is at work on the partition. */
  async inTurn<T>(app: Bytes32, partition: number, work: () => Promise<T>): Promise<T> {
    const key = stateKey(app, partition);
    const before = this.#turns.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.then(
      () => {},
      () => {},
    );
    this.#turns.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }

  /** The next states in order, after a key; fewer than a page where there are no more. */
  page(after: string): readonly HeldState[] {
    this.#sorted ??= [...this.#states.keys()].sort();
    const from = this.#sorted.findIndex((key) => key > after);
    if (from === -1) return [];
    return this.#sorted.slice(from, from + pageSize).map((key) => this.#states.get(key) as HeldState);
  }

  static readonly pageSize = pageSize;
}

export class StateBookError extends CloisterError<'STATE_BOOK_FULL'> {
  override readonly name = 'StateBookError';
  constructor(maxStates: number) {
    super({
      code: 'STATE_BOOK_FULL',
      message: `This member keeps the heads of "${maxStates}" partitions, and takes no more`,
    });
  }
}
