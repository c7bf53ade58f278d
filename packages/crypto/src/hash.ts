import { keccak_256 } from '@noble/hashes/sha3.js';
import { CryptoError } from './errors.ts';
import type { HashStream } from './hashStream.ts';

export { sha256, sha256Stream, sha384, sha512 } from '#sha2';

/** One that tells in between, too. */
export type RunningHash = HashStream & {
  /** The hash of everything given so far; more may follow. */
  soFar(): Uint8Array;
};

/** Keccak-256 with the original padding, as in the EVM. */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return keccak_256(bytes);
}

/** `keccak256` over parts. */
export function keccak256Stream(): RunningHash {
  let state: ReturnType<typeof keccak_256.create> | undefined = keccak_256.create();
  const open = (): ReturnType<typeof keccak_256.create> => {
    if (state === undefined)
      throw new CryptoError({ code: 'HASH_ENDED', message: 'The hash stream has already given its digest' });
    return state;
  };
  return {
    update(bytes) {
      open().update(bytes);
    },
    soFar() {
      return open().clone().digest();
    },
    digest() {
      const digest = open().digest();
      state = undefined;
      return digest;
    },
  };
}
