import { expect, test } from 'vitest';
import { type Case, inNode, jsonOf, type Result, returning, runCases } from './cases.ts';
import { generateBody } from './generator.ts';

const count = process.env.CLOISTER_LONG === '1' ? 3_000 : 60;
const round = ['cloister-round', `1700000000000 0x${'5a'.repeat(32)}`] as const;

/** What could differ: clocks, places, memory, what is left open by the language, how far a limit lets it come. */
const written: readonly (Case & { readonly name: string })[] = [
  {
    name: 'the clock',
    source: returning(
      'return [Date.now(), +new Date(), new Date().getTimezoneOffset(), String(new Date(2020, 6, 1)), Date(), new Date(0).toLocaleString()];',
    ),
  },
  {
    name: 'a round',
    headers: [round],
    source: returning(
      'return [Date.now(), Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint32Array(5))], request.headers.get("cloister-round")];',
    ),
  },
  {
    name: 'stacks',
    source: returning(
      'const f = (n) => { if (n === 0) return new Error("x").stack; return f(n - 1); }; try { null.x } catch (error) { return [f(5), error.stack, error.message]; }',
    ),
  },
  {
    name: 'how deep calls nest',
    source: returning(
      'let n = 0; const f = () => { n += 1; f(); }; try { f(); } catch (error) { return [n, error.name, error.message]; }',
    ),
  },
  {
    name: 'how much fits into memory',
    source: returning(
      'const kept = []; try { for (;;) kept.push(new Uint8Array(100_000 + kept.length)); } catch (error) { const n = kept.length; kept.length = 0; return [n, error.name, error.message]; }',
    ),
  },
  {
    name: 'small values until memory is full',
    source: returning(
      'let kept = null; let n = 0; try { for (;;) { kept = { kept, n }; n += 1; } } catch (error) { kept = null; return [n, String(error)]; }',
    ),
  },
  {
    name: 'memory that nothing holds',
    source: returning(
      'let n = 0; for (let i = 0; i < 5_000; i += 1) { const o = { i }; o.self = o; n += JSON.stringify([i]).length; } return [n, typeof WeakRef, typeof FinalizationRegistry, typeof gc];',
    ),
  },
  {
    name: 'transcendental functions',
    source: returning(
      'const out = []; for (let x = -5; x < 5; x += 0.37) out.push(Math.sin(x), Math.exp(x), Math.pow(x, 3.3), Math.log(x), Math.tanh(x), Math.cbrt(x), x ** 0.5, Math.hypot(x, 2)); return out.map(String);',
    ),
  },
  {
    name: 'bits of NaN',
    source: returning(
      'const f = new Float64Array([0 / 0, -(0 / 0), Math.sqrt(-1), Infinity - Infinity, Number("x")]); const s = new Float32Array([NaN, -NaN]); return [[...new Uint32Array(f.buffer)], [...new Uint32Array(s.buffer)]];',
    ),
  },
  {
    name: 'names of the world',
    source: returning(
      'const names = (o) => Reflect.ownKeys(o).map(String); return [names(globalThis), names(Math), names(Date), names(Error), typeof navigator, typeof fetch, typeof setTimeout, typeof performance, typeof process, typeof require, typeof cloisterHost].map(String);',
    ),
  },
  {
    name: 'a sort with an order that is none',
    source: returning(
      'return Array.from({ length: 100 }, (_, i) => (i * 7919) % 101).sort(() => 1).concat([3, 1, 2].sort((a, b) => (a > b ? 0.1 : -0.1)));',
    ),
  },
  {
    name: 'functions as text',
    source: returning(
      'return [String((a, b) => a + b), Function.prototype.toString.call(Math.max), String(Headers), String(Math.random)];',
    ),
  },
  {
    name: 'a body that comes back',
    method: 'POST',
    body: 'Grüße '.repeat(1000),
    source:
      'export default { async fetch(request) { return new Response(await request.text(), { status: 201, headers: [["b", "1"], ["a", "2"], ["set-cookie", "x"], ["set-cookie", "y"]] }); } };',
  },
  { name: 'an exception', source: 'export default { fetch() { throw new RangeError("no"); } };' },
  {
    name: 'something else that is thrown',
    source: 'export default { fetch() { throw { toString() { throw 1; } }; } };',
  },
  { name: 'a module that fails', source: 'const x = null; x.y; export default {};' },
  { name: 'a module that is none', source: 'export default {' },
  { name: 'a module without a handler', source: 'export default 5;' },
  { name: 'a module that waits for ever', source: 'await new Promise(() => {}); export default { fetch() {} };' },
  { name: 'a module that imports', source: 'import fs from "node:fs"; export default { fetch() {} };' },
  { name: 'a handler that waits for ever', source: 'export default { fetch() { return new Promise(() => {}); } };' },
  {
    name: 'random values without a round',
    source: 'export default { fetch() { return new Response(Math.random()); } };',
  },
  {
    name: 'random values while the module loads',
    headers: [round],
    source: 'const x = Math.random(); export default { fetch() {} };',
  },
  {
    name: 'fuel that ends in a loop',
    fuel: 30_000_000,
    source: 'let n = 0; export default { fetch() { for (;;) n += 1; } };',
  },
  {
    name: 'fuel that ends while the module loads',
    fuel: 30_000_000,
    source: 'for (;;); export default { fetch() {} };',
  },
  {
    name: 'fuel that ends in jobs',
    fuel: 30_000_000,
    source: 'export default { fetch() { const go = () => queueMicrotask(go); go(); return new Response(); } };',
  },
  {
    name: 'fuel that ends in a regular expression',
    fuel: 300_000_000,
    source: 'export default { fetch() { return new Response(/^(a+)+$/.test("a".repeat(40) + "b")); } };',
  },
  {
    name: 'fuel that ends in a sort',
    fuel: 100_000_000,
    source:
      'export default { fetch() { return new Response(Array.from({ length: 1e7 }, (_, i) => -i).sort().length); } };',
  },
  {
    name: 'fuel that ends in one long operation',
    fuel: 100_000_000,
    source: 'export default { fetch() { return new Response(10n ** 10n ** 8n); } };',
  },
  {
    name: 'a stack that ends inside the engine',
    source: 'export default { fetch() { JSON.parse("[".repeat(1e6)); } };',
  },
  {
    name: 'memory that ends',
    source: 'export default { fetch() { const kept = []; for (;;) kept.push(new Uint8Array(1e6)); } };',
  },
];

