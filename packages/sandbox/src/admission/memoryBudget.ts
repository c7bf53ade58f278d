import { totalmem } from 'node:os';
import { SandboxError } from '../sandboxError.ts';

const MiB = 1024 * 1024;
/** What is kept for the worker itself, its requests and kept answers. */
const ownBytes = 1024 * MiB;

/**
 * The memory that all tenants of one worker may be held to together. It counts what each may take, not what it takes:
 * tenants that all use what they were promised still fit, and a machine that is full says so to the next one, not by the
 * death of an earlier one. Shared by the drivers of all kinds.
 */
export class MemoryBudget {
  readonly totalBytes: number;
  #promisedBytes = 0;

  constructor(totalBytes: number = defaultBudgetBytes()) {
    this.totalBytes = totalBytes;
  }

  get promisedBytes(): number {
    return this.#promisedBytes;
  }

  /**
   * Promises so many bytes until what it gives is called; calling it again does nothing. Throws SANDBOX_FULL, with `retry` where
   * it fits once others have gone.
   */
  reserve(bytes: number): () => void {
    if (this.#promisedBytes + bytes > this.totalBytes) throw fullError(bytes, this.#promisedBytes, this.totalBytes);
    this.#promisedBytes += bytes;
    let given = true;
    return () => {
      if (given) this.#promisedBytes -= bytes;
      given = false;
    };
  }
}

/** What this machine has, or the control group that this process is in, but for a part that is kept: 1 GiB, at most a half. */
export function defaultBudgetBytes(total: number = availableBytes()): number {
  return total - Math.min(ownBytes, Math.floor(total / 2));
}

function availableBytes(): number {
  const group = process.constrainedMemory();
  // 0, or beyond all that there is, where no group limits it.
  return group > 0 ? Math.min(group, totalmem()) : totalmem();
}

function fullError(bytes: number, promised: number, total: number): SandboxError {
  const fits = bytes <= total;
  return new SandboxError({
    code: 'SANDBOX_FULL',
    message: `The app may take ${mebibytes(bytes)} MiB, and ${mebibytes(promised)} of ${mebibytes(total)} MiB are promised to others`,
    meta: { bytes, promisedBytes: promised, totalBytes: total },
    retry: fits,
    hint: fits ? 'Try again in a few seconds, or ask another host' : 'Ask a larger host, or lower "memoryBytes"',
  });
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / MiB);
}
