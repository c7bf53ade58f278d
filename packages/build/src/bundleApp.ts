import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { maxCodeBytes, type RunnableKind } from '@cloister/core';
import { appName, BundleError, bundleFunction, type FunctionBundle } from './bundleFunction.ts';

export type AppBundle = FunctionBundle & { readonly kind: Exclude<RunnableKind, 'model' | 'container'> };

const moduleMagic = [0, 0x61, 0x73, 0x6d];

/**
 * What is deployed for a file: a WebAssembly module as it is, known by its first bytes, and everything else as the entry of a
 * function. Throws what `bundleFunction` throws.
 */
export async function bundleApp(entry: string): Promise<AppBundle> {
  const file = path.resolve(entry);
  if (!(await isModule(file))) return { kind: 'function', ...(await bundleFunction(entry)) };
  const code = new Uint8Array(await readFile(file));
  if (code.length > maxCodeBytes)
    throw new BundleError(
      'BUNDLE_TOO_LARGE',
      `"${entry}" has "${code.length}" bytes`,
      `Keep it within ${maxCodeBytes} bytes`,
    );
  return { kind: 'wasm', code, name: appName(file), inputs: [path.basename(file)] };
}

/** Whether a file is a WebAssembly module, by its first bytes; false where there is none. */
export async function isModule(file: string): Promise<boolean> {
  const handle = await open(file).catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && moduleMagic.every((byte, index) => buffer[index] === byte);
  } catch {
    // A folder, which bundleFunction refuses by name.
    return false;
  } finally {
    await handle.close();
  }
}
