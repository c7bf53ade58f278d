import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { threadLimits } from '../../src/wasm/host/threadPool.ts';
import { addedNames } from '../../src/wasm/meter/addedNames.ts';
import { type ConfineOptions, confineModule } from '../../src/wasm/meter/confineModule.ts';
import { WasmRefusal } from '../../src/wasm/meter/wasmRefusal.ts';
import { actorModule } from './actor.ts';
import { leb, moduleOf, moduleWith, section } from './binary.ts';
import { wat } from './wat.ts';

const MiB = 1024 * 1024;
const uncounted: ConfineOptions = { memoryBytes: MiB, fuel: undefined, deterministic: false };
const counted: ConfineOptions = { memoryBytes: MiB, fuel: 100_000, deterministic: false };
const deterministic: ConfineOptions = { ...counted, deterministic: true };
const all = [uncounted, counted, deterministic];

const refusalOf = (bytes: Uint8Array, options = deterministic): string => {
  try {
    confineModule(bytes, options);
    return 'no refusal';
  } catch (error) {
    if (error instanceof WasmRefusal) return `${error.code}: ${error.message}`;
    throw error;
  }
};
const instance = (bytes: Uint8Array, options: ConfineOptions): WebAssembly.Exports => {
  const confined = confineModule(bytes, options) as Uint8Array<ArrayBuffer>;
  return new WebAssembly.Instance(new WebAssembly.Module(confined), {}).exports;
};
const call = (exports: WebAssembly.Exports, name: string, ...values: unknown[]): unknown =>
  (exports[name] as (...values: unknown[]) => unknown)(...values);
const global = (exports: WebAssembly.Exports, name: string): number =>
  Number((exports[name] as WebAssembly.Global).value);

