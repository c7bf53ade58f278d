import assert from 'node:assert/strict';
import { utf8 } from '@cloister/crypto';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { startWorker } from '../support/privateWorker.ts';
import { partOf } from '../support/processes.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { until } from '../support/until.ts';

/** More than half a lease: due to be renewed. */
const halfLeaseSeconds = 1_900;

export const scenario: Scenario = {
  title:
    'A worker with SEV-SNP evidence registers by what three gatekeepers of four say, serves an app with a secret, and renews; with two of them away it waits',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 240_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1'] });
    const control = new ChainControl(network);
    const client = () => clientOf(network);
    const signalTo = (index: number, name: 'SIGSTOP' | 'SIGCONT') => {
      const pid = partOf(network.pid, `gatekeeper-${index}`);
      assert.ok(pid !== undefined, `gatekeeper-${index} does not run`);
      process.kill(pid, name);
    };

    note('one gatekeeper stands still; the other three judge the evidence');
    signalTo(0, 'SIGSTOP');
    const worker = await startWorker(network, { folder, signal, device: 'unsafe-simulated-snp' });
    try {
      assert.match(worker.log(), /chain: evidence judged by the committee/);
      signalTo(0, 'SIGCONT');
      const workerId = String(worker.ready.workerId) as `0x${string}`;
      const verified = await verifiedWorker(client(), workerId);
      assert.deepEqual(
        [verified.claims.teeType, verified.claims.simulated, verified.attestedBy],
        ['sev-snp', true, 'committee'],
      );
      const others = (await client().workers()).filter(({ announcement }) => announcement.workerId !== workerId);
      assert.deepEqual(
        others.map((other) => other.verified?.attestedBy),
        ['chain'],
      );

      note('an app that asks for SEV-SNP gets its secret there');
      const deployed = await client().deploy({
        account: accountsOf(network).developer.privateKey,
        code: utf8(handler('return new Response("it is " + env.WORD);')),
        name: 'on-snp',
        secrets: { WORD: 'sealed' },
        manifest: { placement: { replicas: 2, teeTypes: ['sev-snp'], minTcbEvaluationDataNumber: 1, distinct: [] } },
      });
      const answered = await client().call(deployed.app);
      assert.equal(textOf(answered), 'it is sealed');
      assert.equal(answered.worker.workerId, workerId);
      assert.equal(answered.receipt.details.simulated, true);

      note('it renews before its lease ends');
      const leaseUntil = async () => (await client().registry.workerStatus(workerId)).leaseUntil;
      const first = await leaseUntil();
      await control.passSeconds(halfLeaseSeconds);
      const second = await until('the worker has renewed', async () => (await leaseUntil()) > first && leaseUntil(), {
        signal,
      });

      note('with two gatekeepers away nobody can say enough; with one of them back it renews');
      for (const index of [0, 1]) signalTo(index, 'SIGSTOP');
      await control.passSeconds(halfLeaseSeconds);
      await until('it is told that too few agree', async () => worker.log().includes('RESULT_UNAVAILABLE'), {
        signal,
        withinMs: 60_000,
      });
      assert.equal(await leaseUntil(), second);
      signalTo(0, 'SIGCONT');
      await until('the worker has renewed', async () => (await leaseUntil()) > second, { signal, withinMs: 90_000 });
      signalTo(1, 'SIGCONT');
    } finally {
      await worker.stop();
    }
  },
};
