import { type ExactOffer, priceQuoteDigest, transferAuthorizationDigest, x402HeaderText } from '@cloister/core';
import { fromHex, recoverAddress, signDigest, toHex, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { address, bytes32, nowSeconds, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';
import { offerIn, price, refusedPayment, settledAnswer, stubMoney, transaction } from './x402Parts.ts';

const account = privateKeyToAccount(generatePrivateKey());
const url = 'https://app.example/items?id=7';
let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
let highest: bigint;
let seen: { headers: string[]; body: string; offer: ExactOffer; maxFee: bigint }[];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  stubMoney(network, { deposited: 0n });
  ({ app } = network.addApp({ price, limits: { wallMs: 1_000 } }));
  seen = [];
  worker.run = (opened) => {
    const { request, call } = opened;
    seen.push({
      headers: request.headers.map(([name]) => name),
      body: new TextDecoder().decode(request.body),
      offer: offerIn(opened) as ExactOffer,
      maxFee: call.maxFee,
    });
    return settledAnswer(opened, { headers: [['content-type', 'text/plain']] });
  };
  const client = newClient();
  highest = await client.quote(app);
});
afterEach(() => network.stop());

const newClient = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const sealedFetch = () => newClient().fetchFor(app);

/** The client of x402 as it is on npm; PHA is none of the tokens that it knows, so it is told to take it. */
function x402() {
  const allowedAssets = [{ network: 'eip155:31337', asset: network.file.contracts.phaToken }] as const;
  const client = new x402Client().register('eip155:*', new ExactEvmScheme(account));
  client.setSpendControls({ allowedAssets: [...allowedAssets] });
  return client;
}

/** The header of one payment, to be sent as often as one likes. */
async function paymentFor(sealed: typeof fetch): Promise<string> {
  const response = await sealed(url);
  const required = JSON.parse(atob(response.headers.get('payment-required') ?? ''));
  const payload = await x402().createPaymentPayload(required);
  return x402HeaderText(payload);
}

