import { toBase64Url, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  type ChannelOffer,
  canonicalJson,
  type ExactOffer,
  maxOfferedReceipts,
  maxPaymentOfferLength,
  type PaymentStanding,
  parsePaymentOffer,
  parsePaymentStanding,
  paymentOfferText,
  paymentStandingToJson,
  type Receipt,
} from '../src/index.ts';

const b32 = (byte: string) => `0x${byte.repeat(32)}` as const;
const addr = (byte: string) => `0x${byte.repeat(20)}` as const;
const max128 = (1n << 128n) - 1n;
const receipt: Receipt = {
  app: b32('21'),
  manifest: b32('22'),
  keyVersion: (1n << 64n) - 1n,
  epoch: (1n << 64n) - 1n,
  channel: b32('25'),
  sequence: (1n << 64n) - 1n,
  context: b32('23'),
  requestHash: b32('26'),
  inputCommitment: b32('27'),
  outputCommitment: b32('28'),
  status: 3,
  fee: max128,
  cumulativeFee: max128,
  blockNumber: (1n << 64n) - 1n,
  blockHash: b32('29'),
  time: (1n << 64n) - 1n,
  detailsHash: b32('2a'),
};
const bare = { receipt, signature: `0x${'ab'.repeat(65)}` } as const;
const offer: ChannelOffer = {
  scheme: 'channel',
  channel: { payer: addr('01'), payerKey: addr('02'), operator: addr('03'), gateway: addr('04'), salt: b32('05') },
  maxClaimableAmount: 12_345n,
  signature: `0x${'cd'.repeat(65)}`,
  totals: [{ signer: addr('06'), cumulative: 9n }],
  receipts: [bare],
};
const full: ChannelOffer = {
  ...offer,
  maxClaimableAmount: max128,
  totals: Array.from({ length: 32 }, () => ({ signer: addr('ff'), cumulative: max128 })),
  receipts: Array.from({ length: maxOfferedReceipts }, () => bare),
};

const exact: ExactOffer = {
  scheme: 'exact',
  authorization: {
    from: addr('01'),
    to: addr('03'),
    value: 20_000n,
    validAfter: 0n,
    validBefore: (1n << 256n) - 1n,
    nonce: b32('07'),
  },
  signature: `0x${'cd'.repeat(65)}`,
};

describe('a payment offer', () => {
  test('comes back from its text, which is visible ASCII', () => {
    for (const one of [offer, full, { ...offer, totals: [], receipts: [] }, exact]) {
      const text = paymentOfferText(one);
      expect(text).toMatch(/^[!-~]+$/);
      expect(parsePaymentOffer(text)).toEqual(one);
    }
  });

  test('fits its header at its largest', () => {
    expect(paymentOfferText(full).length).toBeLessThanOrEqual(maxPaymentOfferLength);
    expect(() => parsePaymentOffer('A'.repeat(maxPaymentOfferLength + 1))).toThrow(
      expect.objectContaining({ code: 'PAYMENT_OFFER_TOO_LONG' }),
    );
  });

  const json = () =>
    JSON.parse(Buffer.from(paymentOfferText(offer), 'base64url').toString()) as Record<string, unknown>;
  const change = (name: string, to: unknown) => (value: Record<string, object>) => ({
    ...value,
    authorization: { ...value.authorization, [name]: to },
  });
  const textOf = (value: unknown) => toBase64Url(utf8(canonicalJson(value as never)));
  test.each<[string, (value: Record<string, unknown>) => unknown]>([
    ['no JSON object', () => 1],
    ['an unknown field', (value) => ({ ...value, more: 1 })],
    ['a missing signature', ({ signature: _, ...value }) => value],
    ['an amount that is negative', (value) => ({ ...value, maxClaimableAmount: '-1' })],
    ['an amount beyond 128 bits', (value) => ({ ...value, maxClaimableAmount: (1n << 128n).toString() })],
    ['an amount that is a number', (value) => ({ ...value, maxClaimableAmount: 5 })],
    ['a party that is no address', (value) => ({ ...value, channel: { ...(value.channel as object), payer: '0x01' } })],
    [
      'too many totals',
      (value) => ({ ...value, totals: Array.from({ length: 33 }, () => (value.totals as unknown[])[0]) }),
    ],
    [
      'too many receipts',
      (value) => ({ ...value, receipts: Array.from({ length: 5 }, () => (value.receipts as unknown[])[0]) }),
    ],
    [
      'a receipt with a field too many',
      (value) => ({ ...value, receipts: [{ signature: bare.signature, receipt: { fee: '1' } }] }),
    ],
  ])('is refused with %s', (_, change) => {
    expect(() => parsePaymentOffer(textOf(change(json())))).toThrow(
      expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
    );
  });

  test.each<[string, (value: Record<string, object>) => unknown]>([
    ['of an unknown scheme', (value) => ({ ...value, scheme: 'upto' })],
    ['of both schemes', (value) => ({ ...json(), ...value })],
    ['with a value beyond 256 bits', change('value', (1n << 256n).toString())],
    ['with a nonce that is too short', change('nonce', '0x07')],
    ['to nobody', change('to', undefined)],
    ['with a field too many', change('more', '1')],
    ['with a signature of 64 bytes', (value) => ({ ...value, signature: `0x${'cd'.repeat(64)}` })],
  ])('that is a transfer %s is refused', (_, altered) => {
    const whole = JSON.parse(Buffer.from(paymentOfferText(exact), 'base64url').toString());
    expect(() => parsePaymentOffer(textOf(altered(whole)))).toThrow(
      expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
    );
  });

  test('has one text: other spellings of the same are refused', () => {
    const spaced = toBase64Url(utf8(JSON.stringify(json(), null, 1)));
    expect(() => parsePaymentOffer(spaced)).toThrow();
    expect(() => parsePaymentOffer(`${paymentOfferText(offer)}=`)).toThrow();
    expect(() => parsePaymentOffer('')).toThrow();
  });
});

describe("a worker's word on a channel", () => {
  const standing: PaymentStanding = {
    channel: b32('25'),
    needed: 77n,
    voucher: { maxClaimableAmount: 70n, signature: offer.signature },
    totals: offer.totals,
    receipt: bare,
  };
  test('comes back from its JSON, with and without voucher and receipt', () => {
    for (const one of [standing, { ...standing, voucher: null, receipt: null }])
      expect(parsePaymentStanding(JSON.parse(JSON.stringify(paymentStandingToJson(one))))).toEqual(one);
  });

  test('is refused where it is malformed', () => {
    const json = paymentStandingToJson(standing) as Record<string, unknown>;
    for (const wrong of [null, {}, { ...json, needed: '-1' }, { ...json, extra: 1 }, { ...json, receipt: {} }])
      expect(() => parsePaymentStanding(wrong)).toThrow();
  });
});