const generated: readonly Case[] = Array.from({ length: count }, (_, index) => ({
  source: returning(generateBody(index + 1)),
}));

const cases = [...written, ...generated];
const backwards = [...cases].reverse();

test('the same call has the same answer, outcome and fuel in processes that have nothing else in common', async () => {
  const [one, other] = await Promise.all([
    runCases(cases, { env: { TZ: 'America/New_York', LANG: 'C', HOME: '/nowhere' } }),
    // Compiled without the first of the engine's two compilers, in the other order, with little memory and much around it.
    runCases(backwards, {
      env: {
        TZ: 'Asia/Kathmandu',
        LANG: 'tr_TR.UTF-8',
        ...Object.fromEntries(cases.map((_, i) => [`V${i}`, 'x'.repeat(i % 99)])),
      },
      nodeArgs: ['--liftoff-only', '--max-old-space-size=200', '--random-seed=7'],
    }),
  ]);
  const reversed = [...other].reverse();
  for (const [index, each] of written.entries())
    expect({ name: each.name, ...reversed[index] }).toEqual({ name: each.name, ...one[index] });
  for (const [index, each] of generated.entries())
    expect({ source: each.source, ...reversed[written.length + index] }).toEqual({
      source: each.source,
      ...one[written.length + index],
    });
  expectOutcomes(one);
  for (const [index] of generated.entries()) {
    const expected = await inNode(generateBody(index + 1));
    expect({ seed: index + 1, seen: jsonOf(one[written.length + index] as Result) }).toEqual({
      seed: index + 1,
      seen: JSON.parse(JSON.stringify(expected)),
    });
  }
}, 600_000);

function expectOutcomes(results: readonly Result[]): void {
  const of = (name: string): Result => results[written.findIndex((each) => each.name === name)] as Result;
  const limitOf = (name: string): unknown => of(name).report.limit ?? of(name).report.status;
  expect(jsonOf(of('the clock'))).toEqual([
    ...[0, 0, 0, 'Wed Jul 01 2020 00:00:00 GMT+0000', 'Thu Jan 01 1970 00:00:00 GMT+0000', '01/01/1970, 12:00:00 AM'],
  ]);
  expect(jsonOf(of('a round'))).toEqual([
    1_700_000_000_000,
    0.4825900576854518,
    '983b1444-d70b-466c-a55d-0f3012909488',
    [821845615, 1410562987, 1549487555, 1044048282, 1372919088],
    round[1],
  ]);
  expect(jsonOf(of('memory that nothing holds'))).toEqual([28_890, 'undefined', 'undefined', 'undefined']);
  expect(String(jsonOf(of('names of the world')))).toMatch(/(?:,undefined){7}$/);
  for (const { name, fuel } of written.filter(({ name }) => name.startsWith('fuel that ends'))) {
    expect([name, limitOf(name)]).toEqual([name, 'fuel']);
    expect(of(name).report.fuel).toBe(fuel);
  }
  expect(limitOf('a stack that ends inside the engine')).toBe('stack');
  expect(limitOf('memory that ends')).toBe('memory');
  expect(of('an exception').report).toMatchObject({
    status: 'app-error',
    message: 'RangeError: no\n    at fetch (app.js:1:38)',
  });
  expect(of('random values without a round').report.message).toMatch(/^NotDeterministicError: Math\.random/);
  expect(of('random values while the module loads').report.message).toMatch(/^NotDeterministicError: Math\.random/);
  expect(of('a module that imports').report.message).toMatch(/node:fs/);
  expect(of('a module without a handler').report.message).toMatch(/no "export default/);
  expect(of('a module that waits for ever').report.message).toMatch(/top level/);
  expect(of('a handler that waits for ever').report.message).toMatch(/never comes/);
  expect(of('a module that is none').report.message).toMatch(/^SyntaxError/);
  expect(of('a body that comes back')).toMatchObject({
    head: {
      status: 201,
      headers: [
        ['a', '2'],
        ['b', '1'],
        ['content-type', 'text/plain;charset=UTF-8'],
        ['set-cookie', 'x'],
        ['set-cookie', 'y'],
      ],
    },
    body: Buffer.from('Grüße '.repeat(1000)).toString('base64'),
  });
}
