import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import {
  type Address,
  type BareReceipt,
  type Bytes32,
  bareReceiptFromJson,
  bareReceiptToJson,
  type Channel,
  CloisterError,
  channelFromJson,
  type Json,
  parseBoundedJson,
  schema as z,
} from '@cloister/core';
import { writeFileAtomic } from '@cloister/service';
import type { HeldVoucher } from './paymentDesk.ts';
import type { SignedStatement } from './statements.ts';

/** A channel that owes something, with the voucher to claim by. */
export type ClaimableChannel = { readonly id: Bytes32; readonly parties: Channel; readonly voucher: HeldVoucher };

/** Statements whose digests stand in a root that the chain has, leaf by leaf in this order. */
export type AnchoredStatements = { readonly root: Bytes32; readonly statements: readonly SignedStatement[] };

/** What an operator needs to be paid, whatever becomes of the worker: nothing in it is secret, and nothing counts unsigned. */
export type Settlements = {
  readonly channels: readonly ClaimableChannel[];
  /** Of this signer and of earlier ones. */
  readonly statements: readonly SignedStatement[];
  /** Last receipts of signers whose statements are lost, as clients showed them. */
  readonly receipts: readonly (BareReceipt & { readonly signer: Address })[];
  readonly anchored: readonly AnchoredStatements[];
};

export const noSettlements: Settlements = { channels: [], statements: [], receipts: [], anchored: [] };

const maxJournalBytes = 64 * 1024 * 1024;
const amount = z.uintString(128);
const statementJson = z.strictObject({
  signer: z.address,
  block: z.uintString(64),
  pairs: z.array(z.strictObject({ channel: z.bytes32, cumulative: amount })).check(z.refineArray(1, 256)),
  signature: z.hexOf(65),
});
const journalJson = z.strictObject({
  format: z.literal('cloister-settlements-1'),
  payments: z.address,
  registry: z.address,
  channels: z
    .array(
      z.strictObject({
        id: z.bytes32,
        parties: z.jsonObject,
        maxClaimableAmount: amount,
        signature: z.hexOf(65),
      }),
    )
    .check(z.refineArray(0, 100_000)),
  statements: z.array(statementJson).check(z.refineArray(0, 10_000)),
  receipts: z
    .array(z.strictObject({ signer: z.address, receipt: z.jsonObject, signature: z.hexOf(65) }))
    .check(z.refineArray(0, 100_000)),
  anchored: z
    .array(z.strictObject({ root: z.bytes32, statements: z.array(statementJson).check(z.refineArray(1, 10_000)) }))
    .check(z.refineArray(0, 64)),
});

/** Where {@link Settlements} outlive the process. */
export type Journal = Pick<SettlementJournal, 'read' | 'write'>;

/** Keeps nothing beyond the process. */
export function memoryJournal(): Journal {
  return { read: async () => noSettlements, write: async () => {} };
}

/** Keeps {@link Settlements} in a file of the operator's disk, replaced as a whole. */
export class SettlementJournal {
  readonly #file: string;
  readonly #contracts: { readonly payments: Address; readonly registry: Address };
  #written = '';

  constructor(file: string, contracts: { readonly payments: Address; readonly registry: Address }) {
    this.#file = file;
    this.#contracts = contracts;
  }

  /** What was kept last; nothing where there is no file. Throws SETTLEMENTS_MALFORMED, SETTLEMENTS_OF_ANOTHER_NETWORK. */
  async read(): Promise<Settlements> {
    if (!existsSync(this.#file)) return noSettlements;
    const journal = parsed(await readFile(this.#file), this.#file);
    const { payments, registry } = this.#contracts;
    if (journal.payments !== payments || journal.registry !== registry)
      throw new SettlementJournalError(
        'SETTLEMENTS_OF_ANOTHER_NETWORK',
        `"${this.#file}" holds what another network owes (payments "${journal.payments}")`,
        'Name another folder for this network',
      );
    return {
      channels: journal.channels.map(({ id, parties, maxClaimableAmount, signature }) => ({
        id,
        parties: channelFromJson(parties),
        voucher: { maxClaimableAmount, signature: signature as `0x${string}` },
      })),
      statements: journal.statements as SignedStatement[],
      receipts: journal.receipts.map(({ signer, ...bare }) => ({ signer, ...bareReceiptFromJson(bare) })),
      anchored: journal.anchored as AnchoredStatements[],
    };
  }

  /** Keeps it for good; does nothing where nothing changed. */
  async write({ channels, statements, receipts, anchored }: Settlements): Promise<void> {
    const json: Json = {
      format: 'cloister-settlements-1',
      ...this.#contracts,
      channels: channels.map(({ id, parties, voucher }) => ({
        id,
        parties: { ...parties },
        maxClaimableAmount: voucher.maxClaimableAmount.toString(),
        signature: voucher.signature,
      })),
      statements: statements.map(statementToJson),
      receipts: receipts.map(({ signer, ...bare }) => ({ signer, ...bareReceiptToJson(bare) })),
      anchored: anchored.map(({ root, statements: inside }) => ({ root, statements: inside.map(statementToJson) })),
    };
    const text = JSON.stringify(json);
    if (text === this.#written) return;
    await writeFileAtomic(this.#file, text, { mode: 0o600 });
    this.#written = text;
  }
}

function parsed(bytes: Uint8Array, file: string) {
  try {
    return z.parseWith(journalJson, parseBoundedJson(bytes, maxJournalBytes, 'settlements'), 'settlements');
  } catch (cause) {
    throw new SettlementJournalError(
      'SETTLEMENTS_MALFORMED',
      `"${file}" can't be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      'It holds what clients owe: keep it, and move it away before you start the worker again',
      cause,
    );
  }
}

function statementToJson({ signer, block, pairs, signature }: SignedStatement): { [key: string]: Json } {
  return {
    signer,
    block: block.toString(),
    pairs: pairs.map(({ channel, cumulative }) => ({ channel, cumulative: cumulative.toString() })),
    signature,
  };
}

export class SettlementJournalError extends CloisterError<'SETTLEMENTS_MALFORMED' | 'SETTLEMENTS_OF_ANOTHER_NETWORK'> {
  override readonly name = 'SettlementJournalError';
  constructor(code: SettlementJournalError['code'], message: string, hint: string, cause?: unknown) {
    super({ code, message, hint, cause });
  }
}
