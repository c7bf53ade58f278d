import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const sample = fileURLToPath(new URL('./fixtures/sampleProcess.ts', import.meta.url));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
});

function run(mode: string, ...flags: string[]) {
  const child = spawn(process.execPath, [sample, '--mode', mode, ...flags], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {},
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const exited = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    out,
    log: err
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  }));
  const ready = async () => JSON.parse(String((await once(child.stdout, 'data'))[0]));
  return { child, exited, ready };
}

describe('runProcess', () => {
  test('says when it is ready, and stops once at SIGTERM', async () => {
    const { child, exited, ready } = run('serve');
    expect(await ready()).toEqual({ ready: true, name: 'sample', pid: child.pid, port: 80, height: '5' });
    child.kill('SIGTERM');
    const { code, log } = await exited;
    expect(code).toBe(0);
    expect(log.map(({ msg }) => msg)).toEqual(['process: stopping', 'sample: stop']);
  });

  test.each([
    ['fail-start', 'process: no port'],
    ['throw-later', 'process: a defect'],
    ['reject-later', 'process: a defect'],
    ['fail-part', 'process: a part broke'],
  ])('%s ends with one clear line and code 1', async (mode, message) => {
    const { code, log } = await run(mode).exited;
    expect(code).toBe(1);
    expect(log.filter(({ level }) => level === 'error').map(({ msg }) => msg)).toEqual([message]);
  });

  test('an error that its operator wants ends it in order, with code 0, and it says that it is over', async () => {
    const { code, log, out } = await run('end-for-good').exited;
    expect(code).toBe(0);
    expect(log.map(({ msg }) => msg)).toEqual(['process: It is over. Rest', 'process: stopping', 'sample: stop']);
    expect(log[0]).toMatchObject({ level: 'error', error: { code: 'ALL_DONE' } });
    expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toEqual({
      ended: true,
      name: 'sample',
      reason: 'ALL_DONE',
    });
  });

  test('an unusable configuration ends with its name and code 2', async () => {
    const { code, log, out } = await run('dance').exited;
    expect([code, out]).toEqual([2, '']);
    expect(log[0]).toMatchObject({ level: 'error', error: { code: 'CONFIG_INVALID_FIELD', meta: { field: 'mode' } } });
  });

  test('a stop that hangs is cut off', async () => {
    const { child, exited, ready } = run('hang-stop');
    await ready();
    child.kill('SIGINT');
    const { code, log } = await exited;
    expect(code).toBe(1);
    expect(log.at(-1)).toMatchObject({ level: 'error', error: { code: 'DEADLINE_EXCEEDED' } });
  });

  test('a second signal ends it at once', async () => {
    const { child, exited, ready } = run('hang-stop-long');
    await ready();
    child.kill('SIGINT');
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    expect((await exited).code).toBe(130);
  });

  test('it can be stopped while it starts', async () => {
    const { child, exited } = run('hang-start', '--parent-stdin');
    child.stdin.end();
    expect((await exited).code).toBe(0);
  });

  test('it ends when its launcher is killed', async () => {
    const launcher = spawn(
      process.execPath,
      [
        '-e',
        `const { spawn } = require('node:child_process');
         for (const flags of [['--parent-stdin'], ['--parent-pid', String(process.pid)]]) {
           const child = spawn(process.execPath, [${JSON.stringify(sample)}, '--mode', 'serve', ...flags], { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
           child.stdout.on('data', () => console.log(child.pid));
         }`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(launcher);
    let out = '';
    for await (const chunk of launcher.stdout) {
      out += chunk;
      if (out.trim().split('\n').length === 2) break;
    }
    const pids = out.trim().split('\n').map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    launcher.kill('SIGKILL');
    while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
