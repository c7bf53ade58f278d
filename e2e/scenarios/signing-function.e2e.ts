import assert from 'node:assert/strict';
import type { Address, Hex } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { verifyMessage } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { until } from '../support/until.ts';

const receiver = `0x${'5e'.repeat(20)}` as const;
/** Does with its account what the body names. */
const source = handler(
  `const { method, argument } = await request.json();
   try {
     return Response.json((await ctx.chain[method](argument)) ?? null);
   } catch (error) {
     return Response.json({ code: error.code, message: error.message });
   }`,
);

export const scenario: Scenario = {
  title:
    'A function signs with its own account what its manifest allows, once however many hosts are asked, and nothing else',
  timeoutMs: 240_000,
  async run({ network: start, note, signal }) {
    const network = await start();
    const client = clientOf(network);
    const { chainId } = network.network;
    const placement = { replicas: 8, teeTypes: ['tdx'] as const, minTcbEvaluationDataNumber: 0, distinct: [] };
    const calls = [{ to: receiver, selectors: ['0x'] as const }];
    const bounds = { maxValueWei: '5', maxFeeWei: '1000000000000000', maxPerDay: 2 };
    const chain = { chainId, calls, ...bounds, messages: true };
    // The committee is asked for the key and to sign: on a machine with much else to do that takes its time.
    const limits = { wallMs: 60_000 };
    const { app } = await deployFunction(network, 'signing-function', source, { chain, placement, limits });
    const { hosts } = await until('it has its hosts', () => client.placement(app, signal), { signal });
    // Other scenarios leave workers behind that run no more, and are hosts until their leases end.
    const running = new Set((await client.workers()).map(({ announcement }) => announcement.workerId));
    const [one, two] = hosts.filter((host) => running.has(host));
    assert.ok(one !== undefined && two !== undefined);
    /** Again where the committee had no time for it: each transaction has its id. */
    const ask = (worker: Hex, method: string, argument?: unknown): Promise<never> =>
      until(
        `"${method}" is answered`,
        async () => {
          const body = utf8(JSON.stringify({ method, argument }));
          const result = await client.call(app, { method: 'POST', body }, { worker });
          const text = textOf(result);
          if (result.outcome !== 'ok' || /^\{"code":"(?:STATE|KEYS)_/.test(text)) throw new Error(text);
          return { answer: JSON.parse(text) as never };
        },
        { signal, withinMs: 120_000, everyMs: 500 },
      ).then(({ answer }) => answer);

    note('all hosts have one account; it is funded');
    const account: Address = await ask(one, 'account');
    assert.equal(await ask(two, 'account'), account);
    const { developer } = accountsOf(network);
    await new ChainControl(network).account(developer).send(account, '0x', 'funds', signal, 10n ** 18n);

    note('asked at two hosts at once for the same, it sends one transaction');
    const wished = { to: receiver, value: '5', id: 'first' };
    type Sent = { readonly hash: Hex; readonly nonce: number };
    const [here, there] = (await Promise.all([ask(one, 'send', wished), ask(two, 'send', wished)])) as [Sent, Sent];
    assert.deepEqual(here, there);
    assert.equal(here.nonce, 0, JSON.stringify(here));
    const mined = await until(
      'a block has it',
      async () => ((await ask(two, 'receipt', here.hash)) as { status: string } | null) ?? undefined,
      { signal },
    );
    assert.equal(mined.status, 'success', JSON.stringify(mined));
    const { view } = client.registry;
    const at = (await view.head(signal)).number;
    assert.equal(await view.balance(receiver, at, signal), 5n);
    assert.equal(await view.transactionCount(account, at, signal), 1);

    note('what its manifest does not allow is refused by name');
    const refusals = [
      [{ ...wished, value: '6', id: 'more' }, 'CHAIN_VALUE_TOO_HIGH'],
      [{ ...wished, to: network.network.contracts.phaToken, id: 'other' }, 'CHAIN_CONTRACT_NOT_ALLOWED'],
      [{ ...wished, data: '0xa9059cbb', id: 'call' }, 'CHAIN_FUNCTION_NOT_ALLOWED'],
      [{ ...wished, value: '1' }, 'CHAIN_SEND_ID_REUSED'],
    ] as const;
    for (const [argument, code] of refusals)
      assert.equal(((await ask(one, 'send', argument)) as { code: string }).code, code);
    assert.equal(((await ask(two, 'send', { ...wished, id: 'second' })) as Sent).nonce, 1);
    assert.equal(((await ask(one, 'send', { ...wished, id: 'third' })) as { code: string }).code, 'CHAIN_DAY_FULL');

    note('its signature over a message is its own');
    const signature: Hex = await ask(one, 'signMessage', 'hello');
    assert.equal(await verifyMessage({ address: account, message: 'hello', signature }), true);
  },
};
