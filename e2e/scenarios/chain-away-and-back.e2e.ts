import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction, handler, textOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { partOf } from '../support/processes.ts';
import { callRaw, verifiedWorker } from '../support/rawCalls.ts';
import { refusedWith } from '../support/refusals.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title:
    'A chain that stands still, is reorganised or is killed costs time and no trust: the same network goes on by itself',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '2'] });
    const url = network.network.gateways[0] ?? '';
    const control = new ChainControl(network);
    const { app, manifestId: manifest } = await deployFunction(network, 'chain-counter', counterSource);
    const client = clientOf(network);
    await client.call(app);
    const worker = await verifiedWorker(client);
    const workers = ['worker-0', 'worker-1'].map((name) => partOf(network.pid, name));
    const fileBefore = fs.readFileSync(network.file, 'utf8');
    const chain = partOf(network.pid, 'chain');
    assert.ok(chain !== undefined);
    const works = () =>
      until(
        'calls work again',
        async () => {
          const fresh = clientOf(network);
          const listed = await fresh.workers();
          return listed.length === 2 && listed.every(({ verified }) => verified !== undefined) && fresh.call(app);
        },
        { signal, everyMs: 250 },
      );

    note('the chain stands still');
    await callRaw(client, url, worker, { app, manifest });
    process.kill(chain, 'SIGSTOP');
    try {
      // What a client verified before still holds; a new client can verify nothing, and seals nothing.
      const known = await callRaw(client, url, worker, { app, manifest });
      assert.equal(known.receipt.receipt.status, 0);
      await refusedWith('DEADLINE_EXCEEDED', clientOf(network).call(app, {}, { timeoutMs: 1_000 }));
    } finally {
      process.kill(chain, 'SIGCONT');
    }
    assert.equal((await works()).outcome, 'ok');

    note('the chain is reorganised to before the workers registered');
    const attested = Math.min(
      ...(await client.workers()).map(({ announcement }) => Number(announcement.attestedBlock)),
    );
    const old = await client.registry.view.blockAt(BigInt(attested));
    const appBefore = await deployFunction(network, 'chain-lost', handler('return new Response("lost");'));
    // Only now: the chain grows all the time.
    const depth = Number(await control.blockNumber()) - attested + 1;
    await control.rpc('anvil_reorg', depth + 1, []);
    const { hash } = await clientOf(network).registry.view.blockAt(BigInt(attested));
    assert.notEqual(hash, old.hash, 'the block that the evidence names is gone');
    await refusedWith('REGISTRY_APP_UNKNOWN', clientOf(network).call(appBefore.app));
    const again = await deployFunction(network, 'chain-counter', counterSource);
    assert.deepEqual([again.app, again.published], [app, true], 'the same app, published anew');
    const result = await works();
    assert.match(textOf(result), /^run \d+: /);
    assert.ok(result.worker.announcement.attestedBlock >= BigInt(attested));
    const { blockNumber, blockHash } = result.receipt.receipt;
    assert.equal(
      (await client.registry.view.blockAt(blockNumber)).hash,
      blockHash,
      'a block of the chain as it is now',
    );

    note('the chain is killed');
    const height = await control.blockNumber();
    process.kill(chain, 'SIGKILL');
    const back = await until(
      'the launcher has started it again',
      () => {
        const pid = partOf(network.pid, 'chain');
        return pid !== chain && pid;
      },
      { signal },
    );
    assert.notEqual(back, chain);
    assert.equal((await works()).outcome, 'ok');
    // State is written every second.
    await until('the chain is as high as it was', async () => (await control.blockNumber()) >= height - 3n, { signal });
    assert.equal(fs.readFileSync(network.file, 'utf8'), fileBefore);
    assert.deepEqual(
      ['worker-0', 'worker-1'].map((name) => partOf(network.pid, name)),
      workers,
      'no worker had to be started again',
    );
    // Until the chain has grown beyond what was lost, a worker's newest block is one of those that are gone.
    await until(
      'a call is proven again',
      async () => {
        const proven = clientOf(network).proof(await clientOf(network).call(app), { answer: true });
        return (await clientOf(network).verify(proven)).ok;
      },
      { signal, everyMs: 500 },
    );
  },
};
