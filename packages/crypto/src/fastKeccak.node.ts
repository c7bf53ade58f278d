import { createKeccak } from 'hash-wasm';
import { CryptoError } from './errors.ts';
import type { RunningHash } from './hash.ts';

// Compiled once, while the module loads; calls are synchronous and leave nothing behind that the next one could see.
const hasher = await createKeccak(256);

/** `keccak256` of the main entry by WebAssembly: the same hash in an eighth of the time. */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest('binary');
}

/** `keccak256Stream` of the main entry by WebAssembly. Any number of streams may be open at once. */
export function keccak256Stream(): RunningHash {
  let state: Uint8Array | undefined = hasher.init().save();
  const resume = (): typeof hasher => {
    if (state === undefined)
      throw new CryptoError({ code: 'HASH_ENDED', message: 'The hash stream has already given its digest' });
    return hasher.load(state);
  };
  return {
    update(bytes) {
      state = resume().update(bytes).save();
    },
    soFar() {
      return resume().digest('binary');
    },
    digest() {
      const digest = resume().digest('binary');
      state = undefined;
      return digest;
    },
  };
}
