import {
  type ChannelOffer,
  channelId,
  type PaymentStanding,
  voucherDigest,
  voucherDomainSeparator,
  x402HeaderText,
} from '@cloister/core';
import { fromHex, recoverAddress, toHex, utf8 } from '@cloister/crypto';
import { createClient, memoryPayerStore } from '@cloister/sdk';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { hashTypedData } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { address, bytes32, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';
import { offerIn, price, refusedPayment, stubMoney } from './x402Parts.ts';

const payer = address(0x77);
const key = toHex(new Uint8Array(32).fill(9));
const url = 'https://app.example/x';
const metering = { wallMs: 1, cpuMs: 1, outputKiB: 1, peakMemoryMiB: 1 };
let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
let money: { deposited: bigint };
let offers: ChannelOffer[];
let total: bigint;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  money = { deposited: 1_000n };
  stubMoney(network, money);
  ({ app } = network.addApp({ price, limits: { wallMs: 1_000 } }));
  offers = [];
  total = 0n;
  let channel = bytes32(0);
  worker.run = (opened) => {
    const offer = offerIn(opened) as ChannelOffer;
    offers.push(offer);
    channel = channelId(domain(), offer.channel);
    return { body: [utf8('paid')], details: { metering } };
  };
  worker.editReceipt = (receipt) => {
    if (receipt.status !== 0) return receipt;
    total += 20n;
    return { ...receipt, channel, sequence: total / 20n, fee: 20n, cumulativeFee: total };
  };
});
afterEach(() => {
  vi.useRealTimers();
  return network.stop();
});

const domain = () => ({ chainId: network.file.chainId, payments: network.file.contracts.payments });
/** Of the chain's age, where a test moves the clock on. */
const clockMs = Date.now.bind(Date);
const newClient = (store = memoryPayerStore()) =>
  createClient({ network: network.file, fetch: network.gateway.fetch, payer: { payer, key, store }, clockMs });

/** The client of x402 as it is on npm, with our scheme. */
function x402(client: ReturnType<typeof newClient>): x402Client {
  return new x402Client()
    .register('eip155:*', client.channelScheme())
    .setSpendControls({ allowedAssets: [{ network: 'eip155:31337', asset: network.file.contracts.phaToken }] });
}
const paying = (client = newClient()) => wrapFetchWithPayment(client.fetchFor(app), x402(client));
const required = async (response: Response) => JSON.parse(atob(response.headers.get('payment-required') ?? ''));

