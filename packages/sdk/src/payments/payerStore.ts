import type { Json } from '@cloister/core';

/** One charge that a receipt states. `atMs`: unix milliseconds of this machine's clock. */
export type Charge = {
  readonly atMs: number;
  readonly app: string;
  readonly workerId: string;
  readonly channel: string;
  readonly sequence: bigint;
  readonly fee: bigint;
};

/** Where a payer's state outlives its process. One process at a time may use a store. */
export type PayerStore = {
  /** What was saved last; undefined at first. */
  load(): Promise<unknown>;
  /** Must be there for good when this resolves: vouchers are sent only after that. */
  save(state: Json): Promise<void>;
};

/** Keeps the state for as long as the process lives. */
export function memoryPayerStore(): PayerStore {
  let state: Json | undefined;
  return {
    load: async () => state,
    save: async (next) => {
      state = next;
    },
  };
}
