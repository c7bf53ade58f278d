import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError, type Hex, isHexOf, type Json, sleep } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import type { PayerInit } from '@cloister/sdk';
import { acquireLock, type FileLock, LockHeldError, writeFileAtomic } from '@cloister/service';
import { findNetworkFile, type NetworkOptions, openAccount } from './settings.ts';

/** How long a command waits for another one that pays from the same file. */
const maxWaitMs = 30_000;

/**
 * The key that signs vouchers for this account and network, and what it promised so far: a file beside the network file, for one command at
 * a time. Throws PAYER_BUSY, PAYER_MALFORMED, and what `openAccount` throws.
 */
export async function openPayer(options: NetworkOptions): Promise<{ readonly payer: PayerInit; release(): void }> {
  const { address } = await openAccount(options);
  const payer = address.toLowerCase() as Hex;
  const file = path.join(path.dirname(findNetworkFile(options)), `payer-${payer}.json`);
  const lock = await lockOf(file);
  try {
    const kept = existsSync(file) ? readKept(await readFile(file, 'utf8'), file) : undefined;
    const key = kept?.key ?? toHex(randomBytes(32));
    const save = (state: Json | null) =>
      writeFileAtomic(file, `${JSON.stringify({ format: 'cloister-payer-file-1', key, state })}\n`, { mode: 0o600 });
    // The key is there before money can be: what is deposited for a key that is lost comes back only by withdrawal.
    if (kept === undefined) await save(null);
    const store = { load: async () => kept?.state ?? undefined, save };
    return { payer: { payer, key, store }, release: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function lockOf(file: string): Promise<FileLock> {
  const deadline = Date.now() + maxWaitMs;
  for (;;) {
    try {
      return acquireLock(`${file}.lock`);
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error;
      if (Date.now() > deadline)
        throw new PayerFileError(
          'PAYER_BUSY',
          `Another command pays from "${file}"`,
          'Wait until it ends; programs that call at the same time need a payer each',
        );
    }
    await sleep(50);
  }
}

function readKept(text: string, file: string): { readonly key: Hex; readonly state: unknown } {
  try {
    const { format, key, state } = JSON.parse(text) as { format?: unknown; key?: unknown; state?: unknown };
    if (format === 'cloister-payer-file-1' && isHexOf(key, 32)) return { key, state };
  } catch {
    // told below
  }
  throw new PayerFileError(
    'PAYER_MALFORMED',
    `The file "${file}" holds no payer's state`,
    'Move it away to start anew: what is deposited comes back by "cloister withdraw"',
  );
}

export class PayerFileError extends CloisterError<'PAYER_BUSY' | 'PAYER_MALFORMED'> {
  override readonly name = 'PayerFileError';
  constructor(code: 'PAYER_BUSY' | 'PAYER_MALFORMED', message: string, hint: string) {
    super({ code, message, hint });
  }
}
