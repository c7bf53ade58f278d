import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { benches, benchesFor, isBenchLine } from '../../bench/src/benches.ts';
import { benchLine, interleaved, median } from '../../bench/src/measure.ts';
import { residentBytes } from '../../bench/src/residentBytes.ts';

describe('measuring', () => {
  test('median', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  test('a line is the medians and their ratio, or null without a peer', () => {
    expect(benchLine('x', [1, 2, 3], [4, 4, 4])).toEqual({
      id: 'x',
      ours: 2,
      peer: 4,
      unit: 'ms',
      ratio: 0.5,
      runs: 3,
    });
    expect(benchLine('x', [1])).toEqual({ id: 'x', ours: 1, peer: null, unit: 'ms', ratio: null, runs: 1 });
  });

  test('both sides run equally often, in turns, and each goes first half of the time', async () => {
    const order: string[] = [];
    const line = await interleaved({
      id: 'x',
      ours: () => order.push('o'),
      peer: async () => order.push('p'),
      runs: 4,
      warmUps: 0,
    });
    expect(order.join('')).toBe('oppooppo');
    expect(line.runs).toBe(4);
  });
});

describe('ids', () => {
  test('each id has one bench, and an id chooses it', () => {
    const ids = benches.flatMap((bench) => bench.ids);
    expect(new Set(ids).size).toBe(ids.length);
    expect(benchesFor(['receipt-sign', 'function-warm']).map(({ file }) => file)).toEqual([
      'receipt.ts',
      'firstAndNextCalls.ts',
    ]);
    expect(benchesFor([])).toEqual(benches);
    expect(() => benchesFor(['gone'])).toThrow(/Nothing measures "gone"/);
  });

  test.each(benches)('$file exports $name', ({ file, name }) => {
    const source = fs.readFileSync(new URL(`../../bench/src/${file}`, import.meta.url), 'utf8');
    expect(source).toMatch(new RegExp(`export async function ${name}\\(`));
  });

  test('isBenchLine refuses what scripts could not read', () => {
    const good = { id: 'x', ours: 1, peer: null, unit: 'ms', ratio: null, runs: 3 };
    expect(isBenchLine(good)).toBe(true);
    for (const bad of [
      null,
      {},
      { ...good, peer: 2 },
      { ...good, unit: 's' },
      { ...good, ours: Number.NaN },
      { ...good, runs: '3' },
    ])
      expect(isBenchLine(bad)).toBe(false);
  });
});

test('residentBytes adds up a process and all it started, and nothing else', () => {
  const proc = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-proc-'));
  const add = (pid: number, parent: number, kilobytes: number) => {
    fs.mkdirSync(path.join(proc, String(pid)));
    fs.writeFileSync(path.join(proc, String(pid), 'status'), `Name:\tx\nPPid:\t${parent}\nVmRSS:\t ${kilobytes} kB\n`);
  };
  add(1, 0, 1000);
  add(10, 1, 10);
  add(11, 10, 5);
  add(12, 11, 2);
  add(20, 1, 500);
  fs.mkdirSync(path.join(proc, '99'));
  expect(residentBytes(10, proc)).toBe(17 * 1024);
  expect(residentBytes(77, proc)).toBe(0);
  fs.rmSync(proc, { recursive: true });
});
