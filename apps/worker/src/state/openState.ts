import type { CommitteeReader } from '@cloister/chain';
import {
  type Bytes32,
  blobClaimDigest,
  type KeyIdentity,
  type NetworkFile,
  type SignedBlobClaim,
  stateIdentity,
  tickAt,
} from '@cloister/core';
import { fromHex, type SecretBytes, toHex } from '@cloister/crypto';
import {
  gatewayBlobs,
  partitionKey,
  StateCommittee,
  type StateGeneration,
  StateStore,
  type StateSubject,
} from '@cloister/state';
import { uncompressG2Native, verifySignatureNative } from '@cloister/threshold/native';
import type { SignDigest } from '../receiptBook.ts';
import { AppStateError } from './appStateError.ts';

export type OpenStateComponents = {
  readonly network: NetworkFile;
  readonly committee: CommitteeReader;
  /** The worker as the registry knows it. */
  readonly receiptSigner: { readonly address: `0x${string}`; readonly sign: SignDigest };
  /** The network's clock: genesis and length of an epoch, seconds. */
  readonly clock: { readonly genesis: bigint; readonly epochLength: bigint };
  /** The committee's signature over an identity. */
  readonly signature: (
    wish: KeyIdentity & { readonly manifest: `0x${string}` },
    signal: AbortSignal,
  ) => Promise<SecretBytes>;
};

/** How long the list of members is used again, in ms. */
const membersMs = 5_000;

/** Opens partitions of apps' states for this worker: by its signature, with keys that the committee gives for it, in the gateways' stores. */
export function stateOpener(components: OpenStateComponents) {
  const { network, receiptSigner, signature } = components;
  if (network.networkKeys === null)
    return async (): Promise<StateStore> => {
      throw new AppStateError('STATE_NO_COMMITTEE', 'This network has no committee: nobody could sign for a state');
    };
  const { view } = components.committee;
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const now = async (signal: AbortSignal) => {
    const { timestamp, number } = await view.head(signal);
    return { epoch: tickAt(timestamp, components.clock.genesis, components.clock.epochLength), block: number };
  };
  const committee = new StateCommittee(
    {
      generation: generationReader(components.committee),
      now,
      me: { signer: receiptSigner.address, sign: (digest) => toHex(receiptSigner.sign(fromHex(digest))) },
    },
    {
      domain,
      beaconKey: fromHex(network.networkKeys.beacon),
      verify: verifySignatureNative,
      uncompress: uncompressG2Native,
    },
  );
  /** That an entry is among what its app has with a gateway, and pays for there. */
  const claimFor =
    (app: Bytes32) =>
    async (gateway: string, blob: Bytes32, signal: AbortSignal): Promise<SignedBlobClaim> => {
      const epoch = Number((await now(signal)).epoch);
      const claim = { app, blobs: [blob], gateway, epoch, keep: true };
      return { ...claim, signature: toHex(receiptSigner.sign(fromHex(blobClaimDigest(domain, claim)))) };
    };
  return (subject: StateSubject, signal: AbortSignal): Promise<StateStore> => {
    const keyOf = async (keyVersion: number, inner: AbortSignal): Promise<SecretBytes> => {
      const wish = { ...stateIdentity(subject.app, keyVersion), manifest: subject.manifest };
      const signed = await signature(wish, inner);
      return partitionKey(signed, subject.partition).finally(() => signed.wipe());
    };
    const blobs = gatewayBlobs({ stores: network.gateways, claim: claimFor(subject.app) });
    return StateStore.open({ committee, blobs, keyOf }, subject, signal);
  };
}

/** The committee as of the newest final block, read again after a while. */
function generationReader(committee: CommitteeReader): (signal: AbortSignal) => Promise<StateGeneration> {
  let known: { readonly generation: StateGeneration; readonly readAtMs: number } | undefined;
  return async (signal) => {
    if (known !== undefined && performance.now() - known.readAtMs < membersMs) return known.generation;
    const { number } = await committee.view.finalized(signal);
    const { generation } = await committee.status(number, signal);
    known = { generation, readAtMs: performance.now() };
    return generation;
  };
}
