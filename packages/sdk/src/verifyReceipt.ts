import {
  type Bytes32,
  CloisterError,
  commitBody,
  commitBodyHash,
  type Hex,
  jcsId,
  type ReceiptStatus,
  receiptDigest,
  receiptStatuses,
  receiptStatusName,
  type SignedReceipt,
  zeroBytes32,
} from '@cloister/core';
import { keccak256, toHex, utf8 } from '@cloister/crypto';
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
  readonly requestBody: Uint8Array;
  /** keccak256 of the answer's body. */
  readonly responseBodyHash: Bytes32;
  readonly maxFee: bigint;
};

export type VerifiedReceipt = {
  readonly status: ReceiptStatus;
  readonly attempt: SealedAttempt;
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
    receipt.inputCommitment === commitBodyHash(attempt.inputSalt, toHex(keccak256(expected.requestBody))),
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
  const status = receiptStatusName(receipt.status);
  list.check(
    'receipt-status',
    'Its status is one that is known',
    status !== undefined,
    `status ${receipt.status}`,
    refuse,
  );
  return { status: status ?? 'app-error', attempt, steps: list.steps };
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
