import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { type BlobList, containerListBytes, parseWeightsList } from '@cloister/core';
import { checkArchive, parseCompose } from '@cloister/sandbox';
import type { CloisterClient } from '@cloister/sdk';
import { namedValues, OptionValueError } from './optionValues.ts';

export type ReadContainers = {
  readonly code: Uint8Array;
  /** The compose file, then the archives. */
  readonly inputs: readonly string[];
  /** Of all archives. */
  readonly bytes: number;
  readonly container: { readonly service: string; readonly port: number };
};

/**
 * Reads a compose file, checks the archives of its images as a worker will, and stores them with the gateways.
 * @param images "NAME=FILE" for each image of the file
 * Throws ComposeError, ImageError, OPTION_VALUE_INVALID.
 */
export async function readContainers(
  client: Pick<CloisterClient, 'storeWeights'>,
  file: string,
  images: readonly string[],
): Promise<ReadContainers> {
  const compose = await readFile(file, 'utf8');
  const app = parseCompose(compose);
  const archives = namedValues('--image', images);
  const names = [...new Set(app.services.map(({ image }) => image))];
  for (const name of names)
    if (archives[name] === undefined)
      throw new OptionValueError(
        '--image',
        images.join(' '),
        `${name}=ARCHIVE, made by "docker save ${name} -o ARCHIVE"`,
      );
  const unused = Object.keys(archives).find((name) => !names.includes(name));
  if (unused !== undefined) throw new OptionValueError('--image', unused, `an image of "${file}"`);
  // All of them before any is stored.
  for (const name of names) await checkArchive(archives[name] ?? '', { signal: new AbortController().signal });
  let bytes = 0;
  const lists: Record<string, BlobList> = {};
  for (const name of names) {
    const archive = archives[name] ?? '';
    bytes += (await stat(archive)).size;
    const stream = createReadStream(archive, { highWaterMark: 1024 * 1024 });
    const { format: _, ...list } = parseWeightsList(await client.storeWeights(stream));
    lists[name] = list;
  }
  return {
    code: containerListBytes({ format: 'cloister-containers-1', compose, images: lists }),
    inputs: [file, ...names.map((name) => archives[name] ?? '')],
    bytes,
    container: app.public,
  };
}
