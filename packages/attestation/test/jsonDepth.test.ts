import { describe, expect, test } from 'vitest';
import { JsonValue } from '../src/verify/json.ts';
import { outcome } from './synthetic.ts';

const verdict = (text: string) =>
  outcome(() => {
    JsonValue.parse(text, 'it', 'MALFORMED_EVIDENCE');
    return 'ok';
  });
const tooDeep = '['.repeat(16) + ']'.repeat(16);

describe('the depth of JSON', () => {
  test.each([
    ['closing brackets in a string', `{"a":"${']}'.repeat(40)}","b":${tooDeep}}`],
    ['closing brackets behind an escaped quote', `{"a":"\\"${']'.repeat(40)}","b":${tooDeep}}`],
    ['closing brackets in a name', `{"${'}'.repeat(40)}":${tooDeep}}`],
    ['a string that ends in an escaped backslash', `{"a":"\\\\","b":${tooDeep}}`],
  ])('%s hide no level', async (_, text) => {
    expect(() => JSON.parse(text)).not.toThrow();
    expect(await verdict(text)).toBe('MALFORMED_JSON at it');
  });

  test.each([
    ['opening brackets in a string', `{"a":"${'[{'.repeat(40)}"}`],
    ['opening brackets behind an escaped quote', `["\\"${'['.repeat(40)}"]`],
    ['opening brackets behind two escapes', `["\\\\\\"${'['.repeat(40)}"]`],
  ])('%s are no level', async (_, text) => {
    expect(await verdict(text)).toBe('ok');
  });

  test.each([
    ['brackets closed before they open', `${']'.repeat(40)}${tooDeep}`],
    ['a string that never ends', `["${'['.repeat(40)}`],
    ['a backslash at the end', '["\\'],
  ])('%s are no JSON', async (_, text) => {
    expect(await verdict(text)).toBe('MALFORMED_JSON at it');
  });
});
