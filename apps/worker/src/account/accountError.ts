import { CloisterError } from '@cloister/core';

export type AccountErrorCode =
  /** The manifest's policy is for another chain than the network's. */
  | 'CHAIN_OTHER_CHAIN'
  /** The app has sent as many transactions today as its policy allows. */
  | 'CHAIN_DAY_FULL'
  /** Gas costs more than the policy allows. */
  | 'CHAIN_FEE_TOO_HIGH'
  /** Too many transactions wait to be final. */
  | 'CHAIN_SENDS_PENDING'
  /** The id stands for another transaction. */
  | 'CHAIN_SEND_ID_REUSED'
  | 'CHAIN_MESSAGES_NOT_ALLOWED'
  | 'CHAIN_MESSAGE_TOO_LARGE';

const retryable: ReadonlySet<AccountErrorCode> = new Set([
  'CHAIN_DAY_FULL',
  'CHAIN_FEE_TOO_HIGH',
  'CHAIN_SENDS_PENDING',
]);

/** What an app's account does not sign. */
export class AccountError extends CloisterError<AccountErrorCode> {
  override readonly name = 'AccountError';
  constructor(code: AccountErrorCode, message: string) {
    super({ code, message, retry: retryable.has(code) });
  }
}