describe("the unmodified client of x402 pays from this client's channels", () => {
  test('call after call, each by the next voucher; receipts are counted as with any call', async () => {
    const client = newClient();
    const fetchPaid = paying(client);
    for (let round = 0; round < 3; round++) {
      const response = await fetchPaid(url, { method: 'POST', body: 'the question' });
      expect([response.status, await response.text()]).toEqual([200, 'paid']);
      expect(decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')).toEqual({
        success: true,
        transaction: '',
        network: 'eip155:31337',
        payer,
      });
    }
    expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([20n, 40n, 60n]);
    expect((await client.payments.history()).map(({ fee }) => fee)).toEqual([20n, 20n, 20n]);
    const outside = network.gateway.calls.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join();
    for (const secret of ['the question', 'voucher', offers[0]?.signature ?? '', payer])
      expect(outside).not.toContain(secret);
  });

  test("by vouchers of x402's type, in x402's domain, with this network's contract in it", async () => {
    const client = newClient();
    const response = await client.fetchFor(app)(url);
    const price402 = await required(response);
    const { payload, accepted } = (await x402(client).createPaymentPayload(price402)) as never as {
      payload: Record<string, never>;
      accepted: { scheme: string; extra: object };
    };
    expect(accepted).toMatchObject({
      scheme: 'batch-settlement',
      amount: '20',
      payTo: worker.operator,
      extra: { name: 'x402 Batch Settlement', version: '1', verifyingContract: domain().payments, withdrawDelay: 900 },
    });
    const { channelConfig, voucher } = payload as never as {
      channelConfig: Record<string, `0x${string}`>;
      voucher: { channelId: `0x${string}`; maxClaimableAmount: string; signature: `0x${string}` };
    };
    expect(channelConfig).toEqual({
      payer,
      payerAuthorizer: recoverAddress(
        fromHex(voucherDigest(domain(), { channelId: voucher.channelId, maxClaimableAmount: 20n })),
        fromHex(voucher.signature),
      ),
      receiver: worker.operator,
      receiverAuthorizer: worker.receiptSigner,
      token: network.file.contracts.phaToken,
      withdrawDelay: 900,
      salt: bytes32(0),
    });
    expect(
      hashTypedData({
        domain: { name: 'x402 Batch Settlement', version: '1', chainId: 31_337, verifyingContract: domain().payments },
        types: {
          Voucher: [
            { name: 'channelId', type: 'bytes32' },
            { name: 'maxClaimableAmount', type: 'uint128' },
          ],
        },
        primaryType: 'Voucher',
        message: { channelId: voucher.channelId, maxClaimableAmount: 20n },
      }),
    ).toBe(voucherDigest(domain(), { channelId: voucher.channelId, maxClaimableAmount: 20n }));
    expect(voucherDomainSeparator(domain())).not.toBe(voucherDomainSeparator({ ...domain(), payments: address(0x40) }));
  });

  test('of two calls at once each has its own promise', async () => {
    const fetchPaid = paying();
    const texts = await Promise.all([fetchPaid(url), fetchPaid(url)].map(async (one) => (await one).text()));
    expect(texts).toEqual(['paid', 'paid']);
    expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount).sort()).toEqual([20n, 40n]);
  });

  test('and finds its state again where it was lost, by one more try', async () => {
    const forgotten = newClient();
    await (await paying(forgotten)(url)).text();
    const held = offers[0] ?? expect.fail();
    const { run } = worker;
    worker.run = (opened) => {
      const offer = offerIn(opened) as ChannelOffer;
      if (offer.maxClaimableAmount >= 40n) return run(opened);
      const standing: PaymentStanding = {
        channel: channelId(domain(), offer.channel),
        needed: 40n,
        voucher: { maxClaimableAmount: held.maxClaimableAmount, signature: held.signature },
        totals: [{ signer: worker.receiptSigner, cumulative: 20n }],
        receipt: null,
      };
      return refusedPayment('PAYMENT_VOUCHER_TOO_LOW', standing);
    };
    const response = await paying(newClient())(url);
    expect([response.status, await response.text()]).toEqual([200, 'paid']);
    expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([20n, 40n]);
  });

  test('a refusal that teaches nothing is a 402 that says why, and is not tried again', async () => {
    worker.run = () => refusedPayment('PAYMENT_VOUCHER_TOO_LOW');
    const response = await paying()(url);
    expect(response.status).toBe(402);
    expect((await required(response)).error).toMatch(/^PAYMENT_VOUCHER_TOO_LOW/);
    expect(network.gateway.calls).toHaveLength(1);
  });
});

