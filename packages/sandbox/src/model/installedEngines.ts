import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModelEngineName } from '../sandbox.ts';

/** An engine as it lies on this machine. */
export type InstalledEngine = {
  readonly name: ModelEngineName;
  /** Of its npm package. */
  readonly version: string;
  /** Its native modules, whose shared libraries the jail needs; WebAssembly has none. */
  readonly nativeModules: readonly string[];
};

/** The folder that `npm run engines` fills. */
export const defaultEnginesDir = fileURLToPath(new URL('../../../../engines', import.meta.url));

/** The engines in a folder, for this kind of system; those that are missing are left out. */
export function installedEngines(directory: string): InstalledEngine[] {
  const modules = join(directory, 'node_modules');
  const { platform, arch } = process;
  const places: readonly [ModelEngineName, string, string][] = [
    ['llama-cpp', 'node-llama-cpp', join('@node-llama-cpp', llamaPackage(), 'bins', llamaPackage())],
    ['onnxruntime', 'onnxruntime-node', join('onnxruntime-node', 'bin', 'napi-v6', platform, arch)],
    ['onnxruntime-web', 'onnxruntime-web', join('onnxruntime-web', 'dist')],
  ];
  return places.flatMap(([name, packageName, binaries]): InstalledEngine[] => {
    const version = versionOf(join(modules, packageName));
    const folder = join(modules, binaries);
    if (name === 'onnxruntime-web')
      return version !== undefined && existsSync(join(folder, wasmFile)) ? [{ name, version, nativeModules: [] }] : [];
    const nativeModules = nativeFiles(folder);
    return version === undefined || nativeModules.length === 0 ? [] : [{ name, version, nativeModules }];
  });
}

/** What onnxruntime-web loads in Node.js, of the four builds in its package. */
const wasmFile = 'ort-wasm-simd-threaded.wasm';

/** How node-llama-cpp names its packages of binaries for the processor alone. */
function llamaPackage(): string {
  const { platform, arch } = process;
  if (platform === 'darwin') return arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64';
  return `${platform === 'win32' ? 'win' : platform}-${arch}`;
}

function versionOf(folder: string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

export function nativeFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.(?:node|so|dylib)(?:\.\d+)*$/.test(name))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
