import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import zlib from 'node:zlib';
import { type ArchivedImage, archivedImage, type Part } from './archiveIndex.ts';
import { StreamSource } from './byteSource.ts';
import { checkLayer, type LayerBudget } from './checkLayer.ts';
import { type ImageConfig, parseImageConfig } from './imageConfig.ts';
import { ImageError } from './imageError.ts';
import { tarEnd, tarHeader, tarPadding } from './tarWriter.ts';

/** An image whose every byte follows from its id. */
export type CheckedImage = {
  /** sha256 of its configuration, in hex: what engines call the image's id. */
  readonly id: string;
  readonly config: ImageConfig;
  /** Of all layers, without compression. */
  readonly unpackedBytes: number;
};

export type ArchiveBounds = {
  /** Of all files of all layers. Default 8 GiB. */
  readonly unpackedBytes?: number;
  /** Files, folders and links of all layers. Default 500,000. */
  readonly entries?: number;
};

const defaultBounds: LayerBudget = { bytes: 8 * 1024 ** 3, entries: 500_000 };

/**
 * Checks an archive of one image against its own hashes, and every member of its layers. With `copyTo`, what was checked is
 * written there in the plain form of `docker save`: an engine that loads this reads nothing that was not looked at.
 * Throws ImageError.
 */
export async function checkArchive(
  file: string,
  { copyTo, bounds = {}, signal }: { copyTo?: string; bounds?: ArchiveBounds; signal: AbortSignal },
): Promise<CheckedImage> {
  const archive = await open(file, 'r');
  const copy = copyTo === undefined ? undefined : await open(copyTo, 'wx', 0o600);
  try {
    const image = await archivedImage(archive, (await archive.stat()).size);
    const config = parseImageConfig(image.config);
    const id = createHash('sha256').update(image.config).digest('hex');
    if (image.layers.length !== config.diffIds.length)
      throw new ImageError(
        'IMAGE_MISMATCH',
        `The archive has ${image.layers.length} layers, the image ${config.diffIds.length}`,
      );
    const budget = { ...defaultBounds, ...withoutUndefined(bounds) };
    const writer = copy === undefined ? undefined : new ArchiveCopy(copy);
    await writer?.add(`${id}.json`, image.config);
    let unpackedBytes = 0;
    const seen = new Set<string>();
    for (const [index, hex] of config.diffIds.entries()) {
      const into = seen.has(hex) ? undefined : writer;
      unpackedBytes += await copyLayer(file, image.layers[index], hex, { archive, into, budget, signal });
      seen.add(hex);
    }
    const layers = config.diffIds.map((hex) => `${hex}.tar`);
    await writer?.add('manifest.json', Buffer.from(JSON.stringify([{ Config: `${id}.json`, Layers: layers }])));
    await writer?.end();
    return { id, config, unpackedBytes };
  } finally {
    await archive.close();
    await copy?.close();
  }
}

function withoutUndefined({ unpackedBytes, entries }: ArchiveBounds): Partial<LayerBudget> {
  return {
    ...(unpackedBytes === undefined ? {} : { bytes: unpackedBytes }),
    ...(entries === undefined ? {} : { entries }),
  };
}

type LayerCopy = {
  readonly archive: FileHandle;
  readonly into: ArchiveCopy | undefined;
  readonly budget: LayerBudget;
  readonly signal: AbortSignal;
};

