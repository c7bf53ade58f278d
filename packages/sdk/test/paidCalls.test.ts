import {
  type Bytes32,
  type ChannelOffer,
  freePrice,
  parsePaymentOffer,
  priceQuoteDigest,
  type Receipt,
  voucherDigest,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, generateSecp256k1, recoverAddress, signDigest, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CallOptions, createClient, memoryPayerStore, type PayerInit } from '../src/index.ts';
import { Payer } from '../src/payments/payer.ts';
import { address, nowSeconds, SimulatedNetwork, type StubWorker, sealedResponse } from './simulatedNetwork.ts';

const price = { ...freePrice, perCall: '10', perCpuMs: '1' };
const limits = { wallMs: 5_000, cpuMs: 90 };
/** 10 and 90 ms. */
const highest = 100n;
const metering = { wallMs: 5, cpuMs: 2, outputKiB: 1, peakMemoryMiB: 40 };
const payer = address(0x77);

let network: SimulatedNetwork;
let worker: StubWorker;
let app: Bytes32;
/** What the stub charged, as a worker that is honest does. */
let charged: { channel: Bytes32; cumulative: bigint };
/** The offers that came with calls. */
let offers: ChannelOffer[];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  app = network.addApp({ price, limits }).app;
  charged = { channel: zeroBytes32, cumulative: 0n };
  offers = [];
  worker.run = ({ call }) => {
    if (call.voucher !== undefined) offers.push(channelOffer(call.voucher));
    return { body: [utf8('paid')], metering };
  };
  worker.editReceipt = (receipt) => charge(receipt, 12n);
});
afterEach(() => network.stop());

function channelOffer(text: string | undefined): ChannelOffer {
  const offer = parsePaymentOffer(text ?? '');
  if (offer.scheme !== 'channel') throw new Error('Expected an offer from a channel');
  return offer;
}
const domain = () => ({ chainId: network.file.chainId, payments: network.file.contracts.payments });
function charge(receipt: Receipt, fee: bigint): Receipt {
  charged.cumulative += fee;
  return { ...receipt, channel: charged.channel, fee, cumulativeFee: charged.cumulative };
}
/** A client with money for this worker's operator. */
function funded(init: Partial<PayerInit> = {}, deposited = 1_000n) {
  const key = init.key ?? toHex(fromHex(`0x${'5a'.repeat(32)}`));
  const { id } = new Payer(
    { payments: domain(), reader: { channel: () => Promise.reject() } },
    { payer, key },
  ).channelFor({
    operator: worker.operator,
    gateway: address(0),
  });
  network.registries.channels.set(id, { deposited });
  charged.channel = id;
  return createClient({ network: network.file, fetch: network.gateway.fetch, payer: { payer, key, ...init } });
}
const call = (client = funded(), options: CallOptions = {}) => client.call(app, {}, { maxFee: highest, ...options });

describe('a call of an app with a price', () => {
  test('carries a voucher for what it may cost, and is charged what was measured', async () => {
    const client = funded();
    const result = await call(client);
    expect(result.receipt.receipt).toMatchObject({ channel: charged.channel, fee: 12n, cumulativeFee: 12n });
    expect(result.steps.map(({ id }) => id)).toContain('receipt-charge');
    expect(offers).toMatchObject([{ maxClaimableAmount: highest, totals: [], receipts: [] }]);
    await call(client);
    expect(offers[1]?.maxClaimableAmount).toBe(12n + highest);
    const [offer] = offers;
    if (offer === undefined) throw new Error('no offer');
    const digest = voucherDigest(domain(), { channelId: charged.channel, maxClaimableAmount: highest });
    expect(recoverAddress(fromHex(digest), fromHex(offer.signature))).toBe(offer.channel.payerKey);
  });

  test.each<[string, CallOptions]>([
    ['nothing', { maxFee: 0n }],
    ['less than it may cost', { maxFee: highest - 1n }],
  ])('is not sent where the caller allows %s', async (_, options) => {
    await expect(call(funded(), options)).rejects.toMatchObject({
      code: 'PAYMENT_NOT_ALLOWED',
      message: expect.stringContaining('"100"'),
    });
    expect(network.gateway.calls).toEqual([]);
  });

  test('is not sent without a payer, without money, beyond what is there, or while it is asked back', async () => {
    const plain = createClient({ network: network.file, fetch: network.gateway.fetch });
    await expect(call(plain)).rejects.toMatchObject({ code: 'PAYMENT_NO_PAYER' });
    await expect(call(funded({}, highest - 1n))).rejects.toMatchObject({ code: 'PAYMENT_NO_FUNDS' });
    const client = funded();
    network.registries.channels.set(charged.channel, { deposited: 1_000n, withdrawing: 950n });
    await expect(call(client)).rejects.toMatchObject({ code: 'PAYMENT_NO_FUNDS' });
    network.registries.channels.set(charged.channel, { deposited: 1_000n, closed: true });
    await expect(call(client)).rejects.toMatchObject({ code: 'PAYMENT_NO_FUNDS' });
    expect(network.gateway.calls).toEqual([]);
  });

  test("is kept within its key's limits, whatever is deposited", async () => {
    await expect(call(funded({ limits: { perCall: highest - 1n } }))).rejects.toMatchObject({
      code: 'PAYMENT_LIMIT_REACHED',
    });
    const client = funded({ limits: { inAll: 2n * highest } });
    for (let made = 0; made < 9; made++) await call(client);
    // 108 are spent: one more call could come to 208.
    await expect(call(client)).rejects.toMatchObject({ code: 'PAYMENT_LIMIT_REACHED' });
  });

  test("side by side with others shares its key's limits", async () => {
    const client = funded({ limits: { inAll: 2n * highest } });
    const made = await Promise.allSettled(Array.from({ length: 8 }, () => call(client)));
    expect(offers.every(({ maxClaimableAmount }) => maxClaimableAmount <= 2n * highest)).toBe(true);
    const refusals = made.flatMap((one) => (one.status === 'rejected' ? [one.reason as { code?: string }] : []));
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'PAYMENT_LIMIT_REACHED' });
  });

  test('of the worker itself costs nothing', async () => {
    worker.run = () => ({ status: 422, outcome: 'refused', manifest: zeroBytes32, code: 'ANY' });
    worker.editReceipt = (receipt) => receipt;
    const client = funded();
    expect((await call(client)).outcome).toBe('refused');
    worker.run = () => ({ metering });
    worker.editReceipt = (receipt) => charge(receipt, 12n);
    await call(client);
    const [ledger] = await client.payments.history();
    expect(ledger).toMatchObject({ fee: 12n, app });
  });
});

