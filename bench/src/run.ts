// Started by scripts/bench.ts, which installs what is needed first. Prints one line for each id: for people, or as JSON.
import { parseArgs } from 'node:util';
import { runMain } from '../../scripts/lib/scriptError.ts';
import { benches, benchesFor, runBench } from './benches.ts';
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

await runMain(async () => {
  if (values.help) console.log(help);
  else if (values.list) for (const { ids } of benches) for (const id of ids) console.log(id);
  else return measure(positionals, values.json);
  return 0;
});

async function measure(ids: readonly string[], json: boolean): Promise<number> {
  let exitCode = 0;
  const chosen = benchesFor(ids);
  if (!json)
    console.log(
      `${'id'.padEnd(32)}${'ours'.padStart(14)}${'peer'.padStart(14)}${'ratio'.padStart(10)}${'runs'.padStart(7)}`,
    );
  for (const bench of chosen) {
    try {
      for (const line of await runBench(bench))
        if (ids.length === 0 || ids.includes(line.id))
          console.log(json ? JSON.stringify(plain(line)) : forPeople(line));
    } catch (thrown) {
      // One bench that can't run must not hide what the others measured.
      exitCode = 1;
      console.error(`cloister: ${bench.ids.join(', ')}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  return exitCode;
}

/** The fields of the format, in its order, without digits that are noise. */
function plain({ id, ours, peer, unit, ratio, runs }: BenchLine): BenchLine {
  const round = (value: number | null) => (value === null ? null : Number(value.toPrecision(4)));
  return { id, ours: Number(ours.toPrecision(4)), peer: round(peer), unit, ratio: round(ratio), runs };
}

function forPeople({ id, ours, peer, unit, ratio, runs }: BenchLine): string {
  const amount = (value: number | null) => (value === null ? '–' : `${short(value)} ${unit}`).padStart(14);
  return `${id.padEnd(32)}${amount(ours)}${amount(peer)}${(ratio === null ? '–' : `${short(ratio)}×`).padStart(10)}${String(runs).padStart(7)}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
