import {
  commitBody,
  freePrice,
  functionManifest,
  jcsId,
  type Receipt,
  type ReceiptStatus,
  receiptDigest,
  receiptStatuses,
  type SignedReceipt,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, keccak256, signDigest, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { type ExpectedReceipt, ReceiptRefusedError, verifyReceipt } from '../src/verifyReceipt.ts';
import { address, bytes32 } from './simulatedNetwork.ts';

const signer = generateSecp256k1();
const stranger = generateSecp256k1();
const domain = { chainId: 31337, registry: address(4) };
const requestBody = utf8('question');
const answer = utf8('answer');
const attempt = { requestHash: bytes32(0x41), inputSalt: bytes32(0x42), outputSalt: bytes32(0x43) };
const earlier = { requestHash: bytes32(0x51), inputSalt: bytes32(0x52), outputSalt: bytes32(0x53) };
const details = {
  kind: 'function',
  httpStatus: 200,
  metering: { wallMs: 2, cpuMs: 3, outputKiB: 1, peakMemoryMiB: 40 },
  route: commitBody(attempt.inputSalt, utf8('POST /ask')),
};

/** 2 a call and 1 a millisecond: the receipt's 5. */
const manifest = functionManifest({
  name: 'sample',
  code: { sha256: bytes32(0x24), bytes: 10 },
  price: { ...freePrice, perCall: '2', perCpuMs: '1', failedCalls: 'metered' },
});

const expected: ExpectedReceipt = {
  ...domain,
  workerId: bytes32(0x11),
  receiptSigner: addressOf(signer),
  app: bytes32(0x21),
  manifests: [bytes32(0x22)],
  context: bytes32(0x23),
  attempts: [earlier, attempt],
  route: 'POST /ask',
  requestBodyHash: toHex(keccak256(requestBody)),
  responseBodyHash: toHex(keccak256(answer)),
  maxFee: 5n,
  channel: bytes32(0x25),
  manifest,
};

const good: Receipt = {
  app: expected.app,
  manifest: bytes32(0x22),
  keyVersion: 1n,
  epoch: 7n,
  channel: bytes32(0x25),
  sequence: 42n,
  context: expected.context,
  requestHash: attempt.requestHash,
  inputCommitment: commitBody(attempt.inputSalt, requestBody),
  outputCommitment: commitBody(attempt.outputSalt, answer),
  status: receiptStatuses.ok,
  fee: 5n,
  cumulativeFee: 9n,
  blockNumber: 3n,
  blockHash: bytes32(0x33),
  time: 1_790_000_000n,
  detailsHash: jcsId(details),
};

function sign(
  changes: Partial<Receipt> = {},
  secret = signer,
  at = domain,
  shown: SignedReceipt['details'] = details,
): SignedReceipt {
  const receipt = { ...good, detailsHash: jcsId(shown), ...changes };
  return {
    format: 'cloister-receipt-1',
    ...domain,
    workerId: expected.workerId,
    receipt,
    signature: toHex(signDigest(secret, fromHex(receiptDigest(at, receipt)))),
    details: shown,
  };
}

function refusedStep(signed: SignedReceipt, changes: Partial<ExpectedReceipt> = {}): string {
  try {
    verifyReceipt(signed, { ...expected, ...changes });
  } catch (error) {
    if (!(error instanceof ReceiptRefusedError)) throw error;
    expect(error.code).toBe('RECEIPT_REFUSED');
    expect(error.steps.at(-1)).toMatchObject({ id: error.meta.step, ok: false });
    expect(error.steps.slice(0, -1).every(({ ok }) => ok)).toBe(true);
    return String(error.meta.step);
  }
  return 'accepted';
}

const order = [
  'receipt-signature',
  'receipt-app',
  'receipt-manifest',
  'receipt-context',
  'receipt-request',
  'receipt-input',
  'receipt-output',
  'receipt-details',
  'receipt-route',
  'receipt-fee',
  'receipt-channel',
  'receipt-status',
  'receipt-charge',
];

describe('a receipt that belongs to the call', () => {
  test('is accepted after every check', () => {
    const verified = verifyReceipt(sign(), expected);
    expect(verified.status).toBe('ok');
    expect(verified.attempt).toBe(attempt);
    expect(verified.steps.map(({ id, ok }) => `${id} ${ok}`)).toEqual(order.map((id) => `${id} true`));
  });

  test("may answer an earlier attempt, and then opens with that attempt's salts alone", () => {
    const of = (salts: typeof attempt) => ({
      requestHash: earlier.requestHash,
      inputCommitment: commitBody(salts.inputSalt, requestBody),
      outputCommitment: commitBody(salts.outputSalt, answer),
    });
    const route = commitBody(earlier.inputSalt, utf8('POST /ask'));
    const earlierReceipt = sign(of(earlier), signer, domain, { ...details, route });
    expect(verifyReceipt(earlierReceipt, expected).attempt).toBe(earlier);
    expect(refusedStep(sign(of(attempt)))).toBe('receipt-input');
  });

  test.each(Object.keys(receiptStatuses) as ReceiptStatus[])('the status "%s" is read', (status) => {
    expect(verifyReceipt(sign({ status: receiptStatuses[status] }), expected).status).toBe(status);
  });
});

describe('what was changed after signing', () => {
  test.each(Object.keys(good) as (keyof Receipt)[])('field %s', (field) => {
    const value = good[field];
    const changed = typeof value === 'bigint' ? value + 1n : typeof value === 'number' ? value + 1 : bytes32(0xee);
    const signed = sign();
    expect(refusedStep({ ...signed, receipt: { ...signed.receipt, [field]: changed } })).toBe('receipt-signature');
  });

  test.each([
    ['chainId', 1],
    ['registry', address(5)],
    ['workerId', bytes32(0x12)],
    ['signature', `0x${'00'.repeat(65)}`],
    ['signature', `${sign().signature.slice(0, -2)}00`],
  ])('%s beside it', (field, value) => {
    expect(refusedStep({ ...sign(), [field]: value } as SignedReceipt)).toBe('receipt-signature');
  });

  test.each([
    ['another value', { ...details, httpStatus: 201 }],
    ['a member more', { ...details, more: 1 }],
    ['a member less', { kind: 'function' }],
  ])('details: %s', (_, changed) => {
    expect(refusedStep({ ...sign(), details: changed })).toBe('receipt-details');
  });
});

describe('what the worker itself signed, but not for this call', () => {
  test.each<[string, SignedReceipt, string]>([
    ['another key', sign({}, stranger), 'receipt-signature'],
    ['another chain', sign({}, signer, { ...domain, chainId: 1 }), 'receipt-signature'],
    ['another registry', sign({}, signer, { ...domain, registry: address(5) }), 'receipt-signature'],
    ['another app', sign({ app: bytes32(0xee) }), 'receipt-app'],
    ['another manifest', sign({ manifest: bytes32(0xee) }), 'receipt-manifest'],
    ['another context', sign({ context: zeroBytes32 }), 'receipt-context'],
    ['another request', sign({ requestHash: bytes32(0xee) }), 'receipt-request'],
    ['another question', sign({ inputCommitment: commitBody(attempt.inputSalt, utf8('other')) }), 'receipt-input'],
    ['another answer', sign({ outputCommitment: commitBody(attempt.outputSalt, utf8('other')) }), 'receipt-output'],
    [
      'an answer under the other salt',
      sign({ outputCommitment: commitBody(attempt.inputSalt, answer) }),
      'receipt-output',
    ],
    ['details that are not shown', sign({ detailsHash: bytes32(0xee) }), 'receipt-details'],
    ['a fee above what was allowed', sign({ fee: 6n }), 'receipt-fee'],
    ['a status nobody knows', sign({ status: 4 }), 'receipt-status'],
  ])('%s', (_, signed, step) => {
    expect(refusedStep(signed)).toBe(step);
  });

  test('every step has a case that fails exactly there', () => {
    const seen = [
      sign({}, stranger),
      sign({ app: bytes32(0xee) }),
      sign({ manifest: bytes32(0xee) }),
      sign({ context: zeroBytes32 }),
      sign({ requestHash: bytes32(0xee) }),
      sign({ inputCommitment: bytes32(0xee) }),
      sign({ outputCommitment: bytes32(0xee) }),
      sign({ detailsHash: bytes32(0xee) }),
      sign({}, signer, domain, { ...details, route: commitBody(attempt.inputSalt, utf8('GET /ask')) }),
      sign({ fee: 6n }),
      sign({ channel: bytes32(0xee) }),
      sign({ status: 200 }),
      sign({}, signer, domain, { ...details, metering: { ...details.metering, cpuMs: 2 } }),
    ].map((signed) => refusedStep(signed));
    expect(seen).toEqual(order);
  });

  test('the answer that arrived must be the one that was signed', () => {
    expect(refusedStep(sign(), { responseBodyHash: toHex(keccak256(utf8('answer!'))) })).toBe('receipt-output');
  });
});

const free = { channel: zeroBytes32, fee: 0n, cumulativeFee: 0n } as const;

describe('what a receipt charges', () => {
  test.each<[string, SignedReceipt, string]>([
    ['nothing at all', sign(free), 'accepted'],
    ['less than what was measured', sign({ fee: 4n }), 'accepted'],
    ['a fee without a channel', sign({ ...free, fee: 1n, cumulativeFee: 1n }), 'receipt-channel'],
    ['a total without a channel', sign({ ...free, cumulativeFee: 1n }), 'receipt-channel'],
    [
      'an answer of the worker itself',
      sign({ manifest: zeroBytes32, status: receiptStatuses.refused }),
      'receipt-channel',
    ],
    ['without measurements', sign({}, signer, domain, { kind: 'function', route: details.route }), 'receipt-charge'],
    [
      'by measurements that are no numbers',
      sign({}, signer, domain, { ...details, metering: { ...details.metering, cpuMs: '3' } }),
      'receipt-charge',
    ],
    [
      'by negative measurements',
      sign({}, signer, domain, { ...details, metering: { ...details.metering, wallMs: -1 } }),
      'receipt-charge',
    ],
  ])('%s', (_, signed, step) => {
    expect(refusedStep(signed)).toBe(step);
  });

  test('a call that failed, where the manifest says that such calls are free', () => {
    const failed = sign({ status: receiptStatuses['app-error'] });
    expect(refusedStep(failed)).toBe('accepted');
    const lenient = { ...manifest, price: { ...manifest.price, failedCalls: 'free' as const } };
    expect(refusedStep(failed, { manifest: lenient })).toBe('receipt-charge');
  });

  test('a call for which no channel was offered', () => {
    expect(refusedStep(sign(), { channel: undefined })).toBe('receipt-channel');
  });
});

describe("an answer of the worker in the app's place", () => {
  test.each([
    ['ok', 'receipt-manifest'],
    ['app-error', 'accepted'],
    ['limit', 'accepted'],
    ['refused', 'accepted'],
  ] as const)('with status "%s": %s', (status, step) => {
    expect(refusedStep(sign({ ...free, manifest: zeroBytes32, status: receiptStatuses[status] }))).toBe(step);
  });

  test('may be what was asked for', () => {
    const signed = sign({ ...free, manifest: zeroBytes32 });
    expect(verifyReceipt(signed, { ...expected, manifests: [zeroBytes32] }).status).toBe('ok');
    expect(refusedStep(sign(), { manifests: [zeroBytes32] })).toBe('receipt-manifest');
  });
});
