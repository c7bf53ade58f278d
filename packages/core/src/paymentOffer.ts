import { fromBase64Url, toBase64Url, utf8 } from '@cloister/crypto';
import { CloisterError } from './errors.ts';
import type { Address, Bytes32, Hex } from './hex.ts';
import { canonicalJson, parseCanonicalJson } from './jcs.ts';
import type { Channel } from './payment.ts';
import { type Receipt, receiptFieldsFromJson, receiptFieldsToJson } from './receipt.ts';
import * as z from './schema.ts';
import type { SignedTransfer } from './transferAuthorization.ts';

/** A receipt and its signature, without the details that it hashes: all that a payment needs of it. */
export type BareReceipt = { readonly receipt: Receipt; readonly signature: Hex };

/** What the client last saw a signer's receipts of the channel come to. */
export type SignerCumulative = { readonly signer: Address; readonly cumulative: bigint };

/**
 * Pays from a channel: the channel and its newest voucher, what other signers of the operator have
 * earned in it, and receipts of theirs that the worker may not have. With them the operator can claim for a worker that is gone.
 */
export type ChannelOffer = {
  readonly scheme: 'channel';
  readonly channel: Channel;
  readonly maxClaimableAmount: bigint;
  /** The payer key's, over the voucher. */
  readonly signature: Hex;
  readonly totals: readonly SignerCumulative[];
  readonly receipts: readonly BareReceipt[];
};

/** Pays for this one call by a transfer that the worker carries to the chain first: x402's scheme `exact`. */
export type ExactOffer = { readonly scheme: 'exact' } & SignedTransfer;

/** How a client pays for a call, inside the seal. */
export type PaymentOffer = ChannelOffer | ExactOffer;

export const maxOfferedTotals = 32;
export const maxOfferedReceipts = 4;
/** Of an offer's text. */
export const maxPaymentOfferLength = 16_384;

const amount = z.uintString(128);

const channelJson = z.strictObject({
  payer: z.address,
  payerKey: z.address,
  operator: z.address,
  gateway: z.address,
  salt: z.bytes32,
});

const bareReceiptJson = z.strictObject({ receipt: z.jsonObject, signature: z.hexOf(65) });

const channelOfferJson = z.strictObject({
  scheme: z.literal('channel'),
  channel: channelJson,
  maxClaimableAmount: amount,
  signature: z.hexOf(65),
  totals: z.array(z.strictObject({ signer: z.address, cumulative: amount })).check(z.refineArray(0, maxOfferedTotals)),
  receipts: z.array(bareReceiptJson).check(z.refineArray(0, maxOfferedReceipts)),
});

const word = z.uintString(256);
const exactOfferJson = z.strictObject({
  scheme: z.literal('exact'),
  authorization: z.strictObject({
    from: z.address,
    to: z.address,
    value: word,
    validAfter: word,
    validBefore: word,
    nonce: z.bytes32,
  }),
  signature: z.hexOf(65),
});

const offerJson = z.discriminatedUnion('scheme', [channelOfferJson, exactOfferJson]);

/** The offer as it stands in a call header: base64url of canonical JSON. Throws PAYMENT_OFFER_TOO_LONG. */
export function paymentOfferText(offer: PaymentOffer): string {
  const text = toBase64Url(utf8(canonicalJson(offer.scheme === 'exact' ? exactToJson(offer) : channelToJson(offer))));
  if (text.length > maxPaymentOfferLength) throw new PaymentOfferError(text.length);
  return text;
}

/** Reads an offer's text, in its one form. Nothing in it is believed before it is verified. Throws SchemaError, JsonError, EncodingError. */
export function parsePaymentOffer(text: string): PaymentOffer {
  if (text.length > maxPaymentOfferLength) throw new PaymentOfferError(text.length);
  const json = parseCanonicalJson(fromBase64Url(text), maxPaymentOfferLength, 'payment offer');
  const offer = z.parseWith(offerJson, json, 'payment offer');
  if (offer.scheme === 'exact') return offer as ExactOffer;
  return { ...offer, receipts: offer.receipts.map(bareReceiptFromJson) } as ChannelOffer;
}

