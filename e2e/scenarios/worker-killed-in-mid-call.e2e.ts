import assert from 'node:assert/strict';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, counterSource, deployFunction, textOf } from '../support/apps.ts';
import { HostileGateway } from '../support/hostileGateway.ts';
import { descendantsOf, partOf, stillRunning } from '../support/processes.ts';
import { postRaw, problemIn, sealRaw, verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title:
    'A worker that is killed in mid-call costs the call a named error or a safe retry, never a wrong answer, and comes back',
  async run({ network: start, note, signal }) {
    const network = await start();
    const url = network.network.gateways[0] ?? '';
    const { app } = await deployFunction(network, 'killed-counter', counterSource);
    const gateways = [await HostileGateway.start(url), await HostileGateway.start(url)] as const;
    const [fixed, roaming] = gateways;
    try {
      const before = await verifiedWorker(clientOf(network));
      const { workerId } = before;
      const index = accountsOf(network).operators.findIndex(({ address }) => address === before.operator);
      const name = `worker-${index}`;
      const pid = partOf(network.pid, name);
      assert.ok(pid !== undefined);
      const stale = await sealRaw(before, { app });

      note('two calls begin at one worker, and only one of them may run twice');
      for (const gateway of gateways) gateway.offerOnly(workerId);
      const [careful, careless] = gateways.map((gateway) => clientOf(network, { gateways: [gateway.url] }));
      assert.ok(careful !== undefined && careless !== undefined);
      for (const client of [careful, careless]) await client.call(app, { path: '/runs' });
      const slow = { path: '/?wait=8000' };
      const once = careful.call(app, slow);
      const again = careless.call(app, slow, { idempotent: true });
      for (const call of [once, again]) call.catch(() => {});
      await until('both calls are under way', async () => (await callsUnderWay(url)) >= 2, { signal, everyMs: 50 });
      const sandboxes = descendantsOf(pid);
      assert.ok(sandboxes.length > 0);
      roaming.offerOnly(undefined);
      process.kill(pid, 'SIGKILL');

      const lost = await refusedWith('CALL_WORKER_LOST', once);
      assert.match(String(lost.hint), /call again only if running twice is safe/);
      assert.equal(fixed.sealed.length, 2, 'it was not sent anywhere else');
      const elsewhere = await again;
      assert.equal(elsewhere.outcome, 'ok');
      assert.notEqual(elsewhere.worker.receiptSigner, before.receiptSigner);
      assert.match(textOf(elsewhere), /^run 1: /);

      note('its sandboxes end with it, and it comes back with another signer');
      await until('no sandbox is left', () => stillRunning(sandboxes).length === 0, { signal });
      const after = await until(
        'the worker is back',
        async () => {
          const worker = await verifiedWorker(clientOf(network), workerId);
          return worker.receiptSigner !== before.receiptSigner && worker;
        },
        { signal, withinMs: 60_000, everyMs: 250 },
      );
      assert.notEqual(partOf(network.pid, name), pid);

      note('what was sealed to its former key is refused');
      const refused = await problemIn(await postRaw(url, workerId, stale.encapsulated));
      assert.deepEqual([refused.status, refused.type], [400, keyProblem]);

      note('a client that still knows the former key verifies anew by itself');
      const recovered = await careful.call(app);
      assert.deepEqual([recovered.outcome, recovered.worker.receiptSigner], ['ok', after.receiptSigner]);
      assert.match(textOf(recovered), /^run 1: /, 'the lost call did not run again');
    } finally {
      for (const gateway of gateways) await gateway.stop();
    }
  },
};

const keyProblem = 'https://iana.org/assignments/http-problem-types#ohttp-key';

/** By the gateway's own metrics. */
async function callsUnderWay(gateway: string): Promise<number> {
  const text = await (await fetch(`${gateway}/metrics`)).text();
  return Number(/^cloister_gateway_streams (\d+)$/m.exec(text)?.[1] ?? 0);
}
