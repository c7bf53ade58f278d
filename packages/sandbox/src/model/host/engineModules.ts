import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Packages that come from the folder of engines, wherever that is mounted. */
const packages = /^(?:node-llama-cpp|onnxruntime-node|onnxruntime-web)$/;

/**
 * What node-llama-cpp looks for on the machine before it loads its own binary: the C library in its usual folders, and
 * whether a second process survives loading it. A jail has only the libraries that are needed, and here a crash costs
 * nobody but this process.
 */
const assumed = /\/node-llama-cpp\/dist\/bindings\/utils\/(detectGlibc|testBindingBinary)\.js$/;

/** Those for GPUs, from a folder of their own: the other has placeholders. */
const gpuPackages = /^@node-llama-cpp\/linux-x64-cuda(?:-ext)?$/;

/** @param gpuFolder where there is one */
export function useEngineModules(folder: string, gpuFolder = ''): void {
  const parentURL = pathToFileURL(join(folder, 'engine.js')).href;
  const gpuParentURL = pathToFileURL(join(gpuFolder, 'engine.js')).href;
  registerHooks({
    resolve(specifier, context, next) {
      if (gpuFolder !== '' && gpuPackages.test(specifier))
        return next(specifier, { ...context, parentURL: gpuParentURL });
      return packages.test(specifier) ? next(specifier, { ...context, parentURL }) : next(specifier, context);
    },
    load(url, context, next) {
      const name = assumed.exec(url)?.[1];
      if (name === undefined) return next(url, context);
      return { format: 'module', shortCircuit: true, source: `export const ${name} = async () => true;` };
    },
  });
}
