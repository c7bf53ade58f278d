import assert from 'node:assert/strict';
import type { BeaconRound } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction } from '../support/apps.ts';
import { partOf } from '../support/processes.ts';
import { cloisterJson } from '../support/programs.ts';
import { refusedWith } from '../support/refusals.ts';
import { until } from '../support/until.ts';

type CommitteeAnswer = {
  readonly generation: string;
  readonly threshold: number;
  readonly keys: { readonly beacon: string };
  readonly diversityWaived: boolean;
  readonly members: readonly {
    readonly endpoint: string;
    readonly reachable: boolean;
    readonly holdsShares: boolean;
  }[];
};

const names = [0, 1, 2, 3].map((index) => `gatekeeper-${index}`);

export const scenario: Scenario = {
  title:
    'The committee keeps its keys and makes randomness with one member away, stops with two away while calls go on, and comes back from a kill of all',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 180_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--epoch', '30'] });
    const pidOf = (name: string) => {
      const pid = partOf(network.pid, name);
      assert.ok(pid !== undefined, `${name} does not run`);
      return pid;
    };
    const pause = (name: string) => process.kill(pidOf(name), 'SIGSTOP');
    const resume = (name: string) => process.kill(pidOf(name), 'SIGCONT');
    const committee = async (): Promise<CommitteeAnswer> => {
      const { code, json } = await cloisterJson<CommitteeAnswer>(
        ['committee', '--network', network.file],
        folder,
        signal,
      );
      assert.equal(code, 0);
      return json;
    };
    const holding = async (count: number) => {
      const found = await committee();
      return found.members.filter(({ holdsShares }) => holdsShares).length === count && found;
    };
    /** How many members sign heads of apps' state: after a restart, only when they have heard the others. */
    const signingState = async (): Promise<number> => {
      const { members } = await committee();
      const told = members.map(async ({ endpoint }) => (await fetch(`${endpoint}/v1/gatekeeper`, { signal })).json());
      const heard = await Promise.allSettled(told);
      return heard.filter((one) => one.status === 'fulfilled' && (one.value as { signsState: boolean }).signsState)
        .length;
    };
    const client = () => clientOf(network);
    const newRound = async (): Promise<bigint> => {
      const before = await client().committee.currentRound();
      return until(
        'a round begins',
        async () => {
          const round = await client().committee.currentRound();
          return round > before && round;
        },
        { signal },
      );
    };
    const { app } = await deployFunction(network, 'during', 'export default { fetch: () => new Response("goes on") };');

    note('four members, any three of which use a key');
    const first = await until('everybody holds shares', () => holding(4), { signal });
    assert.deepEqual([first.threshold, first.diversityWaived], [3, true]);
    await until('everybody signs heads of state', async () => (await signingState()) === 4, { signal, everyMs: 500 });
    const { code, json: early } = await cloisterJson<BeaconRound>(
      ['beacon', '1', '--network', network.file],
      folder,
      signal,
    );
    assert.equal(code, 0, JSON.stringify(early));
    assert.equal((await client().committee.beacon(1n)).randomness, early.randomness);
    assert.notEqual((await client().committee.beacon()).randomness, early.randomness);
    await refusedWith('BEACON_UNAVAILABLE', client().committee.beacon(10n ** 9n));

    note('one member away: randomness and handovers go on');
    pause('gatekeeper-3');
    await client().committee.beacon(await newRound());
    await until(
      'the keys are handed on',
      async () => (await client().committee.status()).generation.number > BigInt(first.generation),
      {
        signal,
        withinMs: 70_000,
        everyMs: 500,
      },
    );
    assert.deepEqual((await client().committee.status()).keys?.beacon, first.keys.beacon);

    note('two members away: no randomness of a round that nobody has signed, and calls go on');
    pause('gatekeeper-2');
    await refusedWith('BEACON_UNAVAILABLE', client().committee.beacon(await newRound()));
    assert.equal(new TextDecoder().decode((await client().call(app)).body), 'goes on');

    note('they come back, and the round that was late is the one that it was');
    resume('gatekeeper-2');
    resume('gatekeeper-3');
    await until('everybody holds shares again', () => holding(4), { signal, withinMs: 70_000, everyMs: 500 });
    await client().committee.beacon();

    note('all killed at once: they open what their devices sealed, and the keys are the same');
    for (const name of names) process.kill(pidOf(name), 'SIGKILL');
    await until(
      'three hold shares',
      async () => (await committee()).members.filter(({ holdsShares }) => holdsShares).length >= 3,
      {
        signal,
        withinMs: 60_000,
        everyMs: 500,
      },
    );
    await until('everybody has heard what the others keep of state', async () => (await signingState()) === 4, {
      signal,
      withinMs: 60_000,
      everyMs: 500,
    });
    const again = await until('they have told each other what they see', () => client().committee.beacon(1n), {
      signal,
      everyMs: 500,
    });
    assert.equal(again.signature, early.signature);
    const later = await newRound();
    await until('the next round has its randomness', () => client().committee.beacon(later), { signal, everyMs: 500 });
  },
};
