import fs from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { ensureInstalled, parts } from '../../scripts/lib/ensureInstalled.ts';
import { sampleOf } from '../../scripts/lib/mutationRun.ts';
import { mutationTargets } from '../../scripts/lib/mutationTargets.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { compileSolidity, parseSolidity } from '../../scripts/lib/solidityCompiler.ts';
import {
  instrumentSolidity,
  mutantFunctions,
  mutantSource,
  withoutPure,
} from '../../scripts/lib/solidityInstrument.ts';
import { findSolidityMutants } from '../../scripts/lib/soliditySites.ts';

// The Solidity compiler comes with the contracts.
beforeAll(() => ensureInstalled(parts.contracts), 600_000);

const find = (source: string, firstId = 1) =>
  findSolidityMutants('a.sol', source, parseSolidity('a.sol', source), firstId);
const inContract = (body: string) => `pragma solidity 0.8.37; contract A { ${body} }`;
const inFunction = (body: string) => inContract(`function f(uint256 a, bool b) external view { ${body} }`);
const found = (source: string) => find(source).mutants.map(({ kind, code }) => `${kind}: ${code}`);

describe('findSolidityMutants', () => {
  test.each([
    ['a revert', 'if (b) revert E();', ['remove revert: if (b) revert E()']],
    ['a revert in a block', 'if (b) { revert E(a); }', ['remove revert: if (b) { revert E(a); }']],
    [
      'of a block of several each by itself',
      'if (b) { check(a); revert E(); }',
      ['remove call: check(a)', 'remove revert: revert E()'],
    ],
    ['a call for its effect', 'check(a);', ['remove call: check(a)']],
    ['a call that is kept is none', 'uint256 c = f(a);', []],
    ['an event is none', 'emit E(a);', []],
    ['an early return', 'if (b) return;', ['remove return: if (b) return;']],
    ['a continue', 'while (b) { if (b) continue; }', ['remove return: if (b) continue']],
    ['the last return is none', 'return;', []],
    ['what an if sets', 'if (b) a = 1; a = 2;', ['remove assignment: if (b) a = 1']],
    ['what an if counts', 'if (b) ++a; ++a;', ['remove assignment: if (b) ++a']],
    ['both ways of an if', 'if (b) a = 1; else a = 2;', ['remove assignment: a = 1', 'remove assignment: a = 2']],
    ['a verdict that adds up', 'a |= g(b);', ['remove assignment: a |= g(b)']],
    ['the head of a loop is none', 'for (a = 0; b; ++a) {}', []],
    [
      'operands',
      'if (b && (!b || c || d)) { f(); g(); }',
      [
        'drop operand: b of b && (!b || c || d)',
        'drop operand: (!b || c || d) of b && (!b || c || d)',
        'drop operand: !b of b && (!b || c || d)',
        'drop operand: c of b && (!b || c || d)',
        'drop operand: d of b && (!b || c || d)',
        'remove call: f()',
        'remove call: g()',
      ],
    ],
    ['a bound', 'while (a < 1) {}', ['move bound: a < 1']],
    ['a comparison that is kept', 'bool c = a == 1;', ['answer true: a == 1', 'answer false: a == 1']],
    ['a comparison that is set', 'b = !b;', ['answer true: !b', 'answer false: !b']],
    ['a comparison in an answer of several', 'return (a, !b);', ['answer true: !b', 'answer false: !b']],
    ['what is chosen by', 'a = b ? 1 : 2;', ['answer true: b', 'answer false: b']],
  ])('%s', (_, body, expected) => {
    expect(found(inFunction(body))).toEqual(expected);
  });

  test.each([
    ['a verdict of assembly', 'wrong := or(wrong, xor(a, 1))', ['drop operand: xor(a, 1) of or(wrong, xor(a, 1))']],
    [
      'operands of assembly',
      'x := and(and(ok, eq(a, 1)), iszero(b))',
      [
        'drop operand: iszero(b) of and(and(ok, eq(a, 1)), iszero(b))',
        'drop operand: ok of and(ok, eq(a, 1))',
        'drop operand: eq(a, 1) of and(ok, eq(a, 1))',
      ],
    ],
    ['a bound of assembly', 'x := gt(a, 1)', ['move bound: gt(a, 1)']],
    ['a mask of assembly is none', 'x := and(a, or(shl(8, a), 0xff))', []],
  ])('%s', (_, body, expected) => {
    expect(found(inFunction(`assembly { ${body} }`))).toEqual(expected);
  });

  test('a modifier, but none of a constructor, and none with arguments', () => {
    const source = 'contract A is B { constructor() B(1) {} function f() external only lock(1) {} }';
    expect(found(source)).toEqual(['remove modifier: only']);
  });

  test('says where each stands, and numbers them', () => {
    const source = '// ‖ Ā̈ 𝒳\ncontract A {\n  function outer() external {\n    if (a)  revert E(unicode"‖");\n  }\n}';
    expect(find(source, 7).mutants).toEqual([
      {
        id: 7,
        file: 'a.sol',
        line: 4,
        column: 13,
        kind: 'remove revert',
        inside: 'outer',
        code: 'if (a) revert E(unicode"‖")',
      },
    ]);
  });

  test('refuses what is no Solidity', () => {
    expect(() => find('contract {')).toThrow(/ParserError/);
  });
});

