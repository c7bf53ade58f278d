import { aeadAes256Gcm, concatBytes, kdfHkdfSha256, kemX25519 } from '@cloister/crypto';
import { ChannelError } from './channelError.ts';

const publicKeyLength = 32;
const maxSymmetricSuites = 32;

/** A key configuration (RFC 9458 §3) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM. */
export type KeyConfiguration = {
  /** 0 to 255; names the key in requests. */
  readonly keyId: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
};

/** The 41 bytes of a key configuration: what is hashed and signed. */
export function encodeKeyConfig(config: KeyConfiguration): Uint8Array {
  const { keyId, publicKey } = config;
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 255 || publicKey.length !== publicKeyLength)
    throw malformed(`needs a key id of 0 to 255 and a key of ${publicKeyLength} bytes`);
  const suite = [0, 4, 0, kdfHkdfSha256, 0, aeadAes256Gcm];
  return concatBytes(Uint8Array.of(keyId, 0, kemX25519), publicKey, Uint8Array.from(suite));
}

/**
 * Reads one key configuration, without the length that `application/ohttp-keys` puts in front. It may offer further
 * symmetric suites; ours must be among them. Throws KEY_CONFIG_MALFORMED or KEY_CONFIG_UNSUPPORTED.
 */
export function parseKeyConfig(bytes: Uint8Array): KeyConfiguration {
  if (!(bytes instanceof Uint8Array) || bytes.length < 5) throw malformed('is shorter than its fixed fields');
  const kem = uint16(bytes, 1);
  if (kem !== kemX25519) throw unsupported(`KEM "0x${kem.toString(16)}"`);
  const suitesAt = 3 + publicKeyLength + 2;
  if (bytes.length < suitesAt) throw malformed('ends inside its key');
  const suitesLength = uint16(bytes, suitesAt - 2);
  if (suitesLength === 0 || suitesLength % 4 !== 0 || suitesLength > 4 * maxSymmetricSuites)
    throw malformed(`has a suite list of "${suitesLength}" bytes`);
  if (bytes.length !== suitesAt + suitesLength) throw malformed('does not end with its suite list');
  let offered = false;
  for (let at = suitesAt; at < bytes.length; at += 4)
    offered ||= uint16(bytes, at) === kdfHkdfSha256 && uint16(bytes, at + 2) === aeadAes256Gcm;
  if (!offered) throw unsupported('no HKDF-SHA256 with AES-256-GCM');
  return { keyId: bytes[0] as number, publicKey: new Uint8Array(bytes.subarray(3, 3 + publicKeyLength)) };
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function malformed(problem: string): ChannelError {
  return new ChannelError({ code: 'KEY_CONFIG_MALFORMED', message: `The key configuration ${problem}` });
}

function unsupported(what: string): ChannelError {
  return new ChannelError({
    code: 'KEY_CONFIG_UNSUPPORTED',
    message: `The key configuration offers ${what}`,
    hint: 'Use a key configuration with X25519, HKDF-SHA256 and AES-256-GCM, or a newer client',
  });
}
