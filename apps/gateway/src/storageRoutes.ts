import type { PaidStorage } from '@cloister/chain';
import { type Bytes32, CloisterError, maxBlobClaimBytes, parseBlobClaim, type SignedBlobClaim } from '@cloister/core';
import type { BlobStore } from './blobStore.ts';
import type { ClaimBy, ClaimChecks } from './claimChecks.ts';
import type { CheckedClaim } from './claimFile.ts';
import { bodyOf, type Exchange, sendJson } from './exchange.ts';
import { graceEpochs, keptBytesOf, type PaidStorageWatch } from './paidStorageWatch.ts';
import { ProblemError } from './problem.ts';

/** `POST /v1/claims` and `GET /v1/storage/{app}`: what an app has here, and what it pays for. */
export class StorageRoutes {
  readonly #store: BlobStore;
  readonly #checks: ClaimChecks;
  readonly #watch: PaidStorageWatch;

  constructor(store: BlobStore, checks: ClaimChecks, watch: PaidStorageWatch) {
    this.#store = store;
    this.#checks = checks;
    this.#watch = watch;
  }

  /** Counts blobs that are here among an app's, or no longer. Answers how each is kept. */
  async claim(exchange: Exchange): Promise<void> {
    const claim = parsed(await wholeBody(exchange));
    const by = await this.#checks.check(claim);
    await this.#makeSureOfPayment(claim.app, 0);
    const blobs: Record<Bytes32, string> = {};
    for (const id of claim.blobs) {
      const name = id.slice(2);
      const counts = this.#counts(by, claim, this.#store.sizeOf(name) ?? 0);
      const isHere = counts
        ? await this.#store.claim(name, checkedClaim(claim))
        : this.#store.sizeOf(name) !== undefined;
      blobs[id] = isHere ? this.#keptAs(claim.app, name) : 'absent';
    }
    sendJson(exchange, 200, JSON.stringify({ app: claim.app, blobs }));
  }

  /** The claim that an upload carries, if it counts: nothing is taken on the word of somebody else. Throws claim-refused. */
  async ofUpload(header: string | undefined, id: string, size: number): Promise<CheckedClaim | undefined> {
    if (header === undefined) return undefined;
    const claim = parsed(new TextEncoder().encode(header));
    if (!claim.keep || !claim.blobs.includes(`0x${id}`))
      throw new ProblemError('claim-refused', `It does not keep blob "${id}"`);
    try {
      const by = await this.#checks.check(claim);
      await this.#makeSureOfPayment(claim.app, size);
      return this.#counts(by, claim, size) ? checkedClaim(claim) : undefined;
    } catch (error) {
      // Without the chain nobody's word can be weighed: the upload is like any other.
      if (error instanceof ProblemError && error.code === 'claims-unavailable') return undefined;
      throw error;
    }
  }

  /** Whether an upload with this claim is paid for. */
  isPaid(claim: CheckedClaim | undefined, size: number): boolean {
    return claim !== undefined && this.#store.hasRoom(claim.app, size);
  }

  status(exchange: Exchange, app: Bytes32): void {
    const paid = this.#watch.known;
    if (paid === undefined) throw new ProblemError('claims-unavailable', 'The chain was not read yet');
    const { blobs, bytes, paidBytes } = this.#store.holdingsOf(app);
    const rented = { bytesPaid: Number(paid.bytesOf(app, paid.epoch)), bytesKept: keptBytesOf(paid, app) };
    sendJson(
      exchange,
      200,
      JSON.stringify({
        app,
        epoch: paid.epoch,
        graceEpochs,
        ...rented,
        blobs,
        bytesUsed: bytes,
        bytesCovered: paidBytes,
      }),
    );
  }

  /** Who has not created its app yet stands for nothing but what it pays. */
  #counts(by: ClaimBy, claim: SignedBlobClaim, size: number): boolean {
    return by !== 'pending' || this.#store.hasRoom(claim.app, size);
  }

  #keptAs(app: Bytes32, id: string): 'paid' | 'free' {
    return this.#store.isPaidBy(app, id) ? 'paid' : 'free';
  }

  /** A payment may be newer than the last look at the chain. */
  async #makeSureOfPayment(app: Bytes32, size: number): Promise<PaidStorage | undefined> {
    if (this.#watch.known !== undefined && size > 0 && this.#store.hasRoom(app, size)) return this.#watch.known;
    return this.#watch.refresh().catch(() => this.#watch.known);
  }
}

function checkedClaim({ app, epoch, keep }: SignedBlobClaim): CheckedClaim {
  return { app, epoch, keep };
}

function parsed(text: Uint8Array): SignedBlobClaim {
  try {
    return parseBlobClaim(text);
  } catch (error) {
    if (error instanceof CloisterError) throw new ProblemError('bad-request', error.message, { cause: error });
    throw error;
  }
}

async function wholeBody({ request }: Exchange): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of bodyOf(request)) {
    length += part.length;
    if (length > maxBlobClaimBytes)
      throw new ProblemError('request-too-large', `A claim has at most ${maxBlobClaimBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
