import {
  type Address,
  type BareReceipt,
  bareReceiptFromJson,
  bareReceiptToJson,
  CloisterError,
  type Json,
  type RecordDomain,
  receiptDigest,
  type SignedReceipt,
  signedReceiptFromJson,
  schema as z,
} from '@cloister/core';
import { signerOf } from '../verifyWorker.ts';

/** A receipt with the network's domain that it is signed in. */
export type ShownReceipt = { readonly domain: RecordDomain; readonly bare: BareReceipt };

/**
 * Two receipts of one signer, channel and sequence that differ by their digests: proof for anybody that the signer's enclave no longer does
 * what it was measured to do. The same receipt under another signature is none.
 */
export type Equivocation = {
  readonly domain: RecordDomain;
  readonly signer: Address;
  readonly receipts: readonly [BareReceipt, BareReceipt];
};

const bareJson = z.strictObject({ receipt: z.jsonObject, signature: z.hexOf(65) });
const equivocationJson = z.strictObject({
  format: z.literal('cloister-equivocation-1'),
  chainId: z.uint(),
  registry: z.address,
  signer: z.address,
  receipts: z.array(bareJson).check(z.refineArray(2, 2)),
});

/** Checks that two receipts are an equivocation, by their bytes alone. Throws NoEquivocationError, which says what they are instead. */
export function equivocationOf(one: ShownReceipt | SignedReceipt, other: ShownReceipt | SignedReceipt): Equivocation {
  const [first, second] = [shownOf(one), shownOf(other)];
  const { domain } = first;
  if (domain.chainId !== second.domain.chainId || domain.registry !== second.domain.registry)
    throw new NoEquivocationError(
      'EQUIVOCATION_OTHER_NETWORK',
      `One receipt is of registry "${domain.registry}" on chain "${domain.chainId}", the other of "${second.domain.registry}" on "${second.domain.chainId}"`,
    );
  const receipts = [first.bare.receipt, second.bare.receipt] as const;
  const [{ channel, sequence }, { channel: otherChannel, sequence: otherSequence }] = receipts;
  if (channel !== otherChannel || sequence !== otherSequence)
    throw new NoEquivocationError(
      'EQUIVOCATION_OTHER_PLACE',
      `One receipt has sequence "${sequence}" of channel "${channel}", the other "${otherSequence}" of "${otherChannel}"`,
    );
  const digests = receipts.map((receipt) => receiptDigest(domain, receipt)) as [Hex32, Hex32];
  if (digests[0] === digests[1])
    throw new NoEquivocationError('EQUIVOCATION_SAME_RECEIPT', `Both are the same receipt "${digests[0]}"`);
  const signer = signerIn(digests[0], first, 'first');
  const signerOfOther = signerIn(digests[1], second, 'second');
  if (signer !== signerOfOther)
    throw new NoEquivocationError(
      'EQUIVOCATION_SIGNERS_DIFFER',
      `One receipt is signed by "${signer}", the other by "${signerOfOther}"`,
    );
  return { domain, signer, receipts: [bareOf(first), bareOf(second)] };
}

type Hex32 = ReturnType<typeof receiptDigest>;

function signerIn(digest: Hex32, { bare }: ShownReceipt, which: string): Address {
  const signer = signerOf(digest, bare.signature);
  if (signer !== undefined) return signer;
  throw new NoEquivocationError(
    'EQUIVOCATION_SIGNATURE_INVALID',
    `The signature of the ${which} receipt is made by no key over "${digest}"`,
  );
}

/** Without the details, which no contract reads: they say more of the call than the proof needs. */
function bareOf({ bare: { receipt, signature } }: ShownReceipt): BareReceipt {
  return { receipt, signature };
}

/** As a file: what `cloister slashes report FILE` takes. */
export function equivocationToJson({ domain, signer, receipts }: Equivocation): Json {
  const { chainId, registry } = domain;
  return { format: 'cloister-equivocation-1', chainId, registry, signer, receipts: receipts.map(bareReceiptToJson) };
}

/** Reads that file and checks it again. Throws SchemaError, NoEquivocationError. */
export function equivocationFromJson(json: unknown): Equivocation {
  const [first, second] = receiptsIn(json);
  if (first === undefined || second === undefined)
    throw new NoEquivocationError('EQUIVOCATION_FILE_OTHER', 'The file holds one receipt, where two are needed');
  return equivocationOf(first, second);
}

/**
 * The receipts in a file: of a proof ("cloister call --proof"), of a signed receipt, both of an evidence file. Nothing is checked but the
 * form. Throws EQUIVOCATION_FILE_OTHER, SchemaError.
 */
export function receiptsIn(json: unknown): readonly ShownReceipt[] {
  const format = (json as { format?: unknown } | null)?.format;
  if (format === 'cloister-proof-1') return [shownIn((json as { receipt?: unknown }).receipt)];
  if (format === 'cloister-receipt-1') return [shownIn(json)];
  if (format !== 'cloister-equivocation-1')
    throw new NoEquivocationError(
      'EQUIVOCATION_FILE_OTHER',
      `Expected a proof, a receipt or an equivocation, got a file of format "${String(format).slice(0, 64)}"`,
      'Give what "cloister call --proof" wrote; vouchers and settlement statements are no receipts',
    );
  const { chainId, registry, receipts } = z.parseWith(equivocationJson, json, 'equivocation');
  return receipts.map((receipt) => ({ domain: { chainId, registry }, bare: bareReceiptFromJson(receipt) }));
}

function shownIn(json: unknown): ShownReceipt {
  return shownOf(signedReceiptFromJson(json));
}

function shownOf(given: ShownReceipt | SignedReceipt): ShownReceipt {
  if ('domain' in given) return given;
  const { chainId, registry, receipt, signature } = given;
  return { domain: { chainId, registry }, bare: { receipt, signature } };
}

export type NoEquivocationErrorCode =
  | 'EQUIVOCATION_OTHER_NETWORK'
  | 'EQUIVOCATION_OTHER_PLACE'
  | 'EQUIVOCATION_SAME_RECEIPT'
  | 'EQUIVOCATION_SIGNERS_DIFFER'
  | 'EQUIVOCATION_SIGNATURE_INVALID'
  | 'EQUIVOCATION_FILE_OTHER'
  | 'EQUIVOCATION_SIGNER_UNKNOWN'
  | 'EQUIVOCATION_REPORTED_BEFORE'
  | 'EQUIVOCATION_NOTHING_AT_STAKE';

const hints: Readonly<Partial<Record<NoEquivocationErrorCode, string>>> = {
  EQUIVOCATION_OTHER_NETWORK: 'Only receipts of the network that you pinned count',
  EQUIVOCATION_OTHER_PLACE: 'Only two receipts of one channel and sequence contradict each other',
  EQUIVOCATION_SAME_RECEIPT: 'A worker may give the same receipt as often as it is asked',
  EQUIVOCATION_SIGNERS_DIFFER: 'Each signer counts for itself, and a restarted worker has a new one',
  EQUIVOCATION_SIGNATURE_INVALID: 'It was changed after it was signed, or is of another network',
};

/** Two receipts that cost nobody its bond, and why. */
export class NoEquivocationError extends CloisterError<NoEquivocationErrorCode> {
  override readonly name = 'NoEquivocationError';
  constructor(code: NoEquivocationErrorCode, message: string, hint = hints[code]) {
    super({ code, message, hint });
  }
}
