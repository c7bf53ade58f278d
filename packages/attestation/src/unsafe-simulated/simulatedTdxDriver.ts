import type { AttestationDriver } from '../attest/device.ts';
import { SimulatedTdxDevice, type SimulatedTdxDeviceInit } from './simulatedTdxDevice.ts';

/** The name by which configuration asks for the simulated device. */
export const simulatedTdxDriverName = 'unsafe-simulated-tdx';

/** The simulated device as `selectDevice` takes it: here on every machine, chosen only by name. */
export function simulatedTdxDriver(
  init: SimulatedTdxDeviceInit,
): AttestationDriver & { open(): Promise<SimulatedTdxDevice> } {
  return {
    name: simulatedTdxDriverName,
    simulated: true,
    unavailable: async () => undefined,
    open: async () => new SimulatedTdxDevice(init),
  };
}