describe('a voucher', () => {
  async function promised(client = newClient()) {
    const sealed = client.fetchFor(app);
    const payload = await x402(client).createPaymentPayload(await required(await sealed(url)));
    const send = (value: unknown) => sealed(url, { headers: { 'payment-signature': x402HeaderText(value) } });
    return { client, payload, send };
  }

  test('is sent once', async () => {
    const { payload, send } = await promised();
    expect(await (await send(payload)).text()).toBe('paid');
    const again = await send(payload);
    expect([again.status, (await required(again)).error]).toEqual([402, expect.stringMatching(/paid already/)]);
    expect(offers).toHaveLength(1);
  });

  test('is sent as it was promised, or not at all', async () => {
    const { payload, send } = await promised();
    const changes: ((copy: Record<string, object>) => void)[] = [
      (copy) => Object.assign(copy.voucher ?? {}, { maxClaimableAmount: '900' }),
      (copy) => Object.assign(copy.voucher ?? {}, { channelId: bytes32(3) }),
      (copy) => Object.assign(copy.channelConfig ?? {}, { receiver: address(0x0c) }),
      (copy) => Object.assign(copy, { gateway: address(0x0c) }),
      (copy) => Object.assign(copy, { quote: 'another' }),
      (copy) => Object.assign(copy, { more: 1 }),
    ];
    for (const change of changes) {
      const copy = structuredClone(payload);
      change(copy.payload as never);
      expect((await send(copy)).status).toBe(402);
    }
    expect(network.gateway.calls).toEqual([]);
    expect((await send(payload)).status).toBe(200);
  });

  test('is promised to nobody but the client itself asked for it', async () => {
    const client = newClient();
    const scheme = client.channelScheme();
    const [ours] = (await required(await client.fetchFor(app)(url))).accepts;
    for (const foreign of [
      { ...ours, extra: { ...ours.extra, quote: 'of somebody else' } },
      { ...ours, extra: { ...ours.extra, quote: undefined } },
      { ...ours, extra: { ...ours.extra, verifyingContract: '0x4020615294c913f045dc10f0a5cdebd86c280003' } },
      { ...ours, network: 'eip155:1' },
      { ...ours, asset: address(9) },
    ])
      await expect(scheme.createPaymentPayload(2, foreign)).rejects.toMatchObject({
        code: 'PAYMENT_REQUIREMENTS_FOREIGN',
      });
    // What a hostile server says of amount and payee counts for nothing.
    const { payload } = await scheme.createPaymentPayload(2, { ...ours, amount: '900', payTo: address(9) });
    expect(payload).toMatchObject({
      voucher: { maxClaimableAmount: '20' },
      channelConfig: { receiver: worker.operator },
    });
  });

  test('that was promised and never sent counts as lost, and the price is forgotten', async () => {
    const { client, payload, send } = await promised();
    vi.useFakeTimers({ now: Date.now() + 301_000, toFake: ['Date'] });
    await client.fetchFor(app)(url);
    vi.useRealTimers();
    expect((await send(payload)).status).toBe(402);
    const response = await paying(client)(url);
    expect(await response.text()).toBe('paid');
    expect(offers.map(({ maxClaimableAmount }) => maxClaimableAmount)).toEqual([40n]);
  });

  test('needs a deposit: without one only exact is offered', async () => {
    money.deposited = 0n;
    const client = newClient();
    const { accepts } = await required(await client.fetchFor(app)(url));
    expect(accepts.map(({ scheme }: { scheme: string }) => scheme)).toEqual(['exact']);
  });

  test('comes first where both are possible, and either is taken', async () => {
    const client = newClient();
    const { accepts } = await required(await client.fetchFor(app)(url));
    expect(accepts.map(({ scheme }: { scheme: string }) => scheme)).toEqual(['batch-settlement', 'exact']);
    const both = x402(client).register('eip155:*', new ExactEvmScheme(privateKeyToAccount(generatePrivateKey())));
    await (await wrapFetchWithPayment(client.fetchFor(app), both)(url)).text();
    expect(offers).toHaveLength(1);
  });

  test('is signed by nobody where there is no payer', () => {
    const client = createClient({ network: network.file, fetch: network.gateway.fetch });
    expect(() => client.channelScheme()).toThrow(expect.objectContaining({ code: 'PAYMENT_NO_PAYER' }));
  });

  test('is not asked for where the client was given leave to pay by itself', async () => {
    const response = await newClient().fetchFor(app, { maxFee: 20n })(url);
    expect([response.status, await response.text()]).toEqual([200, 'paid']);
  });
});
