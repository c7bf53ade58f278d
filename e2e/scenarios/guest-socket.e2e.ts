import assert from 'node:assert/strict';
import { fromHex, utf8 } from '@cloister/crypto';
import { verifyGuest } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';
import { until } from '../support/until.ts';

/** What is asked for, by the client's words, and what its guest agent answers. */
const asking = handler(
  `const { nonce } = await request.json();
   const hex = (bytes) => bytes.toHex();
   const wallet = await ctx.guest.getKey('wallet', 'mainnet');
   const other = await ctx.guest.getKey('wallet', 'testnet');
   await ctx.guest.emitEvent('asked', nonce);
   const signed = await ctx.guest.sign('ed25519', nonce);
   const { valid } = await ctx.guest.verify('ed25519', nonce, signed.signature, signed.public_key);
   const { certificate_chain } = await ctx.guest.getTlsKey({ altNames: ['db.example'] });
   const { attestation } = await ctx.guest.attest(nonce);
   const info = await ctx.guest.info();
   return Response.json({ keys: [hex(wallet.key), hex(other.key)], valid, certificates: certificate_chain.length, attestation, app: info.app_id, simulated: info.cloud_vendor });`,
);

type Answer = {
  readonly keys: readonly [string, string];
  readonly valid: boolean;
  readonly certificates: number;
  readonly attestation: string;
  readonly app: string;
  readonly simulated: string;
};

export const scenario: Scenario = {
  title:
    'A function asks its worker in dstack’s words: keys that all its hosts derive alike, a certificate, a signature, and an attestation that a stranger verifies',
  timeoutMs: 180_000,
  async run({ network: start, note, signal }) {
    const network = await start();
    const client = clientOf(network);
    const manifest = { outbound: ['worker:guest'], limits: { wallMs: 60_000 } };
    const one = await deployFunction(network, 'guest-one', asking, manifest);
    const two = await deployFunction(network, 'guest-two', asking, manifest);
    const ask = (app: `0x${string}`, nonce: string): Promise<Answer> =>
      until(
        'the app answers',
        async () => {
          const answer = await client.call(app, { method: 'POST', body: utf8(JSON.stringify({ nonce })) });
          const { details } = answer.receipt;
          // On a busy machine too few gatekeepers may answer in their time: later, as they say.
          if (details.code === 'KEYS_UNAVAILABLE') return undefined;
          assert.equal(answer.outcome, 'ok', JSON.stringify(details));
          return JSON.parse(textOf(answer)) as Answer;
        },
        { signal, withinMs: 90_000 },
      );

    note('keys are the app’s own: the same in each call, others for another purpose, others for another app');
    const [first, other] = await Promise.all([ask(one.app, 'nonce-1'), ask(two.app, 'nonce-1')]);
    const again = await ask(one.app, 'nonce-2');
    assert.deepEqual(again.keys, first.keys);
    assert.equal(new Set([...first.keys, ...other.keys]).size, 4);
    assert.deepEqual([first.valid, first.certificates, first.app], [true, 2, one.app.slice(2)]);
    assert.equal(first.simulated, 'simulated');

    note('a stranger verifies which app, which code, on which registered worker, and its log');
    const expected = { app: one.app, reportData: utf8('nonce-2'), signal };
    const verified = await verifyGuest(client, fromHex(`0x${again.attestation}`), expected);
    assert.equal(verified.statement.manifest, one.manifestId);
    assert.deepEqual(
      verified.events.at(-1) && {
        ...verified.events.at(-1),
        payload: textOf({ body: verified.events.at(-1)?.payload ?? new Uint8Array() }),
      },
      { name: 'asked', payload: 'nonce-2' },
    );
    const workers = (await client.workers()).map(({ announcement }) => announcement.workerId);
    assert.ok(workers.includes(verified.workerId));

    note('for another app, and for another nonce, it is worth nothing');
    for (const changes of [{ app: two.app }, { reportData: utf8('nonce-1') }])
      await assert.rejects(verifyGuest(client, fromHex(`0x${again.attestation}`), { ...expected, ...changes }), {
        code: 'GUEST_EVIDENCE_REFUSED',
      });

    note('what its manifest does not name is not there');
    const plain = await deployFunction(network, 'guest-none', handler('return new Response(typeof ctx.guest);'));
    assert.equal(textOf(await client.call(plain.app)), 'undefined');
  },
};
