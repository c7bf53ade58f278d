export { engine } from '#engine';
export { fromBase64Url, toBase64Url } from './base64Url.ts';
export { concatBytes, equalBytes, fromHex, fromUtf8, toHex, utf8 } from './bytes.ts';
export type { Awaitable, Engine, RsaPublicKey, X25519KeyPair } from './engine.ts';
export { assertLength, CryptoError, type CryptoErrorCode } from './errors.ts';
export { keccak256, keccak256Stream, type RunningHash, sha256, sha256Stream, sha384, sha512 } from './hash.ts';
export type { HashStream } from './hashStream.ts';
export { hkdfExpand, hkdfExtract } from './hkdf.ts';
export {
  aeadAes256Gcm,
  type HpkeContext,
  hpkeExport,
  hpkeOpen,
  hpkeSeal,
  kdfHkdfSha256,
  kemX25519,
  keyScheduleContext,
  setupRecipient,
  setupSender,
} from './hpke.ts';
export { randomBytes } from './random.ts';
export { addressOf, generateSecp256k1, recoverAddress, signDigest } from './secp256k1.ts';
export { SecretBytes } from './secretBytes.ts';
