import assert from 'node:assert/strict';
import { ChainAccount, paymentsAbi } from '@cloister/chain';
import { freePrice } from '@cloister/core';
import { createClient } from '@cloister/sdk';
import { createPublicClient, http, parseEther } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { deployFunction, handler, textOf } from '../support/apps.ts';
import { until } from '../support/until.ts';

const price = { ...freePrice, perCall: parseEther('0.01').toString(), perCpuMs: parseEther('0.00001').toString() };
const manifest = { price, limits: { wallMs: 2_000, cpuMs: 1_000, outputBytes: 4_096 } };
/** 0.01 and 1,000 ms of the processor. */
const highestFee = parseEther('0.02');

export const scenario: Scenario = {
  title:
    'Deposited once, many calls over several workers cost what they use, without a transaction each, and everybody is paid to the unit',
  timeoutMs: 300_000,
  async run({ network: start, note, signal, long }) {
    const network = await start();
    const { developer, operators, gateway } = accountsOf(network);
    const rpc = network.network.rpcs[0] ?? '';
    const chain = createPublicClient({ transport: http(rpc) });
    const source = handler(
      "if (new URL(request.url).pathname === '/fail') return new Response('no', { status: 500 }); return new Response('paid ' + new URL(request.url).searchParams.get('n'));",
    );
    const { app } = await deployFunction(network, 'e2e-paid-calls', source, manifest);
    const account = developer.privateKey;
    const client = createClient({ network: network.network, payer: { payer: developer.address } });

    note('without leave, without a payer and without money a call is refused before anything is sent');
    const refused = async (code: string, call: Promise<unknown>) =>
      assert.rejects(call, (error: { code?: string }) => error.code === code, code);
    assert.equal(await client.quote(app), highestFee);
    await refused('PAYMENT_NOT_ALLOWED', client.call(app));
    await refused('PAYMENT_NOT_ALLOWED', client.call(app, {}, { maxFee: highestFee - 1n }));
    await refused('PAYMENT_NO_PAYER', createClient({ network: network.network }).call(app, {}, { maxFee: highestFee }));
    await refused('PAYMENT_NO_FUNDS', client.call(app, {}, { maxFee: highestFee }));

    note('one deposit, in one transaction, for all operators');
    const before = await chain.getTransactionCount({ address: developer.address });
    const heldBefore = await client.payments.reader.totalHeld();
    const funded = await client.payments.fund(app, parseEther('60'), { account, signal });
    assert.equal(funded.length, 3);
    assert.equal(await client.payments.reader.totalHeld(), heldBefore + parseEther('60'));

    const count = long ? 1_000 : 60;
    note(`${count} calls, ten at a time`);
    let spent = 0n;
    const workers = new Set<string>();
    const fees = new Map<string, bigint>();
    let next = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        while (next < count) {
          const n = next++;
          const result = await client.call(app, { path: `/?n=${n}` }, { maxFee: highestFee, signal });
          assert.equal(textOf(result), `paid ${n}`);
          const { channel, sequence, fee } = result.receipt.receipt;
          assert.ok(fee >= parseEther('0.01') && fee <= highestFee, `fee ${fee}`);
          spent += fee;
          fees.set(`${channel} ${sequence}`, fee);
          workers.add(result.worker.workerId);
        }
      }),
    );
    assert.ok(workers.size > 1, 'several workers answered');
    note('a failed call is free, as the manifest says');
    const failed = await client.call(app, { path: '/fail' }, { maxFee: highestFee, signal });
    assert.deepEqual([failed.outcome, failed.receipt.receipt.fee], ['app-error', 0n]);
    assert.equal(await chain.getTransactionCount({ address: developer.address }), before + 1, 'no transaction a call');

    const balances = async () => (await client.payments.channels(developer.address)).filter(({ isOurs }) => isOurs);
    const byReceipts = (await balances()).reduce((sum, { spent: part }) => sum + part, 0n);
    assert.equal(byReceipts, spent, 'what the client counted is what receipts state');
    const charges = (await client.payments.history()).filter(({ fee }) => fee > 0n);
    assert.ok(charges.length >= Math.min(count, 999), `history has the newest thousand: ${charges.length}`);
    for (const { channel, sequence, fee } of charges) assert.equal(fee, fees.get(`${channel} ${sequence}`));

    note('workers collect by themselves, all of it but what is not worth the gas yet');
    await until(
      'all but a little is claimed',
      async () => {
        const claimed = (await balances()).reduce((sum, { onChain }) => sum + onChain.claimed, 0n);
        return claimed > 0n && spent - claimed < 3n * parseEther('0.1');
      },
      { signal, withinMs: 60_000 },
    );

    note('every unit is with somebody');
    const reader = client.payments.reader;
    const contract = { address: network.network.contracts.payments, abi: paymentsAbi } as const;
    const deployer = new ChainAccount({
      chainId: network.network.chainId,
      rpc,
      account: accountsOf(network).deployer.privateKey,
    });
    // Workers do the same by themselves: whoever comes second finds nothing to do.
    const unlessDone = (work: Promise<unknown>) =>
      work.catch(({ code = '' }: { code?: string }) =>
        assert.ok(['TRANSACTION_REFUSED', 'TRANSACTION_REVERTED'].includes(code), code),
      );
    for (const { address } of operators)
      await unlessDone(
        deployer.write({ ...contract, functionName: 'distribute', args: [address, gateway.address] }, signal),
      );
    await unlessDone(deployer.write({ ...contract, functionName: 'collect', args: [gateway.address] }, signal));
    const books = await until(
      'the gateway has all that the books say is its',
      async () => {
        const found = await client.reconcile(signal);
        const has = (await reader.phaOf(gateway.address)) + (await reader.owed(gateway.address));
        return found.fees.gateways === has && found;
      },
      { signal },
    );
    const text = JSON.stringify(books, (_, value) => (typeof value === 'bigint' ? value.toString() : value));
    assert.ok(books.holds, text);
    const { claimed, gateways } = books.fees;
    assert.ok(gateways > 0n && gateways <= claimed / 10n, `the gateway has its tenth: ${text}`);

    note('what is left comes back');
    const asked = await client.payments.withdraw({ account, signal });
    assert.ok(asked.some(({ step }) => step === 'asked'));
    await until(
      'workers claim the rest when they see that money is asked back',
      async () => {
        const left = await balances();
        return left.reduce((sum, { onChain }) => sum + onChain.claimed, 0n) === spent;
      },
      { signal, withinMs: 60_000 },
    );
  },
};
