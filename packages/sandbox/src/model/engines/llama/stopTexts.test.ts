import { expect, test } from 'vitest';
import { StopTexts } from './stopTexts.ts';

function run(
  stops: readonly string[],
  pieces: readonly string[],
): { passed: string[]; text: string; stopped: boolean } {
  const passed: string[] = [];
  const texts = new StopTexts(stops, (text) => passed.push(text));
  for (const piece of pieces) texts.push(piece);
  texts.end();
  return { passed, text: texts.text, stopped: texts.stopped };
}

test.each([
  [[], ['a', 'b'], 'ab', false],
  [['b'], ['a', 'b', 'c'], 'a', true],
  [['bcd'], ['ab', 'c', 'de'], 'a', true],
  [['bcd'], ['ab', 'c', 'e'], 'abce', false],
  [['aab'], ['aa', 'ab'], 'a', true],
  [['x', 'b'], ['abx'], 'a', true],
  [['bcd'], ['abc'], 'abc', false],
] as const)('%j ends %j at %j', (stops, pieces, text, stopped) => {
  expect(run(stops, pieces)).toMatchObject({ text, stopped });
});

test('holds back no more than may be a beginning', () => {
  const passed: string[] = [];
  const texts = new StopTexts(['###'], (text) => passed.push(text));
  texts.push('one #');
  texts.push('two ##');
  expect(passed).toEqual(['one ', '#two ']);
});
