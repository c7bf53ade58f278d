import type { SecretBytes } from './secretBytes.ts';

/** Results come at once from node:crypto and later from WebCrypto; `await` serves both. */
export type Awaitable<T> = T | Promise<T>;

export type X25519KeyPair = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly secretKey: SecretBytes;
};

/** The primitives that platforms implement for us. Both engines give the same results and the same errors. */
export interface Engine {
  readonly name: 'node' | 'web';

  /** A fresh key pair (RFC 7748). */
  generateX25519(): Awaitable<X25519KeyPair>;

  /** The public key of a secret key of 32 bytes. */
  x25519PublicKey(secretKey: SecretBytes): Awaitable<Uint8Array>;

  /** The shared secret, 32 bytes. Throws X25519_ZERO_RESULT for a public key of small order (RFC 7748 §6.1, RFC 9180 §7.1.4). */
  x25519(secretKey: SecretBytes, publicKey: Uint8Array): Awaitable<Uint8Array>;

  /** HMAC-SHA256 (RFC 2104) over the parts one after the other, 32 bytes. Keys of any length, none included. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Awaitable<Uint8Array>;

  /** Ciphertext followed by its 16-byte tag. Key of 32 bytes, nonce of 12, never the same pair twice. */
  aes256GcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Awaitable<Uint8Array>;

  /** The plaintext, only once the tag holds; AEAD_OPEN_FAILED otherwise. */
  aes256GcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Awaitable<Uint8Array>;

  /**
   * Whether an ECDSA P-256 signature over SHA-256 of the message holds. False, never an error, for any bad signature or key.
   * Accepts high s, as P256VERIFY (RIP-7212) and Intel's signatures do: never use such a signature as an identifier.
   * @param publicKey 64 bytes, x ‖ y
   * @param message hashed inside
   * @param signature 64 bytes, r ‖ s
   */
  verifyP256(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Awaitable<boolean>;

  /**
   * As {@link verifyP256} for ECDSA P-384 over SHA-384.
   * @param publicKey 96 bytes, x ‖ y
   * @param signature 96 bytes, r ‖ s
   */
  verifyP384(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Awaitable<boolean>;

  /**
   * Whether an RSASSA-PSS signature holds (RFC 8017 §8.1.2): SHA-384, MGF1 with SHA-384, salt of 48 bytes. False, never an
   * error, for any bad signature, and for keys that are not of 2048 to 4096 bits with an odd exponent of 3 to 2^32.
   */
  verifyRsaPss(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): Awaitable<boolean>;

  /** As {@link verifyRsaPss} for RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2). */
  verifyRsaPkcs1(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): Awaitable<boolean>;
}

/** An RSA key, numbers big-endian without leading zero bytes. */
export type RsaPublicKey = { readonly modulus: Uint8Array; readonly exponent: Uint8Array };

/** Bytes of an AES-GCM tag. */
export const gcmTagLength = 16;
