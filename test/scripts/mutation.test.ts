import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isEquivalent, parseEquivalentMutants } from '../../scripts/lib/equivalentMutants.ts';
import { filesOfTarget } from '../../scripts/lib/mutationRun.ts';
import {
  collectHits,
  countedTicks,
  hasRunAway,
  installMutants,
  RanAway,
  wake,
} from '../../scripts/lib/mutationRuntime.ts';
import { findMutants, instrument } from '../../scripts/lib/mutationSites.ts';
import { mutationTargets } from '../../scripts/lib/mutationTargets.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

const found = (source: string) => findMutants('a.ts', source, 0).mutants.map(({ kind, code }) => `${kind}: ${code}`);

describe('findMutants', () => {
  test.each([
    ['a throw', 'if (a) throw new E();', ['remove throw: if (a) throw new E();']],
    ['a call for its effect', 'assertIt(x);', ['remove call: assertIt(x);']],
    ['a call that is awaited', 'async () => { await check(x); };', ['remove call: await check(x);']],
    ['a call of super is none', 'class A extends B { constructor() { super(); } }', []],
    ['an assignment is none', 'a = f();', []],
    [
      'an early return',
      'function f() { if (a) return refuse(b); return c; }',
      ['remove return: if (a) return refuse(b);'],
    ],
    ['a continue in a block', 'for (const a of b) { if (a) { continue; } }', ['remove return: continue;']],
    [
      'operands',
      'if (a && (b || !c)) d = 1;',
      [
        'drop operand: a of a && (b || !c)',
        'drop operand: (b || !c) of a && (b || !c)',
        'drop operand: b of a && (b || !c)',
        'drop operand: !c of a && (b || !c)',
      ],
    ],
    ['a default is no operand', 'const a = b ?? c;', []],
    ['bounds', 'const a = b < c ? d : e >= f;', ['move bound: b < c', 'move bound: e >= f']],
    ['a type with brackets is no bound', 'const a: Map<string, number> = b;', []],
    ['answers', 'const f = (a: A) => a === b;', ['answer true: a === b', 'answer false: a === b']],
    [
      'answers of a method',
      'class A { get a() { return !this.b; } }',
      ['answer true: !this.b', 'answer false: !this.b'],
    ],
    [
      'every and some',
      'a = b.every(c) || b?.some(c);',
      [
        'drop operand: b.every(c) of b.every(c) || b?.some(c)',
        'swap every and some: b.every(c)',
        'drop operand: b?.some(c) of b.every(c) || b?.some(c)',
        'swap every and some: b?.some(c)',
      ],
    ],
  ])('%s', (_, source, expected) => {
    expect(found(source)).toEqual(expected);
  });

  test('says where each stands, and numbers them', () => {
    const source = '// ‖ Ā̈\nfunction outer() {\n  const inner = () => {\n    if (a) throw  new E();\n  };\n}';
    expect(findMutants('x/a.ts', source, 7).mutants).toEqual([
      {
        id: 7,
        file: 'x/a.ts',
        line: 4,
        column: 12,
        kind: 'remove throw',
        inside: 'inner',
        code: 'if (a) throw new E();',
      },
    ]);
  });

  test('refuses what is no TypeScript', () => {
    expect(() => findMutants('a.ts', 'if (', 0)).toThrow(SyntaxError);
  });
});

