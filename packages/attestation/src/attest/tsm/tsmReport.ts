import { toHex, utf8 } from '@cloister/crypto';
import { DeviceError } from '../deviceError.ts';
import { type SystemFiles, systemErrorCode } from '../systemFiles.ts';
import { tsmError } from './tsmErrors.ts';

/** Providers that this driver can read reports of, as the kernel names them. */
export type TsmProvider = 'tdx_guest' | 'sev_guest';

export type TsmRequest = {
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** VMPL of an SNP report, from the kernel's floor to 3. Default: the floor, where the kernel shows one above 0. */
  readonly privilegeLevel?: number | undefined;
  /**
   * Asks a service below the kernel in place of the firmware: the SVSM of an SNP guest. Its report is over a hash of these
   * bytes and its manifest (AMD, "Secure VM Service Module for SEV-SNP Guests", §7), so no device here asks for one.
   */
  readonly serviceProvider?: 'svsm' | undefined;
};

/** What the kernel returned for one request, unread. */
export type TsmReport = {
  readonly provider: TsmProvider;
  /** TDX: the quote, zeros behind it on some hosts. SNP: the report. */
  readonly outblob: Uint8Array;
  /** SNP: the host's certificate table, empty or absent where it gives none. */
  readonly auxblob: Uint8Array | undefined;
  /** With a service provider: its manifest. */
  readonly manifestblob: Uint8Array | undefined;
};

export type TsmOptions = {
  readonly files: SystemFiles;
  /** `/sys/kernel/config/tsm/report`. */
  readonly reportFolder: string;
  /** A name that no other request has, of this process or another. */
  readonly uniqueName: () => string;
  /** Waits between attempts. */
  readonly pause: (attempt: number) => Promise<void>;
};

const maxAttempts = 5;
const highestPrivilegeLevel = 3;
/** Linux: TSM_REPORT_OUTBLOB_MAX, 32 kB to 6.19, 16 MB from then on; quotes and reports stay far below. */
const maxBlobBytes = 256 * 1024;
const maxAttributeBytes = 4096;
const gives = { outblob: 'outblob', auxblob: 'auxblob', manifestblob: 'manifestblob' } as const;

/**
 * One report by configfs-tsm (Linux, `Documentation/ABI/testing/configfs-tsm-report`, 6.7 and later). The entry is this
 * request's alone and is removed however it ends. The kernel takes a binary attribute when the file is closed and tells
 * nobody if it did not, so only `generation` shows that these bytes were taken, and that nobody else wrote while the report
 * was read: it must have grown by exactly our writes, before the read and after. Throws DeviceError.
 */
export async function readTsmReport(request: TsmRequest, options: TsmOptions): Promise<TsmReport> {
  const { files, reportFolder } = options;
  const entry = `${reportFolder}/${options.uniqueName()}`;
  await kernel(() => files.makeFolder(entry), entry);
  let report: TsmReport;
  try {
    report = await readFromEntry(entry, request, options);
  } catch (error) {
    await files.removeFolder(entry).catch(() => undefined);
    throw error;
  }
  await kernel(() => removeEntry(files, entry), entry);
  return report;
}

/** The provider that the kernel has here, found by an entry that is removed again. Throws DeviceError. */
export async function probeTsmProvider(options: TsmOptions): Promise<TsmProvider> {
  const { files, reportFolder } = options;
  const entry = `${reportFolder}/${options.uniqueName()}`;
  await kernel(() => files.makeFolder(entry), entry);
  try {
    return await readProvider(files, entry);
  } finally {
    await files.removeFolder(entry).catch(() => undefined);
  }
}

/** A report of another provider than the device's means that the machine's driver was exchanged. Throws DEVICE_GONE. */
export function assertSameProvider({ provider }: TsmReport, expected: TsmProvider): void {
  if (provider === expected) return;
  throw new DeviceError({
    code: 'DEVICE_GONE',
    message: `Expected the provider "${expected}" as when the device was opened, got "${provider}"`,
    hint: 'Start the process again',
  });
}

