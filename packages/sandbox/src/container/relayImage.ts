import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sharedLibraries } from '../walls/sharedLibraries.ts';
import { findTools } from '../walls/tools.ts';
import type { Mount } from './containerConfig.ts';
import type { EngineClient } from './engine/engineClient.ts';
import { checkArchive } from './image/checkArchive.ts';
import { imageArchive } from './image/imageArchive.ts';
import { tarOf } from './image/tarWriter.ts';

/** An image with nothing in it: the relay's program and what runs it are files of this machine, seen read-only. */
export type RelayImage = {
  readonly image: string;
  readonly mounts: readonly Mount[];
  readonly command: readonly string[];
};

const heapMebibytes = 32;

export async function loadRelayImage(
  engine: EngineClient,
  directory: string,
  signal: AbortSignal,
): Promise<RelayImage> {
  const file = join(directory, 'relay.tar');
  await writeFile(file, imageArchive({ layers: [tarOf([{ name: 'run/' }, { name: 'relay/' }])], command: ['/node'] }));
  const { id } = await checkArchive(file, { signal });
  await engine.load(file, signal);
  const { ldd } = findTools();
  const libraries = ldd === undefined ? [] : await sharedLibraries(ldd, [process.execPath], [], signal);
  const folder = fileURLToPath(new URL('relay', import.meta.url));
  const readOnly = true;
  return {
    image: `sha256:${id}`,
    mounts: [
      { source: process.execPath, target: '/node', readOnly },
      { source: folder, target: '/relay', readOnly },
      ...libraries.map((path) => ({ source: path, target: path, readOnly })),
    ],
    command: [
      '/node',
      '--disallow-code-generation-from-strings',
      `--max-old-space-size=${heapMebibytes}`,
      '--no-warnings',
      `/relay/${relayMain}`,
    ],
  };
}

/** As it lies beside this file: compiled where this is. */
const relayMain = `main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`;