describe('instrumented code', () => {
  beforeEach(installMutants);
  afterEach(() => wake([]));

  /** The value of a function body with mutant `id` awake; the body is JavaScript that is TypeScript too. */
  const run = (body: string, id: number | undefined, argument?: unknown, limit?: number): unknown => {
    const source = `(argument) => { ${body} }`;
    const code = instrument(source, findMutants('a.ts', source, 0).wraps);
    wake(id === undefined ? [] : [id], limit);
    return (new Function(`return ${code}`)() as (argument: unknown) => unknown)(argument);
  };

  const original = (body: string, argument: unknown): unknown => {
    try {
      return run(body, undefined, argument);
    } catch {
      return 'thrown';
    }
  };

  test('is the original while every mutant is asleep', () => {
    const body = `
      const seen = [];
      for (let i = 0; i < 3; i++) if (i > 0 && (i !== 1 || argument.every((x) => x >= 1))) seen.push(i);
      while (seen.length <= 4) { if (seen.length === 3) break; seen.push('more'); }
      return seen;`;
    expect(run(body, undefined, [1, 2])).toEqual([1, 2, 'more']);
    expect(run(body, undefined, [0])).toEqual([2, 'more', 'more']);
  });

  test.each([
    ['a throw is gone', "if (argument) throw new Error('x'); return 'on';", 0, true, 'on'],
    ['a throw in an else is gone', "if (!argument) { } else throw new Error('x'); return 'on';", 0, true, 'on'],
    ['an early return is gone', "if (argument) return 'early'; return 'on';", 0, true, 'on'],
    ['a call is gone', 'const a = []; a.push(1); return a.length;', 0, true, 0],
    ['an operand of && is gone', 'return argument && false ? 1 : 2;', 1, true, 1],
    ['an operand of || is gone', 'return argument || false ? 1 : 2;', 0, true, 2],
    ['< becomes <=', 'return argument < 3 ? 1 : 2;', 0, 3, 1],
    ['<= becomes <', 'return argument <= 3 ? 1 : 2;', 0, 3, 2],
    ['> becomes >=', 'return argument > 3 ? 1 : 2;', 0, 3, 1],
    ['>= becomes >', 'return argument >= 3 ? 1 : 2;', 0, 3, 2],
    ['an answer is true', 'return argument === 3;', 0, 4, true],
    ['an answer is false', 'return argument === 3;', 1, 3, false],
    ['every becomes some', 'const a = argument.every((x) => x); return a;', 0, [0, 1], true],
    ['some becomes every', 'const a = argument?.some?.((x) => x); return a;', 0, [0, 1], false],
  ])('%s', (_, body, id, argument, expected) => {
    expect(original(body, argument)).not.toEqual(expected);
    expect(run(body, id, argument)).toEqual(expected);
  });

  test('tells what was reached', () => {
    const hits = new Set<number>();
    collectHits(hits);
    run('if (argument) throw new Error(); assert(); function assert() {} return 1;', undefined, false);
    expect([...hits]).toEqual([1]);
    collectHits(new Set());
  });

  test('ends a loop that a mutant made endless, though something catches the error', () => {
    const endless = 'for (let i = 0; ; i++) { if (i > 9) break; } return 1;';
    expect(run(endless, undefined, undefined, 11)).toBe(1);
    expect(countedTicks()).toBe(11);
    expect(() => run(endless, 1, undefined, 1000)).toThrow(RanAway);
    expect(hasRunAway()).toBe(true);
    expect(run(`try { ${endless} } catch { return 2; }`, 1, undefined, 1000)).toBe(2);
    expect(hasRunAway()).toBe(true);
  });
});

describe('equivalent mutants', () => {
  const entry = { file: 'a.ts', inside: 'f', kind: 'remove throw', code: 'throw e;', reason: 'because' };

  test('the committed list can be read, and gives reasons', () => {
    const list = parseEquivalentMutants(JSON.parse(fs.readFileSync(inRoot('test/equivalentMutants.json'), 'utf8')));
    for (const { reason } of list) expect(reason.length).toBeGreaterThan(20);
  });

  test('an entry that lacks something is refused', () => {
    for (const field of Object.keys(entry))
      expect(() => parseEquivalentMutants([{ ...entry, [field]: '' }])).toThrow(TypeError);
    expect(() => parseEquivalentMutants({})).toThrow(TypeError);
  });

  test('an entry means one change of one piece of code, wherever its line is', () => {
    const mutant = {
      id: 1,
      line: 2,
      column: 3,
      file: 'a.ts',
      inside: 'f',
      kind: 'remove throw',
      code: 'throw e;',
    } as const;
    expect(isEquivalent(entry, mutant)).toBe(true);
    for (const change of [{ file: 'b.ts' }, { inside: 'g' }, { code: 'throw f;' }, { kind: 'remove call' } as const])
      expect(isEquivalent(entry, { ...mutant, ...change })).toBe(false);
  });
});

test('the sources of every target can be instrumented', () => {
  for (const target of mutationTargets.filter(({ language }) => language === 'typescript')) {
    const files = filesOfTarget(target);
    expect(files.length).toBeGreaterThan(0);
    for (const name of files) {
      const text = fs.readFileSync(inRoot(name), 'utf8');
      const { wraps } = findMutants(name, text, 0);
      expect(() => findMutants(name, instrument(text, wraps), 0)).not.toThrow();
    }
  }
});
