import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { gasLine } from '../../scripts/lib/gasLine.ts';
import { replaceMarked } from '../../scripts/lib/markedText.ts';
import { joinOutcomes, judgeSkips, matches, parseAllowedSkips, summaryLine } from '../../scripts/lib/outcome.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

describe('judgeSkips', () => {
  const allowed = [{ pattern: 'a/b.test.ts > *', reason: 'needs a file that is not in the repository' }];

  test('a skip on the list stays a skip', () => {
    const outcome = judgeSkips({ passed: 1, failed: [], skipped: ['a/b.test.ts > c'] }, allowed);
    expect(summaryLine(outcome)).toBe('1 passed, 0 failed, 1 skipped');
  });

  test('a skip that is not on the list is a failure with its name', () => {
    const outcome = judgeSkips({ passed: 1, failed: ['x'], skipped: ['a/c.test.ts > d'] }, allowed);
    expect(summaryLine(outcome)).toBe('1 passed, 2 failed, 0 skipped');
    expect(outcome.failed[1]).toMatch(/^a\/c\.test\.ts > d .*allowedSkips/);
  });
});

test('joinOutcomes adds everything up', () => {
  const joined = joinOutcomes([
    { passed: 2, failed: ['a'], skipped: [] },
    { passed: 3, failed: [], skipped: ['b', 'c'] },
  ]);
  expect(joined).toEqual({ passed: 5, failed: ['a'], skipped: ['b', 'c'] });
});

test('a pattern matches whole names, and only its star is special', () => {
  expect(matches('a.b > *', 'a.b > c\nd')).toBe(true);
  expect(matches('a.b > *', 'axb > c')).toBe(false);
  expect(matches('a', 'ab')).toBe(false);
});

describe('parseAllowedSkips', () => {
  test('the committed list can be read', () => {
    expect(() =>
      parseAllowedSkips(JSON.parse(fs.readFileSync(inRoot('test/allowedSkips.json'), 'utf8'))),
    ).not.toThrow();
  });

  test.each([
    [{}],
    [[{ pattern: 'packages/a.test.ts > b' }]],
    [[{ pattern: 'packages/a.test.ts > b', reason: '' }]],
    [[{ pattern: '*****************', reason: 'everything' }]],
    [['packages/a.test.ts']],
  ])('refuses %j', (json) => {
    expect(() => parseAllowedSkips(json)).toThrow(TypeError);
  });
});

test('replaceMarked changes what is between the markers and nothing else', () => {
  const text = 'a\n<!-- x:start -->\nold\n<!-- x:end -->\nb';
  expect(replaceMarked(text, 'x', '| new |\n')).toBe('a\n<!-- x:start -->\n| new |\n<!-- x:end -->\nb');
  expect(() => replaceMarked(text, 'y', '')).toThrow(RangeError);
});

test('gasLine aligns what is a measurement and leaves the rest', () => {
  expect(gasLine('{"id":"renew-lease","gas":87654}')).toMatch(/^renew-lease +87,654$/);
  for (const line of ['', 'Compiled 3 files', '{"id":1,"gas":2}', 'null']) expect(gasLine(line)).toBe(line);
});
