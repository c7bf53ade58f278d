export type { AttestationDevice, AttestationDriver, QuoteOptions } from './device.ts';
export { DeviceError, type DeviceErrorCode, type SelectDeviceOptions, selectDevice } from './selectDevice.ts';
