import {
  type ChannelOffer,
  type ExactOffer,
  freePrice,
  functionManifest,
  highestFeeOf,
  type Price,
  paymentOfferText,
  priceOf,
} from '@cloister/core';
import { describe, expect, test, vi } from 'vitest';
import { Cashier } from '../src/payments/cashier.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const b32 = (byte: string) => `0x${byte.repeat(32)}` as const;
const signature = `0x${'cd'.repeat(65)}` as const;
const signal = new AbortController().signal;
const code = { sha256: b32('cc'), bytes: 10 };
const priced = functionManifest({ name: 'sample', code, price: { ...freePrice, perCall: '7' } });
const highest = highestFeeOf(priced);
const channelOffer: ChannelOffer = {
  scheme: 'channel',
  channel: {
    payer: address('01'),
    payerKey: address('02'),
    operator: address('03'),
    gateway: address('04'),
    salt: b32('05'),
  },
  maxClaimableAmount: 9n,
  signature,
  totals: [],
  receipts: [],
};
const exactOffer: ExactOffer = {
  scheme: 'exact',
  authorization: {
    from: address('01'),
    to: address('03'),
    value: 7n,
    validAfter: 0n,
    validBefore: 9n,
    nonce: b32('06'),
  },
  signature,
};
const reservation = { channel: b32('25'), maxFee: highest, release: () => {} };
const settled = { chainId: 1, from: address('01'), amount: 7n, transaction: b32('7a') };

function cashier(prices?: Price) {
  const reserve = vi.fn(async () => reservation);
  const settle = vi.fn(async () => settled);
  return { reserve, settle, cashier: new Cashier({ channels: { reserve }, exact: { settle }, prices }) };
}
const call = (offer: ChannelOffer | ExactOffer, maxFee = 0n) => ({
  voucher: paymentOfferText(offer),
  maxFee,
  id: b32('ca'),
});

describe('a call is paid before it runs', () => {
  test('by nothing where it is free', async () => {
    const { cashier: desk, reserve, settle } = cashier();
    expect(await desk.take(functionManifest({ name: 'sample', code }), call(exactOffer), signal)).toBeUndefined();
    expect([reserve, settle].flatMap(({ mock }) => mock.calls)).toEqual([]);
  });

  test('from a channel, for its highest fee, where the client allows that', async () => {
    const { cashier: desk, reserve } = cashier();
    expect(await desk.take(priced, call(channelOffer, highest), signal)).toEqual({
      scheme: 'channel',
      reservation,
      price: priceOf(priced),
    });
    expect(reserve).toHaveBeenCalledWith(channelOffer, highest, signal);
    await expect(desk.take(priced, call(channelOffer, highest - 1n), signal)).rejects.toMatchObject({
      code: 'PAYMENT_MAX_FEE_TOO_LOW',
    });
  });

  test("by the worker's own prices, which are below the manifest's", async () => {
    const prices = {
      perCall: 1n,
      perCpuMs: 0n,
      perGiBSecond: 0n,
      perOutputKiB: 0n,
      perInputToken: 0n,
      perOutputToken: 0n,
    };
    const { cashier: desk, reserve } = cashier(prices);
    expect(await desk.take(priced, call(channelOffer, 1n), signal)).toEqual({
      scheme: 'channel',
      reservation,
      price: prices,
    });
    expect(reserve).toHaveBeenCalledWith(channelOffer, 1n, signal);
    const dear = cashier({ ...prices, perGiBSecond: 1n }).cashier;
    await expect(dear.take(priced, call(channelOffer, highest), signal)).rejects.toMatchObject({
      code: 'PAYMENT_PRICE_TOO_LOW',
    });
    const free = cashier({ ...prices, perCall: 0n }).cashier;
    expect(await free.take(priced, call(channelOffer, highest), signal)).toBeUndefined();
  });

  test('by a transfer, for the very call that shows it: the receipt charges nothing, so nothing need be allowed', async () => {
    const { cashier: desk, settle } = cashier();
    expect(await desk.take(priced, call(exactOffer), signal)).toEqual({ scheme: 'exact', settled });
    expect(settle).toHaveBeenCalledWith(exactOffer, highest, b32('ca'), signal);
  });

  test.each([
    ['nothing is offered', undefined, 'PAYMENT_MISSING'],
    ['what is offered is no offer', 'AAAA', 'PAYMENT_OFFER_MALFORMED'],
    ['the operator takes no transfers', paymentOfferText(exactOffer), 'PAYMENT_EXACT_OFF'],
  ])('and is refused where %s', async (_, voucher, refusal) => {
    const desk = new Cashier({ channels: cashier().cashier as never, exact: undefined, prices: undefined });
    await expect(desk.take(priced, { voucher, maxFee: highest, id: b32('ca') }, signal)).rejects.toMatchObject({
      code: refusal,
    });
  });
});
