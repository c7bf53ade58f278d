import { open } from 'node:fs/promises';
import { CloisterError, type Hex, isHexOf } from '@cloister/core';

/** Far more than 0x, 64 digits and a line's end. */
const maxFileBytes = 256;

/** The operator's private key, 32 bytes, as a file has it. Throws OPERATOR_KEY_FILE, which quotes nothing of what it holds. */
export async function readOperatorKey(file: string): Promise<Hex> {
  const text = await readStart(file).catch((cause: NodeJS.ErrnoException) => {
    throw new OperatorKeyError(`can't be read: ${cause.code ?? 'unknown'}`, file, cause);
  });
  const key = text.trim();
  if (text.length > maxFileBytes || !isHexOf(key, 32)) throw new OperatorKeyError('holds no private key', file);
  return key;
}

async function readStart(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxFileBytes + 1));
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

export class OperatorKeyError extends CloisterError<'OPERATOR_KEY_FILE'> {
  override readonly name = 'OperatorKeyError';
  constructor(problem: string, file: string, cause?: unknown) {
    super({
      code: 'OPERATOR_KEY_FILE',
      message: `The operator's key file "${file}" ${problem}`,
      meta: { file },
      hint: 'Write 0x and 64 hexadecimal digits into it',
      cause,
    });
  }
}