function channelToJson(offer: ChannelOffer): z.Json {
  return {
    scheme: 'channel',
    channel: { ...offer.channel },
    maxClaimableAmount: offer.maxClaimableAmount.toString(),
    signature: offer.signature,
    totals: offer.totals.map(({ signer, cumulative }) => ({ signer, cumulative: cumulative.toString() })),
    receipts: offer.receipts.map(bareReceiptToJson),
  };
}

function exactToJson({ authorization, signature }: ExactOffer): z.Json {
  const { from, to, value, validAfter, validBefore, nonce } = authorization;
  const times = { validAfter: validAfter.toString(), validBefore: validBefore.toString() };
  return { scheme: 'exact', authorization: { from, to, value: value.toString(), ...times, nonce }, signature };
}

/** What a worker that takes no more on a channel says of it, so that a client which lost its state finds it again. */
export type PaymentStanding = {
  readonly channel: Bytes32;
  /** What the voucher must come to for this call; zero where no voucher would do. */
  readonly needed: bigint;
  /** The highest voucher that the worker has, by the payer key itself. */
  readonly voucher: { readonly maxClaimableAmount: bigint; readonly signature: Hex } | null;
  /** What the operator's signers have earned, as far as the worker knows. */
  readonly totals: readonly SignerCumulative[];
  /** The worker's own last receipt in the channel. */
  readonly receipt: BareReceipt | null;
};

const standingJson = z.strictObject({
  channel: z.bytes32,
  needed: amount,
  voucher: z.nullable(z.strictObject({ maxClaimableAmount: amount, signature: z.hexOf(65) })),
  totals: z.array(z.strictObject({ signer: z.address, cumulative: amount })).check(z.refineArray(0, maxOfferedTotals)),
  receipt: z.nullable(bareReceiptJson),
});

export function paymentStandingToJson({ channel, needed, voucher, totals, receipt }: PaymentStanding): z.Json {
  return {
    channel,
    needed: needed.toString(),
    voucher:
      voucher === null
        ? null
        : { maxClaimableAmount: voucher.maxClaimableAmount.toString(), signature: voucher.signature },
    totals: totals.map(({ signer, cumulative }) => ({ signer, cumulative: cumulative.toString() })),
    receipt: receipt === null ? null : bareReceiptToJson(receipt),
  };
}

/** Reads a worker's word on a channel. Throws SchemaError. */
export function parsePaymentStanding(json: unknown): PaymentStanding {
  const { receipt, ...standing } = z.parseWith(standingJson, json, 'payment standing');
  return { ...standing, receipt: receipt === null ? null : bareReceiptFromJson(receipt) } as PaymentStanding;
}

export function bareReceiptToJson({ receipt, signature }: BareReceipt): { [key: string]: z.Json } {
  return { receipt: receiptFieldsToJson(receipt), signature };
}

/** Throws SchemaError. */
export function bareReceiptFromJson(json: unknown): BareReceipt {
  const { receipt, signature } = z.parseWith(bareReceiptJson, json, 'bare receipt');
  return { receipt: receiptFieldsFromJson(receipt), signature: signature as Hex };
}

/** Reads a channel's parties, as files and answers have them. Throws SchemaError. */
export function channelFromJson(json: unknown): Channel {
  return z.parseWith(channelJson, json, 'channel') as Channel;
}

export class PaymentOfferError extends CloisterError<'PAYMENT_OFFER_TOO_LONG'> {
  override readonly name = 'PaymentOfferError';
  constructor(length: number) {
    super({
      code: 'PAYMENT_OFFER_TOO_LONG',
      message: `A payment offer has at most "${maxPaymentOfferLength}" characters, this one "${length}"`,
    });
  }
}
