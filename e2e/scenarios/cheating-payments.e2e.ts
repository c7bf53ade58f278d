import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { freePrice, type Json } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { createClient, type PayerStore } from '@cloister/sdk';
import { parseEther } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { deployFunction, handler, textOf } from '../support/apps.ts';
import { HostileGateway } from '../support/hostileGateway.ts';
import { partOf } from '../support/processes.ts';
import { refusedWith } from '../support/refusals.ts';
import { until } from '../support/until.ts';

const fee = parseEther('0.01');
const price = { ...freePrice, perCall: fee.toString() };

export const scenario: Scenario = {
  title:
    'Whoever cheats over payment gains nothing: a gateway that drops answers, two processes on one key, a disk that is lost',
  timeoutMs: 300_000,
  async run({ network: start, note, signal }) {
    const network = await start();
    const { developer, operators } = accountsOf(network);
    const { app } = await deployFunction(network, 'e2e-cheating-payments', handler("return new Response('paid');"), {
      price,
    });
    const url = network.network.gateways[0] ?? '';
    const gateway = await HostileGateway.start(url);
    const key = toHex(randomBytes(32));
    const clientWith = (store?: PayerStore) =>
      createClient({
        network: network.network,
        gateways: [gateway.url],
        payer: { payer: developer.address, key, ...(store && { store }) },
      });
    try {
      const disk = keptStore();
      const client = clientWith(disk.store);
      await client.payments.fund(app, parseEther('3'), { account: developer.privateKey, signal });
      const first = await client.call(app, {}, { maxFee: fee, signal });
      assert.equal(first.receipt.receipt.fee, fee);
      const { workerId, operator } = first.worker;
      gateway.offerOnly(workerId);
      const call = (from = client) => from.call(app, {}, { maxFee: fee, worker: workerId, signal });
      const spentBy = async (from = client) =>
        (await from.payments.channels(developer.address)).reduce((sum, { spent }) => sum + spent, 0n);

      note('a gateway that cuts every answer short costs one call, not more: the kept answer is charged once');
      let cuts = 2;
      const cut = await gateway.during(
        {
          answer: (answer, { path: asked }) =>
            asked.endsWith('/call') && cuts-- > 0 ? { ...answer, cutAfter: 60 } : answer,
        },
        () => call(),
      );
      assert.deepEqual([cut.receipt.receipt.fee, cut.receipt.receipt.cumulativeFee], [fee, 2n * fee]);
      assert.equal(await spentBy(), 2n * fee);

      note('one that drops all of them takes at most what the call may cost, and the next receipt tells');
      const dropped = await gateway
        .during(
          { answer: (answer, { path: asked }) => (asked.endsWith('/call') ? { ...answer, cutAfter: 60 } : answer) },
          () => call(),
        )
        .catch((error: unknown) => error);
      assert.ok(dropped instanceof Error);
      const after = await call();
      // It ran once, whatever was dropped; the client had assumed the worst and is told the truth.
      assert.equal(after.receipt.receipt.cumulativeFee, 4n * fee);
      assert.equal(await spentBy(), 4n * fee);

      note('a process that lost its state learns it from the worker, by what its own key has signed');
      const forgetful = clientWith();
      const learnt = await call(forgetful);
      assert.equal(learnt.receipt.receipt.cumulativeFee, 5n * fee);

      note(
        'two processes on one key gain nothing: each call is charged, and neither promises what it did not agree to',
      );
      const again = await call();
      assert.equal(again.receipt.receipt.cumulativeFee, 6n * fee);
      assert.equal(textOf(again), 'paid');
      const [one, two] = [clientWith(disk.copy().store), clientWith(disk.copy().store)];
      const both = await Promise.allSettled([call(one), call(two)]);
      const paid = both.flatMap((result) => (result.status === 'fulfilled' && result.value.ok ? [result.value] : []));
      assert.ok(paid.length >= 1, 'one of them at least');
      const highest = paid.reduce(
        (most, { receipt }) => (receipt.receipt.cumulativeFee > most ? receipt.receipt.cumulativeFee : most),
        0n,
      );
      assert.equal(highest, BigInt(6 + paid.length) * fee, 'as many fees as answers');

      note('a spending limit holds, whatever is deposited');
      const bounded = createClient({
        network: network.network,
        gateways: [gateway.url],
        payer: { payer: developer.address, key, limits: { perCall: fee - 1n } },
      });
      await refusedWith('PAYMENT_LIMIT_REACHED', call(bounded));

      note('a worker is killed and its disk is lost, before it has claimed anything');
      const total = highest;
      const index = operators.findIndex(({ address }) => address === operator);
      const pid = partOf(network.pid, `worker-${index}`);
      assert.ok(pid !== undefined);
      const known = clientWith(disk.store);
      // Its receipts are with the client that is still there.
      const last = await call(known);
      assert.equal(last.receipt.receipt.cumulativeFee, total + fee);
      process.kill(pid, 'SIGKILL');
      fs.rmSync(path.join(network.data, 'workers', `data-${index}`, 'settlements.json'), { force: true });
      const signerBefore = last.worker.receiptSigner;
      const back = await until(
        'it is back with another signer',
        async () => {
          const result = await known.call(app, {}, { maxFee: fee, worker: workerId, timeoutMs: 8_000 });
          return result.ok && result.worker.receiptSigner !== signerBefore && result;
        },
        { signal, withinMs: 90_000, everyMs: 500 },
      );
      assert.equal(back.receipt.receipt.cumulativeFee, fee, 'a new signer counts from the beginning');

      note('the operator is paid for both lives, by the receipts that the client showed');
      const { id } = (await known.payments.channels(developer.address)).find(
        ({ channel, isOurs }) => isOurs && channel.operator === operator,
      ) ?? { id: undefined };
      assert.ok(id !== undefined);
      await known.payments.withdraw({ account: developer.privateKey, signal });
      const expected = total + 2n * fee;
      await until('all of it is claimed', async () => (await known.payments.reader.channel(id)).claimed === expected, {
        signal,
        withinMs: 60_000,
      });
      assert.equal((await known.payments.reader.channel(id)).earned, expected);
    } finally {
      await gateway.stop();
    }
  },
};

/** A store that can be copied, as a disk can. */
function keptStore(state?: Json): { readonly store: PayerStore; copy(): { readonly store: PayerStore } } {
  let kept = state;
  return {
    store: {
      load: async () => kept,
      save: async (next) => {
        kept = next;
      },
    },
    copy: () => keptStore(kept),
  };
}