describe('instrumented Solidity', () => {
  const compile = (source: string) =>
    compileSolidity({
      language: 'Solidity',
      sources: { 'a.sol': { content: withoutPure(source) }, [mutantSource]: { content: mutantFunctions } },
      settings: { evmVersion: 'cancun', optimizer: { enabled: true } },
    });

  test('compiles, with every kind of mutant in it', () => {
    const source = inContract(`
      error E(uint256 a);
      uint256 public count;
      modifier only() { if (msg.sender != address(1)) revert E(0); _; }
      function f(uint256 a, bytes16 b) external only returns (uint256 c) {
        if (a < 1 || (a > 2 && b >= bytes16(0)) || !(a <= 7)) { revert E(a); }
        if (a == 5) return 5;
        for (uint256 i = 0; i < a; ++i) { if (i == 3) continue; count |= g(i); }
        if (a == 4) ++count; else count = 0;
        check(a);
        assembly ("memory-safe") { c := or(c, and(gt(a, 3), iszero(eq(a, 9)))) }
        bool d = a == 6 && c == 0;
        return d ? 1 : c;
      }
      function g(uint256 a) private pure returns (uint256) { unchecked { return a == 0 ? 1 : a; } }
      function check(uint256 a) private pure { if (a == 8) revert E(a); }`);
    const { mutants, wraps } = find(source);
    const instrumented = instrumentSolidity(source, wraps);
    for (const { id } of mutants) expect(instrumented).toMatch(new RegExp(`\\b${id}\\b`));
    expect(mutants.length).toBeGreaterThan(30);
    const code = compile(instrumented).get('a.sol:A');
    expect(code?.creation.length).toBeGreaterThan((compile(source).get('a.sol:A')?.creation.length ?? 0) + 1000);
  });

  test('does to each site what its name says', () => {
    const text = (body: string) => instrumentSolidity(inFunction(body), find(inFunction(body)).wraps);
    expect(text('if (b) revert E();')).toContain('if (b) { if (!__mutant(1)) revert E(); }');
    expect(text('if (b || c) g();')).toContain('(!__mutant(1) && (b)) || (!__mutant(2) && (c))');
    expect(text('if (b && c) g();')).toContain('(__mutant(1) || (b)) && (__mutant(2) || (c))');
    expect(text('while (a <= 3) {}')).toContain('__mutantAtMost(1, a , 3)');
    expect(text('b = a == 3;')).toContain('(__mutant(1) ? true : __mutant(2) ? false : (a == 3))');
    expect(text('assembly { b := lt(a, 3) }')).toContain(
      '__mutant(1); assembly { b := or(lt(a, 3), and(and(shr(1, balance(',
    );
    const guarded = 'contract A { function f() external only { g(); } }';
    expect(instrumentSolidity(guarded, find(guarded).wraps)).toMatch(
      /function f\(\) external {3}\{ if \(!__mutant\(1\)\) __guard1\(\); .* function __guard1\(\) private only \{\}/,
    );
    const reading = 'contract A { function f() external view only { g(); } }';
    expect(instrumentSolidity(reading, find(reading).wraps)).toContain('function __guard1() private view only {}');
  });

  test('leaves every line of a file its number', () => {
    const file = 'contracts/src/attestation/PckRegistry.sol';
    const text = fs.readFileSync(inRoot(file), 'utf8');
    const { mutants, wraps } = findSolidityMutants(file, text, parseSolidity(file, text), 1);
    const instrumented = instrumentSolidity(text, wraps);
    expect(instrumented.split('\n').length).toBe(text.split('\n').length);
    for (const { id } of mutants) expect(instrumented).toMatch(new RegExp(`\\b${id}\\b`));
    expect(() => parseSolidity(file, instrumented)).not.toThrow();
  });
});

test('the sources of every target are there, and none is named twice', () => {
  for (const { sources } of mutationTargets) {
    expect(new Set(sources).size).toBe(sources.length);
    for (const source of sources) expect(fs.existsSync(inRoot(source)), source).toBe(true);
  }
});

test('a sample is spread evenly', () => {
  const list = Array.from({ length: 10 }, (_, index) => index);
  expect(sampleOf(list)).toEqual(list);
  expect(sampleOf(list, 20)).toEqual(list);
  expect(sampleOf(list, 5)).toHaveLength(5);
  expect(sampleOf(list, 1)).toEqual([0]);
  expect(sampleOf(list, 3)).toHaveLength(3);
  expect(sampleOf([], 3)).toEqual([]);
});
