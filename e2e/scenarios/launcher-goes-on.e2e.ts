import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { networkFileId } from '@cloister/core';
import type { DevnetStep } from '../devnet.ts';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { descendantsOf, partOf, stillRunning } from '../support/processes.ts';
import { runLauncher } from '../support/programs.ts';
import { until } from '../support/until.ts';

export const scenario: Scenario = {
  title: 'Killed or stopped, the launcher leaves no child behind, and the next start goes on from the same chain',
  needs: 'own-network',
  onlyLong: true,
  async run({ startNetwork, folder, note, signal }) {
    const data = path.join(folder, 'network');
    const options = { data, args: ['--workers', '1'] };
    const first = await startNetwork(options);
    const { app } = await deployFunction(first, 'launcher-counter', counterSource);
    const answer = await clientOf(first).call(app);
    const proof = clientOf(first).proof(answer, { answer: true });

    note('a second network from the same folder');
    const second = await runLauncher(['--data', data], signal);
    assert.deepEqual([second.code, second.error?.code], [1, 'DATA_IN_USE']);
    assert.match(second.error?.hint ?? '', /--data/);

    note('a killed gateway is started again, and the worker dials it');
    const gateway = partOf(first.pid, 'gateway');
    assert.ok(gateway !== undefined);
    process.kill(gateway, 'SIGKILL');
    await until('the gateway is back', () => ![undefined, gateway].includes(partOf(first.pid, 'gateway')), { signal });
    const repaired = await until('calls work again', () => clientOf(first).call(app), { signal, withinMs: 40_000 });
    assert.equal(repaired.worker.receiptSigner, answer.worker.receiptSigner, 'the worker lived on');

    note('the launcher is killed without a word');
    const height = await new ChainControl(first).blockNumber();
    const children = descendantsOf(first.pid);
    // Chain, gateway, worker, and the sandbox that the app runs in.
    assert.ok(children.length >= 4, `only ${children.length} children`);
    process.kill(first.pid, 'SIGKILL');
    await until('none of its children is left', () => stillRunning(children).length === 0, {
      signal,
      withinMs: 20_000,
    });

    note('the next start goes on');
    const steps: DevnetStep[] = [];
    const next = await startNetwork({ ...options, onStep: (step) => steps.push(step) });
    assert.equal(networkFileId(next.network), networkFileId(first.network));
    assert.equal(steps.find(({ step }) => step === 'contracts')?.detail, 'all were there');
    assert.ok((await new ChainControl(next).blockNumber()) >= height - 3n, 'the chain began anew');
    const client = clientOf(next);
    assert.equal((await client.call(app)).outcome, 'ok');
    const proven = await client.verify(proof);
    assert.deepEqual([proven.ok, proven.outcome], [true, 'ok'], 'a proof from before the kill');

    note('Ctrl-C ends everything in order');
    const rest = descendantsOf(next.pid);
    assert.equal(await next.stop(), 0);
    assert.deepEqual(stillRunning([...rest, next.pid]), []);
    assert.ok(!fs.existsSync(path.join(data, 'lock')), 'the lock is given up');
    assert.match(next.log(), /"step":"stopped","ok":true/);
  },
};