describe('without a payment', () => {
  test('the answer is a 402 that says what is taken, and nothing was sent', async () => {
    const response = await sealedFetch()(url, { method: 'POST', body: 'secret' });
    expect(response.status).toBe(402);
    const required = JSON.parse(atob(response.headers.get('payment-required') ?? ''));
    expect(await response.json()).toEqual(required);
    expect(required).toEqual({
      x402Version: 2,
      error: 'PAYMENT_REQUIRED',
      resource: { url, description: 'A call of "sample"' },
      accepts: [
        {
          scheme: 'exact',
          network: 'eip155:31337',
          asset: network.file.contracts.phaToken,
          amount: highest.toString(),
          payTo: worker.operator,
          maxTimeoutSeconds: 300,
          extra: { name: 'Phala', version: '1', assetTransferMethod: 'eip3009', worker: worker.workerId },
        },
      ],
    });
    expect(network.gateway.calls).toEqual([]);
  });

  test('a free app is called as ever, its own use of the header included', async () => {
    const free = network.addApp();
    const heard: unknown[] = [];
    worker.run = ({ request, call }) => {
      heard.push(request.headers, call.voucher);
      return {};
    };
    await newClient().fetchFor(free.app)(url, { headers: { 'payment-signature': 'its own' } });
    expect(heard).toEqual([[['payment-signature', 'its own']], undefined]);
  });

  test('where no worker serves the app, that is the answer', async () => {
    network.gateway.workers.clear();
    await expect(sealedFetch()(url)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
  });
});

describe('the unmodified client of x402 around our fetch', () => {
  test('pays by exact; the payment goes inside the seal, to the worker alone', async () => {
    const response = await wrapFetchWithPayment(sealedFetch(), x402())(url, { method: 'POST', body: 'the question' });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('paid answer');
    expect(decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')).toEqual({
      success: true,
      transaction,
      network: 'eip155:31337',
      payer: account.address.toLowerCase(),
      amount: highest.toString(),
    });
    const [{ offer, headers, body } = expect.fail()] = seen;
    expect([seen.length, body]).toEqual([1, 'the question']);
    expect(headers).not.toContain('payment-signature');
    const { authorization, signature } = offer;
    expect(authorization).toMatchObject({ to: worker.operator, value: highest, from: account.address.toLowerCase() });
    const token = { chainId: 31_337, token: network.file.contracts.phaToken, name: 'Phala', version: '1' };
    const digest = transferAuthorizationDigest(token, authorization);
    expect(recoverAddress(fromHex(digest), fromHex(signature))).toBe(account.address.toLowerCase());
    const outside = network.gateway.calls.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join();
    for (const secret of ['the question', signature, signature.slice(2, 40), 'payment-signature', 'authorization'])
      expect(outside).not.toContain(secret);
  });

  test('asks the very worker that the price named', async () => {
    const others = [await network.addWorker(address(0x0c)), await network.addWorker(address(0x0d))];
    for (const other of others) other.run = worker.run;
    for (let round = 0; round < 6; round++) await (await wrapFetchWithPayment(sealedFetch(), x402())(url)).text();
    expect(seen).toHaveLength(6);
    for (const { workerId } of network.gateway.calls) {
      const index = network.gateway.calls.findIndex((one) => one.workerId === workerId);
      expect(seen[index]?.offer.authorization.to).toBe(network.gateway.workers.get(workerId)?.operator);
    }
  });

  test('pays what the worker asks where that is less than the manifest allows, and nothing to one that asks for more', async () => {
    const quoteOf = (perCall: bigint) => {
      const tokens = { perInputToken: 0n, perOutputToken: 0n };
      const quote = {
        perCall,
        perCpuMs: 0n,
        perGiBSecond: 0n,
        perOutputKiB: 0n,
        ...tokens,
        notAfter: BigInt(nowSeconds() + 600),
      };
      const signature = toHex(signDigest(worker.signer, fromHex(priceQuoteDigest(network.domain, quote))));
      worker.announcement = { ...worker.announcement, quote: { ...quote, signature } };
    };
    quoteOf(7n);
    await (await wrapFetchWithPayment(sealedFetch(), x402())(url)).text();
    expect(seen[0]?.offer.authorization.value).toBe(7n);
    quoteOf(highest + 1n);
    await expect(sealedFetch()(url)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
  });

  test('hears a refusal of its payment as a 402 that says why', async () => {
    worker.run = () => refusedPayment('PAYMENT_AUTHORIZATION_USED');
    const response = await wrapFetchWithPayment(sealedFetch(), x402())(url);
    expect(response.status).toBe(402);
    const required = JSON.parse(atob(response.headers.get('payment-required') ?? ''));
    expect(required.error).toBe('PAYMENT_AUTHORIZATION_USED: No: PAYMENT_AUTHORIZATION_USED');
    expect(network.gateway.calls).toHaveLength(1);
  });

  test('gets a 402 that the app itself says as the app said it', async () => {
    worker.run = (opened) => settledAnswer(opened, { status: 402, outcome: 'refused', body: [utf8('buy more')] });
    const response = await wrapFetchWithPayment(sealedFetch(), x402())(url);
    expect([response.status, await response.text()]).toEqual([402, 'buy more']);
    expect(response.headers.get('payment-response')).not.toBeNull();
    expect(response.headers.get('payment-required')).toBeNull();
  });
});

describe('a payment header that does not fit', () => {
  type Payload = { readonly accepted: object; readonly payload: object };
  test.each<[string, (payload: Payload) => unknown, RegExp]>([
    ['is of version 1', (payload) => ({ ...payload, x402Version: 1 }), /version 2/],
    ['is null', () => null, /version 2/],
    ['is for another chain', accepted({ network: 'eip155:1' }), /another token, or on another chain/],
    ['is in another token', accepted({ asset: address(9) }), /another token, or on another chain/],
    ['is of another scheme', accepted({ scheme: 'upto' }), /neither "exact" nor/],
    ['is a voucher, which this client does not sign', accepted({ scheme: 'batch-settlement' }), /no payer/],
    ['names no worker', accepted({ extra: {} }), /names no worker/],
    ['has no authorization', (payload) => ({ ...payload, payload: {} }), /SCHEMA|x402 exact payment/],
    [
      'has a signature of another length',
      (payload) => ({ ...payload, payload: { ...payload.payload, signature: '0x1234' } }),
      /x402 exact payment/,
    ],
  ])('because it %s is answered by 402, and nothing was sent', async (_, change, error) => {
    const sealed = sealedFetch();
    const header = await paymentFor(sealed);
    const payload = change(JSON.parse(atob(header)));
    const response = await sealed(url, { headers: { 'payment-signature': x402HeaderText(payload) } });
    expect(response.status).toBe(402);
    expect(((await response.json()) as { error: string }).error).toMatch(error);
    expect(network.gateway.calls).toEqual([]);
  });

  function accepted(changes: object) {
    return (payload: Payload) => ({ ...payload, accepted: { ...payload.accepted, ...changes } });
  }

  test('is no base64 is answered by 402', async () => {
    const response = await sealedFetch()(url, { headers: { 'payment-signature': '%%%' } });
    expect(((await response.json()) as { error: string }).error).toMatch(/base64/);
  });

  test('pays too little, or names a worker of another operator, reaches nobody', async () => {
    const sealed = sealedFetch();
    const header = await paymentFor(sealed);
    const payload = JSON.parse(atob(header));
    const less = structuredClone(payload);
    less.payload.authorization.value = (highest - 1n).toString();
    const send = (value: unknown) => sealed(url, { headers: { 'payment-signature': x402HeaderText(value) } });
    await expect(send(less)).rejects.toMatchObject({ code: 'PAYMENT_NOT_ALLOWED' });
    const other = await network.addWorker(address(0x0c));
    const astray = structuredClone(payload);
    astray.accepted.extra.worker = other.workerId;
    await expect(send(astray)).rejects.toMatchObject({ code: 'PAYMENT_OTHER_PAYEE' });
    const nowhere = structuredClone(payload);
    nowhere.accepted.extra.worker = bytes32(0x99);
    await expect(send(nowhere)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
    expect(network.gateway.calls).toEqual([]);
  });
});

describe('what the worker says of the transfer', () => {
  test.each<[string, (answer: ReturnType<typeof settledAnswer>) => object]>([
    ['is missing from the receipt', (answer) => ({ ...answer, details: {} })],
    [
      'is another sum',
      ({ details, ...answer }) => ({
        ...answer,
        details: { payment: { ...(details?.payment as object), amount: '1' } },
      }),
    ],
    ['can not be read', (answer) => ({ ...answer, details: { payment: 'yes' } })],
  ])('and %s: the answer is refused', async (_, change) => {
    worker.run = (opened) => change(settledAnswer(opened)) as never;
    const response = await wrapFetchWithPayment(sealedFetch(), x402())(url);
    await expect(response.text()).rejects.toMatchObject({
      code: 'RECEIPT_REFUSED',
      meta: { step: 'receipt-transfer' },
    });
  });

  test.each([
    [[]],
    [[['payment-response', x402HeaderText({ transaction: bytes32(1) })]]],
    [[['payment-response', '%']]],
  ])('in the head is not what the receipt says (%#): the answer never ends like a whole one', async (headers) => {
    worker.run = (opened) => ({ ...settledAnswer(opened), headers: headers as [string, string][] });
    const response = await wrapFetchWithPayment(sealedFetch(), x402())(url);
    await expect(response.text()).rejects.toThrow();
  });

  test('without having been offered one: the answer is refused', async () => {
    const free = network.addApp();
    worker.run = () => ({ details: { payment: { scheme: 'exact', amount: '1', transaction } } });
    await expect(newClient().call(free.app)).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });
});

describe('call pays by exact', () => {
  test('where it is asked to, and its result says that no receipt guards the sum', async () => {
    const client = newClient();
    const result = await client.call(app, { path: '/' }, { exact: account, maxFee: highest });
    expect(result.payment).toEqual({ scheme: 'exact', amount: highest, transaction, guardedByReceipt: false });
    expect(result.receipt.receipt.fee).toBe(0n);
    expect(result.steps).toContainEqual({
      id: 'receipt-transfer',
      title: expect.stringContaining('no receipt guards the sum'),
      ok: true,
      detail: `${highest} in transaction ${transaction}`,
    });
    const { steps, ok } = await client.verify(client.proof(result, { answer: false }));
    expect(ok).toBe(true);
    expect(steps.find(({ id }) => id === 'transfer')?.title).toContain('no receipt guards the sum');
  });

  test('and nothing else: not without leave, not twice, not to another operator', async () => {
    await expect(newClient().call(app, {}, { exact: account })).rejects.toMatchObject({ code: 'PAYMENT_NOT_ALLOWED' });
    const other = await network.addWorker(address(0x0c));
    let asked = 0;
    const signer = {
      address: account.address,
      signTypedData: (data: Parameters<typeof account.signTypedData>[0]) => {
        asked += 1;
        return account.signTypedData(data);
      },
    };
    worker.run = other.run = (opened) => settledAnswer(opened);
    // The first attempts are lost on the way: they carry the same authorization, to the same operator.
    const lost = () => {
      throw new TypeError('connection lost');
    };
    network.gateway.faults.push(lost, lost, lost);
    const options = { exact: signer as never, maxFee: highest, idempotent: true };
    await newClient().call(app, {}, options);
    expect(asked).toBe(1);
    expect(new Set(network.gateway.calls.map(({ workerId }) => workerId)).size).toBe(1);
  });

  test('a refusal is shown with nothing paid', async () => {
    worker.run = () => refusedPayment('PAYMENT_EXACT_OFF');
    const result = await newClient().call(app, {}, { exact: account, maxFee: highest });
    expect([result.ok, result.payment]).toEqual([false, { scheme: 'free' }]);
  });
});
