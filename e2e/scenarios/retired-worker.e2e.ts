import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { startApp } from '../support/appProcess.ts';
import { clientOf, counterSource, deployFunction, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { partOf, stillRunning } from '../support/processes.ts';
import { runCloister } from '../support/programs.ts';
import { callRaw, verifiedWorker } from '../support/rawCalls.ts';
import { until } from '../support/until.ts';

type Line = { readonly msg?: string; readonly level?: string; readonly error?: { readonly code?: string } };

export const scenario: Scenario = {
  title:
    'A worker that its operator retires answers what it has begun, stops by itself and stays away; whoever starts it again registers it anew',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '2'] });
    const url = network.network.gateways[0] ?? '';
    const control = new ChainControl(network);
    const client = clientOf(network);
    const { app, manifestId: manifest } = await deployFunction(network, 'retired-counter', counterSource);
    const [operator] = accountsOf(network).operators;
    assert.ok(operator !== undefined);
    const workerId = await client.registry.workerIdOf(operator.address, 0n);
    const worker = await verifiedWorker(client, workerId);
    const pid = partOf(network.pid, 'worker-0');
    assert.ok(pid !== undefined);
    const logFile = path.join(network.data, 'logs', 'worker-0.log');
    const state = async () => (await clientOf(network).registry.workerStatus(workerId)).state;

    note('it is retired while it answers a call');
    assert.equal((await callRaw(client, url, worker, { app, manifest })).receipt.receipt.status, 0);
    const slow = callRaw(client, url, worker, { app, manifest, request: { path: '/?wait=4000' } });
    const key = path.join(folder, 'operator.key');
    fs.writeFileSync(key, operator.privateKey, { mode: 0o600 });
    const retired = await runCloister(['retire', workerId, '--network', network.file, '--key', key], folder, signal);
    assert.equal(retired.code, 0, retired.stderr);
    assert.equal(await state(), 'retired');
    assert.equal((await slow).receipt.receipt.status, 0, 'the call under way was cut off');

    note('it stops by itself, says why, and its launcher leaves it alone');
    await until('the process is gone', () => stillRunning([pid]).length === 0, { signal, withinMs: 15_000 });
    await until('the launcher says so', () => /"step":"ended".*"reason":"WORKER_RETIRED"/.test(network.log()), {
      signal,
    });
    const lines = fs
      .readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
    const why = lines.find(({ level }) => level === 'error');
    assert.equal(why?.error?.code, 'WORKER_RETIRED');
    assert.ok(why.msg?.includes(`by its operator "${operator.address}"`), why.msg);
    assert.match(why.msg ?? '', /Start it again/);

    note('nobody registers it again, and calls go on elsewhere');
    const height = await control.blockNumber();
    await until('the chain goes on', async () => (await control.blockNumber()) > height + 3n, { signal });
    assert.equal(await state(), 'retired');
    assert.equal(partOf(network.pid, 'worker-0'), undefined);
    assert.doesNotMatch(network.log(), /"step":"restarting"[^\n]*"name":"worker-0"/);
    const elsewhere = await clientOf(network).call(app);
    assert.match(textOf(elsewhere), /^run \d+: /);
    assert.notEqual(elsewhere.worker.announcement.workerId, workerId);

    note('whoever starts it again wants it to register again');
    const config = JSON.parse(fs.readFileSync(path.join(network.data, 'logs', 'worker-0.json'), 'utf8')) as object;
    const again = await startApp('worker', { config, folder, signal });
    try {
      assert.equal(again.ready.workerId, workerId);
      assert.equal(await state(), 'active');
      const anew = await verifiedWorker(clientOf(network), workerId);
      assert.notEqual(anew.receiptSigner, worker.receiptSigner);
      assert.equal(
        (await callRaw(clientOf(network), url, anew, { app, manifest })).receipt.receipt.status,
        0,
        'it serves as before',
      );
    } finally {
      await again.stop();
    }
  },
};
