import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { ChainAccount, phaTokenAbi } from '@cloister/chain';
import { freePrice, x402HeaderText } from '@cloister/core';
import { createClient } from '@cloister/sdk';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { createPublicClient, http, parseEther, parseEventLogs } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { deployFunction, handler } from '../support/apps.ts';
import { HostileGateway } from '../support/hostileGateway.ts';
import { leaksIn } from '../support/leaks.ts';
import { cloisterJson, startCloister } from '../support/programs.ts';
import { until } from '../support/until.ts';

const price = { ...freePrice, perCall: parseEther('0.02').toString() };
const fee = parseEther('0.02');
const question = 'conspicuous-question-7f31';
const answer = 'conspicuous-answer-0b55';
const source = handler(
  `if (request.headers.has('payment-signature')) return new Response('the app sees the payment', { status: 500 });
   if (new URL(request.url).pathname === '/events') return new Response('data: 1\\n\\ndata: 2\\n\\n', { headers: { 'content-type': 'text/event-stream' } });
   return new Response('${answer} to ' + await request.text());`,
);

export const scenario: Scenario = {
  title:
    'The unmodified client of x402 pays by exact and from channels, through the SDK and through the proxy, once for each call, and a gateway sees none of it',
  timeoutMs: 180_000,
  async run({ network: start, folder, note, signal }) {
    const network = await start();
    const { developer } = accountsOf(network);
    const { chainId, contracts, gateways, rpcs } = network.network;
    const rpc = rpcs[0] ?? '';
    const chain = createPublicClient({ transport: http(rpc) });
    const token = { address: contracts.phaToken, abi: phaTokenAbi } as const;
    const { app } = await deployFunction(network, 'e2e-x402', source, { price, limits: { wallMs: 2_000 } });
    const payer = privateKeyToAccount(generatePrivateKey());
    const bank = new ChainAccount({ chainId, rpc, account: developer.privateKey });
    await bank.write({ ...token, functionName: 'transfer', args: [payer.address, parseEther('1')] });
    const held = () => chain.readContract({ ...token, functionName: 'balanceOf', args: [payer.address] });
    const x402 = () =>
      new x402Client().setSpendControls({
        allowedAssets: [{ network: `eip155:${chainId}`, asset: contracts.phaToken }],
      });
    const exact = () => x402().register('eip155:*', new ExactEvmScheme(payer));
    const required = async (response: Response) => JSON.parse(atob(response.headers.get('payment-required') ?? ''));

    const hostile = await HostileGateway.start(gateways[0] ?? '');
    try {
      note('exact, around the sealed fetch of a client without a payer');
      const client = createClient({ network: network.network, gateways: [hostile.url] });
      const sealed = client.fetchFor(app);
      const ask = { method: 'POST', body: question };
      const response = await wrapFetchWithPayment(sealed, exact())('https://app.example/x', ask);
      assert.deepEqual([response.status, await response.text()], [200, `${answer} to ${question}`]);
      const { transaction, payer: by } = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '');
      assert.equal(by?.toLowerCase(), payer.address.toLowerCase());
      assert.equal(await held(), parseEther('1') - fee);
      const { logs } = await chain.getTransactionReceipt({ hash: transaction as `0x${string}` });
      const [transfer, ...more] = parseEventLogs({ abi: phaTokenAbi, eventName: 'Transfer', logs });
      assert.deepEqual([transfer?.args.from, transfer?.args.value, more.length], [payer.address, fee, 0]);
      const { operators } = accountsOf(network);
      assert.ok(
        operators.some(({ address }) => address === transfer?.args.to.toLowerCase()),
        transfer?.args.to,
      );

      note('one authorization pays one call: shown to two at once, and again');
      const offered = await required(await sealed('https://app.example/x', ask));
      const payload = await exact().createPaymentPayload(offered);
      const send = () =>
        sealed('https://app.example/x', { ...ask, headers: { 'payment-signature': x402HeaderText(payload) } });
      const both = await Promise.all([send(), send()]);
      await Promise.all(both.map((one) => one.text()));
      assert.deepEqual(both.map(({ status }) => status).sort(), [200, 402]);
      const again = await send();
      assert.match((await required(again)).error, /^PAYMENT_AUTHORIZATION_USED/);
      assert.equal(await held(), parseEther('1') - 2n * fee);

      note('a gateway that keeps everything has neither question, answer nor payment');
      const seen = Buffer.concat(
        hostile.exchanges.flatMap(({ request, answer: back }) => [
          Buffer.from(`${request.method} ${request.path} ${JSON.stringify(request.headers)}`),
          request.body,
          Buffer.from(JSON.stringify(back.headers)),
          back.body,
        ]),
      );
      const { authorization, signature } = payload.payload as {
        authorization: { nonce: string };
        signature: string;
      };
      assert.deepEqual(
        leaksIn(seen, {
          question,
          answer,
          signature: signature.slice(2),
          nonce: authorization.nonce.slice(2),
          payer: payer.address.slice(2).toLowerCase(),
          transaction: String(transaction).slice(2),
          header: 'payment-signature',
        }),
        [],
      );
      assert.ok(hostile.calls.length >= 4, 'the calls went by way of it');

      note('what is sent to a gateway in plain text is refused by name');
      const { path: callPath } = hostile.calls[0]?.request ?? assert.fail();
      const plain = await fetch(`${gateways[0]}${callPath}`, { ...ask, headers: { 'payment-signature': 'e30=' } });
      assert.deepEqual([plain.status, ((await plain.json()) as { code: string }).code], [415, 'plaintext-call']);

      note("batch-settlement by our scheme, from the client's own channels");
      const funded = createClient({ network: network.network, payer: { payer: developer.address } });
      await funded.payments.fund(app, parseEther('3'), { account: developer.privateKey, signal });
      const sent = await chain.getTransactionCount({ address: developer.address });
      const fromChannel = wrapFetchWithPayment(
        funded.fetchFor(app),
        x402().register('eip155:*', funded.channelScheme()).register('eip155:*', new ExactEvmScheme(payer)),
      );
      for (let round = 0; round < 4; round++) {
        const one = await fromChannel('https://app.example/x', ask);
        assert.deepEqual([one.status, await one.text()], [200, `${answer} to ${question}`]);
      }
      assert.deepEqual(
        (await funded.payments.history()).map(({ fee: charged }) => charged),
        Array(4).fill(fee),
      );
      assert.equal(await chain.getTransactionCount({ address: developer.address }), sent, 'no transaction a call');
      assert.equal(await held(), parseEther('1') - 2n * fee, 'and nothing by exact');
    } finally {
      await hostile.stop();
    }

    note('plain HTTP through cloister proxy');
    const key = path.join(folder, 'key');
    fs.writeFileSync(key, developer.privateKey);
    const networkFile = path.join(folder, 'network.json');
    fs.copyFileSync(network.file, networkFile);
    const options = ['--network', networkFile, '--key', key];
    const proxied = async (args: readonly string[], work: (url: string) => Promise<void>) => {
      const proxy = startCloister(['--json', ...options, 'proxy', ...args], folder);
      try {
        await until('the proxy listens', async () => proxy.output().includes('"ready":true'), { signal });
        await work((JSON.parse(proxy.output().trim()) as { url: string }).url);
      } finally {
        assert.equal(await proxy.stop(), 0, proxy.output());
      }
    };
    await proxied([], async (url) => {
      const unpaid = await fetch(`${url}/${app}/x`, { method: 'POST', body: question });
      assert.equal(unpaid.status, 402);
      const paid = await wrapFetchWithPayment(fetch, exact())(`${url}/${app}/x`, { method: 'POST', body: question });
      assert.deepEqual([paid.status, await paid.text()], [200, `${answer} to ${question}`]);
      assert.equal(paid.headers.get('x-cloister-receipt'), 'ok');
      assert.match(paid.headers.get('x-cloister-payment') ?? '', /does not guard the sum/);
      assert.equal(await held(), parseEther('1') - 3n * fee);
      const proof = path.join(folder, 'proxied.json');
      const kept = await fetch(`${url}/.cloister/proofs/${paid.headers.get('x-cloister-proof')}`);
      fs.writeFileSync(proof, await kept.text());
      const { json } = await cloisterJson<{ ok: boolean; steps: readonly { id: string }[] }>(
        [...options, 'verify', proof],
        folder,
        signal,
      );
      assert.ok(json.ok && json.steps.some(({ id }) => id === 'transfer'), JSON.stringify(json));
    });
    const funding = await cloisterJson([...options, 'fund', app, '3'], folder, signal);
    assert.equal(funding.code, 0);
    await proxied(['--app', app, '--max-fee', '0.02'], async (url) => {
      const paid = await fetch(`${url}/x`, { method: 'POST', body: question });
      assert.deepEqual([paid.status, await paid.text()], [200, `${answer} to ${question}`]);
      assert.equal(paid.headers.get('x-cloister-payment'), 'channel');
      const events = await fetch(`${url}/events`);
      assert.equal(events.headers.get('x-cloister-receipt'), 'trailer');
      assert.equal(await events.text(), 'data: 1\n\ndata: 2\n\n');
    });

    note('cloister call --exact says that no receipt guards the sum');
    const called = await cloisterJson<{ ok: boolean; payment: Record<string, unknown> }>(
      [...options, 'call', app, '/x', '-d', question, '--max-fee', '0.02', '--exact'],
      folder,
      signal,
    );
    assert.deepEqual(
      [called.code, called.json.payment.scheme, called.json.payment.guardedByReceipt],
      [0, 'exact', false],
    );
  },
};
