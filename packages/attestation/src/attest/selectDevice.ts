import type { AttestationDevice, AttestationDriver, QuoteOptions, Unavailable } from './device.ts';
import { DeviceError } from './deviceError.ts';

export type SelectDeviceOptions = QuoteOptions & {
  /** A driver's name. Default: the first that is here, in the given order. */
  readonly wanted?: string | undefined;
};

/** One driver, and why its device is not here; undefined where it is. */
export type SurveyedDriver = {
  readonly driver: AttestationDriver;
  readonly unavailable: Unavailable | undefined;
};

/** Every driver with what it finds on this machine, in the given order. */
export function surveyDevices(
  drivers: readonly AttestationDriver[],
  options: QuoteOptions,
): Promise<readonly SurveyedDriver[]> {
  return Promise.all(
    drivers.map(async (driver) => ({ driver, unavailable: await driver.unavailable({ signal: options.signal }) })),
  );
}

/**
 * The device of this machine. A simulated device is taken only by name, and never where a real one is here: a machine's
 * evidence is real or it is not. Throws DEVICE_UNKNOWN, DEVICE_NOT_FOUND, SIMULATED_BESIDE_REAL.
 */
export async function selectDevice(
  drivers: readonly AttestationDriver[],
  options: SelectDeviceOptions,
): Promise<AttestationDevice> {
  assertKnown(drivers, options.wanted);
  return chooseDriver(await surveyDevices(drivers, options), options.wanted).open({ signal: options.signal });
}

/** Which of the surveyed drivers `selectDevice` opens, by the same rules and with the same errors. */
export function chooseDriver(survey: readonly SurveyedDriver[], wanted: string | undefined): AttestationDriver {
  assertKnown(
    survey.map(({ driver }) => driver),
    wanted,
  );
  const here = survey.filter(({ unavailable }) => unavailable === undefined).map(({ driver }) => driver);
  const chosen = here.find((driver) => (wanted === undefined ? !driver.simulated : driver.name === wanted));
  if (chosen === undefined) {
    const tried = survey.filter(({ driver }) => wanted === undefined || driver.name === wanted);
    const reasons = tried.map(({ driver, unavailable }) => `${driver.name}: ${unavailable?.reason ?? 'only by name'}`);
    const hints = tried.flatMap(({ unavailable }) => unavailable?.hint ?? []);
    throw new DeviceError({
      code: 'DEVICE_NOT_FOUND',
      message: `Found no TEE on this machine (${reasons.join('; ') || 'no driver'})`,
      hint:
        hints.length > 0
          ? hints.join('; ')
          : 'Run on a TEE machine, or name the unsafe simulated device on a network that is simulated',
    });
  }
  const real = here.find((driver) => !driver.simulated);
  if (chosen.simulated && real !== undefined)
    throw new DeviceError({
      code: 'SIMULATED_BESIDE_REAL',
      message: `Refused simulated evidence on a machine that has "${real.name}"`,
      hint: `Use the device "${real.name}"`,
    });
  return chosen;
}

function assertKnown(drivers: readonly AttestationDriver[], wanted: string | undefined): void {
  if (wanted === undefined || drivers.some((driver) => driver.name === wanted)) return;
  const known = drivers.length === 0 ? 'none' : drivers.map((driver) => `"${driver.name}"`).join(' or ');
  throw new DeviceError({
    code: 'DEVICE_UNKNOWN',
    message: `Expected a device named ${known}, got "${wanted}"`,
    hint: 'Correct the device in the configuration',
  });
}
