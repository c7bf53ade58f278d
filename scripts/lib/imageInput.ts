import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { ScriptError } from './scriptError.ts';

/** Firmware, logs, network files. */
export const maxInputBytes = 16 * 1024 * 1024;
/** A kernel has 20 MB. */
export const maxKernelBytes = 256 * 1024 * 1024;
/** An initrd has up to some hundred. */
export const maxBootFileBytes = 1024 * 1024 * 1024;

const chunkBytes = 1024 * 1024;

export type InputHashes = {
  readonly bytes: number;
  readonly sha256: Uint8Array;
  readonly sha384: Uint8Array;
};

/** The bytes of a file that an option names. Throws SCRIPT_BAD_ARGUMENT. */
export function readInput(file: string, maxBytes = maxInputBytes): Uint8Array {
  const chunks: Uint8Array[] = [];
  readChunks(file, maxBytes, (chunk) => chunks.push(Uint8Array.from(chunk)));
  return Buffer.concat(chunks);
}

/** Hashes of a file that is too large to be held. Throws SCRIPT_BAD_ARGUMENT. */
export function hashInput(file: string, maxBytes = maxBootFileBytes): InputHashes {
  const [sha256, sha384] = [createHash('sha256'), createHash('sha384')];
  let bytes = 0;
  readChunks(file, maxBytes, (chunk) => {
    sha256.update(chunk);
    sha384.update(chunk);
    bytes += chunk.length;
  });
  return { bytes, sha256: sha256.digest(), sha384: sha384.digest() };
}

function readChunks(file: string, maxBytes: number, take: (chunk: Uint8Array) => void): void {
  let descriptor: number | undefined;
  try {
    descriptor = fs.openSync(file, 'r');
    const chunk = Buffer.alloc(chunkBytes);
    let total = 0;
    for (let read = fs.readSync(descriptor, chunk); read > 0; read = fs.readSync(descriptor, chunk)) {
      total += read;
      if (total > maxBytes)
        throw new ScriptError({
          code: 'SCRIPT_BAD_ARGUMENT',
          message: `The file "${file}" has more than ${maxBytes} bytes`,
        });
      take(chunk.subarray(0, read));
    }
  } catch (cause) {
    if (cause instanceof ScriptError) throw cause;
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `The file "${file}" can't be read (${(cause as NodeJS.ErrnoException).code})`,
      cause,
    });
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}
