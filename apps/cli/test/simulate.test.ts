import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtInNames, charts } from '@cloister/simulator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-simulate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The command as a process, in a folder without a network. */
function simulate(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const args = [main, ...(argv[0] === '--json' ? ['--json', 'simulate', ...argv.slice(1)] : ['simulate', ...argv])];
    execFile(process.execPath, args, { cwd: folder, env: { PATH: '' } }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

describe('cloister simulate', () => {
  test('--list names every built-in scenario', async () => {
    const [prose, json] = await Promise.all([simulate('--list'), simulate('--json', '--list')]);
    expect(
      prose.out
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(builtInNames());
    expect((JSON.parse(json.out) as { name: string }[]).map(({ name }) => name)).toEqual(builtInNames());
  });

  test('runs without a network, prints figures, attacks and plots, and says how to get files', async () => {
    const { code, out, err } = await simulate('--epochs', '480');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('480 epochs in 20 steps, seed 1');
    expect(out).toContain('workers at the end');
    expect(out).toContain('pays never: emission does not follow fees');
    for (const { title } of charts) expect(out).toContain(title);
    expect(out).toContain('--out DIR');
  });

  test('writes the same files for the same seed, into a folder of its own making', async () => {
    const run = async (to: string, seed: string) => {
      const { out } = await simulate(
        '--json',
        'lazy-operators',
        '--epochs',
        '720',
        '--seed',
        seed,
        '--out',
        join(to, 'deep'),
      );
      const files = await readdir(join(folder, to, 'deep'));
      const texts = await Promise.all(files.map((file) => readFile(join(folder, to, 'deep', file), 'utf8')));
      return {
        result: JSON.parse(out) as { files: string[]; steps: number; seed: number },
        files,
        text: texts.join(''),
      };
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
    const { code, out } = await simulate('--json', 'mine.json', '--out', 'own');
    expect(code).toBe(0);
    expect((JSON.parse(out) as { files: string[] }).files[0]).toBe(join('own', '-x-y.csv'));
    expect(await readdir(join(folder, 'own'))).toHaveLength(charts.length + 1);
  });

  test('compares values of a parameter', async () => {
    const argv = ['--epochs', '240', '--sweep', 'bondFactorPha=100,200.5', '--out', 'swept'];
    const [json, prose] = [await simulate('--json', ...argv), await simulate(...argv)];
    const { parameter, points } = JSON.parse(json.out) as { parameter: string; points: { value: number }[] };
    expect(parameter).toBe('parameters.bondFactorPha');
    expect(points.map(({ value }) => value)).toEqual([100, 200.5]);
    expect(prose.out).toContain('workers at the end');
    expect((await readdir(join(folder, 'swept'))).sort()).toEqual([
      'baseline-parameters-bondFactorPha.csv',
      'baseline-parameters-bondFactorPha.svg',
    ]);
  });

  test.each([
    [['nowhere'], 'SCENARIO_UNKNOWN'],
    [['broken.json'], 'SCENARIO_NOT_JSON'],
    [['wrong.json'], 'SCENARIO_UNKNOWN_FIELD'],
    [['--epochs', '0'], 'SCENARIO_OUT_OF_BOUND'],
    [['--epochs', '-1'], 'OPTION_VALUE_INVALID'],
    [['--seed', '4294967296'], 'SCENARIO_OUT_OF_BOUND'],
    [['--sweep', 'bondFactorPha'], 'OPTION_VALUE_INVALID'],
    [['--sweep', 'bondFactorPha=1,x'], 'OPTION_VALUE_INVALID'],
    [['--sweep', 'prize=1'], 'SCENARIO_UNKNOWN_FIELD'],
  ])('%j is refused by name', async (argv, code) => {
    await writeFile(join(folder, 'broken.json'), '{');
    await writeFile(join(folder, 'wrong.json'), '{"prize": 1}');
    const refused = await simulate('--json', ...argv);
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.out)).toMatchObject({ ok: false, error: { code, retry: false } });
  });
});
