import * as nodeCrypto from 'node:crypto';
import { CryptoError } from './errors.ts';
import type { HashStream } from './hashStream.ts';

/** Whether this Node has the one-shot call (20.12): it skips the stream object, which costs ten times the hash itself. */
export const hasOneShotHash = typeof nodeCrypto.hash === 'function';

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 32);
}

/** `sha256` over parts. */
export function sha256Stream(): HashStream {
  const state = nodeCrypto.createHash('sha256');
  let ended = false;
  const open = (): nodeCrypto.Hash => {
    if (ended) throw new CryptoError({ code: 'HASH_ENDED', message: 'The hash stream has already given its digest' });
    return state;
  };
  return {
    update: (bytes) => void open().update(bytes),
    digest() {
      const digest = asUint8Array(open().digest());
      ended = true;
      return digest;
    },
  };
}

export function sha384(bytes: Uint8Array): Uint8Array {
  return hash('sha384', bytes, 48);
}

export function sha512(bytes: Uint8Array): Uint8Array {
  return hash('sha512', bytes, 64);
}

/** Hashes into `target` at `at`: for HMAC, which would otherwise copy. */
export function sha256Into(bytes: Uint8Array, target: Uint8Array, at: number): void {
  writeDigest(digestText('sha256', bytes), target, at);
}

/** A Buffer's bytes as a plain Uint8Array: Buffer's `slice` shares memory and its JSON form differs. */
export function asUint8Array(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

function hash(algorithm: string, bytes: Uint8Array, length: number): Uint8Array {
  const digest = new Uint8Array(length);
  writeDigest(digestText(algorithm, bytes), digest, 0);
  return digest;
}

// Asked for as text of one character a byte: making a Buffer for the digest costs more than computing it.
function digestText(algorithm: string, bytes: Uint8Array): string {
  return hasOneShotHash
    ? nodeCrypto.hash(algorithm, bytes, 'binary')
    : nodeCrypto.createHash(algorithm).update(bytes).digest('binary');
}

function writeDigest(text: string, target: Uint8Array, at: number): void {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
}
