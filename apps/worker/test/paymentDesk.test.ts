import {
  type Address,
  type BareReceipt,
  type Bytes32,
  type Channel,
  type ChannelOffer,
  channelId,
  type Receipt,
  receiptDigest,
  voucherDigest,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { PaymentDesk } from '../src/payments/paymentDesk.ts';

const address = (byte: string): Address => `0x${byte.repeat(20)}`;
const b32 = (byte: string): Bytes32 => `0x${byte.repeat(32)}`;
const domain = { chainId: 31337, registry: address('04') };
const payments = { chainId: 31337, payments: address('d1') };
const operator = address('0a');
const payerKey = generateSecp256k1();
const [own, other, foreign] = [generateSecp256k1(), generateSecp256k1(), generateSecp256k1()];
const channel: Channel = {
  payer: address('01'),
  payerKey: addressOf(payerKey),
  operator,
  gateway: address('00'),
  salt: b32('00'),
};
const id = channelId(payments, channel);
const signal = new AbortController().signal;

let funds: { bearable: bigint; earned: bigint; isWithdrawing: boolean };
let cumulative: bigint;
let last: BareReceipt | undefined;
let desk: PaymentDesk;
beforeEach(() => {
  funds = { bearable: 1_000n, earned: 0n, isWithdrawing: false };
  cumulative = 0n;
  last = undefined;
  desk = new PaymentDesk({
    domain,
    payments,
    operator,
    signer: addressOf(own),
    funds: { of: async () => funds },
    isOperators: async (signer) => signer === addressOf(own) || signer === addressOf(other),
    book: { cumulative: (of) => (of === id ? cumulative : 0n), last: () => last },
  });
});

function offer(max: bigint, changes: Partial<ChannelOffer> = {}, key = payerKey): ChannelOffer {
  const parties = changes.channel ?? channel;
  const digest = voucherDigest(payments, { channelId: channelId(payments, parties), maxClaimableAmount: max });
  return {
    scheme: 'channel',
    channel: parties,
    maxClaimableAmount: max,
    signature: toHex(signDigest(key, fromHex(digest))),
    totals: [],
    receipts: [],
    ...changes,
  };
}

function receiptBy(signer: SecretBytes, total: bigint, changes: Partial<Receipt> = {}): BareReceipt {
  const receipt: Receipt = {
    app: b32('21'),
    manifest: b32('22'),
    keyVersion: 1n,
    epoch: 1n,
    channel: id,
    sequence: 1n,
    context: b32('00'),
    requestHash: b32('23'),
    inputCommitment: b32('24'),
    outputCommitment: b32('25'),
    status: 0,
    fee: total,
    cumulativeFee: total,
    blockNumber: 1n,
    blockHash: b32('26'),
    time: 1n,
    detailsHash: b32('27'),
    ...changes,
  };
  return { receipt, signature: toHex(signDigest(signer, fromHex(receiptDigest(domain, receipt)))) };
}

const reserve = (one: ChannelOffer, maxFee = 10n) => desk.reserve(one, maxFee, signal);
const refusedAs = (code: string, meta: object = {}) => expect.objectContaining({ code, ...meta });

describe('a promise of payment', () => {
  test('is taken where voucher and deposit cover what was earned and the call', async () => {
    cumulative = 90n;
    const reservation = await reserve(offer(100n));
    expect(reservation).toMatchObject({ channel: id, maxFee: 10n });
    expect([...desk.channels()]).toMatchObject([{ id, parties: channel, voucher: { maxClaimableAmount: 100n } }]);
  });

  test('is never shared by two calls', async () => {
    const first = await reserve(offer(10n));
    await expect(reserve(offer(10n))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
    await reserve(offer(20n));
    first.release();
    // Its fee stands in the total by then.
    cumulative = 3n;
    await expect(reserve(offer(22n))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
    await reserve(offer(23n));
    first.release();
    await expect(reserve(offer(32n))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
  });

  test('of many calls at once is kept to the unit', async () => {
    let highest = 0n;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.bigInt(0n, 300n), { maxLength: 12 }), async (amounts) => {
        const results = await Promise.allSettled(amounts.map((max) => reserve(offer(max), 25n)));
        const granted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        for (const max of amounts) if (max > highest) highest = max;
        expect(BigInt(granted.length) * 25n <= highest).toBe(true);
        for (const one of granted) one.release();
      }),
      { numRuns: 25 },
    );
  });

  test.each<[string, () => ChannelOffer, string]>([
    [
      'pays another operator',
      () => offer(100n, { channel: { ...channel, operator: address('0b') } }),
      'PAYMENT_OTHER_OPERATOR',
    ],
    ['is signed by another key', () => offer(100n, {}, foreign), 'PAYMENT_VOUCHER_FORGED'],
    ['is signed for less', () => offer(1n, { maxClaimableAmount: 100n }), 'PAYMENT_VOUCHER_FORGED'],
    [
      'is of another channel of the same key',
      () => {
        const digest = voucherDigest(payments, {
          channelId: channelId(payments, { ...channel, salt: b32('01') }),
          maxClaimableAmount: 100n,
        });
        return offer(100n, { signature: toHex(signDigest(payerKey, fromHex(digest))) });
      },
      'PAYMENT_VOUCHER_FORGED',
    ],
    ['is too low for the call', () => offer(9n), 'PAYMENT_VOUCHER_TOO_LOW'],
  ])('that %s is refused', async (_, text, code) => {
    await expect(reserve(text())).rejects.toEqual(refusedAs(code));
    expect([...desk.channels()].every(({ voucher }) => voucher.maxClaimableAmount < 100n)).toBe(true);
  });

  test('beyond the deposit is refused, also where a part was asked back', async () => {
    funds = { ...funds, bearable: 95n };
    cumulative = 90n;
    await expect(reserve(offer(1_000n))).rejects.toEqual(refusedAs('PAYMENT_CHANNEL_EMPTY'));
  });

  test('of a channel that is not open takes no room', async () => {
    funds = { ...funds, bearable: 0n };
    await expect(reserve(offer(100n))).rejects.toEqual(refusedAs('PAYMENT_CHANNEL_EMPTY'));
    expect([...desk.channels()]).toEqual([]);
  });

  test('an older voucher changes nothing: the highest counts', async () => {
    (await reserve(offer(100n))).release();
    await expect(reserve(offer(10n))).resolves.toBeDefined();
    expect([...desk.channels()][0]?.voucher.maxClaimableAmount).toBe(100n);
  });
});

describe('what other workers of the operator earned', () => {
  const otherTotal = (value: bigint) => ({ totals: [{ signer: addressOf(other), cumulative: value }] });

  test('counts by the client, by receipts, and by the chain, whatever is the most', async () => {
    await expect(reserve(offer(30n, otherTotal(21n)))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
    // Forgotten by the client, not by the worker.
    await expect(reserve(offer(30n))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
    await reserve(offer(31n));
    funds = { ...funds, earned: 40n };
    await expect(reserve(offer(59n))).rejects.toEqual(refusedAs('PAYMENT_VOUCHER_TOO_LOW'));
    await expect(reserve(offer(60n))).resolves.toBeDefined();
  });

  test('is kept with its receipt, to claim for a worker that is gone', async () => {
    await reserve(offer(100n, { receipts: [receiptBy(other, 7n)] }));
    await reserve(offer(100n, { receipts: [receiptBy(other, 5n)] }));
    expect([...desk.channels()][0]?.receipts.get(addressOf(other))?.receipt.cumulativeFee).toBe(7n);
    expect([...desk.channels()][0]?.others.get(addressOf(other))).toBe(7n);
  });

  test.each<[string, BareReceipt]>([
    ['of a worker of somebody else', receiptBy(foreign, 5n)],
    ['of another channel', receiptBy(other, 5n, { channel: b32('99') })],
    ['whose signature is none', { ...receiptBy(other, 5n), signature: `0x${'00'.repeat(65)}` }],
    ['whose total was changed', { ...receiptBy(other, 5n), receipt: receiptBy(other, 900n).receipt }],
  ])('a receipt %s is refused', async (_, bare) => {
    await expect(reserve(offer(100n, { receipts: [bare] }))).rejects.toEqual(refusedAs('PAYMENT_RECEIPT_FALSE'));
  });

  test("the worker's own receipts teach it nothing", async () => {
    await reserve(
      offer(100n, { receipts: [receiptBy(own, 50n)], totals: [{ signer: addressOf(own), cumulative: 60n }] }),
    );
    expect([...desk.channels()][0]?.others.size).toBe(0);
  });
});

describe('a client that has forgotten', () => {
  test('learns what it promised, by its own signature', async () => {
    (await reserve(offer(80n, { totals: [{ signer: addressOf(other), cumulative: 20n }] }))).release();
    cumulative = 60n;
    last = receiptBy(own, 60n);
    const error = await reserve(offer(10n)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'PAYMENT_VOUCHER_TOO_LOW',
      standing: {
        channel: id,
        needed: 90n,
        voucher: { maxClaimableAmount: 80n },
        totals: [
          { signer: addressOf(own), cumulative: 60n },
          { signer: addressOf(other), cumulative: 20n },
        ],
        receipt: last,
      },
    });
  });

  test('whoever does not hold the key learns nothing', async () => {
    (await reserve(offer(80n))).release();
    const error = await reserve(offer(10n, {}, foreign)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PAYMENT_VOUCHER_FORGED', standing: undefined });
  });
});
