import type { AttestationDriver, QuoteOptions } from '../attest/device.ts';
import { SimulatedTdxDevice, type SimulatedTdxDeviceInit } from './simulatedTdxDevice.ts';

/** The name by which configuration asks for the simulated device. */
export const simulatedTdxDriverName = 'unsafe-simulated-tdx';

export type SimulatedTdxDriver = Omit<AttestationDriver, 'open'> & {
  open(options: QuoteOptions): Promise<SimulatedTdxDevice>;
};

/**
 * The simulated device as `selectDevice` takes it: here on every machine, chosen only by name.
 * @param init or what makes it when the device is opened, as measuring takes time
 */
export function simulatedTdxDriver(
  init: SimulatedTdxDeviceInit | ((options: QuoteOptions) => Promise<SimulatedTdxDeviceInit>),
): SimulatedTdxDriver {
  return {
    name: simulatedTdxDriverName,
    simulated: true,
    about: 'unsafe: a TDX device that is none, for development',
    unavailable: async () => undefined,
    open: async (options) => new SimulatedTdxDevice(typeof init === 'function' ? await init(options) : init),
  };
}
