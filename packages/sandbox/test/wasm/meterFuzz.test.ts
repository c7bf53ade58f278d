import { describe, expect, test } from 'vitest';
import { addedNames } from '../../src/wasm/meter/addedNames.ts';
import { confineModule } from '../../src/wasm/meter/confineModule.ts';
import { generateProgram, programText } from './generator.ts';
import { interpret } from './interpreter.ts';
import { wat } from './wat.ts';

const [count, timeoutMs] = process.env.CLOISTER_LONG === '1' ? [5_000, 300_000] : [250, 20_000];
const memoryBytes = 1024 * 1024;
const plenty = 1_000_000_000;
const argumentsOf = (seed: number): readonly number[] => [0, seed | 0, -seed];

type Run = { readonly result: number; readonly memory: Buffer; readonly fuel: number | undefined };

function runModule(code: Uint8Array<ArrayBuffer>, argument: number): Run {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {});
  const result = (exports.f0 as (value: number) => number)(argument);
  const left = exports[addedNames.fuel];
  return {
    result,
    memory: Buffer.from(new Uint8Array((exports.memory as WebAssembly.Memory).buffer)),
    fuel: left instanceof WebAssembly.Global ? plenty - Number(left.value) : undefined,
  };
}

describe('generated programs', () => {
  test('do the same with the counting in them, and the count is that of an interpreter', { timeout: timeoutMs }, () => {
    let compared = 0;
    for (let seed = 1; seed <= count; seed += 1) {
      const program = generateProgram(seed);
      const plain = wat(programText(program));
      const variants = [false, true].map(
        (deterministic) =>
          confineModule(plain, { memoryBytes, fuel: plenty, deterministic }) as Uint8Array<ArrayBuffer>,
      );
      const uncounted = confineModule(plain, { memoryBytes, fuel: undefined, deterministic: false });
      for (const argument of argumentsOf(seed)) {
        const expected = interpret(program, argument);
        if (expected === undefined) continue;
        compared += 1;
        const runs = [plain, uncounted as Uint8Array<ArrayBuffer>, ...variants].map((code) =>
          runModule(code, argument),
        );
        for (const { result, memory } of runs) {
          expect({ seed, result }).toEqual({ seed, result: expected.result });
          expect({ seed, same: memory.equals(expected.memory) }).toEqual({ seed, same: true });
        }
        expect({ seed, fuel: runs.map(({ fuel }) => fuel) }).toEqual({
          seed,
          fuel: [undefined, undefined, expected.instructions, expected.instructions],
        });
      }
    }
    expect(compared).toBeGreaterThan(count);
  });

  test('end when what they get is less than they need, wherever that is', () => {
    for (let seed = 1; seed <= count / 5; seed += 1) {
      const program = generateProgram(seed);
      const needed = interpret(program, seed)?.instructions;
      if (needed === undefined || needed < 2) continue;
      const plain = wat(programText(program));
      for (const fuel of [1, needed >> 1, needed - 1]) {
        const code = confineModule(plain, { memoryBytes, fuel, deterministic: false }) as Uint8Array<ArrayBuffer>;
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {});
        try {
          (exports.f0 as (value: number) => number)(seed);
        } catch (error) {
          expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
        }
        // Where no loop or call comes any more, it runs out of its last block with less than nothing.
        expect({ seed, left: (exports[addedNames.fuel] as WebAssembly.Global).value < 0n }).toEqual({
          seed,
          left: true,
        });
      }
    }
  });
});
