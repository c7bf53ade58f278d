import { type Bytes32, fetchBlob, type Manifest, maxManifestBytes, parseManifest } from '@cloister/core';

const maxKept = 1_024;

/** Manifests by their id, from whichever store has them: a store can withhold one and not change it. */
export function manifestStore(stores: readonly string[]): (id: Bytes32, signal: AbortSignal) => Promise<Manifest> {
  const known = new Map<Bytes32, Manifest>();
  return async (id, signal) => {
    const kept = known.get(id);
    if (kept !== undefined) return kept;
    const manifest = parseManifest(await fetchBlob({ stores, id, maxBytes: maxManifestBytes, signal }));
    known.set(id, manifest);
    if (known.size > maxKept) known.delete(known.keys().next().value as Bytes32);
    return manifest;
  };
}
