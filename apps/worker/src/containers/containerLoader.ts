import { type BlobList, type ContainerList, type Manifest, parseContainerList, sleep } from '@cloister/core';
import {
  type ComposeApp,
  type ContainerDriver,
  type ContainerSource,
  ImageError,
  type LoadedImage,
  parseCompose,
} from '@cloister/sandbox';
import { AppRefusedError } from '../appRefusedError.ts';
import { type WeightsStore, WeightsStoreError } from '../models/weightsStore.ts';

/** What checks images and gives them to the engine. */
export type ImageLoader = Pick<ContainerDriver, 'loadImage' | 'engine'>;

export type ContainerLoaderComponents = {
  readonly archives: Pick<WeightsStore, 'file'>;
  readonly images: ImageLoader;
};

/** What a receipt says of an app's containers: which images ran, and on what. */
export type ContainerIdentity = {
  readonly engine: string;
  readonly engineVersion: string;
  readonly runtime: string;
  /** For each image name of the compose file, the hash of its configuration, from which all of the image follows. */
  readonly images: { readonly [name: string]: string };
};

/** Makes of a manifest and its list of containers what the sandbox runs. */
export class ContainerLoader {
  readonly #components: ContainerLoaderComponents;
  readonly #patienceMs: number;

  /** @param init how long a call waits for images that are being checked */
  constructor(components: ContainerLoaderComponents, init: { readonly patienceMs: number }) {
    this.#components = components;
    this.#patienceMs = init.patienceMs;
  }

  /**
   * @param code the stored list, its hash checked
   * Throws AppRefusedError, WeightsStoreError.
   */
  async load(
    manifest: Manifest,
    code: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ source: ContainerSource; identity: ContainerIdentity }> {
    const { list, app } = read(code);
    const { service, port } = app.public;
    if (manifest.container?.service !== service || manifest.container.port !== port)
      throw invalid(
        `the manifest sends calls to "${manifest.container?.service}" on ${manifest.container?.port}, the compose file to "${service}" on ${port}`,
      );
    const loaded = new Map<string, LoadedImage>();
    for (const { image } of app.services) {
      const archive = list.images[image];
      if (archive === undefined) throw invalid(`there is no archive of the image "${image}"`);
      if (!loaded.has(image)) loaded.set(image, await this.#image(image, archive, signal));
    }
    const services = app.services.map(({ name, image, entrypoint, command, environment, workingDir, tmpfs }) => ({
      ...{ name, image: loaded.get(image) as LoadedImage, environment, tmpfs },
      ...(entrypoint && { entrypoint }),
      ...(command && { command }),
      ...(workingDir !== undefined && { workingDir }),
    }));
    const { name: engine, version: engineVersion, runtime } = this.#components.images.engine;
    const images = Object.fromEntries([...loaded].map(([name, { id }]) => [name, `sha256:${id.slice(2)}`]));
    return { source: { services, port }, identity: { engine, engineVersion, runtime, images } };
  }

  /** Checking and loading go on where a call can't wait for them. */
  async #image(name: string, archive: BlobList, signal: AbortSignal): Promise<LoadedImage> {
    const { archives, images } = this.#components;
    const file = await archives.file(archive, signal);
    const loading = images.loadImage(file, archive.sha256, new AbortController().signal);
    const done = new AbortController();
    try {
      return await Promise.race([loading, this.#late(name, AbortSignal.any([signal, done.signal]))]);
    } catch (error) {
      loading.catch(() => {});
      if (error instanceof ImageError) throw invalid(`the image "${name}": ${error.message}`, error);
      throw error;
    } finally {
      done.abort();
    }
  }

  async #late(name: string, signal: AbortSignal): Promise<never> {
    await sleep(this.#patienceMs, signal);
    throw new WeightsStoreError(
      'IMAGE_ON_ITS_WAY',
      `The image "${name}" is being checked`,
      'Try again in a minute',
      true,
    );
  }
}

function read(code: Uint8Array): { list: ContainerList; app: ComposeApp } {
  try {
    const list = parseContainerList(code);
    return { list, app: parseCompose(list.compose) };
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : 'it can not be read', cause);
  }
}

function invalid(why: string, cause?: unknown): AppRefusedError {
  return new AppRefusedError('APP_CONTAINER_INVALID', `The app's containers can't be run: ${why}`, cause);
}
