import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type ImageLayer, imageRoot, imageRuntime, imageSettings, type LayerName } from './imageLayers.ts';
import { writeTar } from './imageTar.ts';

/** A blob as OCI describes it (image-spec, descriptor.md). */
export type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };

export type OciImage = {
  /** Of the manifest: the image's name for everyone, `NAME@sha256:…`. */
  readonly digest: string;
  readonly config: Descriptor;
  readonly layers: readonly (Descriptor & { readonly name: LayerName })[];
};

export type OciInit = {
  /** Emptied first. */
  readonly folder: string;
  readonly layers: readonly ImageLayer[];
  /** As OCI names it: "amd64", "arm64". */
  readonly architecture: string;
  readonly version: string;
};

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  // Not compressed: what gzip makes of the same bytes differs between versions of zlib and kinds of processors.
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/**
 * Writes an image as an OCI image layout (image-spec 1.1, image-layout.md), which `podman pull oci:FOLDER` and `skopeo copy`
 * read. It depends on nothing but `layers`, architecture and version: no date, no name of a machine. Throws what `writeTar` throws.
 */
export function writeOciImage({ folder, layers, architecture, version }: OciInit): OciImage {
  const blobs = path.join(folder, 'blobs', 'sha256');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(blobs, { recursive: true });
  const written = layers.map((layer) => ({ name: layer.name, ...writeLayer(blobs, layer) }));
  const config = writeJson(blobs, types.config, {
    architecture,
    os: 'linux',
    config: {
      User: '0:0',
      Env: ['PATH=/usr/local/bin:/usr/bin'],
      // Flags stand above the configuration file: where the code lies is not for the operator to say.
      Entrypoint: [
        `/${imageRuntime}`,
        `/${imageRoot}/apps/worker/src/main.ts`,
        '--imageRoot',
        `/${imageRoot}`,
        '--runDir',
        '/run/cloister/sandboxes',
        '--config',
        `/${imageSettings}`,
      ],
      WorkingDir: '/',
      StopSignal: 'SIGTERM',
    },
    rootfs: { type: 'layers', diff_ids: written.map(({ digest }) => digest) },
  });
  const annotations = {
    'org.opencontainers.image.title': 'cloister-worker',
    'org.opencontainers.image.version': version,
  };
  const manifest = writeJson(blobs, types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: written.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    annotations,
  });
  const index = {
    schemaVersion: 2,
    mediaType: types.index,
    manifests: [{ ...manifest, platform: { architecture, os: 'linux' } }],
  };
  fs.writeFileSync(path.join(folder, 'index.json'), JSON.stringify(index));
  fs.writeFileSync(path.join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return { digest: manifest.digest, config, layers: written };
}

function writeLayer(blobs: string, layer: ImageLayer): Descriptor {
  const temporary = path.join(blobs, `${layer.name}.new`);
  const descriptor = fs.openSync(temporary, 'w');
  const hash = createHash('sha256');
  let size = 0;
  try {
    writeTar(layer.entries, (bytes) => {
      hash.update(bytes);
      size += bytes.length;
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(descriptor, bytes, at);
    });
  } finally {
    fs.closeSync(descriptor);
  }
  const hex = hash.digest('hex');
  fs.renameSync(temporary, path.join(blobs, hex));
  return { mediaType: types.layer, digest: `sha256:${hex}`, size };
}

function writeJson(blobs: string, mediaType: string, value: unknown): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value));
  const hex = createHash('sha256').update(bytes).digest('hex');
  fs.writeFileSync(path.join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}
