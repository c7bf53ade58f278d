import { CloisterError } from '@cloister/core';

export type StakingErrorCode =
  | 'STAKING_POOL_UNKNOWN'
  | 'STAKING_TOO_LITTLE'
  | 'STAKING_NO_BOND'
  | 'STAKING_NOT_MEASURED'
  | 'STAKING_NOT_LISTED'
  | 'SLASH_UNKNOWN'
  | 'SLASH_WINDOW_RUNS'
  | 'SLASH_VETOED';

const mayPass: ReadonlySet<StakingErrorCode> = new Set([
  'STAKING_NOT_LISTED',
  'STAKING_NOT_MEASURED',
  'SLASH_WINDOW_RUNS',
]);

export class StakingError extends CloisterError<StakingErrorCode> {
  override readonly name = 'StakingError';
  constructor(code: StakingErrorCode, message: string, hint: string, meta?: Readonly<Record<string, unknown>>) {
    super({ code, message, hint, meta, retry: mayPass.has(code) });
  }
}
