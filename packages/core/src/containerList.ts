import { canonicalJson, type Json, parseCanonicalJson } from './jcs.ts';
import * as z from './schema.ts';
import { maxCodeBytes } from './sealedCode.ts';
import { assertWhole, type BlobList, blobListJson } from './weights.ts';

/** What the code of an app of kind 'container' is: its compose file as it was written, and where the archives of its images are. */
export type ContainerList = {
  readonly format: 'cloister-containers-1';
  /** The compose file's text (docs/containers.md has the subset). */
  readonly compose: string;
  /** For each image name of the compose file: an archive as `docker save` makes it. */
  readonly images: { readonly [name: string]: BlobList };
};

export const maxComposeCharacters = 64 * 1024;
/** An image as compose files name it. */
export const imageName = /^[a-z0-9][a-z0-9._/:@-]{0,254}$/;

const containerListJson = z.strictObject({
  format: z.literal('cloister-containers-1'),
  compose: z.text(maxComposeCharacters),
  images: z.record(z.pattern(imageName), blobListJson),
});

export function containerListBytes(list: ContainerList): Uint8Array {
  return new TextEncoder().encode(canonicalJson(list as unknown as Json));
}

/** Reads a list in its canonical form. Throws WEIGHTS_LIST_INVALID for an archive of another length than its blobs; JsonError, SchemaError. */
export function parseContainerList(bytes: Uint8Array): ContainerList {
  const json = parseCanonicalJson(bytes, maxCodeBytes, 'a list of containers');
  const list = z.parseWith(containerListJson, json, 'list of containers') as ContainerList;
  for (const archive of Object.values(list.images)) assertWhole(archive);
  return list;
}
