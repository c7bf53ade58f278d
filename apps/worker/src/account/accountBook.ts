import { type Address, type Bytes32, parseBoundedJson, schema as z } from '@cloister/core';
import { utf8 } from '@cloister/crypto';

/** A transaction that an account has signed. */
export type SentRecord = {
  /** The app's own id for it. */
  readonly id: string;
  readonly nonce: number;
  readonly hash: Bytes32;
  /** Hash of what was asked for. */
  readonly wish: Bytes32;
};

/** What an account has signed, as the app's hosts agree on it. */
export type AccountRecord = {
  /** Of the next transaction. Nobody but these hosts has the key, so the chain need not be asked. */
  readonly nextNonce: number;
  /** Those below are final on the chain. */
  readonly finalNonce: number;
  /** Days since 1970 by the chain's time, and how many were signed on it. */
  readonly day: number;
  readonly sentToday: number;
  /** The last ones, the oldest first. */
  readonly sent: readonly SentRecord[];
};

export const newAccount: AccountRecord = { nextNonce: 0, finalNonce: 0, day: 0, sentToday: 0, sent: [] };
/** Transactions whose ids are remembered, and that may wait to be final. */
export const maxRemembered = 128;
export const maxPending = 64;
const maxIdCharacters = 128;
const maxRecordBytes = 256 * 1024;

/** Under which keys the record and the signed transactions stand, each address for itself. */
export const accountBookKey = (address: Address): string => `account/${address}`;
export const transactionKey = (address: Address, nonce: number): string => `transaction/${address}/${nonce}`;

const recordForm = z.strictObject({
  nextNonce: z.uint(),
  finalNonce: z.uint(),
  day: z.uint(),
  sentToday: z.uint(),
  sent: z
    .array(z.strictObject({ id: z.text(maxIdCharacters), nonce: z.uint(), hash: z.bytes32, wish: z.bytes32 }))
    .check(z.refineArray(0, maxRemembered)),
});

/** Throws SchemaError, JsonError. */
export function readAccountRecord(bytes: Uint8Array | undefined): AccountRecord {
  if (bytes === undefined) return newAccount;
  return z.parseWith(recordForm, parseBoundedJson(bytes, maxRecordBytes, 'account'), 'account');
}

export function accountRecordBytes(record: AccountRecord): Uint8Array {
  return utf8(JSON.stringify(record));
}
