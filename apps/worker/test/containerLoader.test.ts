import { type BlobList, type ContainerList, containerListBytes, type Manifest, manifestOfKind } from '@cloister/core';
import { ImageError, type LoadedImage } from '@cloister/sandbox';
import { describe, expect, test } from 'vitest';
import { ContainerLoader, type ContainerLoaderComponents } from '../src/containers/containerLoader.ts';

const never = new AbortController().signal;
const archive: BlobList = {
  sha256: `0x${'a'.repeat(64)}`,
  bytes: 10,
  chunkBytes: 1_024,
  chunks: [`0x${'b'.repeat(64)}`],
};
const image: LoadedImage = {
  id: `0x${'c'.repeat(64)}`,
  config: { entrypoint: ['/a'], command: [], environment: [], workingDir: '', volumes: [], diffIds: [] },
};
const compose = `services:
  web: {image: "notes:1", command: [run], depends_on: [store], ports: ["8080"]}
  store: {image: "notes:1", entrypoint: [/store], working_dir: /data, environment: {A: b}, tmpfs: [/data]}
`;
const listOf = (given: Partial<ContainerList> = {}): Uint8Array =>
  containerListBytes({ format: 'cloister-containers-1', compose, images: { 'notes:1': archive }, ...given });
const manifestOf = (container: Manifest['container'] = { service: 'web', port: 8080 }): Manifest =>
  manifestOfKind('container', {
    name: 'notes',
    code: { sha256: `0x${'d'.repeat(64)}`, bytes: 1 },
    ...(container && { container }),
  });

function loader(images: Partial<ContainerLoaderComponents['images']> = {}, patienceMs = 1_000) {
  const loaded: string[] = [];
  const made = new ContainerLoader(
    {
      archives: { file: async ({ sha256 }) => `/archives/${sha256}` },
      images: {
        engine: { name: 'podman', version: '4.3.1', runtime: 'runc' },
        async loadImage(file) {
          loaded.push(file);
          return image;
        },
        ...images,
      },
    },
    { patienceMs },
  );
  return { made, loaded };
}

describe('containers of an app', () => {
  test('are its services in order, each image loaded once and named', async () => {
    const { made, loaded } = loader();
    const { source, identity } = await made.load(manifestOf(), listOf(), never);
    expect(loaded).toEqual([`/archives/${archive.sha256}`]);
    expect(source).toEqual({
      port: 8080,
      services: [
        {
          name: 'store',
          image,
          entrypoint: ['/store'],
          workingDir: '/data',
          environment: { A: 'b' },
          tmpfs: ['/data'],
        },
        { name: 'web', image, command: ['run'], environment: {}, tmpfs: [] },
      ],
    });
    const images = { 'notes:1': `sha256:${'c'.repeat(64)}` };
    expect(identity).toEqual({ engine: 'podman', engineVersion: '4.3.1', runtime: 'runc', images });
  });

  test.each<[string, RegExp, Manifest, Uint8Array]>([
    ['code that is no list', /JSON/, manifestOf(), new Uint8Array([1])],
    [
      'a refused compose file',
      /Line 1 .*privileged/,
      manifestOf(),
      listOf({ compose: 'services: {a: {privileged: true}}' }),
    ],
    ['another port than the manifest says', /8081/, manifestOf({ service: 'web', port: 8081 }), listOf()],
    ['another service', /"store" on 8080/, manifestOf({ service: 'store', port: 8080 }), listOf()],
    ['an image without an archive', /no archive of the image "notes:1"/, manifestOf(), listOf({ images: {} })],
  ])('are refused by name: %s', async (_, why, manifest, code) => {
    const refused = loader().made.load(manifest, code, never);
    await expect(refused).rejects.toMatchObject({ code: 'APP_CONTAINER_INVALID', message: expect.stringMatching(why) });
  });

  test('an image that lies is the app’s fault, an engine that fails is not', async () => {
    const lying = loader({ loadImage: () => Promise.reject(new ImageError('IMAGE_MISMATCH', 'A layer is another')) });
    await expect(lying.made.load(manifestOf(), listOf(), never)).rejects.toMatchObject({
      code: 'APP_CONTAINER_INVALID',
      message: expect.stringContaining('the image "notes:1": A layer is another'),
    });
    const failing = loader({ loadImage: () => Promise.reject(new TypeError('broken')) });
    await expect(failing.made.load(manifestOf(), listOf(), never)).rejects.toThrow(TypeError);
  });

  test('a call waits for an image only so long', async () => {
    const { made } = loader({ loadImage: () => new Promise(() => {}) }, 1);
    await expect(made.load(manifestOf(), listOf(), never)).rejects.toMatchObject({
      code: 'IMAGE_ON_ITS_WAY',
      retry: true,
    });
  });
});
