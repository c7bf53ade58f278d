import { readFile } from 'node:fs/promises';
import { sharedLibraries } from '../../walls/sharedLibraries.ts';
import { findTools } from '../../walls/tools.ts';
import { imageArchive, type NewImage } from './imageArchive.ts';
import { type TarMember, tarOf } from './tarWriter.ts';

/**
 * An archive of an image that holds the Node.js of this process, the libraries that it needs, and these files: made without
 * a registry or an engine, for tests and first steps. `node` is the entrypoint.
 */
export async function nodeImage(
  files: readonly TarMember[],
  image: Omit<NewImage, 'layers' | 'entrypoint'>,
  signal: AbortSignal,
): Promise<Buffer> {
  const { ldd } = findTools();
  const libraries = ldd === undefined ? [] : await sharedLibraries(ldd, [process.execPath], [], signal);
  const members = await Promise.all(
    [process.execPath, ...libraries].map(async (path, index) => ({
      name: index === 0 ? 'bin/node' : path.slice(1),
      content: await readFile(path),
      mode: 0o755,
    })),
  );
  return imageArchive({ ...image, layers: [tarOf(members), tarOf(files)], entrypoint: ['/bin/node'] });
}
