import {
  type Address,
  type BareReceipt,
  type Bytes32,
  bareReceiptFromJson,
  bareReceiptToJson,
  type ChannelOffer,
  maxOfferedReceipts,
  maxOfferedTotals,
  schema as z,
} from '@cloister/core';

/** A voucher as it stands in a PAYMENT-SIGNATURE: x402's `batch-settlement`, with what only our channels have beside it. */
export type VoucherPayload = {
  readonly offer: ChannelOffer;
  readonly channel: Bytes32;
  /** Which price it answers. */
  readonly quote: string;
};

/** What x402 names of a channel and ours does not hash. */
export type ChannelConfigRest = {
  readonly receiverAuthorizer: Address;
  readonly token: Address;
  /** Seconds. */
  readonly withdrawDelay: number;
};

const amount = z.uintString(128);
const payloadJson = z.strictObject({
  type: z.literal('voucher'),
  channelConfig: z.strictObject({
    payer: z.address,
    payerAuthorizer: z.address,
    receiver: z.address,
    receiverAuthorizer: z.address,
    token: z.address,
    withdrawDelay: z.uint(),
    salt: z.bytes32,
  }),
  voucher: z.strictObject({ channelId: z.bytes32, maxClaimableAmount: amount, signature: z.hexOf(65) }),
  gateway: z.address,
  quote: z.text(64),
  totals: z.array(z.strictObject({ signer: z.address, cumulative: amount })).check(z.refineArray(0, maxOfferedTotals)),
  receipts: z.array(z.jsonObject).check(z.refineArray(0, maxOfferedReceipts)),
});

/** The names of x402: our payer key is its payer authorizer, our operator its receiver, the worker's signer its receiver authorizer. */
export function voucherPayload(
  { offer, channel, quote }: VoucherPayload,
  { receiverAuthorizer, token, withdrawDelay }: ChannelConfigRest,
): Record<string, unknown> {
  const { payer, payerKey: payerAuthorizer, operator: receiver, gateway, salt } = offer.channel;
  return {
    type: 'voucher',
    channelConfig: { payer, payerAuthorizer, receiver, receiverAuthorizer, token, withdrawDelay, salt },
    voucher: {
      channelId: channel,
      maxClaimableAmount: offer.maxClaimableAmount.toString(),
      signature: offer.signature,
    },
    gateway,
    quote,
    totals: offer.totals.map(({ signer, cumulative }) => ({ signer, cumulative: cumulative.toString() })),
    receipts: offer.receipts.map(bareReceiptToJson),
  };
}

/** Throws SchemaError. */
export function parseVoucherPayload(json: unknown): VoucherPayload {
  const { channelConfig, voucher, gateway, quote, totals, receipts } = z.parseWith(payloadJson, json, 'x402 voucher');
  const { payer, payerAuthorizer: payerKey, receiver: operator, salt } = channelConfig;
  return {
    quote,
    channel: voucher.channelId,
    offer: {
      scheme: 'channel',
      channel: { payer, payerKey, operator, gateway, salt },
      maxClaimableAmount: voucher.maxClaimableAmount,
      signature: voucher.signature,
      totals,
      receipts: receipts.map((receipt): BareReceipt => bareReceiptFromJson(receipt)),
    },
  };
}
