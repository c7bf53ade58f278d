import { CloisterError } from '@cloister/core';
import type { AttestationDevice, AttestationDriver, QuoteOptions } from './device.ts';

export type SelectDeviceOptions = QuoteOptions & {
  /** A driver's name. Default: the first that is here, in the given order. */
  readonly wanted?: string;
};

/**
 * The device of this machine. A simulated device is taken only by name, and never where a real one is here: a machine's
 * evidence is real or it is not. Throws DEVICE_UNKNOWN, DEVICE_NOT_FOUND, SIMULATED_BESIDE_REAL.
 */
export async function selectDevice(
  drivers: readonly AttestationDriver[],
  options: SelectDeviceOptions,
): Promise<AttestationDevice> {
  const { wanted } = options;
  if (wanted !== undefined && !drivers.some((driver) => driver.name === wanted))
    throw new DeviceError(
      'DEVICE_UNKNOWN',
      `Expected a device named ${listed(drivers)}, got "${wanted}"`,
      'Correct the device in the configuration',
    );

  const found = await Promise.all(
    drivers.map(async (driver) => ({ driver, problem: await driver.unavailable(options) })),
  );
  const here = found.filter(({ problem }) => problem === undefined).map(({ driver }) => driver);
  const chosen = here.find((driver) => (wanted === undefined ? !driver.simulated : driver.name === wanted));
  if (chosen === undefined) {
    const tried = found.filter(({ driver }) => wanted === undefined || driver.name === wanted);
    const reasons = tried.map(({ driver, problem }) => `${driver.name}: ${problem ?? 'only by name'}`).join('; ');
    throw new DeviceError(
      'DEVICE_NOT_FOUND',
      `Found no TEE on this machine (${reasons || 'no driver'})`,
      'Run on a TEE machine, or name the unsafe simulated device on a network that is simulated',
    );
  }
  const real = here.find((driver) => !driver.simulated);
  if (chosen.simulated && real !== undefined)
    throw new DeviceError(
      'SIMULATED_BESIDE_REAL',
      `Refused simulated evidence on a machine that has "${real.name}"`,
      `Use the device "${real.name}"`,
    );
  return chosen.open(options);
}

function listed(drivers: readonly AttestationDriver[]): string {
  return drivers.length === 0 ? 'none' : drivers.map((driver) => `"${driver.name}"`).join(' or ');
}

export type DeviceErrorCode = 'DEVICE_UNKNOWN' | 'DEVICE_NOT_FOUND' | 'SIMULATED_BESIDE_REAL';

/** No device, or not one that may be used. */
export class DeviceError extends CloisterError<DeviceErrorCode> {
  override readonly name = 'DeviceError';
  constructor(code: DeviceErrorCode, message: string, hint: string) {
    super({ code, message, hint });
  }
}
