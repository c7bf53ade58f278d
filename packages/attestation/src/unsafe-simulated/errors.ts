import { CloisterError } from '@cloister/core';

export type SimulatedErrorCode =
  | 'SIMULATED_ROOT_MISSING'
  | 'SIMULATED_FILE_MALFORMED'
  | 'INVALID_PLATFORM_NAME'
  | 'INVALID_MEASUREMENT'
  | 'INVALID_IMAGE_PATH'
  | 'IMAGE_FILE_UNREADABLE'
  | 'FOREIGN_QUOTE'
  | 'SEALED_ELSEWHERE';

/** What the simulated TEE refuses. */
export class SimulatedError extends CloisterError<SimulatedErrorCode> {
  override readonly name = 'SimulatedError';
}
