import assert from 'node:assert/strict';
import { bundleFunction } from '@cloister/build';
import { deterministicFunction } from '@cloister/core';
import type { CallResult } from '@cloister/sdk';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployFunction, handler, textOf } from '../support/apps.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const seed = `0x${'5e'.repeat(32)}`;
const entries = Array.from({ length: 40 }, (_, index) => ({ name: `entry ${index}`, tickets: index % 7 }));

export const scenario: Scenario = {
  title: 'A deterministic function answers with the same bytes at the same cost, whichever worker runs it',
  async run({ network: start, note }) {
    const network = await start();
    const client = clientOf(network);

    note('the example, at two workers');
    const { code } = await bundleFunction('examples/fair-draw/draw.ts');
    const source = new TextDecoder().decode(code);
    const { app, manifestId } = await deployFunction(network, 'fair-draw', source, deterministicFunction);
    const request = { method: 'POST', body: utf8(JSON.stringify({ seed, entries })) };
    const results: CallResult[] = [];
    const listed = await client.workers();
    const workers = [
      ...new Set(listed.flatMap(({ verified }) => (verified === undefined ? [] : [verified.workerId]))),
    ].slice(0, 2);
    for (const worker of workers) results.push(await client.call(app, request, { worker }));
    const [first, second] = results;
    assert.ok(first && second, 'two workers');
    assert.notEqual(first.worker.workerId, second.worker.workerId);
    for (const result of results) {
      assert.deepEqual([result.outcome, result.status], ['ok', 200]);
      assert.equal(textOf(result), textOf(first));
      assert.deepEqual(result.headers, first.headers);
      assert.equal(fuelOf(result), fuelOf(first));
      assert.deepEqual(result.receipt.details.runtime, first.receipt.details.runtime);
      assert.equal(result.receipt.receipt.manifest, manifestId);
      const verified = await clientOf(network).verify(client.proof(result, { answer: true }));
      assert.ok(verified.ok, JSON.stringify(verified.steps));
    }
    assert.ok(Number(fuelOf(first)) > 0);
    assert.equal(
      JSON.parse(textOf(first)).total,
      entries.reduce((sum, { tickets }) => sum + tickets, 0),
    );

    note('a function that never ends is ended by its fuel, the same at both');
    const endless = await deployFunction(network, 'endless', handler('for (;;);'), {
      ...deterministicFunction,
      limits: { fuel: 20_000_000 },
    });
    for (const worker of workers) {
      const ended = await client.call(endless.app, {}, { worker });
      assert.deepEqual([ended.outcome, ended.receipt.details.limit, fuelOf(ended)], ['limit', 'fuel', 20_000_000]);
    }
  },
};

function fuelOf({ receipt }: CallResult): unknown {
  return (receipt.details.metering as { readonly fuel?: unknown } | undefined)?.fuel;
}
