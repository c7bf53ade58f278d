import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type Attack,
  attacksOf,
  builtInFile,
  builtInNames,
  charts,
  type KeyFigure,
  keyFigures,
  keyFiguresOf,
  parseScenario,
  parseScenarioJson,
  readScenario,
  ScenarioUnknownError,
  type Sweep,
  shortNumber,
  simulate,
  sweep,
  toBraille,
  toCsv,
  toSvg,
  toSweepCsv,
  toSweepSvg,
} from '@cloister/simulator';
import type { Command } from 'commander';
import { OptionValueError, wholeNumber } from '../optionValues.ts';
import { print } from '../output.ts';

type SimulateOptions = {
  readonly epochs?: string;
  readonly seed?: string;
  readonly out?: string;
  readonly sweep?: string;
  readonly list?: boolean;
  readonly json?: boolean;
};

const defaultScenario = 'baseline';

export function simulateCommand(program: Command): void {
  program
    .command('simulate')
    .description('what the network’s economy comes to over years: operators, stakers, gateways, prices, attacks')
    .argument('[scenario]', 'name of a built-in scenario, or a file', defaultScenario)
    .option('--epochs <number>', 'how many epochs, instead of what the scenario says')
    .option('--seed <number>', 'of the random numbers, instead of the scenario’s; the same seed gives the same bytes')
    .option('--out <folder>', 'writes every step as CSV, and the plots as SVG')
    .option('--sweep <PARAM=a,b,c>', 'runs it once for each value of one parameter, and compares')
    .option('--list', 'lists the built-in scenarios')
    .addHelpText(
      'after',
      `
Works without a network. Money is counted in whole units by the functions that gatekeepers use.
A scenario is a JSON file; every field and its bounds stand in packages/simulator/README.md.

  cloister simulate price-crash --out plots
  cloister simulate --sweep bondFactorPha=50,100,200,400
  cloister simulate mine.json --sweep operators.0.commissionBps=500,1000`,
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<SimulateOptions>();
      if (options.list) return printList(options);
      const data = await readData(name, options);
      await (options.sweep === undefined ? runOnce(data, options) : runSweep(data, options.sweep, options));
    });
}

function printList(options: SimulateOptions): void {
  const listed = builtInNames().map((name) => ({ name, about: parseScenario(builtInFile(name)).about }));
  const longest = Math.max(...listed.map(({ name }) => name.length));
  print(options, listed, () => listed.map(({ name, about }) => `${name.padEnd(longest)}  ${about}`).join('\n'));
}

/** The scenario as plain data, with what the options say in it. */
async function readData(name: string, options: SimulateOptions): Promise<unknown> {
  const isBuiltIn = builtInNames().includes(name);
  if (!isBuiltIn && !existsSync(name)) throw new ScenarioUnknownError(name);
  const data = parseScenarioJson(isBuiltIn ? builtInFile(name) : await readFile(name, 'utf8'));
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data;
  return {
    ...data,
    ...(options.epochs === undefined ? {} : { epochs: wholeNumber('--epochs', options.epochs) }),
    ...(options.seed === undefined ? {} : { seed: wholeNumber('--seed', options.seed) }),
  };
}

async function runOnce(data: unknown, options: SimulateOptions): Promise<void> {
  const scenario = readScenario(data);
  const run = simulate(scenario);
  const [figures, attacks] = [keyFiguresOf(run), attacksOf(run)];
  const subtitle = `${scenario.name}, seed ${scenario.seed}`;
  const files = await writeFiles(options.out, [
    [`${fileName(scenario.name)}.csv`, toCsv(run.rows)],
    ...charts.map((chart) => [`${fileName(scenario.name)}-${chart.id}.svg`, toSvg(chart, run.rows, subtitle)] as const),
  ]);
  const epochs = run.rows.length * scenario.epochsPerStep;
  print(
    options,
    { scenario: scenario.name, seed: scenario.seed, epochs, steps: run.rows.length, figures, attacks, files },
    () =>
      [
        `${scenario.name}: ${scenario.about}`,
        `${epochs} epochs in ${run.rows.length} steps, seed ${scenario.seed}; all that was issued and not burnt is held by somebody, after every step`,
        '',
        ...figureLines(figures),
        '',
        ...attackLines(attacks),
        '',
        ...charts.map((chart) => `${toBraille(chart, run.rows)}\n`),
        ...fileLines(options.out, files),
      ].join('\n'),
  );
}

async function runSweep(data: unknown, text: string, options: SimulateOptions): Promise<void> {
  const at = text.indexOf('=');
  const values = text.slice(at + 1).split(',');
  if (at < 1 || !values.every((value) => /^[0-9]{1,15}(\.[0-9]{1,9})?$/.test(value)))
    throw new OptionValueError('--sweep', text, 'PARAM=a,b,c with numbers');
  const { name, seed } = readScenario(data);
  const swept = sweep(data, text.slice(0, at), values.map(Number));
  const base = `${fileName(name)}-${fileName(swept.parameter)}`;
  const files = await writeFiles(options.out, [
    [`${base}.csv`, toSweepCsv(swept)],
    [`${base}.svg`, toSweepSvg(swept, `${name}, seed ${seed}`)],
  ]);
  print(options, { scenario: name, seed, ...swept, files }, () =>
    [`${name}, seed ${seed}`, '', ...sweepLines(swept), '', ...fileLines(options.out, files)].join('\n'),
  );
}

function figureLines(figures: Readonly<Record<KeyFigure, number>>): string[] {
  return figureNames.map((name) => `${shownNumber(figures[name]).padStart(10)}  ${keyFigures[name]}`);
}

function sweepLines({ parameter, points }: Sweep): string[] {
  const line = (numbers: readonly number[], what: string) =>
    `${numbers.map((number) => shownNumber(number).padStart(10)).join('')}  ${what}`;
  const heads = points.map(({ value }) => value);
  return [
    line(heads, parameter),
    ...figureNames.map((name) =>
      line(
        points.map(({ figures }) => figures[name]),
        keyFigures[name],
      ),
    ),
  ];
}

function attackLines(attacks: readonly Attack[]): string[] {
  return [
    '      cost      gain  attack, dollars at the end',
    ...attacks.map(({ attack, cost, gain, pays }) => {
      const brings = gain === null ? 'stake' : shownNumber(gain);
      return `${shownNumber(cost).padStart(10)}${brings.padStart(10)}  ${attack}; pays ${pays}`;
    }),
  ];
}

const figureNames = Object.keys(keyFigures) as KeyFigure[];

function shownNumber(value: number): string {
  return value < 0 ? String(value) : shortNumber(value);
}

async function writeFiles(
  out: string | undefined,
  files: readonly (readonly [name: string, text: string])[],
): Promise<readonly string[]> {
  if (out === undefined) return [];
  await mkdir(out, { recursive: true });
  for (const [name, text] of files) await writeFile(path.join(out, name), text);
  return files.map(([name]) => path.join(out, name));
}

function fileLines(out: string | undefined, files: readonly string[]): string[] {
  return out === undefined
    ? ['--out DIR writes every step as CSV, and the plots as SVG']
    : files.map((file) => `wrote ${file}`);
}

/** A scenario names itself: nothing of that leads out of the folder. */
function fileName(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9-]+/g, '-').slice(0, 60);
}
