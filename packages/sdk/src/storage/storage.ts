import {
  type ChainAccount,
  type RegistryReader,
  type StorageReader,
  type StorageRentalStatus,
  storageRentAbi,
} from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  CloisterError,
  describeError,
  type NetworkFile,
  type SignedBlobClaim,
  zeroBytes32,
} from '@cloister/core';
import type { Hex, LocalAccount } from 'viem';
import type { ServingApp } from '../apps.ts';
import type { Gateways, StorageUse } from '../gateways.ts';
import { signPhaPermit } from '../phaPermit.ts';
import { BlobClaimer } from './blobClaimer.ts';

/** What one gateway asks for storage. Amounts in PHA's smallest unit. */
export type StorageOffer = {
  /** Base URLs of the gateways that name this account. */
  readonly urls: readonly string[];
  readonly gateway: Address;
  /** By its own word: what it could still keep. Bytes. */
  readonly sellableBytes: bigint;
  readonly cost: bigint;
};

export type StorageQuote = {
  /** Bytes and epochs that were asked for, at each gateway. */
  readonly bytes: bigint;
  readonly epochs: number;
  readonly pricePerEpoch: bigint;
  readonly offers: readonly StorageOffer[];
  /** For all offers together. */
  readonly sum: bigint;
};

/** What of an app is stored where, and who pays for it. */
export type StorageStatus = {
  readonly epoch: number;
  readonly rentals: readonly StorageRentalStatus[];
  /** By the gateways' own word; undefined where one does not answer. */
  readonly gateways: readonly { readonly url: string; readonly use: StorageUse | undefined }[];
};

/** How gateways keep an app's blobs; `failed` says why one does not answer. */
export type ClaimedBlobs = {
  readonly url: string;
  readonly blobs: Readonly<Record<Bytes32, 'paid' | 'free' | 'absent'>>;
  readonly failed: string | undefined;
};

export type StorageComponents = {
  readonly network: Pick<NetworkFile, 'chainId' | 'contracts'>;
  readonly reader: StorageReader;
  readonly registry: Pick<RegistryReader, 'secretsOf'>;
  readonly gateways: Gateways;
  readonly account: (account: LocalAccount | Hex) => ChainAccount;
  readonly servingApp: (app: Bytes32, signal: AbortSignal | undefined) => Promise<ServingApp>;
};

type By = { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal };

/** As the contract bounds it. */
const maxBatch = 64;

/** Bytes that gateways keep for an app, paid in advance by epoch. */
export class Storage {
  readonly #components: StorageComponents;

  constructor(components: StorageComponents) {
    this.#components = components;
  }

  /** The contract's own reads. */
  get reader(): StorageReader {
    return this.#components.reader;
  }

  /**
   * What so many bytes for so many epochs cost at every gateway that could keep them, or at those that are named. Throws
   * STORAGE_NO_GATEWAY, ChainError.
   */
  async quote(wanted: {
    readonly bytes: bigint;
    readonly epochs: number;
    readonly gateways?: readonly string[];
    readonly signal?: AbortSignal;
  }): Promise<StorageQuote> {
    const { bytes, epochs, signal } = wanted;
    const { gateways, reader } = this.#components;
    const urls = wanted.gateways ?? gateways.urls;
    const pricePerEpoch = await reader.pricePerEpoch(bytes, signal);
    const offers = new Map<Address, StorageOffer>();
    const asked = await Promise.allSettled(urls.map((url) => gateways.storageOffer(url, signal)));
    asked.forEach((answer, index) => {
      if (answer.status === 'rejected' || answer.value.sellableBytes < bytes) return;
      const { payTo: gateway, sellableBytes } = answer.value;
      const same = offers.get(gateway);
      const cost = pricePerEpoch * BigInt(epochs);
      offers.set(gateway, { urls: [...(same?.urls ?? []), urls[index] as string], gateway, sellableBytes, cost });
    });
    if (offers.size === 0)
      throw new StorageError(
        'STORAGE_NO_GATEWAY',
        `None of "${urls.length}" gateways sells "${bytes}" bytes of storage`,
        'Ask for less, or use other gateways',
      );
    const all = [...offers.values()];
    return { bytes, epochs, pricePerEpoch, offers: all, sum: all.reduce((sum, { cost }) => sum + cost, 0n) };
  }

