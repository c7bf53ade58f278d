import { concatBytes, hkdfExpand, keccak256, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { compressedPublicKey, isSecretKey, signDigest } from '@cloister/crypto/native-secp256k1';
import { ed25519PublicKey } from './ed25519.ts';
import { GuestError } from './guestError.ts';
import { isP256Scalar } from './tls/p256.ts';

/** Kinds of keys that a guest may have. */
export type GuestAlgorithm = 'secp256k1' | 'ed25519';

/**
 * What one key is for. Each field counts: another purpose or algorithm is another key. `use` keeps what leaves the worker apart from
 * what never does.
 */
export type GuestKeyUse = {
  readonly use: 'given' | 'signing' | 'app' | 'tls-ca' | 'tls-given';
  readonly algorithm: GuestAlgorithm | 'p256';
  readonly purpose: string;
  readonly path: string;
};

/** Longest purpose and path, in bytes of UTF-8. */
export const maxKeyNameBytes = 1_024;
const maxTries = 255;

/** As dstack names them; '' is its default. Throws GUEST_ALGORITHM_UNKNOWN. */
export function guestAlgorithm(name: string): GuestAlgorithm {
  if (name === '' || name === 'secp256k1' || name === 'k256') return 'secp256k1';
  if (name === 'ed25519') return 'ed25519';
  throw new GuestError(
    'GUEST_ALGORITHM_UNKNOWN',
    `There are no keys of the algorithm "${name.slice(0, 80)}"`,
    'Use "secp256k1" or "ed25519"',
  );
}

/**
 * All keys of one app at one version, from the 32 bytes that its hosts derive from the committee's signature. HKDF-Expand with all fields of
 * the use in its info, so no key says anything of another, nor of the root; the root itself leaves the worker never.
 */
export class GuestKeys {
  readonly #root: SecretBytes;
  /** The key that vouches for the others. */
  readonly #app: SecretBytes;

  private constructor(root: SecretBytes, app: SecretBytes) {
    this.#root = root;
    this.#app = app;
  }

  /** Takes the root over. */
  static async from(root: SecretBytes): Promise<GuestKeys> {
    return new GuestKeys(root, await derive(root, { use: 'app', algorithm: 'secp256k1', purpose: '', path: '' }));
  }

  /** 32 bytes: a secp256k1 or P-256 scalar, or an Ed25519 seed. Throws GUEST_REQUEST_INVALID. */
  derive(use: GuestKeyUse): Promise<SecretBytes> {
    return derive(this.#root, use);
  }

  /** secp256k1, compressed. */
  get appPublicKey(): Uint8Array {
    return compressedPublicKey(this.#app);
  }

  /**
   * By the app's key, over keccak256 of "purpose:public key in hexadecimal", as dstack has it.
   * @returns 65 bytes, r ‖ s ‖ recovery id 0 or 1
   */
  vouch(purpose: string, publicKey: Uint8Array): Uint8Array {
    return withRecoveryId(signDigest(this.#app, keccak256(utf8(`${purpose}:${toHex(publicKey).slice(2)}`))));
  }

  wipe(): void {
    this.#root.wipe();
    this.#app.wipe();
  }
}

/** As others than Ethereum write it: the recovery id itself in place of v. */
export function withRecoveryId(signature: Uint8Array): Uint8Array {
  const changed = signature.slice();
  changed[64] = (changed[64] ?? 0) - 27;
  return changed;
}

/** Ed25519: 32 bytes; secp256k1: 33 bytes, compressed. */
export function publicKeyOf(algorithm: GuestAlgorithm, secret: SecretBytes): Uint8Array {
  return algorithm === 'ed25519' ? ed25519PublicKey(secret) : compressedPublicKey(secret);
}

async function derive(root: SecretBytes, use: GuestKeyUse): Promise<SecretBytes> {
  const info = concatBytes(...[use.use, use.algorithm, use.purpose, use.path].flatMap(prefixed));
  // Curves have fewer scalars than 32 bytes have values; of P-256, one candidate in 2^32 is none.
  for (let tries = 0; tries < maxTries; tries += 1) {
    const key = await hkdfExpand(root.reveal(), concatBytes(info, Uint8Array.of(tries)), 32);
    if (isKey(use.algorithm, key)) return new SecretBytes(key);
  }
  throw new RangeError('No candidate was a key: the hash is broken');
}

function isKey(algorithm: GuestKeyUse['algorithm'], bytes: Uint8Array): boolean {
  if (algorithm === 'ed25519') return true;
  return algorithm === 'p256' ? isP256Scalar(bytes) : isSecretKey(bytes);
}

function prefixed(text: string): [Uint8Array, Uint8Array] {
  // Halves of surrogate pairs are all encoded alike: two names would share a key.
  const bytes = text.isWellFormed() ? utf8(text) : undefined;
  if (bytes === undefined || bytes.length > maxKeyNameBytes)
    throw new GuestError(
      'GUEST_REQUEST_INVALID',
      `Path and purpose of a key have at most "${maxKeyNameBytes}" bytes of well-formed Unicode`,
    );
  return [Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes];
}
