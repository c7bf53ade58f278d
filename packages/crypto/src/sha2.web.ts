import * as noble from '@noble/hashes/sha2.js';

export function sha256(bytes: Uint8Array): Uint8Array {
  return noble.sha256(bytes);
}

export function sha384(bytes: Uint8Array): Uint8Array {
  return noble.sha384(bytes);
}

export function sha512(bytes: Uint8Array): Uint8Array {
  return noble.sha512(bytes);
}
