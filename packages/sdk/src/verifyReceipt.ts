import {
  type Bytes32,
  CloisterError,
  chargeOf,
  commitBody,
  commitBodyHash,
  type ExactPayment,
  exactPaymentIn,
  type Hex,
  jcsId,
  type Manifest,
  type Metering,
  type Price,
  type ReceiptStatus,
  receiptDigest,
  receiptStatuses,
  receiptStatusName,
  type SignedReceipt,
  type TransferAuthorization,
  zeroBytes32,
} from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { type ProofStep, StepList } from './steps.ts';
import { signerOf } from './verifyWorker.ts';

/** What one sealed attempt of a call shares with the worker alone. */
export type SealedAttempt = {
  readonly requestHash: Bytes32;
  readonly inputSalt: Bytes32;
  readonly outputSalt: Bytes32;
};

/** What a receipt must say to belong to a call. */
export type ExpectedReceipt = {
  readonly chainId: number;
  readonly registry: Hex;
  readonly workerId: Bytes32;
  readonly receiptSigner: Hex;
  readonly app: Bytes32;
  /** Manifests that the caller accepts; the worker's answer may only come from one of them. */
  readonly manifests: readonly Bytes32[];
  readonly context: Bytes32;
  /** Every attempt of this call: the answer may be that of an earlier one. */
  readonly attempts: readonly SealedAttempt[];
  /** Method and path, with one space between. */
  readonly route: string;
  /** keccak256 of the request's body, as far as the worker has taken it. */
  readonly requestBodyHash: Bytes32;
  /** keccak256 of the answer's body. */
  readonly responseBodyHash: Bytes32;
  readonly maxFee: bigint;
  /** The channel that was offered to pay; undefined for a free call. */
  readonly channel?: Bytes32 | undefined;
  /** The transfer that was offered to pay; undefined where none was. */
  readonly transfer?: TransferAuthorization | undefined;
  /** By whose prices a fee is counted, or by the worker's own where it quoted any. */
  readonly manifest?: Manifest;
  readonly price?: Price | undefined;
};

/** How a call was paid, by its receipt. Amounts in PHA's smallest unit. */
export type CallPayment =
  | { readonly scheme: 'free' }
  | { readonly scheme: 'channel'; readonly channel: Bytes32; readonly fee: bigint }
  /** Paid in full before it ran: no prices, limits or measurements of the receipt bear on the sum. */
  | {
      readonly scheme: 'exact';
      readonly amount: bigint;
      readonly transaction: Bytes32;
      readonly guardedByReceipt: false;
    };

export type VerifiedReceipt = {
  readonly status: ReceiptStatus;
  readonly attempt: SealedAttempt;
  readonly payment: CallPayment;
  readonly steps: readonly ProofStep[];
};

/** Checks a receipt against the call that it should be about. Throws ReceiptRefusedError with the steps so far. */
export function verifyReceipt(signed: SignedReceipt, expected: ExpectedReceipt): VerifiedReceipt {
  const { receipt } = signed;
  const list = new StepList();
  const refuse = (step: ProofStep, steps: readonly ProofStep[]) => new ReceiptRefusedError(step, steps);
  const domain = { chainId: expected.chainId, registry: expected.registry };
  const signer = signerOf(receiptDigest(domain, receipt), signed.signature);
  list.check(
    'receipt-signature',
    "The receipt carries the signature of the worker's receipt signer",
    signer === expected.receiptSigner &&
      signed.workerId === expected.workerId &&
      signed.chainId === expected.chainId &&
      signed.registry === expected.registry,
    `signed by ${signer ?? 'nobody'}`,
    refuse,
  );
  list.check(
    'receipt-app',
    'It is about the app that was called',
    receipt.app === expected.app,
    `app ${receipt.app}`,
    refuse,
  );
  list.check(
    'receipt-manifest',
    receipt.manifest === zeroBytes32
      ? 'It was made by the worker itself, which says so'
      : "It was made by the code of the app's manifest",
    expected.manifests.includes(receipt.manifest) ||
      (receipt.manifest === zeroBytes32 && receipt.status !== receiptStatuses.ok),
    `manifest ${receipt.manifest}`,
    refuse,
  );
  list.check(
    'receipt-context',
    'It is meant for the purpose that was asked for',
    receipt.context === expected.context,
    `context ${receipt.context}`,
    refuse,
  );
  const attempt = expected.attempts.find(({ requestHash }) => requestHash === receipt.requestHash);
  list.check(
    'receipt-request',
    'It answers the sealed request that was sent',
    attempt !== undefined,
    `request ${receipt.requestHash}`,
    refuse,
  );
  if (attempt === undefined)
    throw new ReceiptRefusedError(
      { id: 'receipt-request', title: 'It answers the request', ok: false, detail: '' },
      list.steps,
    );
  list.check(
    'receipt-input',
    'Its input commitment opens to the request body',
    receipt.inputCommitment === commitBodyHash(attempt.inputSalt, expected.requestBodyHash),
    `commitment ${receipt.inputCommitment}`,
    refuse,
  );
  list.check(
    'receipt-output',
    'Its output commitment opens to the answer that arrived',
    receipt.outputCommitment === commitBodyHash(attempt.outputSalt, expected.responseBodyHash),
    `commitment ${receipt.outputCommitment}`,
    refuse,
  );
  list.check(
    'receipt-details',
    'Its details are the ones it hashes',
    receipt.detailsHash === jcsId(signed.details),
    `details ${receipt.detailsHash}`,
    refuse,
  );
  list.check(
    'receipt-route',
    'It is about the method and path that were asked for',
    signed.details.route === commitBody(attempt.inputSalt, utf8(expected.route)),
    expected.route,
    refuse,
  );
  list.check(
    'receipt-fee',
    'Its fee is within what was allowed',
    receipt.fee <= expected.maxFee,
    `fee ${receipt.fee} of at most ${expected.maxFee}`,
    refuse,
  );
  const isPaid = receipt.channel !== zeroBytes32;
  list.check(
    'receipt-channel',
    isPaid ? 'It is paid from the channel that was offered' : 'It takes nothing from a channel',
    isPaid
      ? receipt.channel === expected.channel && receipt.manifest !== zeroBytes32
      : receipt.fee === 0n && receipt.cumulativeFee === 0n,
    isPaid ? `channel ${receipt.channel}` : `fee ${receipt.fee}`,
    refuse,
  );
  const transfer = checkTransfer(signed, expected.transfer, list);
  const status = receiptStatusName(receipt.status);
  list.check(
    'receipt-status',
    'Its status is one that is known',
    status !== undefined,
    `status ${receipt.status}`,
    refuse,
  );
  if (receipt.fee > 0n) {
    const charge = chargeIn(signed, expected);
    list.check(
      'receipt-charge',
      'Its fee is what the agreed prices make of what was measured',
      charge !== undefined && receipt.fee <= charge,
      charge === undefined ? 'nothing was measured' : `${receipt.fee} of ${charge}`,
      refuse,
    );
  }
  const payment: CallPayment =
    transfer !== undefined
      ? { scheme: 'exact', ...transfer, guardedByReceipt: false }
      : isPaid
        ? { scheme: 'channel', channel: receipt.channel, fee: receipt.fee }
        : { scheme: 'free' };
  return { status: status ?? 'app-error', attempt, payment, steps: list.steps };
}

