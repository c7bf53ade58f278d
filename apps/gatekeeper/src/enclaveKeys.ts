import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import type { Address, Bytes32, Hex } from '@cloister/core';
import { engine, fromHex, generateSecp256k1, SecretBytes, toHex, type X25519KeyPair } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { openSecrets, sealSecrets } from './shares/sealedShares.ts';
import type { ShareStore } from './shares/shareStore.ts';

/** What this enclave signs and opens with. */
export type EnclaveKeys = {
  readonly signer: Address;
  readonly sign: (digest: Bytes32) => Hex;
  readonly hpke: X25519KeyPair;
  /** Whether they were sealed before a restart. */
  readonly restored: boolean;
  /** Seals them, with the shares of the store, where the device can. */
  readonly persist: (store: ShareStore) => Promise<void>;
  readonly wipe: () => void;
};

/** The keys that the hardware sealed for this enclave, with its shares put into the store; fresh ones where there are none. */
export async function openEnclaveKeys(
  dataDir: string,
  sealing: RestSealing | undefined,
  store: ShareStore,
): Promise<EnclaveKeys> {
  const file = join(dataDir, 'sealed-shares.bin');
  const kept = sealing === undefined ? undefined : await openSecrets(file, sealing);
  for (const generation of kept?.generations ?? []) store.keep(generation);
  const secret = kept?.signer ?? generateSecp256k1();
  const hpke =
    kept === undefined
      ? await engine.generateX25519()
      : { secretKey: kept.hpkeKey, publicKey: await engine.x25519PublicKey(kept.hpkeKey) };
  return {
    signer: addressOf(secret),
    sign: (digest) => toHex(signDigest(secret, fromHex(digest))),
    hpke,
    restored: kept !== undefined,
    persist: async (shares) => {
      if (sealing === undefined) return;
      const secrets = { signer: secret, hpkeKey: hpke.secretKey, generations: shares.held };
      await sealSecrets(file, sealing, secrets);
    },
    wipe: () => {
      for (const one of [secret, hpke.secretKey]) if (one instanceof SecretBytes) one.wipe();
    },
  };
}
