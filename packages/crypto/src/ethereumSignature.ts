import { fromHex, toHex } from './bytes.ts';
import { assertLength, CryptoError } from './errors.ts';

const halfOrder = fromHex('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');

/** Splits r ‖ s ‖ v and refuses high s (EIP-2) and any v but 27 and 28, as OpenZeppelin's ECDSA does. */
export function splitSignature(signature: Uint8Array): { readonly compact: Uint8Array; readonly recoveryBit: 0 | 1 } {
  assertLength(signature, 65, 'the signature');
  const compact = signature.subarray(0, 64);
  const v = signature[64];
  if (v !== 27 && v !== 28)
    throw new CryptoError({ code: 'INVALID_SIGNATURE', message: `Expected v to be 27 or 28, got "${v}"` });
  if (isAbove(compact.subarray(32), halfOrder))
    throw new CryptoError({
      code: 'INVALID_SIGNATURE',
      message: 'The signature is in its malleable form: s is above half the curve order',
    });
  return { compact, recoveryBit: v === 27 ? 0 : 1 };
}

/** The address of an uncompressed point x ‖ y: the last 20 bytes of its Keccak-256. */
export function addressOfPoint(point: Uint8Array, keccak256: (bytes: Uint8Array) => Uint8Array): `0x${string}` {
  return toHex(keccak256(point).subarray(12));
}

function isAbove(value: Uint8Array, bound: Uint8Array): boolean {
  for (let i = 0; i < value.length; i++) {
    const difference = (value[i] as number) - (bound[i] as number);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