/** Calls "f" on a thread like those of the driver. */
async function inThread(code: Uint8Array): Promise<{ message: string; stack: number; depth: number }> {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(workerData.code), {});
    let message = 'ended';
    try { exports.f(); } catch (error) { message = error.message; }
    parentPort.postMessage({ message, stack: exports[workerData.name].value, depth: exports.d.value });`;
  const thread = new Worker(script, {
    eval: true,
    resourceLimits: threadLimits,
    workerData: { code, name: addedNames.stack },
  });
  const [result] = await once(thread, 'message');
  await thread.terminate();
  return result;
}

describe('every instruction', () => {
  /** The immediates that each instruction is given here. */
  const immediates = (op: number): number[] => {
    if (op >= 0x02 && op <= 0x04) return [0x40, 0x0b];
    if (op === 0x0c || op === 0x0d || op === 0x10 || op === 0x23 || op === 0x24) return [0];
    if (op === 0x0e || op === 0x11 || (op >= 0x28 && op <= 0x3e)) return [0, 0];
    if (op === 0x1c) return [1, 0x7f];
    if ((op >= 0x20 && op <= 0x22) || op === 0x25 || op === 0x26) return [0];
    if (op === 0x3f || op === 0x40 || op === 0x41 || op === 0x42 || op === 0xd2) return [0];
    if (op === 0x43) return [0, 0, 0, 0];
    if (op === 0x44) return [0, 0, 0, 0, 0, 0, 0, 0];
    return op === 0xd0 ? [0x70] : [];
  };
  const miscImmediates = (sub: number): number[] => (sub <= 7 ? [] : [8, 10, 12, 14].includes(sub) ? [0, 0] : [0]);
  const vectorImmediates = (sub: number): number[] => {
    if (sub <= 11 || sub === 92 || sub === 93) return [0, 0];
    if (sub === 12 || sub === 13) return Array.from({ length: 16 }, () => 0);
    if (sub >= 84 && sub <= 91) return [0, 0, 0];
    return sub >= 21 && sub <= 34 ? [0] : [];
  };
  /** After `unreachable` any operands are there, and after another one any results are fine. */
  const bodyWith = (...instruction: number[]): Uint8Array<ArrayBuffer> =>
    moduleWith([0x00, ...instruction, 0x00], [1, 1, 0x7f]);
  const agree = (name: string, bytes: Uint8Array<ArrayBuffer>, offered: boolean): void => {
    const refusals = all.map((options) => refusalOf(bytes, options));
    if (!offered) {
      for (const refusal of refusals)
        expect({ name, refusal }).toMatchObject({ refusal: expect.stringContaining(name) });
      return;
    }
    expect({ name, valid: WebAssembly.validate(bytes) }).toEqual({ name, valid: true });
    expect({ name, refusals }).toEqual({ name, refusals: ['no refusal', 'no refusal', 'no refusal'] });
    for (const options of all) {
      const confined = confineModule(bytes, options) as Uint8Array<ArrayBuffer>;
      expect({ name, valid: WebAssembly.validate(confined) }).toEqual({ name, valid: true });
    }
  };

  test('of one byte is known or refused by its number', () => {
    const structure = new Set([0x05, 0x0b, 0xfc, 0xfd]);
    const offered = (op: number): boolean =>
      (op >= 0x00 && op <= 0x04) ||
      (op >= 0x0c && op <= 0x11) ||
      (op >= 0x1a && op <= 0x1c) ||
      (op >= 0x20 && op <= 0x26) ||
      (op >= 0x28 && op <= 0xc4) ||
      (op >= 0xd0 && op <= 0xd2);
    let known = 0;
    for (let op = 0; op < 256; op += 1) {
      if (structure.has(op)) continue;
      if (offered(op)) known += 1;
      agree(`0x${op.toString(16).padStart(2, '0')}`, bodyWith(op, ...immediates(op)), offered(op));
    }
    expect(known).toBe(181);
  });

  test('after the prefixes is known or refused by its number', () => {
    for (let sub = 0; sub < 40; sub += 1)
      agree(`0xfc ${sub}`, bodyWith(0xfc, ...leb(sub), ...miscImmediates(sub)), sub <= 17);
    let vectors = 0;
    for (let sub = 0; sub < 300; sub += 1) {
      const bytes = bodyWith(0xfd, ...leb(sub), ...vectorImmediates(sub));
      // The engine knows the relaxed ones too, from 256 on, whose results differ between machines.
      const offered = sub < 256 && WebAssembly.validate(bytes);
      if (offered) vectors += 1;
      agree(`0xfd ${sub}`, bytes, offered);
    }
    expect(vectors).toBe(236);
  });
});

describe('a damaged module', () => {
  const actor = actorModule().code;

  test('that ends at any of its bytes is refused, unless what is left is a module', () => {
    for (let length = 0; length < actor.length; length += 1) {
      const part = actor.slice(0, length) as Uint8Array<ArrayBuffer>;
      expect({ length, refused: refusalOf(part) !== 'no refusal' }).toEqual({
        length,
        refused: !WebAssembly.validate(part),
      });
    }
    expect(refusalOf(actor)).toBe('no refusal');
  });

  test('that has any of its bytes changed is refused, or still valid with the walls in it', () => {
    const step = process.env.CLOISTER_LONG === '1' ? 1 : 5;
    let admitted = 0;
    for (let at = 8; at < actor.length; at += step)
      for (const change of [0x01, 0x80, 0xff]) {
        const damaged = Uint8Array.from(actor);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        if (refusalOf(damaged) !== 'no refusal') continue;
        admitted += 1;
        const confined = confineModule(damaged, deterministic) as Uint8Array<ArrayBuffer>;
        expect({ at, change, valid: WebAssembly.validate(confined) }).toEqual({ at, change, valid: true });
      }
    expect(admitted).toBeGreaterThan(100);
  });

  test.each([
    ['no module', Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), /no WebAssembly module/],
    ['another version', Uint8Array.from([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]), /no WebAssembly module/],
    ['a section that says it is longer', moduleOf([1, 0x7f, 1, 0x60, 0, 0]), /ends in the middle/],
    [
      'a section that says it is as long as numbers get',
      moduleOf([1, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      /ends in the middle/,
    ],
    ['a section length of more than 32 bits', moduleOf([1, 0xff, 0xff, 0xff, 0xff, 0x7f]), /longer than 32 bits/],
    ['a section longer than what it holds', moduleOf(section(1, 0, 0)), /longer than what it holds/],
    ['a section twice', moduleOf(section(1, 0), section(1, 0)), /not in its place/],
    ['sections out of order', moduleOf(section(3, 0), section(1, 0)), /not in its place/],
    ['an unknown section', moduleOf(section(13, 0)), /section of kind 13/],
    ['a count of types that lies', moduleOf(section(1, ...leb(10_000), 0x60, 0, 0)), /ends in the middle/],
    ['too many types', moduleOf(section(1, ...leb(4_000_000))), /4000000 types, more than/],
    ['too many locals in one group', moduleWith([], [1, ...leb(50_000), 0x7f]), /more than 20000 locals/],
    [
      'too many locals in all',
      moduleWith([], [2, ...leb(15_000), 0x7f, ...leb(15_000), 0x7e]),
      /more than 20000 locals/,
    ],
    [
      'locals that overflow',
      moduleWith([], [2, ...leb(0xffff_ffff), 0x7f, ...leb(0xffff_ffff), 0x7f]),
      /more than 20000/,
    ],
    ['a local that is not there', moduleWith([0x20, 5, 0x1a]), /no local 5/],
    ['a global of the passes', moduleWith([0x41, 0, 0x24, 1]), /not valid/],
    ['a function of the passes', moduleWith([0x41, 0, 0x10, 1, 0x1a]), /not valid/],
    ['a branch that leads nowhere', moduleWith([0x0c, 9]), /not valid/],
    ['a body that goes on after its end', moduleWith([0x0b, 0x01]), /goes on after its end/],
    [
      'a body without an end',
      moduleOf(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 1, 2, 0, 1)),
      /ends in the middle/,
    ],
    [
      'bodies for other functions',
      moduleOf(section(1, 1, 0x60, 0, 0), section(3, 2, 0, 0), section(10, 1, 2, 0, 0x0b)),
      /1 bodies for 2/,
    ],
    ['a constant that is calculated', moduleOf(section(6, 1, 0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b)), /calculated/],
  ])('with %s is refused', (_, bytes, reason) => {
    expect(refusalOf(bytes)).toMatch(reason);
  });
});

describe('what is not offered', () => {
  test.each([
    ['a memory from outside', '(module (import "a" "b" (memory 1)))', {}, /imports "a" "b", which is no function/],
    ['a global from outside', '(module (import "a" "b" (global i32)))', {}, /no function/],
    ['a table from outside', '(module (import "a" "b" (table 1 funcref)))', {}, /no function/],
    ['a shared memory', '(module (memory 1 2 shared))', { threads: true }, /memory of kind 3/],
    ['a memory of 64 bits', '(module (memory i64 1))', { memory64: true }, /memory of kind 4/],
    ['two memories', '(module (memory 1) (memory 1))', { multi_memory: true }, /more than one memory/],
    ['tail calls', '(module (func $f return_call $f))', { tail_call: true }, /instruction 0x12/],
    [
      'atomics',
      '(module (memory 1 1) (func (drop (i32.atomic.load (i32.const 0)))))',
      { threads: true },
      /instruction 0xfe/,
    ],
    ['exceptions', '(module (tag) (func (throw 0)))', { exceptions: true }, /section of kind 13/],
    [
      'relaxed vectors',
      '(module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))',
      { relaxed_simd: true },
      /instruction 0xfd 256/,
    ],
    ['the names of the passes', '(module (func (export "cloister:fuel")))', {}, /begins with "cloister:"/],
    ['a table that is too large', '(module (table 2000000 funcref))', {}, /2000000 entries/],
    ['more memory than it may have', '(module (memory 17))', {}, /WASM_MEMORY: .* 17 pages .* may have 16/],
  ] as const)('%s is refused by name', (_, source, features, reason) => {
    expect(refusalOf(wat(source, features))).toMatch(reason);
  });
});

describe('the memory', () => {
  const grower = (declared: string): Uint8Array =>
    wat(
      `(module (memory (export "memory") ${declared}) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`,
    );

  test.each(all.map((options) => [options]))(
    'grows to the limit and no further, which is remembered: %#',
    (options) => {
      const exports = instance(grower('1'), options);
      expect(call(exports, 'grow', 15)).toBe(1);
      expect(global(exports, addedNames.memoryRefused)).toBe(0);
      expect(call(exports, 'grow', 1)).toBe(-1);
      expect(global(exports, addedNames.memoryRefused)).toBe(1);
      expect((exports.memory as WebAssembly.Memory).buffer.byteLength).toBe(MiB);
    },
  );

  test('keeps a lower limit of its own, and loses a higher one', () => {
    expect(call(instance(grower('1 3'), uncounted), 'grow', 3)).toBe(-1);
    expect(call(instance(grower('1 60000'), uncounted), 'grow', 16)).toBe(-1);
    expect(call(instance(grower('1 60000'), uncounted), 'grow', -1)).toBe(-1);
  });

  test('costs what it grows by', () => {
    const exports = instance(grower('1'), counted);
    call(exports, 'grow', 10);
    expect(100_000 - global(exports, addedNames.fuel)).toBe(2 + 10 * 1024);
    expect(() => call(exports, 'grow', -1)).toThrow('unreachable');
    expect(global(exports, addedNames.fuel)).toBeLessThan(0);
  });
});

describe('the fuel', () => {
  test.each([
    ['a loop', '(func (export "f") (loop (br 0)))'],
    ['a loop in a block in a loop', '(func (export "f") (loop (block (loop (br 1))) (br 0)))'],
    ['a loop by a table of branches', '(func (export "f") (loop (br_table 0 0 (i32.const 5))))'],
    ['a loop by a condition', '(func (export "f") (loop (br_if 0 (i32.const 1))))'],
    ['a loop from the inside of an if', '(func (export "f") (loop (if (i32.const 1) (then (br 1)))))'],
    ['a loop from the inside of an else', '(func (export "f") (loop (if (i32.const 0) (then) (else (br 1)))))'],
    ['a loop with parameters', '(func (export "f") (i32.const 1) (loop (param i32) (br 0)) unreachable)'],
    ['two functions that call each other', '(func $g (call $f)) (func $f (export "f") (call $g) (call $g))'],
    [
      'calls by a table',
      '(table 1 funcref) (elem (i32.const 0) $f) (func $f (export "f") (loop (call_indirect (i32.const 0)) (br 0)))',
    ],
    [
      'filling',
      '(memory 16) (func (export "f") (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 1000000)) (br 0)))',
    ],
    [
      'copying',
      '(memory 16) (func (export "f") (loop (memory.copy (i32.const 0) (i32.const 0) (i32.const 1000000)) (br 0)))',
    ],
    [
      'a table that grows',
      '(table $t 1 funcref) (func (export "f") (loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0)))',
    ],
  ])('ends %s', (_, functions) => {
    const source = `(module ${functions})`;
    // Little enough that the engine's stack, of which this thread has less than those of the driver, doesn't end first.
    for (const options of [counted, deterministic].map((each) => ({ ...each, fuel: 5000 }))) {
      const exports = instance(wat(source), options);
      expect(() => call(exports, 'f')).toThrow();
      const stack = exports[addedNames.stack] === undefined ? 0 : global(exports, addedNames.stack);
      expect(global(exports, addedNames.fuel) < 0 || stack < 0).toBe(true);
    }
  });

  test('is not taken for what a module does before its start is called', () => {
    const exports = instance(
      wat(
        '(module (start $s) (global $g (export "g") (mut i32) (i32.const 0)) (func $s (global.set $g (i32.const 7))))',
      ),
      counted,
    );
    expect((exports.g as WebAssembly.Global).value).toBe(0);
    call(exports, addedNames.start);
    expect((exports.g as WebAssembly.Global).value).toBe(7);
    expect(100_000 - global(exports, addedNames.fuel)).toBe(2);
  });

  test('is not what a module exports, sets or reads', () => {
    const globals =
      '(global $a (mut i64) (i64.const 5)) (func (export "f") (result i64) (global.set $a (i64.const 9)) (global.get $a))';
    const exports = instance(wat(`(module ${globals})`), counted);
    expect(call(exports, 'f')).toBe(9n);
    expect(100_000 - global(exports, addedNames.fuel)).toBe(3);
  });
});

describe('the same everywhere', () => {
  const nans = ['0x1', '0x200000', '0x400001'];

  test.each(['f32', 'f64'] as const)('%s has one NaN, whatever made it', (type) => {
    const bits = type === 'f32' ? 'i32' : 'i64';
    const canonical = type === 'f32' ? 0x7fc0_0000 : 0x7ff8_0000_0000_0000n;
    const unary = ['ceil', 'floor', 'trunc', 'nearest', 'sqrt'].map((op) => `(${type}.${op} (X))`);
    const binary = ['add', 'sub', 'mul', 'div', 'min', 'max'].flatMap((op) => [
      `(${type}.${op} (X) (${type}.const 1))`,
      `(${type}.${op} (${type}.const 1) (X))`,
    ]);
    const made = [
      `(${type}.div (${type}.const 0) (${type}.const 0))`,
      `(${type}.sqrt (${type}.const -1))`,
      `(${type}.sub (${type}.const inf) (${type}.const inf))`,
    ];
    const other = type === 'f32' ? '(f32.demote_f64 (f64.promote_f32 (X)))' : '(f64.promote_f32 (f32.demote_f64 (X)))';
    const expressions = [...unary, ...binary, ...made, other];
    for (const nan of nans)
      for (const sign of ['', '-']) {
        const functions = expressions.map(
          (expression, index) =>
            `(func (export "f${index}") (result ${bits}) (${bits}.reinterpret_${type} ${expression.replaceAll('(X)', `(${type}.const ${sign}nan:${nan})`)}))`,
        );
        const exports = instance(wat(`(module ${functions.join('\n')})`), deterministic);
        for (const [index, expression] of expressions.entries())
          expect({ expression, nan, bits: call(exports, `f${index}`) }).toEqual({ expression, nan, bits: canonical });
      }
  });

  test.each([
    ['f32x4', 'i32x4', 4, 0x7fc0_0000],
    ['f64x2', 'i64x2', 2, 0x7ff8_0000_0000_0000n],
  ] as const)('%s has one NaN in each lane, and other lanes stay', (type, lanes, count, canonical) => {
    const one = type.slice(0, 3);
    const x = `(v128.const ${type} -nan:0x1 ${Array.from({ length: count - 1 }, () => '4').join(' ')})`;
    const ops = ['ceil', 'floor', 'trunc', 'nearest', 'sqrt', 'add', 'sub', 'mul', 'div', 'min', 'max'];
    const conversion = type === 'f32x4' ? 'f32x4.demote_f64x2_zero' : 'f64x2.promote_low_f32x4';
    const expressions = ops.map((op, index) => (index < 5 ? `(${type}.${op} ${x})` : `(${type}.${op} ${x} ${x})`));
    const functions = expressions.flatMap((expression, index) =>
      [0, count - 1].map(
        (lane) =>
          `(func (export "f${index}_${lane}") (result ${lanes.slice(0, 3)}) (${lanes}.extract_lane ${lane} ${expression}))`,
      ),
    );
    const source = type === 'f32x4' ? '(v128.const f64x2 -nan:0x1 4)' : '(v128.const f32x4 -nan:0x1 4 4 4)';
    const converted = `(func (export "converted") (result ${lanes.slice(0, 3)}) (${lanes}.extract_lane 0 (${conversion} ${source})))`;
    const exports = instance(wat(`(module ${functions.join('\n')} ${converted})`), deterministic);
    for (const index of expressions.keys())
      expect({ op: ops[index], bits: call(exports, `f${index}_0`) }).toEqual({ op: ops[index], bits: canonical });
    expect(call(exports, 'converted')).toBe(canonical);
    const plain = instance(wat(`(module ${functions.join('\n')})`), uncounted);
    for (const index of expressions.keys())
      expect(call(exports, `f${index}_${count - 1}`)).toBe(call(plain, `f${index}_${count - 1}`));
    expect(one).toMatch(/^f/);
  });

  test('numbers that are none stay what they are', () => {
    const exports = instance(
      wat(
        '(module (func (export "f") (param f64 f64) (result f64) (f64.div (f64.add (local.get 0) (local.get 1)) (f64.const 3))))',
      ),
      deterministic,
    );
    for (const [a, b] of [
      [1, 2],
      [-0, 0],
      [1e308, 1e308],
      [5e-324, 0],
    ] as const)
      expect(call(exports, 'f', a, b)).toBe((a + b) / 3);
  });

  test('calls nest as deep as their frames allow, by count, and the stack of a thread is enough for it', async () => {
    const nest = async (locals: string, body: string): Promise<number> => {
      const module = wat(`(module (memory 1) (global $d (export "d") (mut i32) (i32.const 0))
        (func $f (export "f") ${locals} (global.set $d (i32.add (global.get $d) (i32.const 1))) ${body}))`);
      const code = confineModule(module, { ...deterministic, fuel: 1e12 });
      const { message, stack, depth } = await inThread(code);
      expect({ message, stack: stack < 0 }).toEqual({ message: 'unreachable', stack: true });
      return depth;
    };
    // A frame costs 8, its locals, and the highest that its operands stand.
    const slots = 512 * 1024;
    expect(await nest('', '(call $f)')).toBe(Math.floor(slots / 10));
    expect(await nest(`(local ${'i64 '.repeat(1000)})`, '(call $f)')).toBe(Math.floor(slots / 1010));
    // The worst that a frame can be made of: vectors that are alive across the call, as locals and as operands.
    const vectors = 200;
    const local = Array.from(
      { length: vectors },
      (_, index) => `(local.set ${index} (v128.load (i32.const ${16 * index})))`,
    );
    const kept = Array.from(
      { length: vectors },
      (_, index) => `(v128.store (i32.const ${16 * index}) (local.get ${index}))`,
    );
    expect(
      await nest(`(local ${'v128 '.repeat(vectors)})`, `${local.join(' ')} (call $f) ${kept.join(' ')}`),
    ).toBeGreaterThan(2000);
    const pushed = Array.from({ length: vectors }, () => '(v128.load (i32.const 0))').join(' ');
    const dropped = Array.from({ length: vectors - 1 }, () => '(i64x2.add)').join(' ');
    expect(await nest('(local v128)', `${pushed} (call $f) ${dropped} (local.set 0)`)).toBeGreaterThan(2000);
    const parameters = 'i64 '.repeat(100);
    const gets = Array.from({ length: 100 }, (_, index) => `(local.get ${index})`).join(' ');
    const deep = wat(`(module (global $d (export "d") (mut i32) (i32.const 0))
      (func $g (param ${parameters}) (global.set $d (i32.add (global.get $d) (i32.const 1))) (call $g ${gets}))
      (func (export "f") (call $g ${'(i64.const 1) '.repeat(100)})))`);
    expect((await inThread(confineModule(deep, { ...deterministic, fuel: 1e12 }))).message).toBe('unreachable');
  });

  test('a machine without the memory that the limit allows ends the module', async () => {
    const module = wat(
      '(module (memory (export "memory") 1) (func (export "f") (result i32) (memory.grow (i32.const 7))))',
    );
    const script = `
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(process.argv[1], 'hex')), {});
      try { console.log(exports.f()); } catch (error) { console.log(error.message); }`;
    // The flag stands for a machine that has five pages.
    const grow = async (options: ConfineOptions): Promise<string> => {
      const code = Buffer.from(confineModule(module, options)).toString('hex');
      const { stdout } = await promisify(execFile)(process.execPath, ['--wasm-max-mem-pages=5', '-e', script, code]);
      return stdout.trim();
    };
    expect(await grow({ ...deterministic, memoryBytes: 5 * 65_536 })).toBe('-1');
    expect(await grow({ ...counted, memoryBytes: 20 * 65_536 })).toBe('-1');
    expect(await grow({ ...deterministic, memoryBytes: 20 * 65_536 })).toBe('unreachable');
  });

  test('a return gives back what its frame took', () => {
    const exports = instance(
      wat(`(module
      (func $f (param i32) (result i32 i64) (block (loop (br_if 1 (local.get 0)) (return (i32.const 1) (i64.const 2)))) (i32.const 3) (i64.const 4))
      (func (export "f") (result i64) (local i32) (loop (drop (drop (call $f (i32.and (local.get 0) (i32.const 1))))) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000)))) (call $f (i32.const 0)) (local.set 0 (i32.wrap_i64)) (drop) (i64.extend_i32_u (local.get 0))))`),
      { ...deterministic, fuel: 1e9 },
    );
    expect(call(exports, 'f')).toBe(2n);
    expect(global(exports, addedNames.stack)).toBe(512 * 1024);
  });
});
