import assert from 'node:assert/strict';
import type { Scenario } from '../scenario.ts';
import { partOf } from '../support/processes.ts';
import { cloisterJson } from '../support/programs.ts';
import { until } from '../support/until.ts';

type Listed = {
  readonly epoch: string;
  readonly totals: { readonly members: number; readonly workers: number; readonly work: string };
};
type Recomputed = {
  readonly epoch: string;
  readonly ok: boolean;
  readonly differences: readonly unknown[];
};

const names = [0, 1, 2, 3].map((index) => `gatekeeper-${index}`);

export const scenario: Scenario = {
  title:
    'Every epoch gets a record that anybody computes alike: with all members, with one away, and after a kill of all from what they had published',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 400_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '2', '--epoch', '30'] });
    const run = async <T>(...argv: string[]): Promise<{ code: number; json: T }> =>
      cloisterJson<T>([...argv, '--network', network.file], folder, signal);
    const list = async () => (await run<readonly Listed[]>('epoch', 'list')).json;
    const pidOf = (name: string) => partOf(network.pid, name) ?? assert.fail(`${name} does not run`);
    const recordWith = (members: number, after: bigint) =>
      until(
        `${members} members record two workers`,
        async () =>
          (await list()).find(
            ({ epoch, totals }) => BigInt(epoch) > after && totals.members === members && totals.workers === 2,
          ),
        { signal, withinMs: 120_000, everyMs: 1_000 },
      );
    const assertFollows = async (epoch: string) => {
      const { code, json } = await run<Recomputed>('epoch', 'recompute', epoch);
      assert.deepEqual([code, json.ok, json.differences], [0, true, []], JSON.stringify(json));
    };

    note('four members: what all published makes the record');
    const first = await recordWith(4, -1n);
    await assertFollows(first.epoch);

    note('members have measured the workers by sealed questions, and the record says what they do');
    const measured = await until(
      'a record says how much work the workers do',
      async () => (await list()).find(({ totals }) => BigInt(totals.work) > 0n),
      { signal, withinMs: 120_000, everyMs: 1_000 },
    );
    await assertFollows(measured.epoch);

    note('one member away: the others record without it');
    process.kill(pidOf('gatekeeper-3'), 'SIGSTOP');
    const second = await recordWith(3, BigInt(measured.epoch));
    process.kill(pidOf('gatekeeper-3'), 'SIGCONT');
    await assertFollows(second.epoch);

    note('all killed: what they had published is still served, and records go on');
    for (const name of names) process.kill(pidOf(name), 'SIGKILL');
    await until(
      'the members serve what they had published',
      async () => {
        const { json } = await run<Partial<Recomputed>>('epoch', 'recompute', second.epoch);
        if (json.ok !== true) throw new Error(JSON.stringify(json).slice(0, 2_000));
        return true;
      },
      { signal, withinMs: 90_000, everyMs: 2_000 },
    );
    await recordWith(4, BigInt(second.epoch));
    const epochs = (await list()).map(({ epoch }) => BigInt(epoch));
    assert.deepEqual(
      epochs,
      [...new Set(epochs)].sort((left, right) => Number(left - right)),
    );
  },
};
