import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BenchLine } from './measure.ts';

/** Which file measures which ids. Every function it exports whose name starts with "bench" is run. */
export const benchFiles: Readonly<Record<string, readonly string[]>> = {
  'quote.ts': ['quote-verify-full', 'quote-verify-collateral-cached', 'quote-verify-chain-cached'],
  'receipt.ts': ['receipt-sign'],
  'sealed.ts': ['sealed-call-added-1k', 'sealed-call-worker-cpu-1k'],
  'relay.ts': ['relay-added-1k'],
  'function.ts': ['function-cold', 'function-pooled', 'function-warm'],
  'start.ts': ['start-to-first-call', 'start-resident-memory'],
};

/** The files that measure some ids; all where none are given. Throws RangeError for an id that nobody measures. */
export function filesFor(ids: readonly string[]): readonly string[] {
  const unknown = ids.find((id) => Object.values(benchFiles).every((known) => !known.includes(id)));
  if (unknown !== undefined)
    throw new RangeError(`Nothing measures "${unknown}"; there are ${Object.values(benchFiles).flat().join(', ')}`);
  return Object.keys(benchFiles).filter((file) => ids.length === 0 || benchFiles[file]?.some((id) => ids.includes(id)));
}

/** Runs one file's measurements. Throws TypeError where it answers anything but bench lines. */
export async function runBenchFile(file: string): Promise<readonly BenchLine[]> {
  const url = new URL(file, import.meta.url);
  if (!fs.existsSync(fileURLToPath(url))) throw new RangeError(`"bench/src/${file}" is not there`);
  const module = (await import(url.href)) as Readonly<Record<string, unknown>>;
  const lines: BenchLine[] = [];
  for (const [name, bench] of Object.entries(module)) {
    if (!name.startsWith('bench') || typeof bench !== 'function') continue;
    const answer: unknown = await bench();
    for (const line of Array.isArray(answer) ? answer : [answer]) {
      if (!isBenchLine(line))
        throw new TypeError(`Expected "${name}" of "${file}" to answer bench lines, got ${JSON.stringify(line)}`);
      lines.push(line);
    }
  }
  return lines;
}

export function isBenchLine(value: unknown): value is BenchLine {
  if (typeof value !== 'object' || value === null) return false;
  const { id, ours, peer, unit, ratio, runs } = value as Readonly<Record<string, unknown>>;
  const positive = (number: unknown) => typeof number === 'number' && Number.isFinite(number) && number >= 0;
  return (
    typeof id === 'string' &&
    typeof ours === 'number' &&
    Number.isFinite(ours) &&
    (peer === null ? ratio === null : positive(peer) && typeof ratio === 'number') &&
    (unit === 'ms' || unit === 'MB') &&
    positive(runs)
  );
}
