import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nativeFiles } from './installedEngines.ts';

/** What an engine needs to compute on this machine's GPUs. */
export type Gpu = {
  /** Device files of NVIDIA's driver: its control, its memory, and each GPU. */
  readonly devices: readonly string[];
  /** Folder of the packages that `npm run engines -- --gpu` installs. */
  readonly modules: string;
  /** Native modules in it, whose shared libraries are needed too. */
  readonly nativeModules: readonly string[];
  /** Those of them that compute, each with libraries of its CUDA. */
  readonly backends: readonly string[];
  /** Libraries of the driver that others load by name. */
  readonly libraries: readonly string[];
};

export type GpuPlaces = {
  /** The folder that `npm run engines` fills. */
  readonly enginesDir: string;
  /** Default `/dev`. */
  readonly devDir?: string;
  /** Folders of shared libraries. Default: those of Debian and of NVIDIA's container tools. */
  readonly libraryDirs?: readonly string[];
};

/** Without these no GPU can be used, whichever there are. */
const neededDevices = ['nvidiactl', 'nvidia-uvm'];
const gpuDevice = /^nvidia\d{1,2}$/;
/** llama.cpp for this CUDA and for the one before, of which one has to find its libraries. */
const backends = [
  ['linux-x64-cuda', 'bins', 'linux-x64-cuda'],
  ['linux-x64-cuda-ext', 'bins', 'linux-x64-cuda', 'fallback'],
] as const;
const backendFile = 'libggml-cuda.so';
/** Of the driver, and of its version: what it loads itself. */
const driver = 'libcuda.so.1';
const driverParts = ['libnvidia-ptxjitcompiler.so.1', 'libnvidia-nvvm.so.4', 'libnvidia-ml.so.1'];
const systemLibraries = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/local/nvidia/lib64'];

/** The GPU as it is here, or the first thing that is missing, in words. Looks at names and kinds of files alone. */
export function findGpu({ enginesDir, devDir = '/dev', libraryDirs = systemLibraries }: GpuPlaces): Gpu | string {
  const devices = characterDevices(devDir);
  const gpus = devices.filter((path) => gpuDevice.test(basename(path)));
  if (gpus.length === 0) return `"${devDir}" has no GPU of NVIDIA's`;
  const absent = neededDevices.find((name) => !devices.includes(join(devDir, name)));
  if (absent !== undefined) return `"${join(devDir, absent)}" is missing, which NVIDIA's driver makes`;
  const library = libraryDirs.map((folder) => join(folder, driver)).find((path) => existsSync(path));
  if (library === undefined) return `"${driver}" of NVIDIA's driver is in none of ${libraryDirs.join(', ')}`;
  const modules = join(enginesDir, 'cuda', 'node_modules');
  const folders = backends.map((parts) => join(modules, '@node-llama-cpp', ...parts));
  if (folders.some((folder) => !existsSync(join(folder, backendFile))))
    return 'llama.cpp for GPUs is not installed ("npm run engines -- --gpu")';
  return {
    devices: [...neededDevices.map((name) => join(devDir, name)), ...gpus],
    modules,
    nativeModules: folders.flatMap(nativeFiles),
    backends: folders.map((folder) => join(folder, backendFile)),
    libraries: [library, ...driverParts.map((name) => join(dirname(library), name)).filter((path) => existsSync(path))],
  };
}

/** Why none of its backends can be loaded here, or undefined where one can. */
export async function missingForGpu(
  { backends: files, nativeModules }: Gpu,
  missingOf: (file: string) => Promise<readonly string[]>,
): Promise<string | undefined> {
  // What lies in the packages is loaded before.
  const own = new Set(nativeModules.map((file) => basename(file)));
  const missing = (await Promise.all(files.map(missingOf))).map((names) => names.filter((name) => !own.has(name)));
  if (missing.some((names) => names.length === 0)) return undefined;
  return `libraries of CUDA are missing: ${missing.map((names) => names.join(', ')).join(', or ')}`;
}

function characterDevices(folder: string): string[] {
  try {
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => isCharacterDevice(path))
      .sort();
  } catch {
    return [];
  }
}

function isCharacterDevice(path: string): boolean {
  try {
    return statSync(path).isCharacterDevice();
  } catch {
    return false;
  }
}
