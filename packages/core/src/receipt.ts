import { keccak256 } from '@cloister/crypto';
import type { AbiWord, Keccak256 } from './abi.ts';
import { hashStructWith, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import { CloisterError } from './errors.ts';
import type { Bytes32, Hex } from './hex.ts';
import * as z from './schema.ts';

/** How a call ended; failures are attested too. */
export const receiptStatuses = { ok: 0, 'app-error': 1, limit: 2, refused: 3 } as const;
export type ReceiptStatus = keyof typeof receiptStatuses;

/**
 * A worker's statement about one call. Amounts in the token's smallest unit; `time` in unix seconds is a claim of the
 * enclave, `blockNumber` and `blockHash` name the latest block it knew.
 */
export type Receipt = {
  readonly app: Bytes32;
  /** sha256 of the manifest's canonical JSON. */
  readonly manifest: Bytes32;
  readonly keyVersion: bigint;
  readonly epoch: bigint;
  /** Payment channel; zero for free calls. */
  readonly channel: Bytes32;
  /** Counts from 1 for each (signer, channel). */
  readonly sequence: bigint;
  /** Chosen by the client inside the seal; zero where unused. */
  readonly context: Bytes32;
  /** keccak256 of the sealed request's bytes. */
  readonly requestHash: Bytes32;
  readonly inputCommitment: Bytes32;
  readonly outputCommitment: Bytes32;
  readonly status: number;
  readonly fee: bigint;
  readonly cumulativeFee: bigint;
  readonly blockNumber: bigint;
  readonly blockHash: Bytes32;
  readonly time: bigint;
  /** sha256 of the details' canonical JSON. */
  readonly detailsHash: Bytes32;
};

const receiptType = structType(
  'Receipt(bytes32 app,bytes32 manifest,uint64 keyVersion,uint64 epoch,bytes32 channel,uint64 sequence,bytes32 context,bytes32 requestHash,bytes32 inputCommitment,bytes32 outputCommitment,uint8 status,uint128 fee,uint128 cumulativeFee,uint64 blockNumber,bytes32 blockHash,uint64 time,bytes32 detailsHash)',
);

/** The EIP-712 digest that the receipt signer signs. Throws RECEIPT_FIELD_OUT_OF_RANGE. */
export function receiptDigest(domain: RecordDomain, receipt: Receipt, keccak: Keccak256 = keccak256): Bytes32 {
  return typedDataDigest(domain, hashStructWith(keccak, receiptType, receiptWords(receipt)), keccak);
}

function receiptWords(receipt: Receipt): AbiWord[] {
  const uint = (name: keyof Receipt, bits: bigint): bigint => {
    const value = BigInt(receipt[name]);
    if (value < 0n || value >> bits !== 0n) throw new ReceiptFieldError(name, value, bits);
    return value;
  };
  return [
    receipt.app,
    receipt.manifest,
    uint('keyVersion', 64n),
    uint('epoch', 64n),
    receipt.channel,
    uint('sequence', 64n),
    receipt.context,
    receipt.requestHash,
    receipt.inputCommitment,
    receipt.outputCommitment,
    uint('status', 8n),
    uint('fee', 128n),
    uint('cumulativeFee', 128n),
    uint('blockNumber', 64n),
    receipt.blockHash,
    uint('time', 64n),
    receipt.detailsHash,
  ];
}

/** The name of a receipt's status, or undefined where the number is none of ours. */
export function receiptStatusName(status: number): ReceiptStatus | undefined {
  return (Object.keys(receiptStatuses) as ReceiptStatus[]).find((name) => receiptStatuses[name] === status);
}

/** A receipt as it travels: in the last sealed chunk, in files, in `cloister verify`. */
export type SignedReceipt = {
  readonly format: 'cloister-receipt-1';
  readonly chainId: number;
  readonly registry: Hex;
  readonly workerId: Bytes32;
  readonly receipt: Receipt;
  /** r ‖ s ‖ v over {@link receiptDigest}. */
  readonly signature: Hex;
  /** What `detailsHash` covers: metering and what else the kind says. */
  readonly details: { readonly [key: string]: z.Json };
};

const receiptJson = z.strictObject({
  app: z.bytes32,
  manifest: z.bytes32,
  keyVersion: z.uintString(64),
  epoch: z.uintString(64),
  channel: z.bytes32,
  sequence: z.uintString(64),
  context: z.bytes32,
  requestHash: z.bytes32,
  inputCommitment: z.bytes32,
  outputCommitment: z.bytes32,
  status: z.uint(255),
  fee: z.uintString(128),
  cumulativeFee: z.uintString(128),
  blockNumber: z.uintString(64),
  blockHash: z.bytes32,
  time: z.uintString(64),
  detailsHash: z.bytes32,
});

const signedReceiptJson = z.strictObject({
  format: z.literal('cloister-receipt-1'),
  chainId: z.uint(),
  registry: z.address,
  workerId: z.bytes32,
  receipt: receiptJson,
  signature: z.hexOf(65),
  details: z.jsonObject,
});

/** The largest signed receipt that is read, in bytes. */
export const maxSignedReceiptBytes = 64 * 1024;

/** JSON form of a signed receipt: bigints as decimal strings. */
export function signedReceiptToJson(signed: SignedReceipt): z.Json {
  return { ...signed, receipt: receiptFieldsToJson(signed.receipt) };
}

/** JSON form of a receipt alone: bigints as decimal strings. */
export function receiptFieldsToJson(receipt: Receipt): { [key: string]: z.Json } {
  return Object.fromEntries(
    Object.entries(receipt).map(([key, value]) => [key, typeof value === 'bigint' ? value.toString() : value]),
  );
}

/** Reads a receipt alone; unknown or malformed fields are refused. Throws SchemaError. */
export function receiptFieldsFromJson(json: unknown): Receipt {
  return z.parseWith(receiptJson, json, 'receipt');
}

/** Reads a signed receipt; unknown or malformed fields are refused. Throws SchemaError. */
export function signedReceiptFromJson(json: unknown): SignedReceipt {
  return z.parseWith(signedReceiptJson, json, 'signed receipt');
}

export class ReceiptFieldError extends CloisterError<'RECEIPT_FIELD_OUT_OF_RANGE'> {
  override readonly name = 'ReceiptFieldError';
  constructor(field: string, value: bigint, bits: bigint) {
    super({
      code: 'RECEIPT_FIELD_OUT_OF_RANGE',
      message: `Expected receipt field "${field}" to fit uint${bits}, got "${value}"`,
      meta: { field },
    });
  }
}
