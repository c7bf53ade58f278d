import { CloisterError, type PaymentStanding } from '@cloister/core';

export type PaymentRefusedCode =
  | 'PAYMENT_MISSING'
  | 'PAYMENT_OFFER_MALFORMED'
  | 'PAYMENT_OTHER_OPERATOR'
  | 'PAYMENT_VOUCHER_FORGED'
  | 'PAYMENT_VOUCHER_TOO_LOW'
  | 'PAYMENT_RECEIPT_FALSE'
  | 'PAYMENT_CHANNEL_EMPTY'
  | 'PAYMENT_MAX_FEE_TOO_LOW'
  | 'PAYMENT_PRICE_TOO_LOW'
  | 'PAYMENT_NO_ROOM'
  | 'PAYMENT_EXACT_OFF'
  | 'PAYMENT_EXACT_BUSY'
  | 'PAYMENT_TRANSFER_TOO_LOW'
  | 'PAYMENT_AUTHORIZATION_FORGED'
  | 'PAYMENT_AUTHORIZATION_NOT_VALID'
  | 'PAYMENT_AUTHORIZATION_USED'
  | 'PAYMENT_NO_FUNDS'
  | 'PAYMENT_NOT_SETTLED';

/** The call was not paid for, and did not run. */
export class PaymentRefusedError extends CloisterError<PaymentRefusedCode> {
  override readonly name = 'PaymentRefusedError';
  readonly standing: PaymentStanding | undefined;
  constructor(code: PaymentRefusedCode, message: string, standing?: PaymentStanding) {
    super({ code, message });
    this.standing = standing;
  }
}
