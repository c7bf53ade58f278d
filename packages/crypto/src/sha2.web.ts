import * as noble from '@noble/hashes/sha2.js';
import { CryptoError } from './errors.ts';
import type { HashStream } from './hashStream.ts';

export function sha256(bytes: Uint8Array): Uint8Array {
  return noble.sha256(bytes);
}

/** `sha256` over parts. */
export function sha256Stream(): HashStream {
  const state = noble.sha256.create();
  let ended = false;
  const open = (): typeof state => {
    if (ended) throw new CryptoError({ code: 'HASH_ENDED', message: 'The hash stream has already given its digest' });
    return state;
  };
  return {
    update: (bytes) => void open().update(bytes),
    digest() {
      const digest = open().digest();
      ended = true;
      return digest;
    },
  };
}

export function sha384(bytes: Uint8Array): Uint8Array {
  return noble.sha384(bytes);
}

export function sha512(bytes: Uint8Array): Uint8Array {
  return noble.sha512(bytes);
}