/** Checks a layer, and copies it; answers its length without compression. */
async function copyLayer(
  file: string,
  layer: ArchivedImage['layers'][number] | undefined,
  hex: string,
  { archive, into, budget, signal }: LayerCopy,
): Promise<number> {
  if (layer === undefined || layer.bytes === 0)
    throw new ImageError('IMAGE_MALFORMED', 'A layer of the archive is empty');
  const storedHash = createHash('sha256');
  const hash = createHash('sha256');
  const compression = await compressionOf(archive, layer);
  const stored = hashed(file, layer, storedHash, signal);
  await into?.begin(`${hex}.tar`);
  let bytes = 0;
  // Headers and padding count too: a small file may unpack to any number of them.
  const most = budget.bytes + budget.entries * 1_024 + tarEnd.length + 1024 * 1024;
  async function* watched(): AsyncGenerator<Buffer> {
    for await (const chunk of unpacked(stored, compression)) {
      const part = chunk as Buffer;
      bytes += part.length;
      if (bytes > most) throw new ImageError('IMAGE_TOO_LARGE', 'The image unpacks to more than it may');
      hash.update(part);
      await into?.write(part);
      yield part;
    }
  }
  const source = new StreamSource(watched());
  await checkLayer(source, budget);
  await source.drain();
  await into?.finish();
  const found = hash.digest('hex');
  if (found !== hex) throw new ImageError('IMAGE_MISMATCH', `A layer is "${found}", the image says "${hex}"`);
  if (layer.hex !== undefined && storedHash.digest('hex') !== layer.hex)
    throw new ImageError('IMAGE_MISMATCH', `The blob "${layer.hex}" of the archive has another hash`);
  return bytes;
}

async function* hashed(file: string, { offset, bytes }: Part, hash: Hash, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(file, { start: offset, end: offset + bytes - 1, signal })) {
    hash.update(chunk as Buffer);
    yield chunk as Buffer;
  }
}

type Compression = 'none' | 'gzip' | 'zstd';

/** What the first bytes say (RFC 1952 §2.3.1, RFC 8878 §3.1.1). */
async function compressionOf(archive: FileHandle, { offset }: Part): Promise<Compression> {
  const { buffer } = await archive.read(Buffer.alloc(4), 0, 4, offset);
  if (buffer.readUInt16BE(0) === 0x1f8b) return 'gzip';
  return buffer.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none';
}

async function* unpacked(stored: AsyncIterable<Buffer>, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'none') return yield* stored;
  const decoder = compression === 'gzip' ? zlib.createGunzip() : zstdDecoder();
  // An error on the way comes out of the decoder.
  pipeline(Readable.from(stored), decoder, () => {});
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof Error && 'code' in error && /^(?:Z_|ZSTD_)/.test(String(error.code)))
      throw new ImageError('IMAGE_MALFORMED', 'A layer of the archive can not be unpacked');
    throw error;
  }
}

/** A tar archive that is written while the length of its members is still unknown. */
class ArchiveCopy {
  readonly #file: FileHandle;
  #offset = 0;
  #begun: { readonly name: string; readonly at: number } | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async add(name: string, content: Buffer): Promise<void> {
    await this.begin(name);
    await this.write(content);
    await this.finish();
  }

  /** Leaves room for the header. */
  async begin(name: string): Promise<void> {
    this.#begun = { name, at: this.#offset };
    this.#offset += 512;
  }

  async write(bytes: Buffer): Promise<void> {
    await this.#file.write(bytes, 0, bytes.length, this.#offset);
    this.#offset += bytes.length;
  }

  async finish(): Promise<void> {
    if (this.#begun === undefined) return;
    const { name, at } = this.#begun;
    const bytes = this.#offset - at - 512;
    await this.#file.write(tarHeader(name, bytes), 0, 512, at);
    await this.write(tarPadding(bytes));
  }

  async end(): Promise<void> {
    await this.write(tarEnd);
  }
}

/** Node.js has it since 22.15 and 23.8; the command line runs on older ones too. */
function zstdDecoder(): ReturnType<typeof zlib.createZstdDecompress> {
  if (typeof zlib.createZstdDecompress === 'function') return zlib.createZstdDecompress();
  throw new ImageError(
    'IMAGE_MALFORMED',
    `A layer is packed by zstd, which Node.js "${process.version}" can't unpack`,
    'Save the image with gzip, or use Node.js 22.15 or later',
  );
}
