import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { appName, bundleApp, isModule } from '@cloister/build';
import type { Manifest, RunnableKind } from '@cloister/core';
import type { CloisterClient } from '@cloister/sdk';
import { OptionValueError } from './optionValues.ts';
import { readContainers } from './readContainers.ts';

/** What a file gives to deploy. */
export type ReadCode = {
  readonly kind: RunnableKind;
  readonly code: Uint8Array;
  /** An app name made from the file's. */
  readonly name: string;
  readonly inputs: readonly string[];
  /** Of the bundle, of the model's file, or of the images' archives. */
  readonly bytes: number;
  /** What the kind of file says of the manifest. */
  readonly manifest: Pick<Partial<Manifest>, 'runtime' | 'container'>;
};

/** What runs a file of weights, by its name; the first unless a `cloister.json` says another. */
const engines: Readonly<Record<string, readonly [string, ...string[]]>> = {
  '.gguf': ['llama-cpp'],
  '.onnx': ['onnxruntime', 'onnxruntime-web'],
};

/** The engines for a file of weights, undefined for any other. */
export function enginesFor(file: string): readonly [string, ...string[]] | undefined {
  return engines[path.extname(file).toLowerCase()];
}

/** What a file would be deployed as; of a file that is not there, what its name says. */
export async function kindOfCode(file: string): Promise<RunnableKind> {
  if (isCompose(file)) return 'container';
  if (enginesFor(file) !== undefined) return 'model';
  return (await isModule(file)) ? 'wasm' : 'function';
}

function isCompose(file: string): boolean {
  return /\.ya?ml$/i.test(file);
}

/**
 * Bundles a function, reads a module, or stores a model's weights or the images of a compose file with the gateways.
 * @param images "NAME=FILE" for each image of a compose file
 */
export async function readCode(
  client: Pick<CloisterClient, 'storeWeights'>,
  file: string,
  images: readonly string[] = [],
): Promise<ReadCode> {
  if (isCompose(file)) {
    const { container, ...read } = await readContainers(client, file, images);
    return { kind: 'container', name: appName(path.resolve(file)), ...read, manifest: { container } };
  }
  if (images.length > 0)
    throw new OptionValueError('--image', images.join(' '), 'left out: only a compose file has images');
  const [engine] = enginesFor(file) ?? [];
  if (engine === undefined) {
    const bundle = await bundleApp(file);
    return { ...bundle, bytes: bundle.code.length, manifest: {} };
  }
  const { size: bytes } = await stat(file);
  const code = await client.storeWeights(createReadStream(file, { highWaterMark: 1024 * 1024 }));
  const runtime = { name: engine, compatibilityDate: '2026-11-01' };
  return { kind: 'model', code, name: appName(file), inputs: [file], bytes, manifest: { runtime } };
}
