import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtInNames, charts } from '@cloister/simulator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulateCommand } from '../src/commands/simulate.ts';
import { runCommand } from './runCommand.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-simulate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The command in this process, its result as JSON. Throws what it throws. */
async function json<Result>(...argv: string[]): Promise<Result> {
  const { out, error } = await runCommand(simulateCommand, ['--json', 'simulate', ...argv]);
  if (error !== undefined) throw error;
  return JSON.parse(out) as Result;
}

/** The same for people. */
async function prose(...argv: string[]): Promise<string> {
  const { out, err, error } = await runCommand(simulateCommand, ['simulate', ...argv]);
  expect([err, error]).toEqual(['', undefined]);
  return out;
}

/** The command as a process, in a folder without a network. */
function inProcess(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...argv], { cwd: folder, env: { PATH: '' } }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

describe('cloister simulate', () => {
  test('--list names every built-in scenario', async () => {
    const listed = await prose('--list');
    expect(
      listed
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(builtInNames());
    expect((await json<{ name: string }[]>('--list')).map(({ name }) => name)).toEqual(builtInNames());
  });

  test('runs without a network, prints figures, attacks and plots, and says how to get files', async () => {
    const { code, out, err } = await inProcess('simulate', '--epochs', '480');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('480 epochs in 20 steps, seed 1');
    expect(out).toContain('workers at the end');
    expect(out).toContain('pays never: emission does not follow fees');
    for (const { title } of charts) expect(out).toContain(title);
    expect(out).toContain('--out DIR');
  });

  test('that is refused ends with 1, and for programs with one line of JSON', async () => {
    const { code, out } = await inProcess('--json', 'simulate', 'nowhere');
    expect([code, out.trimEnd().split('\n').length]).toEqual([1, 1]);
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: 'SCENARIO_UNKNOWN', retry: false } });
  });

  test('writes the same files for the same seed, into a folder of its own making', async () => {
    const run = async (to: string, seed: string) => {
      const result = await json<{ files: string[]; steps: number; seed: number }>(
        'lazy-operators',
        ...['--epochs', '720', '--seed', seed, '--out', join(folder, to, 'deep')],
      );
      const files = await readdir(join(folder, to, 'deep'));
      const texts = await Promise.all(files.map((file) => readFile(join(folder, to, 'deep', file), 'utf8')));
      return { result, files, text: texts.join('') };
    };
    const [first, again, other] = [await run('a', '5'), await run('b', '5'), await run('c', '6')];
    expect(first.result).toMatchObject({ scenario: 'lazy-operators', seed: 5, epochs: 720, steps: 30 });
    expect(first.result.files).toHaveLength(charts.length + 1);
    expect(first.files.sort()).toEqual(first.result.files.map((file) => file.split('/').at(-1)).sort());
    expect(again.text).toBe(first.text);
    expect(other.text).not.toBe(first.text);
  });

  test('takes a scenario of one’s own, whose name leads nowhere', async () => {
    const scenario = { name: '../../x y', epochs: 48, operators: [{ behaviour: 'honest' }] };
    await writeFile(join(folder, 'mine.json'), JSON.stringify(scenario));
    const { files } = await json<{ files: string[] }>(join(folder, 'mine.json'), '--out', join(folder, 'own'));
    expect(files[0]).toBe(join(folder, 'own', '-x-y.csv'));
    expect(await readdir(join(folder, 'own'))).toHaveLength(charts.length + 1);
  });

  test('compares values of a parameter', async () => {
    const argv = ['--epochs', '240', '--sweep', 'bondFactorPha=100,200.5', '--out', join(folder, 'swept')];
    const { parameter, points } = await json<{ parameter: string; points: { value: number }[] }>(...argv);
    expect(parameter).toBe('parameters.bondFactorPha');
    expect(points.map(({ value }) => value)).toEqual([100, 200.5]);
    expect(await prose(...argv)).toContain('workers at the end');
    expect((await readdir(join(folder, 'swept'))).sort()).toEqual([
      'baseline-parameters-bondFactorPha.csv',
      'baseline-parameters-bondFactorPha.svg',
    ]);
  });

  test.each([
    [['FOLDER/broken.json'], 'SCENARIO_NOT_JSON'],
    [['FOLDER/wrong.json'], 'SCENARIO_UNKNOWN_FIELD'],
    [['--epochs', '0'], 'SCENARIO_OUT_OF_BOUND'],
    [['--epochs', '-1'], 'OPTION_VALUE_INVALID'],
    [['--seed', '4294967296'], 'SCENARIO_OUT_OF_BOUND'],
    [['--sweep', 'bondFactorPha'], 'OPTION_VALUE_INVALID'],
    [['--sweep', 'bondFactorPha=1,x'], 'OPTION_VALUE_INVALID'],
    [['--sweep', 'prize=1'], 'SCENARIO_UNKNOWN_FIELD'],
  ])('%j is refused by name', async (argv, code) => {
    await writeFile(join(folder, 'broken.json'), '{');
    await writeFile(join(folder, 'wrong.json'), '{"prize": 1}');
    const refused = json(...argv.map((text) => text.replace('FOLDER', folder)));
    await expect(refused).rejects.toMatchObject({ code, retry: false });
  });
});
