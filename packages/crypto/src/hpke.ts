import { engine } from '#engine';
import { concatBytes, utf8 } from './bytes.ts';
import type { Awaitable, X25519KeyPair } from './engine.ts';
import { assertLength } from './errors.ts';
import type { SecretBytes } from './secretBytes.ts';

// Registered numbers of the suite (RFC 9180 §7).
export const kemX25519 = 0x0020;
export const kdfHkdfSha256 = 0x0001;
export const aeadAes256Gcm = 0x0002;

const noBytes = new Uint8Array(0);

/**
 * HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: exactly what Cloister needs.
 * One message a context, exports of 32 bytes.
 */
const modeBase = Uint8Array.of(0);
const version = utf8('HPKE-v1');
const kemSuite = concatBytes(version, utf8('KEM'), uint16(kemX25519));
const hpkeSuite = concatBytes(version, utf8('HPKE'), uint16(kemX25519), uint16(kdfHkdfSha256), uint16(aeadAes256Gcm));

const labels = {
  eaePrk: concatBytes(kemSuite, utf8('eae_prk')),
  sharedSecret: concatBytes(uint16(32), kemSuite, utf8('shared_secret')),
  pskIdHash: concatBytes(hpkeSuite, utf8('psk_id_hash')),
  infoHash: concatBytes(hpkeSuite, utf8('info_hash')),
  secret: concatBytes(hpkeSuite, utf8('secret')),
  key: concatBytes(uint16(32), hpkeSuite, utf8('key')),
  baseNonce: concatBytes(uint16(12), hpkeSuite, utf8('base_nonce')),
  exporter: concatBytes(uint16(32), hpkeSuite, utf8('exp')),
  export: concatBytes(uint16(32), hpkeSuite, utf8('sec')),
} as const;
const firstBlock = Uint8Array.of(1);

let pskIdHash: Uint8Array | undefined;

/** What sender and recipient share: the key and nonce of the one message, and the secret that exports come from. */
export type HpkeContext = {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly exporterSecret: Uint8Array;
};

/** `key_schedule_context` of RFC 9180 §5.1: the same for every message to a key under one info, so made once. */
export async function keyScheduleContext(info: Uint8Array): Promise<Uint8Array> {
  pskIdHash ??= await engine.hmacSha256(noBytes, labels.pskIdHash);
  return concatBytes(modeBase, pskIdHash, await engine.hmacSha256(noBytes, labels.infoHash, info));
}

/** SetupBaseS with the given ephemeral pair, which must be fresh: its public key is the encapsulated key. */
export async function setupSender(
  recipientKey: Uint8Array,
  scheduleContext: Uint8Array,
  ephemeral: X25519KeyPair,
): Promise<HpkeContext> {
  const dh = await engine.x25519(ephemeral.secretKey, recipientKey);
  return keySchedule(dh, ephemeral.publicKey, recipientKey, scheduleContext);
}

/** SetupBaseR. Throws X25519_ZERO_RESULT (CryptoError) for an encapsulated key of small order. */
export async function setupRecipient(
  recipient: { readonly publicKey: Uint8Array; readonly secretKey: SecretBytes },
  scheduleContext: Uint8Array,
  encapsulatedKey: Uint8Array,
): Promise<HpkeContext> {
  const dh = await engine.x25519(recipient.secretKey, encapsulatedKey);
  return keySchedule(dh, encapsulatedKey, recipient.publicKey, scheduleContext);
}

/** Context.Export of 32 bytes (RFC 9180 §5.3). */
export function hpkeExport(context: HpkeContext, label: Uint8Array): Awaitable<Uint8Array> {
  return expand(context.exporterSecret, labels.export, label);
}

async function keySchedule(
  dh: Uint8Array,
  encapsulatedKey: Uint8Array,
  recipientKey: Uint8Array,
  scheduleContext: Uint8Array,
): Promise<HpkeContext> {
  assertLength(encapsulatedKey, 32, 'the encapsulated key');
  const eaePrk = await engine.hmacSha256(noBytes, labels.eaePrk, dh);
  dh.fill(0);
  const sharedSecret = await expand(eaePrk, labels.sharedSecret, encapsulatedKey, recipientKey);
  const secret = await engine.hmacSha256(sharedSecret, labels.secret);
  return {
    key: await expand(secret, labels.key, scheduleContext),
    nonce: (await expand(secret, labels.baseNonce, scheduleContext)).subarray(0, 12),
    exporterSecret: await expand(secret, labels.exporter, scheduleContext),
  };
}

/** LabeledExpand for up to one block of output: a single HMAC. `label` holds the length, version, suite and label. */
function expand(key: Uint8Array, label: Uint8Array, ...info: readonly Uint8Array[]): Awaitable<Uint8Array> {
  return engine.hmacSha256(key, label, ...info, firstBlock);
}

/** Encapsulated key (32 bytes) ‖ ciphertext with its tag: one message to a key, under a fresh ephemeral one (RFC 9180 §6.1 SealBase). */
export async function hpkeSeal(
  recipientKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const ephemeral = await engine.generateX25519();
  const { key, nonce } = await setupSender(recipientKey, await keyScheduleContext(info), ephemeral);
  ephemeral.secretKey.wipe();
  return concatBytes(ephemeral.publicKey, await engine.aes256GcmSeal(key, nonce, aad, plaintext));
}

/** Opens what {@link hpkeSeal} made. Throws AEAD_OPEN_FAILED, INVALID_LENGTH, X25519_ZERO_RESULT. */
export async function hpkeOpen(
  recipient: X25519KeyPair,
  info: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const { key, nonce } = await setupRecipient(recipient, await keyScheduleContext(info), sealed.subarray(0, 32));
  return engine.aes256GcmOpen(key, nonce, aad, sealed.subarray(32));
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
