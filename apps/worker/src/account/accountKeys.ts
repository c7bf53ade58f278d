import { type Address, type Bytes32, type KeyIdentity, zeroBytes32 } from '@cloister/core';
import type { SecretBytes } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { deriveFromSignature } from '@cloister/threshold/combine';
import type { StateOwner } from '../state/appStates.ts';

export type AccountKeysComponents = {
  readonly chainId: number;
  /** The committee's signature over an identity. */
  readonly signature: (wish: KeyIdentity & { readonly manifest: Bytes32 }, signal: AbortSignal) => Promise<SecretBytes>;
};

/** An app's account: what it is called, and what signs with it. The key itself stays in here. */
export type AppAccount = { readonly address: Address; readonly sign: (digest: Uint8Array) => Uint8Array };

type Entry = { readonly key: Promise<SecretBytes>; readonly sinceMs: number };

const maxKept = 64;
/** How long a key is kept after the committee has given it, in ms. */
const keptMs = 600_000;
/** How long asking for one may take, in ms. */
const askMs = 30_000;

/** The secp256k1 key of an app's account on a chain, from the committee's signature over its identity of class "signing". */
export function chainAccountKey(signature: SecretBytes, chainId: number): Promise<SecretBytes> {
  return deriveFromSignature(
    { class: 'signing', signature },
    { purpose: 'chain-account', name: String(chainId), version: 1 },
  );
}

/** The accounts of the apps on this worker: each app, key version and chain has another. */
export class AccountKeys {
  readonly #components: AccountKeysComponents;
  readonly #kept = new Map<string, Entry>();
  readonly #sweep = setInterval(() => this.#dropOld(), 60_000).unref();

  constructor(components: AccountKeysComponents) {
    this.#components = components;
  }

  /** Throws KeyClientError where the committee does not give the key. */
  async of(owner: StateOwner): Promise<AppAccount> {
    const name = `${owner.app}/${owner.manifest}/${owner.keyVersion}`;
    const entry = this.#kept.get(name) ?? this.#ask(name, owner);
    const key = await entry.key;
    return { address: addressOf(key), sign: (digest) => signDigest(key, digest) };
  }

  /** Overwrites all keys. */
  close(): void {
    clearInterval(this.#sweep);
    for (const name of [...this.#kept.keys()]) this.#drop(name);
  }

  /** Not under the signal of who needs it first: others wait for it too. */
  #ask(name: string, owner: StateOwner): Entry {
    const entry = { key: this.#derive(owner, AbortSignal.timeout(askMs)), sinceMs: performance.now() };
    this.#kept.set(name, entry);
    entry.key.catch(() => {
      if (this.#kept.get(name) === entry) this.#kept.delete(name);
    });
    if (this.#kept.size > maxKept) this.#drop(this.#kept.keys().next().value as string);
    return entry;
  }

  async #derive({ app, manifest, keyVersion }: StateOwner, signal: AbortSignal): Promise<SecretBytes> {
    const { chainId, signature } = this.#components;
    const wish = { app, keyVersion, class: 'signing', context: zeroBytes32, manifest } as const;
    const signed = await signature(wish, signal);
    return chainAccountKey(signed, chainId).finally(() => signed.wipe());
  }

  #dropOld(): void {
    for (const [name, { sinceMs }] of this.#kept) if (performance.now() - sinceMs > keptMs) this.#drop(name);
  }

  #drop(name: string): void {
    const entry = this.#kept.get(name);
    this.#kept.delete(name);
    entry?.key.then(
      (key) => key.wipe(),
      () => {},
    );
  }
}
