import {
  BlobError,
  type Bytes32,
  CloisterError,
  describeError,
  fetchBlob,
  type SignedBlobClaim,
  withDeadline,
} from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { StateError } from '../stateError.ts';

/** Where entries are kept: bytes under their sha256. It is trusted for nothing but to have them. */
export interface StateBlobs {
  /** Resolves once the bytes are stored. */
  put(id: Bytes32, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The bytes, not yet checked; undefined where there are none. */
  get(id: Bytes32, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

export type GatewayBlobsInit = {
  /** Base URLs of gateways. */
  readonly stores: readonly string[];
  readonly fetch?: typeof globalThis.fetch;
  /** For each store, in ms. @default 15_000 */
  readonly timeoutMs?: number;
  /** A word for the app to one store, that the entry is among what the app has there: without it the entry is the first to be dropped. */
  readonly claim?: (store: string, id: Bytes32, signal: AbortSignal) => Promise<SignedBlobClaim>;
};

const refusedStatus = 403;

/** The gateways' stores: an entry is stored with all of them, and one that has it is enough. */
export function gatewayBlobs(init: GatewayBlobsInit): StateBlobs {
  const { stores, fetch = globalThis.fetch, timeoutMs = 15_000, claim } = init;
  const send = async (store: string, id: Bytes32, bytes: Uint8Array, word: string | undefined, signal: AbortSignal) => {
    const response = await fetch(`${store}/v1/blobs/${id}`, {
      method: 'PUT',
      headers: word === undefined ? {} : { 'cloister-claim': word },
      body: bytes as Uint8Array<ArrayBuffer>,
      signal,
      redirect: 'error',
    });
    await response.body?.cancel();
    return response;
  };
  const putOne = (store: string, id: Bytes32, bytes: Uint8Array, signal: AbortSignal) =>
    withDeadline({ timeoutMs, signal, what: `Blob store ${store}` }, async (inner) => {
      // A gateway may not know of this worker yet, and the chain may be away: the entry is stored all the same.
      const word = await claim?.(store, id, inner).then(JSON.stringify, () => undefined);
      let response = await send(store, id, bytes, word, inner);
      if (word !== undefined && response.status === refusedStatus)
        response = await send(store, id, bytes, undefined, inner);
      if (!response.ok) throw new BlobError('BLOB_UNAVAILABLE', id, `${store} answered ${response.status}`);
    });
  return {
    put: async (id, bytes, signal) => {
      const done = await Promise.allSettled(stores.map((store) => putOne(store, id, bytes, signal)));
      if (done.some(({ status }) => status === 'fulfilled')) return;
      const [first] = done.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
      throw new BlobError('BLOB_UNAVAILABLE', id, first === undefined ? 'no store was named' : describeError(first));
    },
    get: async (id, maxBytes, signal) => {
      try {
        return await fetchBlob({ stores, id, maxBytes, fetch, timeoutMs, signal });
      } catch (error) {
        if (error instanceof BlobError) return undefined;
        throw error;
      }
    },
  };
}

const blobTimeoutMs = 30_000;

/** An entry's bytes, checked by their address. Throws STATE_BLOB_MISSING. */
export async function readBlob(
  blobs: StateBlobs,
  id: Bytes32,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await withDeadline({ timeoutMs: blobTimeoutMs, signal, what: `Entry ${id}` }, (inner) =>
    blobs.get(id, maxBytes, inner),
  ).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    throw new StateError('STATE_BLOB_MISSING', `No store serves the entry "${id}"`, { cause });
  });
  if (bytes === undefined || bytes.length > maxBytes || toHex(sha256(bytes)) !== id)
    throw new StateError(
      'STATE_BLOB_MISSING',
      bytes === undefined ? `No store serves the entry "${id}"` : `A store serves other bytes as the entry "${id}"`,
    );
  return bytes;
}

/** Stores an entry. Throws STATE_BLOB_UNSTORED. */
export async function storeBlob(blobs: StateBlobs, id: Bytes32, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  await withDeadline({ timeoutMs: blobTimeoutMs, signal, what: `Entry ${id}` }, (inner) =>
    blobs.put(id, bytes, inner),
  ).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    const why = cause instanceof CloisterError ? `: ${cause.message}` : '';
    throw new StateError('STATE_BLOB_UNSTORED', `No store took the entry "${id}"${why}`, { cause });
  });
}
