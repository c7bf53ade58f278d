import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { lastKeyBytes, x25519Pkcs8 } from './der.ts';
import { asUint8Array } from './sha2.node.ts';

/** Whether this Node writes raw keys: half the time of DER. */
const hasRawFormats = ((): boolean => {
  try {
    return generateKeyPairSync('x25519').publicKey.export({ format: 'raw-public' }).length === 32;
  } catch {
    return false;
  }
})();

/** The 32 bytes in X25519 KeyObjects. */
export type X25519Export = {
  publicBytes(key: KeyObject): Uint8Array;
  secretBytes(key: KeyObject): Uint8Array;
};

export const derExport: X25519Export = {
  publicBytes: (key) => lastKeyBytes(key.export({ format: 'der', type: 'spki' })),
  secretBytes(key) {
    const der = key.export({ format: 'der', type: 'pkcs8' });
    const bytes = lastKeyBytes(der);
    der.fill(0);
    return bytes;
  },
};

const rawExport: X25519Export = {
  publicBytes: (key) => asUint8Array(key.export({ format: 'raw-public' })),
  secretBytes: (key) => asUint8Array(key.export({ format: 'raw-private' })),
};

export const x25519Export: X25519Export = hasRawFormats ? rawExport : derExport;

/** Parses a raw X25519 secret key of 32 bytes. */
export function x25519SecretKeyObject(secretKey: Uint8Array): KeyObject {
  const der = x25519Pkcs8(secretKey);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}
