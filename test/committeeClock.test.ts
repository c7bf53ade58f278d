import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { inRoot } from '../scripts/lib/paths.ts';

/** What decides by the chain's timestamps alone: no machine's clock, which its owner sets, may have a say. */
const chainTimed = [
  'apps/gatekeeper/src',
  'packages/placement/src',
  'packages/economics/src',
  'packages/threshold/src',
];
const clock = /\bDate\.(now|parse|UTC)\b|\bnew Date\b|\bDate\(|\bTemporal\b|performance\.timeOrigin/;

const files = chainTimed.flatMap((folder) =>
  fs
    .readdirSync(inRoot(folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(folder, name)),
);

describe('the committee reads no clock of its machine', () => {
  test('which could be wrong by minutes, or set so', () => {
    expect(files.length).toBeGreaterThan(40);
    const wrong = files.flatMap((file) =>
      fs
        .readFileSync(inRoot(file), 'utf8')
        .split('\n')
        .flatMap((line, index) => (clock.test(line) ? [`${file}:${index + 1}`] : [])),
    );
    expect(wrong, 'members go by timestamps of blocks; durations are measured by performance.now').toEqual([]);
  });

  test.each(['Date.now()', 'new Date()', 'Date()', 'performance.timeOrigin'])('%s would be found', (text) => {
    expect(clock.test(`const now = ${text};`)).toBe(true);
  });
});
