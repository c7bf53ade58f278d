import { agreedPrice, highestFeeOf } from '@cloister/core';
import type { ServingApp } from './apps.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import { PaymentError } from './payments/channelLedger.ts';
import type { Route } from './route.ts';

/** What is to be paid for, and how. */
export type Payable = {
  readonly app: ServingApp;
  readonly callId: string;
  /** The most that the caller allows. */
  readonly maxFee: bigint;
  readonly payments: CallPaymentMethod;
};

/** Before anything is looked for. Throws PAYMENT_NOT_ALLOWED, PAYMENT_NO_PAYER. */
export function assertAllowed(app: ServingApp, maxFee: bigint, payments: CallPaymentMethod | undefined): void {
  const highest = highestFeeOf(app.manifest);
  if (maxFee === 0n) throw notAllowed(app, highest, 0n);
  if (payments !== undefined) return;
  throw new PaymentError(
    'PAYMENT_NO_PAYER',
    `A call of "${app.manifest.name}" costs up to "${highest}", and this client has no payer`,
    'Give createClient a payer: { payer: ADDRESS }, and deposit with client.payments.fund',
  );
}

/** The ways whose workers can be paid; the one that was tried stays, paid for as it is. Throws the PaymentError of the first where there is none. */
export async function payableRoutes(
  routes: readonly Route[],
  tried: Route | undefined,
  what: Payable,
  signal: AbortSignal,
): Promise<readonly Route[]> {
  const payable: Route[] = [];
  let refusal: PaymentError | undefined;
  for (const route of routes) {
    const isTried = route.worker.receiptSigner === tried?.worker.receiptSigner;
    const why = isTried ? undefined : await whyNotPaid(route, what, signal);
    if (why === undefined) payable.push(route);
    else refusal ??= why;
  }
  if (payable.length === 0 && refusal !== undefined && tried === undefined) throw refusal;
  return payable;
}

async function whyNotPaid(
  route: Route,
  { app, callId, maxFee, payments }: Payable,
  signal: AbortSignal,
): Promise<PaymentError | undefined> {
  const highest = highestFeeAt(app, route);
  if (highest === undefined)
    return new PaymentError(
      'PAYMENT_PRICE_TOO_LOW',
      `Worker "${route.worker.workerId}" asks for more than the manifest of "${app.manifest.name}" allows`,
    );
  if (maxFee < highest) return notAllowed(app, highest, maxFee);
  return highest === 0n ? undefined : payments.whyNot(route, callId, highest, signal);
}

/** What a call of the app may cost by this way at the most; undefined where its worker asks for more than the manifest allows. */
export function highestFeeAt({ manifest }: ServingApp, { worker }: Route): bigint | undefined {
  const price = agreedPrice(manifest, worker.quote);
  return price === undefined ? undefined : highestFeeOf(manifest, price);
}

function notAllowed({ manifest }: ServingApp, highest: bigint, allowed: bigint): PaymentError {
  return new PaymentError(
    'PAYMENT_NOT_ALLOWED',
    `A call of "${manifest.name}" costs up to "${highest}", allowed are "${allowed}"`,
    'Allow as much with maxFee (--max-fee), in the smallest unit of PHA',
  );
}