describe('a worker that charges wrongly', () => {
  test.each<[string, (receipt: Receipt) => Receipt, string]>([
    ['more than was measured', (receipt) => charge(receipt, 13n), 'RECEIPT_REFUSED'],
    ['another channel', (receipt) => ({ ...charge(receipt, 12n), channel: `0x${'99'.repeat(32)}` }), 'RECEIPT_REFUSED'],
    [
      'for calls that never were',
      (receipt) => ({ ...charge(receipt, 12n), cumulativeFee: 113n }),
      'PAYMENT_OVERCHARGED',
    ],
    ['without a channel', (receipt) => ({ ...receipt, fee: 12n }), 'RECEIPT_REFUSED'],
  ])('%s: the answer is not used', async (_, edit, code) => {
    worker.editReceipt = edit;
    await expect(call()).rejects.toMatchObject({ code });
  });

  test('gets no more than one call of it', async () => {
    const client = funded();
    worker.editReceipt = (receipt) => ({ ...charge(receipt, 12n), cumulativeFee: charged.cumulative + 500n });
    for (let made = 0; made < 3; made++)
      await expect(call(client)).rejects.toMatchObject({ code: 'PAYMENT_OVERCHARGED' });
    // Each of the three may have cost its most: that is what is promised, and nothing of the 500.
    expect(offers.at(-1)?.maxClaimableAmount).toBe(3n * highest);
  });
});

describe('an answer that is lost', () => {
  test('is asked for again, with the same promise', async () => {
    network.gateway.faults.push(async (to, bytes) => {
      await to.serve(bytes);
      throw new TypeError('fetch failed');
    });
    const result = await call();
    expect(result.receipt.receipt.cumulativeFee).toBe(12n);
    expect(worker.runs).toBe(1);
  });

  test('for good counts as its most until the next receipt says what it was', async () => {
    const lose = async (to: StubWorker, bytes: Uint8Array) => {
      await to.serve(bytes);
      throw new TypeError('fetch failed');
    };
    network.gateway.faults.push(lose, lose, lose, lose);
    const client = funded();
    await expect(call(client)).rejects.toMatchObject({ code: 'CALL_CONNECTION_LOST' });
    await call(client);
    expect(offers.at(-1)?.maxClaimableAmount).toBe(2n * highest);
    await call(client);
    expect(offers.at(-1)?.maxClaimableAmount).toBe(2n * highest);
    expect(charged.cumulative).toBe(36n);
  });
});

test('an answer that breaks off while it is read counts as the most of one call, and the next receipt says what it was', async () => {
  network.gateway.faults.push(async (to, bytes) => sealedResponse((await to.serve(bytes)).slice(0, 2)));
  const client = funded();
  const sealed = client.fetchFor(app, { maxFee: highest });
  await expect((await sealed('https://app.example/')).text()).rejects.toMatchObject({ code: 'CALL_ANSWER_INCOMPLETE' });
  expect([worker.runs, network.gateway.calls.length]).toEqual([1, 1]);
  for (let made = 0; made < 2; made++) await call(client);
  expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([highest, 2n * highest, 2n * highest]);
  expect(charged.cumulative).toBe(36n);
});

