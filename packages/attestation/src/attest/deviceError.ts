import { CloisterError } from '@cloister/core';

/** Everything for which no device is chosen, or a device gives no evidence. */
export type DeviceErrorCode =
  // Choosing
  | 'DEVICE_UNKNOWN'
  | 'DEVICE_NOT_FOUND'
  | 'SIMULATED_BESIDE_REAL'
  // What was asked
  | 'INVALID_REPORT_DATA'
  | 'DEVICE_REFUSED'
  // What the device is or does
  | 'DEVICE_UNSUPPORTED'
  | 'DEVICE_FORBIDDEN'
  | 'DEVICE_GONE'
  | 'DEVICE_BUSY'
  | 'DEVICE_TIMEOUT'
  | 'DEVICE_FAILED'
  // What it answered
  | 'DEVICE_REPLY_TOO_LARGE'
  | 'DEVICE_REPLY_MALFORMED'
  | 'REPORT_DATA_NOT_BOUND';

export type DeviceErrorInit = {
  readonly code: DeviceErrorCode;
  /** One sentence in sentence case, offending values quoted, no final period. */
  readonly message: string;
  readonly hint?: string | undefined;
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
};

/** The codes that waiting may mend. */
const passing: readonly DeviceErrorCode[] = ['DEVICE_BUSY', 'DEVICE_TIMEOUT'];

/** No device, not one that may be used, or one that gave no evidence. */
export class DeviceError extends CloisterError<DeviceErrorCode> {
  override readonly name = 'DeviceError';
  constructor(init: DeviceErrorInit) {
    super({ ...init, retry: passing.includes(init.code) });
  }
}
