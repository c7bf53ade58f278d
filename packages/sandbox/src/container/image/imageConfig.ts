import { ImageError, shown } from './imageError.ts';

/** What of an image's configuration (OCI image-spec, config.md) matters to run it. */
export type ImageConfig = {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDir: string;
  /** Folders that the image declares to be volumes: here they are in memory. */
  readonly volumes: readonly string[];
  /** sha256 of each layer without compression, in hex, lowest first. */
  readonly diffIds: readonly string[];
};

const maxLayers = 128;
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Throws IMAGE_MALFORMED, IMAGE_OTHER_PLATFORM. */
export function parseImageConfig(bytes: Buffer, arch: string = process.arch): ImageConfig {
  const json = object(parse(bytes), 'configuration');
  const platform = `${String(json.os)}/${String(json.architecture)}`;
  const wanted = `linux/${architectures[arch] ?? arch}`;
  if (platform !== wanted)
    throw new ImageError('IMAGE_OTHER_PLATFORM', `The image is for "${shown(platform)}", not for "${wanted}"`);
  const diffIds = texts(object(json.rootfs, 'rootfs').diff_ids, 'diff_ids').map(hexOfDigest);
  if (diffIds.length === 0 || diffIds.length > maxLayers)
    throw new ImageError('IMAGE_MALFORMED', `The image has ${diffIds.length} layers, not 1 to ${maxLayers}`);
  const config = json.config === undefined || json.config === null ? {} : object(json.config, 'config');
  const volumes = config.Volumes === undefined || config.Volumes === null ? {} : object(config.Volumes, 'Volumes');
  return {
    entrypoint: texts(config.Entrypoint ?? [], 'Entrypoint'),
    command: texts(config.Cmd ?? [], 'Cmd'),
    environment: texts(config.Env ?? [], 'Env'),
    workingDir: typeof config.WorkingDir === 'string' ? config.WorkingDir : '',
    volumes: Object.keys(volumes),
    diffIds,
  };
}

/** The hex of "sha256:…". Throws IMAGE_MALFORMED for any other digest. */
export function hexOfDigest(digest: unknown): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(String(digest))?.[1];
  if (hex === undefined) throw new ImageError('IMAGE_MALFORMED', `"${shown(String(digest))}" is no sha256 digest`);
  return hex;
}

export function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ImageError('IMAGE_MALFORMED', 'A description in the archive is no JSON');
  }
}

export function object(value: unknown, what: string): { readonly [key: string]: unknown } {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as { readonly [key: string]: unknown };
  throw new ImageError('IMAGE_MALFORMED', `The image's "${what}" is no object`);
}

export function texts(value: unknown, what: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes('\0'))) return value;
  throw new ImageError('IMAGE_MALFORMED', `The image's "${what}" is no list of texts`);
}