/** What the details say of a transfer that paid for the call; only one that was offered is accepted, and not without a word of it. */
function checkTransfer(
  { receipt, details }: SignedReceipt,
  offered: TransferAuthorization | undefined,
  list: StepList,
): ExactPayment | undefined {
  const refuse = (step: ProofStep, steps: readonly ProofStep[]) => new ReceiptRefusedError(step, steps);
  const stated = statedTransfer(details);
  if (stated === undefined && offered === undefined) return undefined;
  const isUnpaid = stated === undefined && receipt.manifest === zeroBytes32;
  list.check(
    'receipt-transfer',
    isUnpaid ? 'The worker refused the call and names no transfer' : unguardedTitle,
    isUnpaid || (stated !== undefined && stated !== 'malformed' && stated.amount === offered?.value),
    typeof stated === 'object' ? transferDetail(stated) : (stated ?? 'no transfer is named'),
    refuse,
  );
  return typeof stated === 'object' ? stated : undefined;
}

/** Of a step that shows a payment by `exact`. */
export const unguardedTitle =
  'It was paid by one transfer before it ran (x402 exact): no receipt guards the sum, which is what was authorized';

export function transferDetail({ amount, transaction }: ExactPayment): string {
  return `${amount} in transaction ${transaction}`;
}

export function statedTransfer(details: SignedReceipt['details']): ExactPayment | 'malformed' | undefined {
  try {
    return exactPaymentIn(details);
  } catch {
    return 'malformed';
  }
}

/** What the stated measurements cost; undefined where there are none. */
function chargeIn(
  { receipt, details }: SignedReceipt,
  { manifest, price }: Pick<ExpectedReceipt, 'manifest' | 'price'>,
): bigint | undefined {
  const status = receiptStatusName(receipt.status);
  const metering = details.metering as Partial<Record<keyof Metering, unknown>> | undefined;
  if (manifest === undefined || status === undefined || typeof metering !== 'object' || metering === null)
    return undefined;
  const read = (name: keyof Metering) => {
    const value = metering[name];
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
  };
  const [wallMs, cpuMs, outputKiB, peakMemoryMiB] = [
    read('wallMs'),
    read('cpuMs'),
    read('outputKiB'),
    read('peakMemoryMiB'),
  ];
  if (wallMs === undefined || cpuMs === undefined || outputKiB === undefined || peakMemoryMiB === undefined)
    return undefined;
  // What is not stated was not counted, and costs nothing.
  const [inputTokens = 0, outputTokens = 0] = [read('inputTokens'), read('outputTokens')];
  const measured = { wallMs, cpuMs, outputKiB, peakMemoryMiB, inputTokens, outputTokens };
  return chargeOf(manifest, status, measured, price);
}

/** An answer arrived but its receipt does not hold: the answer is not to be used. */
export class ReceiptRefusedError extends CloisterError<'RECEIPT_REFUSED'> {
  override readonly name = 'ReceiptRefusedError';
  readonly steps: readonly ProofStep[];
  constructor(step: ProofStep, steps: readonly ProofStep[]) {
    super({
      code: 'RECEIPT_REFUSED',
      message: `The receipt is refused: it does not hold that "${step.title}" (${step.detail})`,
      meta: { step: step.id },
      hint: 'Do not use the answer; keep the receipt as evidence',
    });
    this.steps = steps;
  }
}
