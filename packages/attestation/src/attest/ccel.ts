import { parseCcel } from '../verify/eventLog/ccel.ts';
import { parseCcelTable } from '../verify/eventLog/ccelTable.ts';
import { AttestationError } from '../verify/index.ts';
import { DeviceError } from './deviceError.ts';
import { type SystemFiles, systemErrorCode } from './systemFiles.ts';

export type CcelPaths = { readonly table: string; readonly log: string };

export const ccelPaths: CcelPaths = {
  table: '/sys/firmware/acpi/tables/CCEL',
  log: '/sys/firmware/acpi/tables/data/CCEL',
};

/** The table has 56 bytes; firmware reserves 64 to 256 kB for the log. */
const maxBytes = { table: 4096, log: 4 * 1024 * 1024 } as const;

/**
 * The firmware's log of what it measured into a TD's registers (UEFI 2.10 §38.4; ACPI table CCEL), without the padding behind
 * its last event; undefined where the machine has none. It proves nothing by itself: replayed, it must give the registers of
 * a quote. Throws DEVICE_FORBIDDEN, DEVICE_REPLY_MALFORMED, DEVICE_REPLY_TOO_LARGE.
 */
export async function readCcel(files: SystemFiles, paths: CcelPaths = ccelPaths): Promise<Uint8Array | undefined> {
  if (!(await files.exists(paths.table)) || !(await files.exists(paths.log))) return undefined;
  const table = await readAcpi(files, paths.table, maxBytes.table);
  const log = await readAcpi(files, paths.log, maxBytes.log);
  try {
    const { logAreaLength } = parseCcelTable(table);
    if (BigInt(log.length) > logAreaLength)
      throw malformed(paths.log, new RangeError(`${log.length} bytes, the table states ${logAreaLength}`));
    // Each event's data is a view into the log, so the last one says where the padding begins.
    const last = parseCcel(log).at(-1)?.data;
    if (last === undefined) throw malformed(paths.log, new RangeError('no event'));
    return log.slice(0, last.byteOffset - log.byteOffset + last.length);
  } catch (error) {
    if (error instanceof AttestationError) throw malformed(paths.log, error);
    throw error;
  }
}

async function readAcpi(files: SystemFiles, path: string, limit: number): Promise<Uint8Array> {
  try {
    return await files.read(path, limit);
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === undefined) throw cause;
    throw new DeviceError({
      code: code === 'EACCES' || code === 'EPERM' ? 'DEVICE_FORBIDDEN' : 'DEVICE_FAILED',
      message: `Could not read the event log at "${path}" (${code})`,
      hint: 'Run as root',
      cause,
    });
  }
}

function malformed(path: string, cause: Error): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REPLY_MALFORMED',
    message: `Expected the event log of a TD at "${path}": ${cause.message}`,
    cause,
  });
}
