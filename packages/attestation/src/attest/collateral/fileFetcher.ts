import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '@cloister/core';
import { fromUtf8 } from '@cloister/crypto';
import { bounds } from '../../verify/bounds.ts';
import { type Collateral, readCollateral } from '../../verify/index.ts';
import { JsonValue } from '../../verify/json.ts';
import { CollateralError } from './collateralError.ts';
import type { CollateralFetcher, CollateralQuery } from './collateralQuery.ts';

const maxFiles = 256;

/**
 * Collateral from files: one JSON document with the fields of {@link Collateral}, or a folder of them, of which the one for
 * the quote's platform is taken. They are read at each request, so they can be replaced while a worker runs.
 */
export function fileFetcher(path: string): CollateralFetcher {
  return {
    name: path,
    async fetch(query, { signal }) {
      const files = await filesAt(path);
      for (const file of files) {
        signal.throwIfAborted();
        const collateral = await readFileAt(file);
        // Of a single file it is said later, and better, what does not fit.
        if (files.length === 1 || isOf(collateral, query)) return collateral;
      }
      throw new CollateralError({
        code: 'COLLATERAL_UNKNOWN_PLATFORM',
        message: `Found no collateral of the ${query.teeType} platform "${query.fmspc}" and the ${query.ca} CA among ${files.length} files in "${path}"`,
      });
    },
  };
}

/** By what it says of itself, unverified. */
function isOf(collateral: Collateral, query: CollateralQuery): boolean {
  const info = JsonValue.parse(collateral.tcb_info, 'tcb_info', 'MALFORMED_COLLATERAL').raw;
  if (typeof info !== 'object' || info === null) return false;
  const { id, fmspc } = info as { readonly id?: unknown; readonly fmspc?: unknown };
  return id === query.teeType.toUpperCase() && typeof fmspc === 'string' && fmspc.toLowerCase() === query.fmspc;
}

async function filesAt(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => name.endsWith('.json')).sort();
    if (names.length > maxFiles)
      throw new RangeError(`it has ${names.length} files of JSON, at most ${maxFiles} are read`);
    return names.map((name) => join(path, name));
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function readFileAt(file: string): Promise<Collateral> {
  let text: string;
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > bounds.evidenceDocument) throw new RangeError(`it has ${size} bytes`);
      text = fromUtf8(Uint8Array.from(await handle.readFile()));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  return readCollateral(JsonValue.parse(text, file, 'MALFORMED_COLLATERAL').raw, file);
}

function unreadable(path: string, cause: unknown): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_FILE_UNREADABLE',
    message: `Could not read collateral at "${path}": ${describeError(cause)}`,
    meta: { path },
    hint: 'Name a file of collateral in JSON, or a folder of such files',
    cause,
  });
}
