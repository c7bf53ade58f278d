import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { imageArchive } from '../../src/container/image/imageArchive.ts';
import { type TarMember, tarOf } from '../../src/container/image/tarWriter.ts';
import {
  ContainerDriver,
  type ContainerDriverOptions,
  type LoadedImage,
  nodeImage,
  SandboxError,
  type Workload,
} from '../../src/index.ts';
import { sharedLibraries } from '../../src/walls/sharedLibraries.ts';
import { findTools } from '../../src/walls/tools.ts';
import { never, type WorkloadOverrides } from '../calls.ts';
import type { sandboxCompliance } from '../compliance.ts';
import { functionWorkload } from '../functionWorkload.ts';

/** A folder of its own for each file of tests, with the image in it. */
export const folder = await mkdtemp(join(tmpdir(), 'cloister-containers-'));
/** Which of the two runtimes a file tests: gVisor where its name says so. */
export const gvisor = /gvisor/i.test(expect.getState().testPath ?? '') ? 'required' : 'off';
export const options = (given: ContainerDriverOptions = {}): ContainerDriverOptions => ({
  gvisor,
  restarts: { burst: 100, perSecond: 10 },
  ...given,
});

/** A driver that has been started, which takes seconds; or why no container can run here. */
export const started: ContainerDriver | string = await start();

async function start(): Promise<ContainerDriver | string> {
  const driver = new ContainerDriver(options());
  try {
    await driver.start({ signal: never });
    return driver;
  } catch (error) {
    await driver.stop();
    if (error instanceof SandboxError && error.code === 'START_FAILED') return error.message;
    throw error;
  }
}

export const archive = join(folder, 'actor.tar');
if (typeof started !== 'string') {
  const content = await readFile(new URL('actor.mjs', import.meta.url));
  const environment = ['PATH=/bin', 'NODE_USE_ENV_PROXY=1'];
  const files = [{ name: 'actor.mjs', content }, ...(await programs(['mount', 'unshare']))];
  await writeFile(archive, await nodeImage(files, { command: ['/actor.mjs'], environment }, never));
}

/** Programs of this machine, and the libraries that they need, for an image. */
export async function programs(names: readonly ('mount' | 'unshare' | 'sleep')[]): Promise<TarMember[]> {
  const { ldd = '' } = findTools();
  const paths = names.map((name) => `/bin/${name}`);
  const libraries = await sharedLibraries(ldd, paths, [], never);
  return Promise.all(
    [...paths, ...libraries].map(async (path) => ({ name: path.slice(1), content: await readFile(path), mode: 0o755 })),
  );
}

/** An image of a few megabytes, whose program does nothing. */
export async function sleepArchive(): Promise<string> {
  const layer = tarOf(await programs(['sleep']));
  const file = join(folder, 'sleep.tar');
  await writeFile(file, imageArchive({ layers: [layer], entrypoint: ['/bin/sleep'], command: ['1000000'] }));
  return file;
}

export const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true });

/** What the compliance suite is told of containers, whatever runs them. */
export function containerSubject(
  name: string,
  driver: ContainerDriver,
  image: LoadedImage,
): Parameters<typeof sandboxCompliance>[0] {
  return {
    name,
    create: () => new ContainerDriver(options()),
    started: driver,
    workload: (overrides) => containerWorkload(image, overrides),
    failure: 'The answer broke off or was not valid HTTP',
    keepsState: true,
    reachesHosts: true,
  };
}

export function containerWorkload(image: LoadedImage, overrides: WorkloadOverrides = {}): Workload {
  const service = { name: 'web', image, environment: {}, tmpfs: [] };
  return functionWorkload('', { kind: 'container', container: { services: [service], port: 8080 }, ...overrides });
}
