import { createHash, type Hash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Bytes32, type TdxImage, tdxImageId } from '@cloister/core';
import { concatBytes, sha384, utf8 } from '@cloister/crypto';
import { SimulatedError } from './errors.ts';

/** Files by their paths below a folder: relative, `/` between parts. Order does not matter. */
export type FileSet = { readonly root: string; readonly files: readonly string[] };

/** What a worker consists of. */
export type ImageFiles = {
  /** The runtime's binary. */
  readonly runtime: string;
  /** Code of others. */
  readonly dependencies: FileSet;
  /** The worker's own code. */
  readonly code: FileSet;
};

export type MeasuredImage = TdxImage & { readonly imageId: Bytes32 };

const wholeFileBytes = 1024 * 1024;
const configuration = 'DEV unsafe simulated configuration: v1';

/**
 * The measurements of a worker as a simulated TD reports them: MRTD = SHA-384 of the runtime; RTMR0, RTMR1, RTMR2 = zero
 * extended by a constant, by the dependencies, by the worker's code. The same files give the same values in any folder.
 * Throws INVALID_IMAGE_PATH, IMAGE_FILE_UNREADABLE.
 */
export async function measureImage(files: ImageFiles, signal: AbortSignal): Promise<MeasuredImage> {
  const image: TdxImage = {
    mrtd: await fileDigest(files.runtime, signal),
    rtmr0: extendRtmr(new Uint8Array(48), sha384(utf8(configuration))),
    rtmr1: extendRtmr(new Uint8Array(48), await digestOfFiles(files.dependencies, signal)),
    rtmr2: extendRtmr(new Uint8Array(48), await digestOfFiles(files.code, signal)),
  };
  return { ...image, imageId: tdxImageId(image) };
}

/** RTMR extension as the TDX module does it: SHA384(old ‖ digest). */
export function extendRtmr(register: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha384(concatBytes(register, digest));
}

/**
 * SHA-384 over the files in byte order of their paths: for each uint32 length of the path, path, SHA-384 of the contents.
 * Links are followed, modes and times left out.
 */
export async function digestOfFiles(set: FileSet, signal: AbortSignal): Promise<Uint8Array> {
  const paths = [...set.files].sort(compareBytes);
  const whole = createHash('sha384');
  let previous: string | undefined;
  for (const path of paths) {
    assertPath(path, previous);
    previous = path;
    const name = utf8(path);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(name.length);
    whole
      .update(length)
      .update(name)
      .update(await fileDigest(join(set.root, path), signal));
  }
  return Uint8Array.from(whole.digest());
}

async function fileDigest(path: string, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted();
  const hash: Hash = createHash('sha384');
  try {
    // Thousands of small files: for them a stream each costs ten times the hashing.
    if (statSync(path).size <= wholeFileBytes) return Uint8Array.from(hash.update(readFileSync(path)).digest());
    await pipeline(createReadStream(path, { highWaterMark: wholeFileBytes }), hash, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new SimulatedError({
      code: 'IMAGE_FILE_UNREADABLE',
      message: `Could not read "${path}" to measure it`,
      meta: { path },
      hint: 'Install the dependencies again',
      cause,
    });
  }
  return Uint8Array.from(hash.digest());
}

function assertPath(path: string, previous: string | undefined): void {
  const parts = path.split('/');
  const plain =
    path.isWellFormed() &&
    !path.includes('\\') &&
    !path.includes('\0') &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!plain || path === previous)
    throw new SimulatedError({
      code: 'INVALID_IMAGE_PATH',
      message: `Expected distinct relative paths without "..", got "${path}"`,
      meta: { path },
    });
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