  /**
   * Pays for an app at every gateway of a quote, in one transaction, from the epoch of now or a later one on. Costs what the quote says or
   * is refused. The account gets back what is cancelled. Answers the rentals; throws TransactionError.
   */
  async prepay(
    app: Bytes32,
    quote: StorageQuote,
    { account, fromEpoch, signal }: By & { readonly fromEpoch?: number },
  ): Promise<readonly StorageRentalStatus[]> {
    const { network, reader } = this.#components;
    const payer = this.#components.account(account);
    const purchases = quote.offers.map(({ gateway }) => ({
      app,
      gateway,
      size: quote.bytes,
      fromEpoch: fromEpoch ?? 0,
      epochs: quote.epochs,
    }));
    const permit = { spender: network.contracts.storageRent, value: quote.sum };
    const { deadline, v, r, s } = await signPhaPermit(network, reader.view, payer, permit, signal);
    const args = [purchases, quote.sum, deadline, v, r, s] as const;
    const known = new Set((await reader.rentals({ app }, signal)).map(({ id }) => id));
    await payer.write({ ...this.#contract, functionName: 'prepayWithPermit', args }, signal);
    const rentals = await reader.rentals({ app }, signal);
    return rentals.filter(({ id, payer: by }) => !known.has(id) && by === payer.address);
  }

  async status(app: Bytes32, signal?: AbortSignal): Promise<StorageStatus> {
    const { gateways, reader } = this.#components;
    const [epoch, rentals, uses] = await Promise.all([
      reader.epoch(signal),
      reader.rentals({ app }, signal),
      Promise.allSettled(gateways.urls.map((url) => gateways.storageUse(url, app, signal))),
    ]);
    const asked = gateways.urls.map((url, index) => {
      const answer = uses[index];
      return { url, use: answer?.status === 'fulfilled' ? answer.value : undefined };
    });
    return { epoch, rentals, gateways: asked };
  }

  /** Ends what the account paid for an app, from the next epoch on, and brings the rest back. Answers what came back. */
  async cancel(
    app: Bytes32,
    { account, signal }: By,
  ): Promise<readonly { readonly id: bigint; readonly refund: bigint }[]> {
    const payer = this.#components.account(account);
    const rentals = await this.reader.rentals({ app }, signal);
    const mine = rentals.filter(({ payer: by, refundable }) => by === payer.address && refundable > 0n);
    for (const batch of batches(mine))
      await payer.write({ ...this.#contract, functionName: 'cancel', args: [batch.map(({ id }) => id)] }, signal);
    return mine.map(({ id, refundable: refund }) => ({ id, refund }));
  }

  /** Pays a gateway's account what it earned in past epochs, as anyone may. Answers what of which rental. */
  async collect({
    account,
    gateway,
    signal,
  }: By & { readonly gateway?: Address }): Promise<readonly { readonly id: bigint; readonly amount: bigint }[]> {
    const by = this.#components.account(account);
    const payee = gateway ?? by.address;
    const due = (await this.reader.rentals({ gateway: payee }, signal)).filter(({ earned }) => earned > 0n);
    for (const batch of batches(due)) {
      const args = [payee, batch.map(({ id }) => id)] as const;
      await by.write({ ...this.#contract, functionName: 'collect', args }, signal);
    }
    return due.map(({ id, earned: amount }) => ({ id, amount }));
  }

  /** Tells every gateway that these blobs are the app's, or no longer. The app's owner. */
  async claim(
    app: Bytes32,
    blobs: readonly Bytes32[],
    { account, keep = true, signal }: By & { readonly keep?: boolean },
  ): Promise<readonly ClaimedBlobs[]> {
    const { gateways, network, reader } = this.#components;
    const claimer = new BlobClaimer({ network, reader, account: this.#components.account(account), app });
    const answers = await Promise.allSettled(
      gateways.urls.map(async (url) => gateways.claimBlobs(url, await claimer.claim(url, blobs, keep, signal), signal)),
    );
    return answers.map((answer, index) => {
      const url = gateways.urls[index] as string;
      if (answer.status === 'fulfilled') return { url, blobs: answer.value, failed: undefined };
      return { url, blobs: {}, failed: describeError(answer.reason) };
    });
  }

  /** The same for all that the app's serving version needs: manifest, code, sealed secrets. */
  async claimServing(app: Bytes32, by: By): Promise<readonly ClaimedBlobs[]> {
    const { servingApp, registry } = this.#components;
    const { manifest, manifestId } = await servingApp(app, by.signal);
    const { bundleId } = await registry.secretsOf(app, undefined, by.signal);
    return this.claim(app, [manifestId, manifest.code.sha256, ...(bundleId === zeroBytes32 ? [] : [bundleId])], by);
  }

  /** Claims for uploads to gateways that store nothing for free. @param app.salt of the app's id, where it may not be created yet */
  claimsFor(
    { app, salt }: { readonly app: Bytes32; readonly salt?: Bytes32 },
    account: ChainAccount,
    signal?: AbortSignal,
  ): (gateway: string, blob: Bytes32) => Promise<SignedBlobClaim> {
    const { network, reader } = this.#components;
    const claimer = new BlobClaimer({ network, reader, account, app, ...(salt && { salt }) });
    return (gateway, blob) => claimer.claim(gateway, [blob], true, signal);
  }

  get #contract() {
    return { address: this.#components.network.contracts.storageRent, abi: storageRentAbi } as const;
  }
}

function batches<T>(all: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let from = 0; from < all.length; from += maxBatch) parts.push(all.slice(from, from + maxBatch));
  return parts;
}

export class StorageError extends CloisterError<'STORAGE_NO_GATEWAY'> {
  override readonly name = 'StorageError';
  constructor(code: 'STORAGE_NO_GATEWAY', message: string, hint: string) {
    super({ code, message, hint });
  }
}
