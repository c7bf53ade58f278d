import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { FileSource } from './byteSource.ts';
import { hexOfDigest, object, parse, texts } from './imageConfig.ts';
import { ImageError, shown } from './imageError.ts';
import { tarEntries } from './tarEntries.ts';

/** Where a member's bytes are in the archive's file. */
export type Part = { readonly offset: number; readonly bytes: number };

/** What of an archive makes up its image. Nothing is checked by hash yet but descriptions that lead here. */
export type ArchivedImage = {
  readonly config: Buffer;
  /** Lowest first; `hex`: the sha256 that the archive states of the stored, perhaps compressed bytes. */
  readonly layers: readonly (Part & { readonly hex?: string })[];
};

type Parts = ReadonlyMap<string, Part>;

const maxMembers = 4_096;
const maxDescriptionBytes = 1024 * 1024;

/** Finds the one image of an archive: an OCI image layout, or the form of `docker save`. Throws ImageError. */
export async function archivedImage(file: FileHandle, bytes: number): Promise<ArchivedImage> {
  const parts = await partsOf(file, bytes);
  if (parts.has('index.json')) return imageOfLayout(file, parts);
  if (parts.has('manifest.json')) return imageOfDockerSave(file, parts);
  throw new ImageError(
    'IMAGE_MALFORMED',
    'The archive has neither "index.json" nor "manifest.json"',
    'Make it with "docker save" or "podman save"',
  );
}

async function partsOf(file: FileHandle, bytes: number): Promise<Parts> {
  const parts = new Map<string, Part>();
  for await (const { name, type, offset, bytes: length } of tarEntries(new FileSource(file, 0, bytes), maxMembers)) {
    const path = name.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
    if (path.split('/').includes('..'))
      throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" leads out of the archive`);
    if (type === 'directory') continue;
    if (type !== 'file') throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" is a link or device in the archive`);
    if (parts.has(path)) throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" is twice in the archive`);
    parts.set(path, { offset, bytes: length });
  }
  return parts;
}

/** OCI image-spec, image-layout.md. */
async function imageOfLayout(file: FileHandle, parts: Parts): Promise<ArchivedImage> {
  let manifest = object(parse(await description(file, parts, 'index.json')), 'index.json');
  // An index may lead to another one, as builders make them for several platforms.
  for (let depth = 0; manifest.manifests !== undefined; depth += 1) {
    const listed = Array.isArray(manifest.manifests) ? manifest.manifests.map((item) => object(item, 'manifests')) : [];
    const images = listed.filter(({ annotations }) => !isAttestation(annotations));
    const [only] = images;
    if (only === undefined || images.length > 1 || depth > 2)
      throw new ImageError(
        'IMAGE_MALFORMED',
        `The archive has ${images.length} images, not one`,
        'Save one image, for one platform',
      );
    manifest = object(parse(await blob(file, parts, hexOfDigest(only.digest))), 'manifest');
  }
  const layers = Array.isArray(manifest.layers) ? manifest.layers.map((item) => object(item, 'layers')) : [];
  return {
    config: await blob(file, parts, hexOfDigest(object(manifest.config, 'config').digest)),
    layers: layers.map(({ digest }) => {
      const hex = hexOfDigest(digest);
      return { ...partAt(parts, `blobs/sha256/${hex}`), hex };
    }),
  };
}

/** What builders add about an image is none. */
function isAttestation(annotations: unknown): boolean {
  if (typeof annotations !== 'object' || annotations === null) return false;
  return (annotations as { [key: string]: unknown })['vnd.docker.reference.type'] === 'attestation-manifest';
}

async function imageOfDockerSave(file: FileHandle, parts: Parts): Promise<ArchivedImage> {
  const images = parse(await description(file, parts, 'manifest.json'));
  if (!Array.isArray(images) || images.length !== 1)
    throw new ImageError(
      'IMAGE_MALFORMED',
      `The archive has ${Array.isArray(images) ? images.length : 'no'} images, not one`,
      'Save one image',
    );
  const { Config: config, Layers: layers } = object(images[0], 'manifest.json');
  return {
    config: await description(file, parts, texts([config], 'Config')[0] ?? ''),
    layers: texts(layers, 'Layers').map((name) => partAt(parts, name)),
  };
}

async function blob(file: FileHandle, parts: Parts, hex: string): Promise<Buffer> {
  const bytes = await description(file, parts, `blobs/sha256/${hex}`);
  if (createHash('sha256').update(bytes).digest('hex') === hex) return bytes;
  throw new ImageError('IMAGE_MISMATCH', `The blob "${hex}" of the archive has another hash`);
}

async function description(file: FileHandle, parts: Parts, name: string): Promise<Buffer> {
  const { offset, bytes } = partAt(parts, name);
  if (bytes > maxDescriptionBytes)
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `"${shown(name)}" has ${bytes} bytes, at most ${maxDescriptionBytes} are read`,
    );
  return (await new FileSource(file, offset, bytes).read(bytes)) ?? Buffer.alloc(0);
}

function partAt(parts: Parts, name: string): Part {
  const part = parts.get(name);
  if (part === undefined) throw new ImageError('IMAGE_MALFORMED', `The archive lacks "${shown(name)}"`);
  return part;
}
