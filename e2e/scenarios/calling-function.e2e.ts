import assert from 'node:assert/strict';
import { callerAppHeader } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';

type Block = { readonly number: string; readonly hash: string };

/** Tells who calls, and what was asked. */
const told = handler(
  `return Response.json({ caller: request.headers.get("${callerAppHeader}"), asked: await request.text(), path: new URL(request.url).pathname });`,
);
/** Calls the app that the body names, and says how that ended. */
const calling = handler(
  `const to = await request.text();
   try {
     const answer = await ctx.call(to, "/from-afar", { method: "POST", body: to });
     return new Response(await answer.text(), { status: answer.status });
   } catch (error) {
     return Response.json({ code: error.code });
   }`,
);

export const scenario: Scenario = {
  title:
    'A function calls another app in its own name, as deep as it may and where its manifest says, and reads the chain',
  timeoutMs: 240_000,
  async run({ network: start, note }) {
    const network = await start();
    const client = clientOf(network);
    const callee = await deployFunction(network, 'told-function', told);
    const priced = await deployFunction(network, 'priced-function', told, {
      price: { perCall: '7', perCpuMs: '0', perGiBSecond: '0', perOutputKiB: '0', failedCalls: 'free' },
    });
    const outbound = [`app:${callee.app}`, `app:${priced.app}`];
    const caller = await deployFunction(network, 'calling-function', calling, { outbound });
    const ask = async (app: `0x${string}`, body: string) =>
      JSON.parse(textOf(await client.call(app, { method: 'POST', body: utf8(body) }))) as object;

    note('the called app learns which app calls');
    assert.deepEqual(await ask(caller.app, callee.app), { caller: caller.app, asked: callee.app, path: '/from-afar' });

    note('what its manifest does not name, and what has a price, is not called');
    assert.deepEqual(await ask(caller.app, caller.app), { code: 'CALL_NOT_NAMED' });
    assert.deepEqual(await ask(caller.app, priced.app), { code: 'CALL_NOT_FREE' });

    note('an app that calls itself without end comes to one');
    const looping = handler(
      `try { return await ctx.call(env.SELF, "/"); } catch (error) { return Response.json({ code: error.code }); }`,
    );
    const first = await deployFunction(network, 'looping-function', looping);
    const loop = await deployFunction(network, 'looping-function', looping, {
      env: { SELF: first.app },
      outbound: [`app:${first.app}`],
    });
    assert.equal(loop.app, first.app);
    assert.deepEqual(JSON.parse(textOf(await client.call(loop.app))), { code: 'CALL_TOO_DEEP' });

    note('what it reads of the chain is what stands there, at a block that is named');
    const reading = await deployFunction(
      network,
      'reading-function',
      handler(
        `const { to, data, account } = await request.json();
         return Response.json([await ctx.chain.block(), await ctx.chain.call({ to, data }), await ctx.chain.balance(account)]);`,
      ),
      { outbound: ['chain:read'] },
    );
    const { workerRegistry } = network.network.contracts;
    // totalSupply()
    const data = '0x18160ddd';
    const phaToken = network.network.contracts.phaToken;
    const asked = { to: phaToken, data, account: workerRegistry };
    const [block, supply, balance] = (await ask(reading.app, JSON.stringify(asked))) as [
      Block,
      { value: string; block: Block },
      { value: string; block: Block },
    ];
    const at = await client.registry.view.blockAt(BigInt(block.number));
    assert.equal(at.hash, block.hash);
    for (const { block: same } of [supply, balance]) assert.equal(same.hash, block.hash);
    assert.equal(supply.value, await client.registry.view.call({ to: phaToken, data, block: at.number }));
    assert.ok(BigInt(supply.value) > 0n);
    assert.equal(balance.value, '0');
  },
};
