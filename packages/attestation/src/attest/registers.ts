import type { Hex } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { DeviceError } from './deviceError.ts';
import { type SystemFiles, systemErrorCode } from './systemFiles.ts';

/** A TD's measurement registers as its own kernel shows them: 48 bytes each. Not signed by anything. */
export type TdxRegisters = {
  readonly mrtd: Hex;
  readonly rtmr0: Hex;
  readonly rtmr1: Hex;
  readonly rtmr2: Hex;
  readonly rtmr3: Hex;
  readonly mrConfigId: Hex;
  readonly mrOwner: Hex;
  readonly mrOwnerConfig: Hex;
};

export const registersFolder = '/sys/devices/virtual/misc/tdx_guest/measurements';

const attributes: Readonly<Record<keyof TdxRegisters, string>> = {
  mrtd: 'mrtd:sha384',
  rtmr0: 'rtmr0:sha384',
  rtmr1: 'rtmr1:sha384',
  rtmr2: 'rtmr2:sha384',
  rtmr3: 'rtmr3:sha384',
  mrConfigId: 'mrconfigid',
  mrOwner: 'mrowner',
  mrOwnerConfig: 'mrownerconfig',
};
const registerLength = 48;

/**
 * Reads the registers (Linux, `Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest`, 6.16 and later); undefined
 * where this kernel shows none. There is no function that extends one: what a worker binds at run time stands in
 * `report_data`, what its guests say in logs that it signs, and the image is measured before any code of ours runs. Throws
 * DEVICE_FORBIDDEN, DEVICE_REPLY_MALFORMED, DEVICE_REPLY_TOO_LARGE.
 */
export async function readTdxRegisters(
  files: SystemFiles,
  folder: string = registersFolder,
): Promise<TdxRegisters | undefined> {
  if (!(await files.exists(folder))) return undefined;
  const entries = await Promise.all(
    Object.entries(attributes).map(
      async ([name, file]) => [name, await readRegister(files, `${folder}/${file}`)] as const,
    ),
  );
  return Object.fromEntries(entries) as TdxRegisters;
}

async function readRegister(files: SystemFiles, path: string): Promise<Hex> {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path, registerLength);
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === undefined) throw cause;
    throw new DeviceError({
      code: code === 'EACCES' || code === 'EPERM' ? 'DEVICE_FORBIDDEN' : 'DEVICE_FAILED',
      message: `Could not read the register "${path}" (${code})`,
      cause,
    });
  }
  if (bytes.length === registerLength) return toHex(bytes);
  throw new DeviceError({
    code: 'DEVICE_REPLY_MALFORMED',
    message: `Expected ${registerLength} bytes in "${path}", got "${bytes.length}"`,
  });
}
