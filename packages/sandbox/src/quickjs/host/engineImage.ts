import type { Handle, Snapshot } from './quickJs.ts';

/** Says what bytes are: an engine's, then those of its memory with the world of functions in it, and what else belongs to that. */
export type EngineHead = Omit<Snapshot, 'memory'> & {
  readonly engineBytes: number;
  readonly worldBytes: number;
  readonly entry: Handle;
};
