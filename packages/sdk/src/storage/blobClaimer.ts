import type { ChainAccount, StorageReader } from '@cloister/chain';
import { type Bytes32, blobClaimDigest, type NetworkFile, type SignedBlobClaim } from '@cloister/core';

export type BlobClaimerInit = {
  readonly network: Pick<NetworkFile, 'chainId' | 'contracts'>;
  readonly reader: Pick<StorageReader, 'epoch'>;
  /** The app's owner. */
  readonly account: Pick<ChainAccount, 'signDigest'>;
  readonly app: Bytes32;
  /** Of the app's id, where the app may not be created yet. */
  readonly salt?: Bytes32;
};

/** Signs an app's claims to gateways, each for one of them and the epoch of now. */
export class BlobClaimer {
  readonly #init: BlobClaimerInit;

  constructor(init: BlobClaimerInit) {
    this.#init = init;
  }

  /** @param gateway as the network file names it: what a gateway says of itself does not count. */
  async claim(gateway: string, blobs: readonly Bytes32[], keep = true, signal?: AbortSignal): Promise<SignedBlobClaim> {
    const { network, reader, account, app, salt } = this.#init;
    const claim = { app, blobs, gateway, epoch: await reader.epoch(signal), keep };
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const signature = await account.signDigest(blobClaimDigest(domain, claim));
    return { ...claim, signature, ...(salt === undefined ? {} : { salt }) };
  }
}
