import { sha256, toHex } from '@cloister/crypto';
import { withDeadline } from './deadline.ts';
import { CloisterError, describeError } from './errors.ts';
import type { Bytes32 } from './hex.ts';

export type FetchBlobOptions = {
  /** Base URLs of the stores, asked in this order. */
  readonly stores: readonly string[];
  /** sha256 of the bytes. */
  readonly id: Bytes32;
  readonly maxBytes: number;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** For each store. Default 15 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Fetches bytes by their sha256 from the first store that has them (`GET {store}/v1/blobs/{id}`). A store can withhold
 * bytes but not change them: what does not match is passed over. Throws BLOB_UNAVAILABLE.
 */
export async function fetchBlob(options: FetchBlobOptions): Promise<Uint8Array> {
  const { stores, id, maxBytes, signal } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  let last = 'no store was named';
  for (const store of stores) {
    try {
      const bytes = await withDeadline(
        { timeoutMs: options.timeoutMs ?? 15_000, signal, what: `Blob store ${store}` },
        async (inner) => {
          const response = await fetch(`${store}/v1/blobs/${id}`, { signal: inner, redirect: 'error' });
          if (response.ok) return readBounded(response, maxBytes);
          await response.body?.cancel();
          throw new BlobError('BLOB_UNAVAILABLE', id, `${store} answered ${response.status}`);
        },
      );
      if (toHex(sha256(bytes)) === id) return bytes;
      last = `${store} served other bytes`;
    } catch (error) {
      if (signal?.aborted) throw error;
      last = error instanceof BlobError ? error.reason : `${store}: ${describeError(error)}`;
    }
  }
  throw new BlobError('BLOB_UNAVAILABLE', id, last);
}

/** A response's body, refused beyond `maxBytes` before it is kept. Throws BODY_TOO_LARGE. */
export async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) break;
    length += next.value.length;
    if (length > maxBytes) {
      await reader?.cancel();
      throw new BlobError('BODY_TOO_LARGE', `0x`, `more than ${maxBytes} bytes came`);
    }
    parts.push(next.value);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export class BlobError extends CloisterError<'BLOB_UNAVAILABLE' | 'BODY_TOO_LARGE'> {
  override readonly name = 'BlobError';
  readonly reason: string;
  constructor(code: 'BLOB_UNAVAILABLE' | 'BODY_TOO_LARGE', id: string, reason: string) {
    super({
      code,
      message:
        code === 'BLOB_UNAVAILABLE' ? `No store serves "${id}" (${reason})` : `An answer is too large: ${reason}`,
      meta: { id },
      retry: code === 'BLOB_UNAVAILABLE',
    });
    this.reason = reason;
  }
}
