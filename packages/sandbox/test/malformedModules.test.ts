import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WasmDriver } from '../src/index.ts';
import { admitModule } from '../src/wasm/host/admitModule.ts';
import { Wasi } from '../src/wasm/host/wasi.ts';
import { wasiModule } from '../src/wasm/host/wasiNames.ts';
import { addedNames } from '../src/wasm/meter/addedNames.ts';
import { WasmRefusal } from '../src/wasm/meter/wasmRefusal.ts';
import { call, never } from './calls.ts';
import { driverOptions } from './jails.ts';
import { mutate } from './mutations.ts';
import { actorModule, wasmWorkload } from './wasm/actor.ts';
import { censusModule } from './wasm/census.ts';
import { generateProgram, programText } from './wasm/generator.ts';
import { command, reactor } from './wasm/snippets.ts';
import { wat } from './wasm/wat.ts';
import { Witness } from './witness.ts';

/** Modules that were valid before somebody changed some of their bytes. The seed of each stands in its failure. */
const isLong = process.env.CLOISTER_LONG === '1';
const MiB = 1024 * 1024;
const memoryBytes = 8 * MiB;
const fuel = 50_000;

const originals: readonly Uint8Array[] = [
  actorModule().code,
  censusModule(),
  command('(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))'),
  command('(loop (drop (memory.grow (i32.const 1))) (br 0))'),
  command('(call $nest)', '(func $nest (call $nest) (call $nest))'),
  reactor('(i64.const 17592186044420)'),
  // What has a body of its own in every section: loops, branches by table, calls, loads and stores.
  ...[1, 2, 3, 4].map((seed) =>
    wat(programText(generateProgram(seed)).replace(/\)$/, '(func (export "_start") (drop (call $f0 (i32.const 7)))))')),
  ),
];

type Ended = 'refused' | 'not compiled' | 'ran' | 'trapped' | 'out of fuel';

/** What becomes of a module, in the program's own functions. Whatever is not named here is thrown. */
function outcomeOf(bytes: Uint8Array): Ended {
  let code: Uint8Array<ArrayBuffer>;
  try {
    ({ code } = admitModule(bytes, { memoryBytes, fuel, deterministic: true }));
  } catch (error) {
    if (error instanceof WasmRefusal) return 'refused';
    throw error;
  }
  let exports: WebAssembly.Exports = {};
  const charge = (units: number): void => {
    const left = exports[addedNames.fuel] as WebAssembly.Global;
    left.value -= BigInt(units);
    if (left.value < 0n) throw new WebAssembly.RuntimeError('fuel');
  };
  const wasi = new Wasi({ args: [], env: [], input: new Uint8Array(), output() {}, deterministic: true, charge });
  try {
    const module = new WebAssembly.Module(code);
    const instance = new WebAssembly.Instance(module, { [wasiModule]: wasi.imports });
    exports = instance.exports;
  } catch (error) {
    if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) return 'not compiled';
    if (error instanceof WebAssembly.RuntimeError) return 'trapped';
    throw error;
  }
  const memory = exports.memory as WebAssembly.Memory;
  wasi.attach(memory);
  try {
    for (const name of [addedNames.start, '_start']) (exports[name] as (() => void) | undefined)?.();
    return 'ran';
  } catch {
    return (exports[addedNames.fuel] as WebAssembly.Global).value < 0n ? 'out of fuel' : 'trapped';
  } finally {
    expect(memory.buffer.byteLength).toBeLessThanOrEqual(memoryBytes);
  }
}

describe('modules with changed bytes', () => {
  test('are refused by name, or run within their fuel and memory', { timeout: 300_000 }, () => {
    const ends = new Map<string, number>();
    const count = isLong ? 60_000 : 3000;
    for (let seed = 1; seed <= count; seed += 1) {
      const original = originals[seed % originals.length] ?? new Uint8Array();
      const startMs = performance.now();
      let ended: Ended;
      try {
        ended = outcomeOf(mutate(original, seed));
      } catch (cause) {
        throw new Error(`The module of seed ${seed} ended in another way`, { cause });
      }
      expect({ seed, slow: performance.now() - startMs > 2000 }).toEqual({ seed, slow: false });
      ends.set(ended, (ends.get(ended) ?? 0) + 1);
    }
    // The changes reach as far as the engine, and most of them don't.
    expect([...ends.keys()].sort()).toEqual(expect.arrayContaining(['out of fuel', 'ran', 'refused', 'trapped']));
  });

  test('cut anywhere are refused by name, but where what is left is a module too', { timeout: 120_000 }, () => {
    const ends: Ended[] = [];
    for (const original of originals)
      for (let length = 0; length < original.length; length += isLong ? 1 : 7)
        ends.push(outcomeOf(original.slice(0, length)));
    expect(ends.filter((ended) => ended !== 'refused').length).toBeLessThan(originals.length * 4);
  });

  describe('in a sandbox', () => {
    let driver: WasmDriver;
    let witness: Witness;
    beforeAll(async () => {
      driver = new WasmDriver({ ...driverOptions({ name: '', jail: 'bubblewrap', cgroups: true }), jail: 'auto' });
      await driver.start({ signal: never });
      witness = await Witness.open(driver, actorModule(), false);
    });
    afterAll(() => driver.stop());

    test('end by name, and nobody else notices', { timeout: 300_000 }, async () => {
      for (let seed = 1; seed <= (isLong ? 300 : 8); seed += 1) {
        const code = mutate(originals[seed % originals.length] ?? new Uint8Array(), seed);
        // The first bytes are looked at before anything is opened.
        code.set([0, 0x61, 0x73, 0x6d]);
        const limits = { wallMs: 3000, memoryBytes: 64 * MiB, fuel };
        const tenant = await driver.open(wasmWorkload(code, { limits }), { signal: never });
        const { outcome } = await call(tenant, '/echo');
        expect({ seed, known: ['ok', 'app-error', 'limit'].includes(outcome.status) }).toEqual({ seed, known: true });
        if (outcome.status !== 'ok') expect(outcome.message?.length).toBeGreaterThan(0);
        expect({ seed, limit: outcome.limit === 'wall' }).toEqual({ seed, limit: false });
        await witness.isWell();
        await tenant.close();
      }
    });
  });
});
