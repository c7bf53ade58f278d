import assert from 'node:assert/strict';
import { announcementToJson } from '@cloister/core';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { type Answered, HostileGateway, jsonAnswer, type Relayed } from '../support/hostileGateway.ts';
import { partOf } from '../support/processes.ts';
import { openRaw, postRaw, problemIn, sealRaw, verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith, refusedWorker } from '../support/refusals.ts';
import { until } from '../support/until.ts';

const leaseSeconds = 3_600;
/** How long a worker accepts a key after its end. */
const graceSeconds = 600;

export const scenario: Scenario = {
  title:
    'A worker whose lease has lapsed gets nothing until it has renewed, and keys end with the lease that they were made under',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1'] });
    const url = network.network.gateways[0] ?? '';
    const control = new ChainControl(network);
    const { app, manifestId: manifest } = await deployFunction(network, 'lapsed-counter', counterSource);
    const gateway = await HostileGateway.start(url);
    const pid = partOf(network.pid, 'worker-0');
    assert.ok(pid !== undefined);
    const refuses = async (code: 'WORKER_LEASE_EXPIRED' | 'WORKER_KEY_INVALID', step: string): Promise<void> => {
      const client = clientOf(network, { gateways: [gateway.url] });
      const [listed] = await client.workers();
      await refusedWorker(code, step, Promise.reject(listed?.refusal));
      await refusedWith('CALL_NO_WORKER', client.call(app));
      assert.equal(gateway.sealed.length, 0, 'something was sealed and sent');
    };
    try {
      const before = await verifiedWorker(clientOf(network));
      const waiting = clientOf(network);
      assert.equal((await waiting.call(app)).outcome, 'ok');
      const inGrace = await sealRaw(before, { app, manifest });

      note('the worker stands still while its lease runs out');
      process.kill(pid, 'SIGSTOP');
      try {
        await control.passSeconds(leaseSeconds + 1);
        await gateway.during({}, () => refuses('WORKER_LEASE_EXPIRED', 'lease'));
        assert.equal((await clientOf(network).registry.activeSigner(before.receiptSigner)).active, false);
      } finally {
        process.kill(pid, 'SIGCONT');
      }

      note('it goes on, renews by itself, and is used again');
      const after = await until('the worker has renewed', () => verifiedWorker(clientOf(network)), { signal });
      assert.equal(after.receiptSigner, before.receiptSigner);
      assert.ok(after.leaseUntil > before.leaseUntil);
      assert.notDeepEqual(after.keyConfig, before.keyConfig);
      assert.equal((await clientOf(network).call(app)).outcome, 'ok');
      assert.equal((await waiting.call(app)).outcome, 'ok', 'a client from before goes on');

      note('its announcement of before offers a key that has ended');
      const entry = { workerId: before.workerId, announcement: announcementToJson(before.announcement) };
      const offerOld = (asked: Relayed): Relayed | Answered =>
        asked.path === '/v1/workers' ? jsonAnswer([entry]) : asked;
      await gateway.during({ request: offerOld }, () => refuses('WORKER_KEY_INVALID', 'key'));

      note('what was sealed to it is opened for ten minutes more, and not longer');
      const response = await postRaw(url, before.workerId, inGrace.encapsulated);
      assert.equal(response.status, 200);
      assert.ok(response.body !== null);
      const { receipt } = await openRaw(clientOf(network), before, inGrace, response.body);
      assert.equal(receipt.receipt.requestHash, inGrace.requestHash);
      await control.passSeconds(graceSeconds);
      const { view } = clientOf(network).registry;
      const refused = await until(
        'the worker has seen that block',
        async () => {
          const late = await sealRaw(before, { app, manifest });
          const problem = await problemIn(await postRaw(url, before.workerId, late.encapsulated));
          return problem.status === 400 && problem;
        },
        { signal, withinMs: 5_000 },
      );
      assert.equal(refused.type, 'https://iana.org/assignments/http-problem-types#ohttp-key');
      assert.ok((await view.head()).timestamp > before.keyNotAfter + BigInt(graceSeconds));
    } finally {
      await gateway.stop();
    }
  },
};
