/** Names of the exports that the passes add. No module may have any that begins like them. */
export const addedNames = {
  fuel: 'cloister:fuel',
  stack: 'cloister:stack',
  memoryRefused: 'cloister:memory-refused',
  start: 'cloister:start',
} as const;
export const addedPrefix = 'cloister:';

/** Values of at most 16 bytes that frames may hold at once; engines get twice as much stack for them. */
export const deterministicStackSlots = 512 * 1024;
