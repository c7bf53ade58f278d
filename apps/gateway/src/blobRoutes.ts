import type { Logger } from '@cloister/service';
import { TokenBuckets } from '@cloister/service';
import { diskBytes } from './blobFiles.ts';
import type { BlobStore, StoredBlob } from './blobStore.ts';
import { BlobStoreError } from './blobStoreError.ts';
import { begin, bodyOf, declaredLength, drained, type Exchange, rateLimited, sendJson } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';
import { ProblemError } from './problem.ts';
import type { StorageRoutes } from './storageRoutes.ts';

const secondsPerDay = 86_400;
const readWindowSeconds = 60;

/** Header of an upload: the owner's, or a host's, claim that it is an app's. JSON. */
export const claimHeader = 'cloister-claim';

/** `PUT` and `GET /v1/blobs/{sha256}`: bytes under their hash. Writing the same bytes again changes nothing. */
export class BlobRoutes {
  readonly #store: BlobStore;
  readonly #limits: GatewayLimits;
  readonly #log: Logger;
  readonly #storage: StorageRoutes;
  readonly #stored: TokenBuckets;
  readonly #fetched: TokenBuckets;

  constructor(store: BlobStore, storage: StorageRoutes, limits: GatewayLimits, log: Logger) {
    this.#storage = storage;
    this.#store = store;
    this.#limits = limits;
    this.#log = log;
    const daily = limits.blobBytesPerClientPerDay;
    this.#stored = new TokenBuckets({ burst: daily, perSecond: daily / secondsPerDay });
    const reading = limits.blobReadBytesPerSecondPerClient;
    this.#fetched = new TokenBuckets({ burst: reading * readWindowSeconds, perSecond: reading });
  }

  async put(exchange: Exchange, id: string): Promise<void> {
    const { request, client } = exchange;
    const size = declaredLength(request, this.#limits.blobBytes);
    if (size === null) throw new ProblemError('length-required', 'A blob is stored with its length');
    const claim = await this.#storage.ofUpload(headerOf(exchange), id, size);
    if (!this.#storage.isPaid(claim, size) && this.#store.sizeOf(id) === undefined) {
      if (this.#limits.freeBlobBytes === 0)
        throw new ProblemError('storage-payment-required', 'This gateway keeps what an app pays for, and nothing else');
      const waitMs = this.#stored.take(client, diskBytes(size));
      if (waitMs > 0) throw rateLimited('bytes stored', waitMs);
    }
    try {
      const created = await this.#store.put(id, size, bodyOf(request), claim);
      const kept = this.#store.standingOf(id) === 'paid' ? 'paid' : 'free';
      sendJson(exchange, created ? 201 : 200, JSON.stringify({ sha256: id, size, kept }));
    } catch (error) {
      throw asProblem(error);
    }
  }

  async get(exchange: Exchange, id: string): Promise<void> {
    const { request, response, client } = exchange;
    const etag = `"${id}"`;
    if (request.headers['if-none-match'] === etag && this.#store.sizeOf(id) !== undefined) {
      begin(exchange, 304, { etag, 'cache-control': immutable });
      response.end();
      return;
    }
    const waitMs = this.#fetched.take(client, this.#store.sizeOf(id) ?? 0);
    if (waitMs > 0) throw rateLimited('bytes fetched', waitMs);
    const blob = await this.#open(id);
    if (blob === undefined) throw new ProblemError('blob-unknown', `No blob "${id}" is stored here`);
    begin(exchange, 200, {
      'content-type': 'application/octet-stream',
      'content-length': blob.size,
      'cache-control': immutable,
      etag,
    });
    if (request.method === 'HEAD') {
      await blob.close();
      response.end();
      return;
    }
    for await (const chunk of blob.read()) if (!response.write(chunk) && !(await drained(response))) return;
    response.end();
  }

  /** A file that no longer matches its name is as good as absent to the client, and news to the operator. */
  async #open(id: string): Promise<StoredBlob | undefined> {
    try {
      return await this.#store.get(id);
    } catch (error) {
      if (!(error instanceof BlobStoreError) || error.code !== 'BLOB_CORRUPT') throw error;
      this.#log.error('gateway: a stored blob is corrupt', { id });
      return undefined;
    }
  }
}

function headerOf({ request }: Exchange): string | undefined {
  const header = request.headers[claimHeader];
  return typeof header === 'string' ? header : undefined;
}

const immutable = 'public, max-age=31536000, immutable';

function asProblem(error: unknown): unknown {
  if (!(error instanceof BlobStoreError)) return error;
  if (error.code === 'BLOB_HASH_MISMATCH')
    return new ProblemError('blob-hash-mismatch', error.message, { cause: error });
  if (error.code === 'BLOB_STORE_FULL') return new ProblemError('blob-store-full', error.message, { cause: error });
  return error.code === 'BLOB_SIZE_MISMATCH' ? new ProblemError('bad-request', error.message, { cause: error }) : error;
}
