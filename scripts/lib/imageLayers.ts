import fs from 'node:fs';
import path from 'node:path';
import type { ProcessFileSet, ProcessFiles } from '@cloister/service';
import type { TarEntry } from './imageTar.ts';

/** One layer of the image, its files yet to be written. */
export type ImageLayer = { readonly name: LayerName; readonly entries: readonly TarEntry[] };

export type LayerName = 'base' | 'runtime' | 'dependencies' | 'code' | 'network';

/** Where the worker lies in the image: what stands below is laid out as in a checkout. */
export const imageRoot = 'opt/cloister';
export const imageRuntime = 'usr/local/bin/node';
export const imageSettings = 'etc/cloister/worker.json';
const imageNetworkFile = 'etc/cloister/network.json';

/**
 * The worker's own layers: exactly the files that are measured, the sources as they are, since the runtime runs them so.
 * Nothing is compiled or bundled, so nothing but these files has to be trusted or reproduced.
 */
export function workerLayers(files: ProcessFiles): readonly ImageLayer[] {
  return [
    { name: 'runtime', entries: [{ kind: 'file', path: imageRuntime, content: { file: files.runtime } }] },
    { name: 'dependencies', entries: filesOf(files.dependencies) },
    { name: 'code', entries: [...filesOf(files.code), ...links(files.code)] },
  ];
}

/** The network that the image is for, and how the worker finds what the operator gives it. */
export function networkLayer(networkFile: Uint8Array): ImageLayer {
  const settings = { networkFile: `/${imageNetworkFile}`, operatorKeyFile: '/run/secrets/operator-key' };
  return {
    name: 'network',
    entries: [
      { kind: 'file', path: imageNetworkFile, content: networkFile },
      { kind: 'file', path: imageSettings, content: Buffer.from(`${JSON.stringify(settings, null, 2)}\n`) },
    ],
  };
}

function filesOf(set: ProcessFileSet): readonly TarEntry[] {
  return set.files.map((file) => ({
    kind: 'file',
    path: `${imageRoot}/${file}`,
    content: { file: path.join(set.root, file) },
  }));
}

/** npm links the workspace packages into node_modules, by which imports find them. */
function links(code: ProcessFileSet): readonly TarEntry[] {
  return code.files.flatMap((file): readonly TarEntry[] => {
    const [, folder] = /^(packages\/[^/]+)\/package\.json$/.exec(file) ?? [];
    if (folder === undefined) return [];
    const { name } = JSON.parse(fs.readFileSync(path.join(code.root, file), 'utf8')) as { readonly name: string };
    const link = `node_modules/${name}`;
    return [
      { kind: 'link', path: `${imageRoot}/${link}`, target: path.posix.relative(path.posix.dirname(link), folder) },
    ];
  });
}
