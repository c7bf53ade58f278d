import assert from 'node:assert/strict';
import type { CallResult, DeployOptions } from '@cloister/sdk';
import wabt from 'wabt';
import { countModule } from '../../examples/wasm-count/countModule.ts';
import type { Scenario } from '../scenario.ts';
import { clientOf, deployModule, textOf } from '../support/apps.ts';

const mebibyte = 1_048_576;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

type Failing = {
  readonly name: string;
  /** What its start does. */
  readonly body: string;
  readonly more?: string;
  readonly outcome: CallResult['outcome'];
  readonly limit?: 'wall' | 'memory' | 'output' | 'fuel' | 'stack';
  readonly manifest?: DeployOptions['manifest'];
};

const endless = '(loop (br 0))';
const nesting = '(func $nest (call $nest) (call $nest))';
const writing =
  '(loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)) (unreachable)';
const fuel = 5_000_000;

const failing: readonly Failing[] = [
  { name: 'loops-for-ever', body: endless, outcome: 'limit', limit: 'wall' },
  { name: 'loops-for-ever-counted', body: endless, outcome: 'limit', limit: 'fuel', manifest: { limits: { fuel } } },
  {
    name: 'loops-before-it-begins',
    body: '',
    more: `(func $first ${endless}) (start $first)`,
    outcome: 'limit',
    limit: 'fuel',
    manifest: { limits: { fuel } },
  },
  {
    name: 'takes-memory',
    body: '(loop (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (br 0))',
    outcome: 'limit',
    limit: 'memory',
  },
  { name: 'floods-its-answer', body: writing, outcome: 'limit', limit: 'output' },
  { name: 'nests', body: '(call $nest)', more: nesting, outcome: 'app-error' },
  {
    name: 'nests-the-same-everywhere',
    body: '(call $nest)',
    more: nesting,
    outcome: 'limit',
    limit: 'stack',
    manifest: { limits: { fuel: 1_000_000_000 }, determinism: 'deterministic' },
  },
  { name: 'traps', body: 'unreachable', outcome: 'app-error' },
  { name: 'imports-what-nobody-offers', body: '', more: '', outcome: 'app-error' },
];

export const scenario: Scenario = {
  title: 'A WebAssembly module answers with its proof and its fuel, and each of its limits is an attested failure',
  async run({ network: start, note }) {
    const network = await start();
    const client = clientOf(network);

    note('the example: a private text is counted');
    const limits = { fuel: 10_000_000 };
    const { app, manifestId } = await deployModule(network, 'wasm-count', await countModule(), {
      limits,
      determinism: 'deterministic',
    });
    const text = 'one two\nthree  four\tfive\n';
    const answers = [];
    for (const _attempt of [1, 2, 3]) {
      const result = await client.call(app, { method: 'POST', body: utf8(text) });
      assert.deepEqual([result.outcome, result.status, textOf(result)], ['ok', 200, '2 5 25\n']);
      assert.equal(new Map(result.headers).get('content-type'), 'text/plain');
      answers.push(result);
    }
    const used = answers.map(({ receipt }) => fuelOf(receipt.details));
    assert.ok(Number(used[0]) > 25 && Number(used[0]) < limits.fuel, `fuel ${used[0]}`);
    assert.deepEqual(new Set(used).size, 1, 'the same text costs the same fuel');
    const [first] = answers;
    assert.ok(first);
    assert.equal(first.receipt.details.kind, 'wasm');
    assert.equal(first.receipt.receipt.manifest, manifestId);
    const verified = await clientOf(network).verify(client.proof(first, { answer: true }));
    assert.ok(verified.ok, JSON.stringify(verified.steps));

    note('a text that is longer than its fuel');
    const long = await client.call(app, { method: 'POST', body: new Uint8Array(2 * mebibyte) });
    assert.deepEqual([long.outcome, long.receipt.details.limit], ['limit', 'fuel']);
    assert.equal(fuelOf(long.receipt.details), limits.fuel);

    const assembler = await wabt();
    for (const { name, body, more = '', outcome, limit, manifest } of failing) {
      note(name);
      const foreign = name.startsWith('imports') ? '(import "env" "system" (func))' : '';
      const source = `(module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32))) ${foreign}
        (memory (export "memory") 2) (data (i32.const 0) "\\00\\00\\00\\00\\00\\00\\01\\00") ${more} (func (export "_start") ${body}))`;
      const module = assembler.parseWat(name, source);
      const code = new Uint8Array(module.toBinary({}).buffer);
      module.destroy();
      const own = { memoryBytes: 32 * mebibyte, wallMs: 5_000, outputBytes: 300_000, ...manifest?.limits };
      const deployed = await deployModule(network, `wasm-${name}`, code, { ...manifest, limits: own });
      const result = await client.call(deployed.app);
      assert.equal(result.outcome, outcome, `${name}: ${JSON.stringify(result.receipt.details)}`);
      assert.equal(result.receipt.details.limit, limit, name);
      assert.equal(result.receipt.receipt.app, deployed.app);
      assert.equal(result.receipt.receipt.manifest, deployed.manifestId, 'the module itself failed');
      const proof = await clientOf(network).verify(client.proof(result, { answer: true }));
      assert.ok(proof.ok, `${name}: ${JSON.stringify(proof.steps)}`);
    }
    assert.equal((await client.call(app, { method: 'POST', body: utf8(text) })).outcome, 'ok');
  },
};

function fuelOf(details: CallResult['receipt']['details']): unknown {
  return (details.metering as { readonly fuel?: unknown } | undefined)?.fuel;
}
