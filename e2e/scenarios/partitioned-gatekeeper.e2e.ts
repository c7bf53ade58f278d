import assert from 'node:assert/strict';
import { utf8 } from '@cloister/crypto';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, handler, textOf } from '../support/apps.ts';
import { CutRoads } from '../support/cutRoads.ts';
import { freePort } from '../support/freePort.ts';
import { partOf } from '../support/processes.ts';
import { preload, standIn } from '../support/standIn.ts';
import { until } from '../support/until.ts';

const name = 'gatekeeper-3';

export const scenario: Scenario = {
  title:
    'A gatekeeper that nothing reaches and that reaches nothing, for two handovers, holds up nobody; when its roads are open again it is repaired, and the keys rest on it',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 360_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--epoch', '30'] });
    const client = clientOf(network);
    const { committee } = client;
    const port = await freePort();
    const roads = await CutRoads.start(port);
    /** What the member itself says, asked past the road that can be cut. */
    const itself = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
    const told = async () => {
      const status = (await (await itself('/v1/gatekeeper')).json()) as { generation: string; holdsShares: boolean };
      return { ...status, generation: BigInt(status.generation) };
    };
    const report = async () => {
      const reports = await committee.reports(await committee.status());
      return reports.find(({ endpoint }) => endpoint === roads.url);
    };
    const isWhole = async () => {
      const reports = await committee.reports(await committee.status());
      return reports.length === 4 && reports.every(({ holdsShares }) => holdsShares) && (await report()) !== undefined;
    };
    const generation = async () => (await committee.status()).generation.number;
    const nextRound = async () => {
      const before = await committee.currentRound();
      return until(
        'a round begins',
        async () => {
          const now = await committee.currentRound();
          return now > before && now;
        },
        { signal },
      );
    };
    const keyOfNewApp = async (app: string) => {
      const deployed = await client.deploy({
        account: accountsOf(network).developer.privateKey,
        code: utf8(handler('return new Response(env.WORD.length.toString());')),
        name: app,
        secrets: { WORD: 'passes no cut road' },
      });
      await until('a host has its keys', async () => textOf(await clientOf(network).call(deployed.app)) === '18', {
        signal,
        withinMs: 60_000,
      });
    };
    const member = await standIn(network, name, {
      folder,
      signal,
      imports: [preload('oneRoad', { port: roads.outPort })],
      config: { listen: { host: '127.0.0.1', port }, endpoint: roads.url },
    });
    try {
      note('one of four has one road in and one out, and all hold shares');
      await until('all hold shares', isWhole, { signal, withinMs: 80_000, everyMs: 500 });
      assert.ok(roads.passed > 0, 'nothing takes the roads');
      const { keys, generation: before } = await committee.status();

      note('both roads are cut: the three others make randomness, release keys and hand the keys on, twice');
      roads.cut();
      await committee.beacon(await nextRound());
      await keyOfNewApp('past-a-partition');
      await until('the keys are handed on twice', async () => (await generation()) >= before.number + 2n, {
        signal,
        withinMs: 120_000,
        everyMs: 500,
      });
      const meanwhile = await committee.status();
      assert.deepEqual(meanwhile.keys, keys);
      const round = await nextRound();
      await committee.beacon(round);
      assert.equal((await report())?.reachable, false);

      note('what it holds is of no use to anybody, not even to who stands beside it');
      const partial = await itself(`/v1/beacon/${round}/partial`);
      assert.notEqual(partial.status, 200, 'it signs a round that it can not know of');
      assert.ok((await told()).generation < meanwhile.generation.number);

      note('the roads are open: it sees that it was left behind, and is repaired by the next handover');
      roads.open();
      const isRepaired = async () => {
        const { generation: number, holdsShares } = await told();
        return holdsShares && number > meanwhile.generation.number && isWhole();
      };
      await until('it holds shares again', isRepaired, { signal, withinMs: 120_000, everyMs: 500 });
      const after = await committee.status();
      assert.deepEqual(after.keys, keys);
      assert.ok(after.generation.number > meanwhile.generation.number);

      note('one of the others is away: without the parts of the one that came back there would be no keys');
      const other = partOf(network.pid, 'gatekeeper-0');
      assert.ok(other !== undefined);
      process.kill(other, 'SIGSTOP');
      try {
        const late = await nextRound();
        await until('the round has its randomness', () => committee.beacon(late), { signal, everyMs: 250 });
        assert.equal((await itself(`/v1/beacon/${late}/partial`)).status, 200);
        await keyOfNewApp('with-its-part');
      } finally {
        process.kill(other, 'SIGCONT');
      }
    } finally {
      await member.stop();
      await roads.stop();
    }
  },
};
