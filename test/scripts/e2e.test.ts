import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DevnetOptions, parseStep, type RunningDevnet } from '../../e2e/devnet.ts';
import { chooseScenarios, readScenarios, runScenarios, type ScenarioResult } from '../../scripts/lib/e2ePart.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

let folder = '';
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-e2e-test-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function write(name: string, scenario: string): void {
  const skipped = `import { ScenarioSkipped } from ${JSON.stringify(inRoot('e2e/scenario.ts'))};`;
  fs.writeFileSync(
    path.join(folder, `${name}.e2e.ts`),
    `${skipped}\nexport const scenario = ${scenario};\nvoid ScenarioSkipped;`,
  );
}

/** Counts starts and stops instead of starting processes. */
function networks() {
  const events: string[] = [];
  const start = async (_: DevnetOptions): Promise<RunningDevnet> => {
    const id = events.filter((event) => event.startsWith('start')).length + 1;
    events.push(`start ${id}`);
    return {
      file: `network-${id}`,
      network: {} as RunningDevnet['network'],
      data: folder,
      pid: 0,
      ready: { step: 'ready' },
      log: () => '',
      stop: async () => {
        events.push(`stop ${id}`);
        return 0;
      },
    };
  };
  return { events, start };
}

async function run(start: (options: DevnetOptions) => Promise<RunningDevnet>, names: readonly string[] = []) {
  const results: ScenarioResult[] = [];
  const outcome = await runScenarios({ folder, start, names, onResult: (result) => results.push(result) });
  return { outcome, results };
}

describe('runScenarios', () => {
  test('shares one network, gives a fresh one to who breaks it, and stops all', async () => {
    write(
      'b-breaks',
      `{ title: 'breaks it', needs: 'own-network', run: async (c) => { await c.network(); await c.network(); } }`,
    );
    write('c-shares', `{ title: 'shares it', run: async (c) => { await c.network(); } }`);
    write('d-shares', `{ title: 'shares it too', run: async (c) => { await c.network(); } }`);
    const { events, start } = networks();
    const { outcome } = await run(start);
    expect(outcome).toEqual({ passed: 3, failed: [], skipped: [] });
    expect([...events].sort()).toEqual(['start 1', 'start 2', 'stop 1', 'stop 2']);
    for (const network of [1, 2])
      expect(events.indexOf(`start ${network}`)).toBeLessThan(events.indexOf(`stop ${network}`));
  });

  test('leaves those that take minutes to the long run, unless one is named', async () => {
    write('long', `{ title: 'takes minutes', onlyLong: true, run: async () => {} }`);
    write('short', `{ title: 'does not', run: async () => {} }`);
    const { start } = networks();
    const names = async (options: object) => {
      const results: string[] = [];
      await runScenarios({ folder, start, onResult: ({ name }) => results.push(name), ...options });
      return results;
    };
    expect(await names({})).toEqual(['short']);
    expect(await names({ names: ['long'] })).toEqual(['long']);
    expect(await names({ env: { CLOISTER_LONG: '1' } })).toEqual(['long', 'short']);
  });

  test('starts no network that nobody asks for', async () => {
    write('quiet', `{ title: 'needs nothing', run: async () => {} }`);
    const { events, start } = networks();
    await run(start);
    expect(events).toEqual([]);
  });

  test('a scenario fails by throwing, by its deadline and by a stray rejection; the rest still run', async () => {
    write('throws', `{ title: 'throws', run: async (c) => { c.note('got so far'); throw new Error('no'); } }`);
    write('hangs', `{ title: 'hangs', timeoutMs: 30, run: () => new Promise(() => {}) }`);
    write(
      'strays',
      `{ title: 'strays', run: async () => { Promise.reject(new Error('astray')); await new Promise((r) => setTimeout(r, 20)); } }`,
    );
    write('passes', `{ title: 'passes', run: async () => {} }`);
    const { outcome, results } = await run(networks().start);
    expect(outcome.passed).toBe(1);
    expect(outcome.failed).toEqual(['e2e > hangs', 'e2e > strays', 'e2e > throws']);
    const reasonOf = (name: string) => results.find((result) => result.name === name)?.reason;
    expect(reasonOf('throws')).toMatch(/no[\s\S]*got so far/);
    expect(reasonOf('hangs')).toMatch(/Not done within/);
    expect(reasonOf('strays')).toMatch(/astray/);
  });

  test('a scenario says itself that it is skipped', async () => {
    write('skips', `{ title: 'skips', run: async () => { throw new ScenarioSkipped('no such thing here'); } }`);
    expect((await run(networks().start)).outcome).toEqual({ passed: 0, failed: [], skipped: ['e2e > skips'] });
  });

  test('a scenario on the shared network can not start others', async () => {
    write('greedy', `{ title: 'greedy', run: async (c) => { await c.startNetwork(); } }`);
    expect((await run(networks().start)).outcome.failed).toEqual(['e2e > greedy']);
  });

  test('a failed start fails the scenario and is tried again for the next', async () => {
    write('a', `{ title: 'a', run: async (c) => { await c.network(); } }`);
    write('b', `{ title: 'b', run: async (c) => { await c.network(); } }`);
    const { start } = networks();
    let tries = 0;
    const { outcome } = await run(async (options) => {
      tries += 1;
      if (tries === 1) throw new Error('port taken');
      return start(options);
    });
    expect(outcome).toEqual({ passed: 1, failed: ['e2e > a'], skipped: [] });
  });
});

describe('choosing', () => {
  test('a name wins over names that contain it; unknown names and files without a scenario are refused', async () => {
    write('call', `{ title: 'call', run: async () => {} }`);
    write('call-again', `{ title: 'call again', run: async () => {} }`);
    const all = await readScenarios(folder);
    expect(chooseScenarios(all, ['call']).map(({ name }) => name)).toEqual(['call']);
    expect(chooseScenarios(all, ['again']).map(({ name }) => name)).toEqual(['call-again']);
    expect(chooseScenarios(all, ['al']).map(({ name }) => name)).toEqual(['call', 'call-again']);
    expect(() => chooseScenarios(all, ['gone'])).toThrow(/No scenario is called "gone"/);
    write('broken', '{ title: 1 }');
    await expect(readScenarios(folder)).rejects.toThrow(/to export "scenario"/);
  });
});

test('parseStep reads the devnet’s lines and passes over others', () => {
  expect(parseStep('{"step":"ready","network":"/x"}')).toEqual({ step: 'ready', network: '/x' });
  for (const line of ['', 'hello', '{"step":1}', '[]', 'null', '{"steps":"x"}'])
    expect(parseStep(line)).toBeUndefined();
});
