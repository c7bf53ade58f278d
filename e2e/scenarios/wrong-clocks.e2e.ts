import assert from 'node:assert/strict';
import { EpochRecordsReader } from '@cloister/chain';
import { tickAt } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { RunningDevnet } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import type { AppProcess } from '../support/appProcess.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { startWorker } from '../support/privateWorker.ts';
import { partOf } from '../support/processes.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { preload, standIn } from '../support/standIn.ts';
import { until } from '../support/until.ts';

const wrong = 'gatekeeper-3';

export const scenario: Scenario = {
  title:
    'Clocks that are minutes ahead or behind, a member’s and a worker’s, change nothing: rounds, records and keys come, and calls are verified',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 400_000,
  async run({ startNetwork, folder, long, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--epoch', '30'] });
    const client = clientOf(network);
    const regular = partOf(network.pid, 'gatekeeper-0');
    assert.ok(regular !== undefined);
    const records = new EpochRecordsReader(client.registry.view, network.network.contracts);
    const { genesis, epochLength } = await client.registry.clock();

    const ways = [
      ['ahead', 420],
      ['behind', -420],
    ] as const;
    for (const [what, seconds] of long ? ways : ways.slice(0, 1)) {
      note(`a member whose clock is seven minutes ${what}, and a worker whose is as wrong the other way`);
      const member = await standIn(network, wrong, {
        folder,
        signal,
        imports: [preload('wrongClock', { seconds })],
      });
      let worker: AppProcess | undefined;
      try {
        assertOff(member, seconds);
        await until('it holds shares', async () => (await holdersOf(network)) === 4, {
          signal,
          withinMs: 80_000,
          everyMs: 500,
        });
        worker = await startWorker(network, {
          folder,
          signal,
          imports: [preload('wrongClock', { seconds: -seconds })],
        });
        assertOff(worker, -seconds);

        note('the three others need it now: one of those whose clocks are right is away');
        process.kill(regular, 'SIGSTOP');
        try {
          const { timestamp } = await client.registry.view.head();
          const epoch = tickAt(timestamp, genesis, epochLength);
          const round = await client.committee.currentRound();
          await until(
            'the next round has its randomness',
            async () => (await client.committee.currentRound()) > round && client.committee.beacon(round + 1n),
            { signal, everyMs: 500 },
          );
          const deployed = await client.deploy({
            account: accountsOf(network).developer.privateKey,
            code: utf8(handler('return new Response(env.WORD.length.toString());')),
            name: `clock-${what}`,
            secrets: { WORD: 'told the time by the chain' },
          });
          const { workerId } = worker.ready as { readonly workerId: string };
          await verifiedWorker(clientOf(network), workerId);
          // Of both hosts one answers a call: asked until it was the one with the wrong clock.
          const answer = await until(
            'the worker with the wrong clock has the app’s keys and answers',
            async () => {
              const fresh = clientOf(network);
              const called = await fresh.call(deployed.app);
              assert.equal(textOf(called), '26');
              return called.worker.announcement.workerId === workerId && { fresh, called };
            },
            { signal, withinMs: 60_000, everyMs: 200 },
          );
          const proof = answer.fresh.proof(answer.called, { answer: true });
          assert.equal((await clientOf(network).verify(proof)).ok, true);
          await until(
            'an epoch that ended meanwhile has its record, which three of the members that are left have signed',
            async () => {
              const { number } = await client.registry.view.head();
              return (await records.records(number)).some(({ record }) => record.epoch >= epoch);
            },
            { signal, withinMs: 80_000, everyMs: 500 },
          );
        } finally {
          process.kill(regular, 'SIGCONT');
        }
      } finally {
        await worker?.stop();
        await member.stop();
      }
    }
  },
};

/** Its log says what its clock says, and so that the module took effect. */
function assertOff(process: AppProcess, seconds: number): void {
  const [first = ''] = process.log().split('\n');
  const { time } = JSON.parse(first) as { readonly time: string };
  const offBy = (Date.parse(time) - Date.now()) / 1_000;
  assert.ok(Math.abs(offBy - seconds) < 60, `its clock is ${offBy} s off`);
}

async function holdersOf(network: RunningDevnet): Promise<number> {
  const { committee } = clientOf(network);
  const reports = await committee.reports(await committee.status());
  return reports.filter(({ holdsShares }) => holdsShares).length;
}
