// No GPU is in the machines that run these tests: a layout of files stands for one, and "/dev/null" for its devices.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createModelDriver, type ModelDriverOptions } from '../src/index.ts';
import { startLlama } from '../src/model/engines/llama/llamaEngine.ts';
import { findGpu, missingForGpu } from '../src/model/gpu.ts';
import { call, never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';

const root = await mkdtemp(join(tmpdir(), 'cloister-gpu-'));
afterAll(() => rm(root, { recursive: true, force: true }));

const cuda = ['cuda', 'node_modules', '@node-llama-cpp'];
const own = [...cuda, 'linux-x64-cuda', 'bins', 'linux-x64-cuda'];
const fallback = [...cuda, 'linux-x64-cuda-ext', 'bins', 'linux-x64-cuda', 'fallback'];

let folder = '';
const at = (...parts: readonly string[]) => join(folder, ...parts);
const places = () => ({ enginesDir: folder, devDir: at('dev'), libraryDirs: [at('none'), at('lib')] });
const add = async (...parts: readonly string[]) => {
  await mkdir(at(...parts.slice(0, -1)), { recursive: true });
  await writeFile(at(...parts), '');
};
const device = (name: string) => symlink('/dev/null', at('dev', name));

beforeEach(async () => {
  folder = await mkdtemp(join(root, 'machine-'));
  await mkdir(at('dev'));
  for (const name of ['nvidiactl', 'nvidia-uvm', 'nvidia1', 'nvidia0', 'nvidia-modeset', 'null']) await device(name);
  for (const name of ['libcuda.so.1', 'libnvidia-ml.so.1', 'libc.so.6']) await add('lib', name);
  for (const parts of [own, fallback]) await add(...parts, 'libggml-cuda.so');
  await add(...own, 'libggml-base.so');
});

describe('a GPU', () => {
  test("is what its devices, its driver's libraries and the engine's modules are, and no more", () => {
    expect(findGpu(places())).toEqual({
      devices: ['nvidiactl', 'nvidia-uvm', 'nvidia0', 'nvidia1'].map((name) => at('dev', name)),
      modules: at('cuda', 'node_modules'),
      nativeModules: expect.arrayContaining([at(...own, 'libggml-base.so'), at(...fallback, 'libggml-cuda.so')]),
      backends: [at(...own, 'libggml-cuda.so'), at(...fallback, 'libggml-cuda.so')],
      libraries: ['libcuda.so.1', 'libnvidia-ml.so.1'].map((name) => at('lib', name)),
    });
  });

  test.each<[string, readonly string[], string]>([
    ['there is none', ['dev'], 'has no GPU'],
    ['the device for its memory is missing', ['dev', 'nvidia-uvm'], 'nvidia-uvm" is missing'],
    ['its control is missing', ['dev', 'nvidiactl'], 'nvidiactl" is missing'],
    ["the driver's library is missing", ['lib', 'libcuda.so.1'], '"libcuda.so.1" of NVIDIA\'s driver is in none of'],
    ['the engine for it is not installed', ['cuda'], 'npm run engines -- --gpu'],
    ['half of that is missing', [...fallback, 'libggml-cuda.so'], 'npm run engines -- --gpu'],
  ])('is not found where %s, and the reason is said', async (_, gone, reason) => {
    await rm(at(...gone), { recursive: true });
    expect(findGpu(places())).toContain(reason);
  });

  test('is no file that is named like one', async () => {
    for (const name of ['nvidia0', 'nvidia1']) await rm(at('dev', name));
    await writeFile(at('dev', 'nvidia0'), '');
    expect(findGpu(places())).toContain('has no GPU');
  });

  test('needs the libraries of one CUDA or the other; those of its own packages are there', async () => {
    const gpu = findGpu(places());
    if (typeof gpu === 'string') throw new Error(gpu);
    const missing = (mine: string[], other: string[]) =>
      missingForGpu(gpu, async (file) => (file.includes('fallback') ? other : mine));
    expect(await missing([], ['libcublas.so.12'])).toBeUndefined();
    expect(await missing(['libcublas.so.13'], ['libggml-base.so'])).toBeUndefined();
    expect(await missing(['libcublas.so.13'], ['libcublas.so.12', 'libggml-base.so'])).toBe(
      'libraries of CUDA are missing: libcublas.so.13, or libcublas.so.12',
    );
  });
});

describe('an engine', () => {
  const asked: unknown[] = [];
  const module = (works: boolean) => ({
    getLlama: async (options: object) => {
      const { gpu } = options as { gpu: unknown };
      asked.push(gpu);
      if (gpu === 'cuda' && !works) throw new Error('no device');
      return { gpu } as never;
    },
  });
  beforeEach(() => void asked.splice(0));

  test('asks for a GPU only where it may, and goes without where it need not have one', async () => {
    expect(await startLlama(module(true), {}, undefined)).toMatchObject({ onGpu: false });
    expect(await startLlama(module(true), {}, 'auto')).toMatchObject({ onGpu: true });
    expect(await startLlama(module(false), {}, 'auto')).toMatchObject({ onGpu: false });
    expect(asked).toEqual([false, 'cuda', 'cuda', false]);
    await expect(startLlama(module(false), {}, 'required')).rejects.toThrow('no device');
  });
});

describe('the driver of models', () => {
  const look = `
    import { existsSync, statSync } from 'node:fs';
    export const openEngine = async ({ gpu }) => async ({ headers }) => ({ status: 200, headers: {}, body: JSON.stringify(
      { gpu, seen: JSON.parse(headers.paths).map((path) => existsSync(path) && statSync(path).isCharacterDevice()) },
    ) });`;
  const start = async (
    gpu: NonNullable<ModelDriverOptions['gpu']>,
    jail: 'bubblewrap' | 'namespaces' = 'namespaces',
  ) => {
    const directory = at('engine');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'look.mjs'), look);
    const driver = createModelDriver({
      ...{ jail, gpu, enginesDir: folder, gpuPlaces: { devDir: at('dev'), libraryDirs: [at('lib')] } },
      unsafeEngine: { directory, module: 'look.mjs' },
    });
    await driver.start({ signal: never });
    return driver;
  };
  const seenBy = async (driver: Awaited<ReturnType<typeof start>>) => {
    const model = {
      engine: 'llama-cpp',
      name: 'x',
      weightsFile: at('lib', 'libc.so.6'),
      contextTokens: 1,
      maxTokens: 1,
    };
    const workload = functionWorkload('', { kind: 'model', model: model as never });
    const tenant = await driver.open(workload, { signal: never });
    const names = ['nvidiactl', 'nvidia-uvm', 'nvidia0', 'nvidia1', 'nvidia-modeset', 'null'];
    const paths = JSON.stringify(names.map((name) => at('dev', name)));
    const { body, outcome } = await call(tenant, '/', { headers: [['paths', paths]] });
    expect(outcome.status).toBe('ok');
    await driver.stop();
    return JSON.parse(body.toString());
  };
  const isLinux = process.platform === 'linux';

  test.skipIf(!isLinux)(
    'says by name why a GPU is not there where one is required, and goes on where not',
    async () => {
      await rm(at('dev'), { recursive: true });
      await mkdir(at('dev'));
      await expect(start('required')).rejects.toMatchObject({
        code: 'START_FAILED',
        message: expect.stringContaining('Models are to run on a GPU, which can\'t be used here: "'),
      });
      const driver = await start('auto');
      expect(driver.gpu).toContain('has no GPU');
      expect(await seenBy(driver)).toMatchObject({ seen: [false, false, false, false, false, false] });
    },
  );

  test.skipIf(!isLinux).each(['bubblewrap', 'namespaces'] as const)(
    'gives its processes just the devices of a GPU, and none where it is off (%s)',
    async (jail) => {
      const driver = await start('auto', jail);
      expect(driver.gpu).toEqual(['nvidiactl', 'nvidia-uvm', 'nvidia0', 'nvidia1'].map((name) => at('dev', name)));
      if (driver.walls.filesystem.present)
        expect(await seenBy(driver)).toEqual({ gpu: 'auto', seen: [true, true, true, true, false, false] });
      else await driver.stop();
      const without = await start('off', jail);
      expect(without.gpu).toBe('it is turned off');
      if (without.walls.filesystem.present)
        expect(await seenBy(without)).toEqual({ seen: [false, false, false, false, false, false] });
      else await without.stop();
    },
  );
});
