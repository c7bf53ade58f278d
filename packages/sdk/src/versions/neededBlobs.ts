import { BlobError, type Bytes32, type Manifest, maxCodeBytes, parseWeightsList } from '@cloister/core';
import type { Gateways } from '../gateways.ts';

/** What the gateways have of what a host needs to run a manifest. */
export type NeededBlobs = {
  /** The code, or the list of a model's weights; undefined where no gateway serves it. */
  readonly code: Uint8Array | undefined;
  /** What no gateway has. */
  readonly gone: readonly Bytes32[];
};

/** Blobs asked for at once. */
const batch = 8;

/** Looks for a manifest's code, by its bytes, and for a model's weights, by the gateways' own word. Throws what is not an absence. */
export async function neededBlobs(
  gateways: Gateways,
  { kind, code: { sha256 } }: Pick<Manifest, 'kind' | 'code'>,
  signal?: AbortSignal,
): Promise<NeededBlobs> {
  const code = await gateways.getBlob(sha256, maxCodeBytes, signal).catch((error: unknown) => {
    if (error instanceof BlobError && error.code === 'BLOB_UNAVAILABLE') return undefined;
    throw error;
  });
  if (code === undefined) return { code, gone: [sha256] };
  const chunks = kind === 'model' ? parseWeightsList(code).chunks : [];
  const gone: Bytes32[] = [];
  for (let from = 0; from < chunks.length; from += batch) {
    const asked = chunks.slice(from, from + batch);
    const has = await Promise.all(asked.map((id) => gateways.hasBlob(id, signal)));
    gone.push(...asked.filter((_, index) => !has[index]));
  }
  return { code, gone };
}
