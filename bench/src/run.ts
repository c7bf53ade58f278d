// Started by scripts/bench.ts, which installs what is needed first. Prints one line for each id: for people, or as JSON.
import { parseArgs } from 'node:util';
import { benchFiles, filesFor, runBenchFile } from './benchFiles.ts';
import type { BenchLine } from './measure.ts';

const help = `npm run bench [-- ID…] [--json] [--list]
  ID      what to measure; none measures everything
  --json  {"id","ours","peer","unit","ratio","runs"} a line; ratio = ours / peer, null without a peer
  --list  the ids`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(help);
else if (values.list) for (const id of Object.values(benchFiles).flat()) console.log(id);
else await measure(positionals, values.json);

async function measure(ids: readonly string[], json: boolean): Promise<void> {
  if (!json)
    console.log(
      `${'id'.padEnd(32)}${'ours'.padStart(14)}${'peer'.padStart(14)}${'ratio'.padStart(10)}${'runs'.padStart(7)}`,
    );
  for (const file of filesFor(ids)) {
    try {
      for (const line of await runBenchFile(file))
        if (ids.length === 0 || ids.includes(line.id))
          console.log(json ? JSON.stringify(inOrder(line)) : forPeople(line));
    } catch (thrown) {
      // One file that can't run must not hide what the others measured.
      process.exitCode = 1;
      console.error(`cloister: ${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
}

function inOrder({ id, ours, peer, unit, ratio, runs }: BenchLine): BenchLine {
  return { id, ours, peer, unit, ratio, runs };
}

function forPeople({ id, ours, peer, unit, ratio, runs }: BenchLine): string {
  const amount = (value: number | null) => (value === null ? '–' : `${short(value)} ${unit}`).padStart(14);
  return `${id.padEnd(32)}${amount(ours)}${amount(peer)}${(ratio === null ? '–' : `${short(ratio)}×`).padStart(10)}${String(runs).padStart(7)}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
