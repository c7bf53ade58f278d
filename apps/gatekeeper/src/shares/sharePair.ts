import { type Address, type Bytes32, type Hex, tagHash } from '@cloister/core';
import { fromHex, hpkeOpen, hpkeSeal, type SecretBytes, toHex, utf8, type X25519KeyPair } from '@cloister/crypto';
import { parseScalar } from '@cloister/threshold/dkg';

/** One member's shares of the committee's two keys. */
export type SharePair = { readonly apps: SecretBytes; readonly beacon: SecretBytes };

/** Between whom shares pass, and when: bound to what is sealed. */
export type ShareRoute = { readonly session: Bytes32; readonly dealer: Address; readonly receiver: Address };

const info = utf8('cloister/share: v1');

export function secretsOf(pair: SharePair): readonly SecretBytes[] {
  return [pair.apps, pair.beacon];
}

/** apps ‖ beacon, 32 bytes each, sealed to the receiver's key. */
export async function sealShares(pair: SharePair, route: ShareRoute, hpkeKey: Bytes32): Promise<Hex> {
  const plaintext = new Uint8Array(64);
  plaintext.set(pair.apps.reveal());
  plaintext.set(pair.beacon.reveal(), 32);
  const sealed = await hpkeSeal(fromHex(hpkeKey), info, routeBytes(route), plaintext);
  plaintext.fill(0);
  return toHex(sealed);
}

/** Throws AEAD_OPEN_FAILED for what was sealed to another, on another route or changed, SCALAR_INVALID for no shares. */
export async function openShares(sealed: Hex, route: ShareRoute, hpke: X25519KeyPair): Promise<SharePair> {
  return sharePairFromBytes(await hpkeOpen(hpke, info, routeBytes(route), fromHex(sealed)));
}

/** Two numbers of 32 bytes; the bytes are overwritten. Throws SCALAR_INVALID. */
export function sharePairFromBytes(bytes: Uint8Array): SharePair {
  try {
    return { apps: parseScalar(bytes.slice(0, 32)), beacon: parseScalar(bytes.slice(32)) };
  } finally {
    bytes.fill(0);
  }
}

function routeBytes({ session, dealer, receiver }: ShareRoute): Uint8Array {
  return fromHex(tagHash('cloister/share-route: v1', session, dealer, receiver));
}