async function readFromEntry(entry: string, request: TsmRequest, options: TsmOptions): Promise<TsmReport> {
  const { files } = options;
  const provider = await readProvider(files, entry);
  const level = await privilegeLevelToWrite(files, entry, request.privilegeLevel);
  const writes: readonly (readonly [string, Uint8Array])[] = [
    ...(level === undefined ? [] : [['privlevel', utf8(String(level))] as const]),
    ...(request.serviceProvider === undefined ? [] : [['service_provider', utf8(request.serviceProvider)] as const]),
    ['inblob', request.reportData],
  ];
  let last: DeviceError | undefined;
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    if (attempt > 1) await options.pause(attempt - 1);
    try {
      const blobs = await attemptOnce(files, entry, writes);
      if (blobs !== undefined) return { provider, ...blobs };
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== 'DEVICE_BUSY') throw error;
      last = error;
    }
  }
  throw new DeviceError({
    code: 'DEVICE_BUSY',
    message: `Expected "${entry}" to keep one request for itself, ${maxAttempts} attempts were disturbed`,
    hint: 'See who else writes below the report folder',
    meta: last?.meta,
    cause: last,
  });
}

/** Undefined where `generation` did not grow by exactly our writes. */
async function attemptOnce(
  files: SystemFiles,
  entry: string,
  writes: readonly (readonly [string, Uint8Array])[],
): Promise<Omit<TsmReport, 'provider'> | undefined> {
  const expected = (await readGeneration(files, entry)) + BigInt(writes.length);
  for (const [attribute, bytes] of writes) {
    const path = `${entry}/${attribute}`;
    await kernel(() => files.write(path, bytes), path);
  }
  if ((await readGeneration(files, entry)) !== expected) return undefined;
  const outblob = await readBlob(files, `${entry}/${gives.outblob}`);
  const auxblob = await readOptionalBlob(files, `${entry}/${gives.auxblob}`);
  const manifestblob = await readOptionalBlob(files, `${entry}/${gives.manifestblob}`);
  if ((await readGeneration(files, entry)) !== expected) return undefined;
  return { outblob, auxblob, manifestblob };
}

async function privilegeLevelToWrite(
  files: SystemFiles,
  entry: string,
  wanted: number | undefined,
): Promise<number | undefined> {
  const path = `${entry}/privlevel_floor`;
  if (!(await files.exists(path))) {
    if (wanted === undefined) return undefined;
    throw refusedLevel(wanted, 'this provider knows no privilege levels');
  }
  const floor = Number(await readNumber(files, path));
  if (wanted === undefined) return floor > 0 ? floor : undefined;
  if (Number.isInteger(wanted) && wanted >= floor && wanted <= highestPrivilegeLevel) return wanted;
  throw refusedLevel(wanted, `the kernel allows ${floor} to ${highestPrivilegeLevel}`);
}

function refusedLevel(wanted: number, why: string): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REFUSED',
    message: `Expected another privilege level than "${wanted}": ${why}`,
    hint: 'Correct the privilege level in the configuration',
  });
}

async function readProvider(files: SystemFiles, entry: string): Promise<TsmProvider> {
  const name = await readText(files, `${entry}/provider`);
  if (name === 'tdx_guest' || name === 'sev_guest') return name;
  throw new DeviceError({
    code: 'DEVICE_UNSUPPORTED',
    message: `Expected the provider "tdx_guest" or "sev_guest", got "${name.slice(0, 64)}"`,
    hint: 'Run on a TDX or SEV-SNP machine',
  });
}

async function readGeneration(files: SystemFiles, entry: string): Promise<bigint> {
  return readNumber(files, `${entry}/generation`);
}

async function readNumber(files: SystemFiles, path: string): Promise<bigint> {
  const text = await readText(files, path);
  if (/^[0-9]{1,20}$/.test(text)) return BigInt(text);
  throw malformed(path, 'a number', text);
}

/** One attribute of text, without the line break at its end. */
async function readText(files: SystemFiles, path: string): Promise<string> {
  const bytes = await kernel(() => files.read(path, maxAttributeBytes), path);
  const text = Buffer.from(bytes).toString('latin1').replace(/\n$/, '');
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw malformed(path, 'a line of text', toHex(bytes.subarray(0, 32)));
}

function readBlob(files: SystemFiles, path: string): Promise<Uint8Array> {
  return kernel(() => files.read(path, maxBlobBytes), path);
}

/** Attributes that a provider has or has not. */
async function readOptionalBlob(files: SystemFiles, path: string): Promise<Uint8Array | undefined> {
  try {
    return await files.read(path, maxBlobBytes);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw tsmError(error, path);
  }
}

async function removeEntry(files: SystemFiles, entry: string): Promise<void> {
  try {
    await files.removeFolder(entry);
  } catch (error) {
    // Whoever removed it was faster; nothing is left behind.
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

async function kernel<Value>(work: () => Promise<Value>, path: string): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw tsmError(error, path);
  }
}

function malformed(path: string, expected: string, value: string): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REPLY_MALFORMED',
    message: `Expected ${expected} in "${path}", got "${value.slice(0, 64)}"`,
  });
}
