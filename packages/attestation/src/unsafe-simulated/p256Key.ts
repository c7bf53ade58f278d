import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A P-256 key of a simulated platform. It protects nothing, so it may be printed and written to disk. */
export type P256Key = {
  readonly privateKey: KeyObject;
  /** 64 bytes, x ‖ y. */
  readonly publicKey: Uint8Array;
};

export function generateP256Key(): P256Key {
  return fromKeyObject(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey);
}

/** The key of a PKCS #8 in base64, as {@link exportP256Key} writes it. */
export function importP256Key(pkcs8: string): P256Key {
  return fromKeyObject(createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), format: 'der', type: 'pkcs8' }));
}

export function exportP256Key(key: P256Key): string {
  return key.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
}

/** ECDSA over SHA-256 of the message: 64 bytes, r ‖ s. */
export function signP256(key: P256Key, message: Uint8Array): Uint8Array {
  return Uint8Array.from(sign('sha256', message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }));
}

function fromKeyObject(privateKey: KeyObject): P256Key {
  const { x = '', y = '' } = privateKey.export({ format: 'jwk' });
  return {
    privateKey,
    publicKey: Uint8Array.from(Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])),
  };
}
