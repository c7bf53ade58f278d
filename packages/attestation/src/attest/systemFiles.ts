import { constants } from 'node:fs';
import { access, mkdir, open, rmdir } from 'node:fs/promises';
import { DeviceError } from './deviceError.ts';

/**
 * The few things that drivers do with files of the kernel. Rejects with Node.js's errors (`code` such as `ENOENT`), and with
 * DEVICE_REPLY_TOO_LARGE. Nothing here can be interrupted: the kernel answers when it answers.
 */
export type SystemFiles = {
  readonly exists: (path: string) => Promise<boolean>;
  readonly makeFolder: (path: string) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  /** Everything that one open file gives, at most `maxBytes`; the size that the kernel states beforehand means nothing. */
  readonly read: (path: string, maxBytes: number) => Promise<Uint8Array>;
  /** All bytes in one write to a file that is there already. */
  readonly write: (path: string, bytes: Uint8Array) => Promise<void>;
};

const pieceBytes = 16 * 1024;

/** The files of this machine. */
export const systemFiles: SystemFiles = {
  async exists(path) {
    try {
      await access(path, constants.F_OK);
      return true;
    } catch {
      return false;
    }
  },
  async makeFolder(path) {
    await mkdir(path, 0o700);
  },
  async removeFolder(path) {
    await rmdir(path);
  },
  async read(path, maxBytes) {
    const file = await open(path, constants.O_RDONLY);
    try {
      const parts: Uint8Array[] = [];
      for (let length = 0; ; ) {
        const { bytesRead, buffer } = await file.read(new Uint8Array(pieceBytes), 0, pieceBytes, null);
        if (bytesRead === 0) return Uint8Array.from(Buffer.concat(parts));
        length += bytesRead;
        if (length > maxBytes) throw replyTooLarge(path, maxBytes);
        parts.push(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  },
  async write(path, bytes) {
    // Neither O_CREAT nor O_TRUNC: an attribute that is not there must be an error, not a new file.
    const file = await open(path, constants.O_WRONLY);
    try {
      const { bytesWritten } = await file.write(bytes, 0, bytes.length, null);
      if (bytesWritten !== bytes.length)
        throw new DeviceError({
          code: 'DEVICE_FAILED',
          message: `Expected "${path}" to take ${bytes.length} bytes at once, it took "${bytesWritten}"`,
        });
    } finally {
      await file.close();
    }
  },
};

/** The code of a system error, such as `ENOENT`; undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

export function replyTooLarge(what: string, maxBytes: number): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REPLY_TOO_LARGE',
    message: `Expected at most ${maxBytes} bytes from "${what}", more came`,
    meta: { maxBytes },
  });
}