describe("a payer's state", () => {
  test('is kept before a voucher leaves, and taken up by the next process', async () => {
    const store = memoryPayerStore();
    const seen: unknown[] = [];
    worker.run = async () => {
      seen.push(await store.load());
      return { metering };
    };
    const key = toHex(generateSecp256k1().reveal());
    await call(funded({ store, key }));
    expect(JSON.stringify(seen[0])).toContain('"voucher":"100"');
    await call(funded({ store, key }));
    expect(JSON.stringify(seen[1])).toContain('"voucher":"112"');
    const other = funded({ store });
    await expect(call(other)).rejects.toMatchObject({ code: 'PAYMENT_STATE_MALFORMED' });
  });

  test('that was lost is learnt from the refusal, and the call made anew', async () => {
    const key = generateSecp256k1();
    const client = funded({ key: toHex(key.reveal()) });
    const promised = 500n;
    const digest = voucherDigest(domain(), { channelId: charged.channel, maxClaimableAmount: promised });
    const standing = {
      channel: charged.channel,
      needed: '580',
      voucher: { maxClaimableAmount: '500', signature: toHex(signDigest(key, fromHex(digest))) },
      totals: [{ signer: worker.receiptSigner, cumulative: '480' }],
      receipt: null,
    };
    charged.cumulative = 480n;
    worker.run = ({ call: { voucher } }) => {
      const offer = channelOffer(voucher);
      offers.push(offer);
      if (offer.maxClaimableAmount >= 580n) return { metering };
      const body = JSON.stringify({
        refusedBy: 'worker',
        code: 'PAYMENT_VOUCHER_TOO_LOW',
        message: '',
        payment: standing,
      });
      return {
        status: 402,
        outcome: 'refused',
        manifest: zeroBytes32,
        code: 'PAYMENT_VOUCHER_TOO_LOW',
        body: [utf8(body)],
      };
    };
    worker.editReceipt = (receipt) => (receipt.status === 0 ? charge(receipt, 12n) : receipt);
    const result = await call(client);
    expect(result.receipt.receipt.cumulativeFee).toBe(492n);
    expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([100n, 580n]);
  });

  test('does not grow by a lie: totals beyond what the key has signed, or a voucher of another key', async () => {
    const key = generateSecp256k1();
    for (const [total, signer] of [
      ['501', key],
      ['480', generateSecp256k1()],
    ] as const) {
      const client = funded({ key: toHex(key.reveal()) });
      const digest = voucherDigest(domain(), { channelId: charged.channel, maxClaimableAmount: 500n });
      const standing = {
        channel: charged.channel,
        needed: '601',
        voucher: { maxClaimableAmount: '500', signature: toHex(signDigest(signer, fromHex(digest))) },
        totals: [{ signer: worker.receiptSigner, cumulative: total }],
        receipt: null,
      };
      worker.run = ({ call: { voucher } }) => {
        offers.push(channelOffer(voucher));
        const body = JSON.stringify({ payment: standing });
        return {
          status: 402,
          outcome: 'refused',
          manifest: zeroBytes32,
          code: 'PAYMENT_VOUCHER_TOO_LOW',
          body: [utf8(body)],
        };
      };
      worker.editReceipt = (receipt) => receipt;
      offers = [];
      expect((await call(client)).outcome).toBe('refused');
      expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([100n]);
    }
  });
});

describe("a worker's own prices", () => {
  const quoteOf = (changes: object = {}, signer = worker.signer) => {
    const quote = {
      perCall: 4n,
      perCpuMs: 1n,
      perGiBSecond: 0n,
      perOutputKiB: 0n,
      perInputToken: 0n,
      perOutputToken: 0n,
      notAfter: BigInt(nowSeconds() + 600),
      ...changes,
    };
    return { ...quote, signature: toHex(signDigest(signer, fromHex(priceQuoteDigest(network.domain, quote)))) };
  };
  const announce = (quote: ReturnType<typeof quoteOf>) => {
    worker.announcement = { ...worker.announcement, quote };
  };

  test('count in place of the manifest, which allows more', async () => {
    announce(quoteOf());
    worker.editReceipt = (receipt) => charge(receipt, 6n);
    expect((await call(funded(), { maxFee: 94n })).receipt.receipt.fee).toBe(6n);
    expect(offers[0]?.maxClaimableAmount).toBe(94n);
    worker.editReceipt = (receipt) => charge(receipt, 7n);
    await expect(call(funded(), { maxFee: 94n })).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('above the manifest leave the worker out', async () => {
    announce(quoteOf({ perOutputKiB: 1n }));
    await expect(call()).rejects.toMatchObject({ code: 'PAYMENT_PRICE_TOO_LOW' });
  });

  test.each<[string, () => ReturnType<typeof quoteOf>]>([
    ['signed by somebody else', () => quoteOf({}, generateSecp256k1())],
    ['changed on the way', () => ({ ...quoteOf(), perCall: 3n })],
    ['out of date', () => quoteOf({ notAfter: BigInt(nowSeconds() - 60) })],
  ])('that are %s count as none', async (_, quote) => {
    announce(quote());
    expect((await call()).receipt.receipt.fee).toBe(12n);
    expect(offers[0]?.maxClaimableAmount).toBe(highest);
  });
});
