import { createHash } from 'node:crypto';
import { paidStorage, type StorageRental } from '@cloister/chain';
import {
  type Address,
  appId,
  type BlobClaim,
  type Bytes32,
  blobClaimDigest,
  type SignedBlobClaim,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { bytesOf, domain, type TestGateway } from './testGateway.ts';

/** An app on the chain and the key of its owner. */
export class TestApp {
  readonly key: SecretBytes = generateSecp256k1();
  readonly owner: Address = addressOf(this.key);
  readonly salt: Bytes32 = toHex(crypto.getRandomValues(new Uint8Array(32)));
  readonly app: Bytes32 = appId(this.owner, this.salt);

  create(net: TestGateway): this {
    net.owners.set(this.app, this.owner);
    return this;
  }

  /** The owner's word for this gateway and epoch, but for the changes. */
  claim(net: TestGateway, blobs: readonly string[], changes: Partial<BlobClaim> = {}, key = this.key): SignedBlobClaim {
    const ids = blobs.map((id): Bytes32 => `0x${id}`);
    const claim = { app: this.app, blobs: ids, gateway: net.url, epoch: 0, keep: true, ...changes };
    return { ...claim, signature: toHex(signDigest(key, fromHex(blobClaimDigest(domain, claim)))) };
  }
}

/** What the chain says is paid, as of an epoch. Sizes in bytes. */
export class TestRentals {
  epoch = 0;
  readonly rentals: StorageRental[] = [];

  pay(app: Bytes32, size: number, fromEpoch: number, untilEpoch: number): void {
    const id = BigInt(this.rentals.length + 1);
    const parties = { gateway: `0x${'a'.repeat(40)}`, payer: `0x${'b'.repeat(40)}` } as const;
    this.rentals.push({ id, app, ...parties, size: BigInt(size), pricePerEpoch: 1n, fromEpoch, untilEpoch });
  }

  /** As the contract ends a rental. */
  cancel(index: number, untilEpoch: number): void {
    const known = this.rentals[index];
    if (known !== undefined) this.rentals[index] = { ...known, untilEpoch };
  }

  readonly read = () => paidStorage(this.rentals, this.epoch);
}

export const idOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A blob of its own, by a number. It takes as many whole blocks of 4 kB as said. */
export function blobOf(seed: number, blocks = 1): Uint8Array {
  const bytes = bytesOf(blocks * 4_096 - 8);
  new DataView(bytes.buffer).setUint32(0, seed);
  return bytes;
}

export async function store(net: TestGateway, bytes: Uint8Array, claim?: SignedBlobClaim): Promise<Response> {
  return fetch(`${net.url}/v1/blobs/${idOf(bytes)}`, {
    method: 'PUT',
    body: bytes as BodyInit,
    headers: claim === undefined ? {} : { 'cloister-claim': JSON.stringify(claim) },
  });
}

export function sendClaim(net: TestGateway, claim: unknown): Promise<Response> {
  return fetch(`${net.url}/v1/claims`, { method: 'POST', body: JSON.stringify(claim) });
}

export async function isHere(net: TestGateway, bytes: Uint8Array): Promise<boolean> {
  const response = await fetch(`${net.url}/v1/blobs/${idOf(bytes)}`, { method: 'HEAD' });
  return response.status === 200;
}
