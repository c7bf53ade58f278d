import {
  type Address,
  type Bytes32,
  type Manifest,
  type NetworkFile,
  outboundPlaces,
  type RecordDomain,
  signingIdentity,
} from '@cloister/core';
import { randomBytes, type SecretBytes, toHex } from '@cloister/crypto';
import { GuestAgent, GuestQuotes, type QuotingDevice } from '@cloister/guest';
import { deriveFromSignature } from '@cloister/threshold/combine';
import type { AppSecretsComponents } from '../keys/appSecrets.ts';
import type { SealedVersion } from '../keys/sealedCode.ts';
import type { SignDigest } from '../receiptBook.ts';

export type AppGuestsComponents = {
  readonly network: Pick<NetworkFile, 'chainId' | 'networkKeys'>;
  readonly domain: RecordDomain;
  readonly device: QuotingDevice & { readonly simulated: boolean };
  readonly receiptSigner: { readonly address: Address; readonly sign: SignDigest };
  /** The committee's signature over an identity. */
  readonly signature: AppSecretsComponents['signature'];
  /** Unix seconds of the newest block that is known. */
  readonly now: () => number;
};

/** Under this name the keys of all guests derive; each further name is inside, in `packages/guest`. */
const keyName = 'guest';

/** Makes the guest agents of the apps on this worker, each with its own app's keys alone. */
export class AppGuests {
  readonly #components: AppGuestsComponents;
  readonly #quotes: GuestQuotes;

  constructor(components: AppGuestsComponents) {
    this.#components = components;
    this.#quotes = new GuestQuotes(components.device);
  }

  /**
   * The agent of a version that is being loaded, its keys got from the committee; undefined where its manifest names none. Whoever asked
   * closes it. Throws KeyClientError.
   */
  async open(
    version: SealedVersion & { readonly manifest: Manifest },
    signal: AbortSignal,
  ): Promise<GuestAgent | undefined> {
    const { app, manifestId, manifest, fields } = version;
    if (!outboundPlaces(manifest.outbound).asksGuest) return undefined;
    const { network, domain, receiptSigner, device, now } = this.#components;
    const nonce = toHex(randomBytes(32)) as Bytes32;
    const { keyVersion } = fields;
    // Once for all apps: dstack's clients take an agent for gone that does not tell of itself in half a second.
    this.#quotes.registers(domain).catch(() => {});
    const rootKey = await this.#rootKey(version, signal);
    return GuestAgent.open(
      { rootKey, quotes: this.#quotes, sign: receiptSigner.sign, now },
      {
        ...domain,
        instance: { receiptSigner: receiptSigner.address, app, manifest: manifestId, keyVersion, nonce },
        manifest,
        keyProvider: network.networkKeys?.apps ?? '0x',
        simulated: device.simulated,
      },
    );
  }

  async #rootKey({ app, manifestId, manifest, fields }: SealedVersion, signal: AbortSignal): Promise<SecretBytes> {
    const { keyVersion } = fields;
    const signature = await this.#components.signature(
      { ...signingIdentity(app, keyVersion), manifest: manifestId },
      signal,
    );
    const purpose = manifest.kind === 'container' ? 'container-key' : 'function-key';
    try {
      return await deriveFromSignature({ class: 'signing', signature }, { purpose, name: keyName, version: 1 });
    } finally {
      signature.wipe();
    }
  }
}
