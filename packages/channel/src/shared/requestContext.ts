import { aeadAes256Gcm, concatBytes, type HpkeContext, hpkeExport, kdfHkdfSha256, kemX25519 } from '@cloister/crypto';
import { inputSaltLabel, outputSaltLabel, requestLabel, responseLabel } from './labels.ts';

/** Bytes before the encapsulated key: key id, KEM, KDF, AEAD. */
export const requestHeaderLength = 7;
export const encapsulatedKeyLength = 32;
/** Bytes of an encapsulated request that are not padded plaintext: header, encapsulated key, tag. */
export const requestOverhead = requestHeaderLength + encapsulatedKeyLength + 16;

/** The header of an encapsulated request (RFC 9458 §4.3). */
export function requestHeader(keyId: number): Uint8Array {
  return Uint8Array.of(keyId, 0, kemX25519, 0, kdfHkdfSha256, 0, aeadAes256Gcm);
}

/** HPKE's info: the label, and the header, which is thereby authenticated. */
export function requestInfo(header: Uint8Array): Uint8Array {
  return concatBytes(requestLabel, header);
}

/** What both sides derive from a request beside its plaintext; each 32 bytes. */
export type RequestExports = {
  /** From which the response's keys come, with the response's nonce. */
  readonly responseSecret: Uint8Array;
  readonly inputSalt: Uint8Array;
  readonly outputSalt: Uint8Array;
};

export async function exportRequestSecrets(context: HpkeContext): Promise<RequestExports> {
  const responseSecret = await hpkeExport(context, responseLabel);
  const inputSalt = await hpkeExport(context, inputSaltLabel);
  const outputSalt = await hpkeExport(context, outputSaltLabel);
  return { responseSecret, inputSalt, outputSalt };
}
