import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Address } from '@cloister/core';
import { inRoot } from '../../scripts/lib/paths.ts';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf, deployFile, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { until } from '../support/until.ts';

type Beat = { readonly id: string; readonly due: string; readonly attempts: number[]; readonly hash: `0x${string}` };

const file = inRoot('examples/heartbeat/heartbeat.ts');

export const scenario: Scenario = {
  title: 'Of all hosts of a function with a schedule one runs it each minute, and it sends one transaction',
  onlyLong: true,
  timeoutMs: 360_000,
  async run({ network: start, note, signal }) {
    const network = await start();
    const client = clientOf(network);
    const manifest = JSON.parse(await readFile(inRoot('examples/heartbeat/manifest.json'), 'utf8')) as object;
    const placement = { replicas: 8, teeTypes: ['tdx'] as const, minTcbEvaluationDataNumber: 0, distinct: [] };
    // The committee is asked for the key and to sign: on a machine with much else to do that takes its time.
    const limits = { wallMs: 40_000 };
    const { app } = await deployFile(network, 'heartbeat', file, { ...manifest, placement, limits });
    const { hosts } = await until('it has its hosts', () => client.placement(app, signal), { signal });
    assert.ok(hosts.length > 1);

    note('its account gets what it needs for gas');
    const { developer } = accountsOf(network);
    const ask = async (path: string) => {
      const result = await client.call(app, { path });
      assert.equal(result.outcome, 'ok', textOf(result));
      return JSON.parse(textOf(result)) as unknown;
    };
    const { account } = (await ask('/account')) as { account: Address };
    await new ChainControl(network).account(developer).send(account, '0x', 'funds', signal, 10n ** 18n);

    note('nobody calls it, and two minutes later it has run twice');
    const beats = await until(
      'it has run twice',
      async () => {
        const found = (await ask('/')) as Beat[];
        return found.length >= 2 && found;
      },
      { signal, withinMs: 200_000, everyMs: 2_000 },
    );
    const [first, second] = beats.map(({ due }) => Date.parse(due));
    assert.equal((second ?? 0) - (first ?? 0), 60_000);
    for (const { attempts } of beats) assert.deepEqual(attempts, [1]);
    assert.equal(new Set(beats.map(({ id }) => id)).size, beats.length);

    note('the chain has its transactions, one for each');
    const { view } = client.registry;
    const { number } = await view.head(signal);
    const sent = await view.transactionCount(account, number, signal);
    const later = ((await ask('/')) as Beat[]).length;
    assert.ok(sent >= beats.length && sent <= later, `${sent} transactions of ${beats.length} to ${later} runs`);

    note('its owner finds each run in the log of the host that it was on');
    const logs = await client.logs(app, new ChainControl(network).account(developer).local);
    const runs = logs.flatMap(({ lines }) => lines.filter(({ message }) => message.startsWith('Schedule "* * * * *"')));
    assert.ok(runs.length >= 2 && runs.every(({ message }) => message.includes('"ok"')), JSON.stringify(runs));
  },
};
