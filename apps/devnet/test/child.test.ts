import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Child, type ChildSpec, readyLine } from '../src/child.ts';

let folder = '';
let children: Child[] = [];
let heard: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-child-'));
  children = [];
  heard = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(children.map((child) => child.stop()));
  await rm(folder, { recursive: true, force: true });
});

const ready = `echo '{"ready":true,"value":1}'`;
/** Runs until its standard input ends, as all our processes do. */
const stay = 'read -r line';

function child(script: string, changes: Partial<ChildSpec> = {}): Child {
  const spec: ChildSpec = {
    name: 'part',
    command: '/bin/sh',
    args: ['-c', script],
    logFile: join(folder, 'logs', 'part.log'),
    cwd: folder,
    ready: readyLine,
    stopWithinMs: 300,
    ...changes,
  };
  const made = new Child(spec, {
    onRestart: (name, reason) => heard.push(`restart ${name} ${reason}`),
    onDown: (name) => heard.push(`down ${name}`),
    onEnded: (name, reason) => heard.push(`ended ${name} ${reason}`),
    onReady: (name, { value }, again) => heard.push(`${again ? 'back' : 'ready'} ${name} ${value}`),
  });
  children.push(made);
  return made;
}

const signal = new AbortController().signal;
const isAlive = (pid: number | undefined): boolean => {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const log = () => readFile(join(folder, 'logs', 'part.log'), 'utf8');

describe('starting', () => {
  test('waits for the ready line, and keeps what is printed', async () => {
    const part = child(`echo noise; ${ready}; echo later >&2; ${stay}`);
    expect(await part.start(signal)).toEqual({ ready: true, value: 1 });
    expect(heard).toEqual(['ready part 1']);
    await expect.poll(log).toContain('later');
    expect(await log()).toContain('noise');
  });

  test.each([
    [
      'the error that it logged',
      `echo '{"level":"error","msg":"No such key"}'; echo '{"level":"info","msg":"bye"}'; exit 3`,
      'No such key',
    ],
    ['its last line', 'echo one; echo two >&2; exit 3', 'two'],
    ['that it said nothing', 'exit 3', 'it printed nothing'],
  ])('one that ends first is told with %s', async (_, script, words) => {
    await expect(child(script).start(signal)).rejects.toMatchObject({
      code: 'CHILD_ENDED',
      message: `part ended while starting (exit code 3): ${words}`,
    });
  });

  test('a program that does not exist', async () => {
    const part = child('', { command: join(folder, 'nothing') });
    await expect(part.start(signal)).rejects.toMatchObject({
      code: 'CHILD_ENDED',
      message: expect.stringContaining('ENOENT'),
    });
    await part.stop();
  });

  test('one that is not ready in time is ended', async () => {
    const part = child(stay, { readyWithinMs: 100 });
    const starting = part.start(signal);
    const { pid } = part;
    await expect(starting).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(pid).toBeDefined();
    expect(isAlive(pid)).toBe(false);
  });

  test("ends with the caller's wish, and lets the process end in order", async () => {
    const leaving = new AbortController();
    const part = child(`trap 'echo in order; exit 0' TERM; echo up; while :; do ${stay}; done`);
    const starting = part.start(leaving.signal);
    await expect.poll(() => log().catch(() => '')).toContain('up');
    leaving.abort();
    await expect(starting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(isAlive(part.pid)).toBe(true);
    await part.stop();
    await expect.poll(log).toContain('in order');
  });

  test('what steers other programs is not handed on', async () => {
    vi.stubEnv('NODE_OPTIONS', '--no-warnings');
    vi.stubEnv('SECRET_OF_THE_USER', 'x');
    const part = child(`env; ${ready}; ${stay}`);
    await part.start(signal);
    vi.unstubAllEnvs();
    expect(await log()).not.toMatch(/NODE_OPTIONS|SECRET_OF_THE_USER/);
    expect(await log()).toMatch(/^PATH=/m);
  });
});

describe('one that ends by itself', () => {
  test('is started again', async () => {
    const part = child(`${ready}; ${stay}`);
    await part.start(signal);
    const before = part.pid ?? 0;
    process.kill(before, 'SIGKILL');
    await expect.poll(() => heard, { timeout: 5_000 }).toEqual(['ready part 1', 'restart part SIGKILL', 'back part 1']);
    expect(part.pid).not.toBe(before);
    expect(isAlive(part.pid)).toBe(true);
  });

  test('again and again is tried more and more slowly, told, and never given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const realTurn = () => new Promise((resolve) => setImmediate(resolve));
    const part = child(`${ready}; exit 1`);
    await part.start(signal);
    const pauses: number[] = [];
    for (let round = 1; round <= 7; round++) {
      const { pid } = part;
      // The process ends in its own time; ours stands still meanwhile.
      while (isAlive(pid)) await realTurn();
      for (let turn = 0; turn < 5; turn++) await realTurn();
      const ended = Date.now();
      while (part.pid === pid) await vi.advanceTimersByTimeAsync(50);
      pauses.push(Date.now() - ended);
      const ups = () => heard.filter((one) => /^(ready|back)/.test(one)).length;
      while (ups() < round + 1) await realTurn();
    }
    expect(pauses).toEqual([200, 400, 800, 1_600, 3_200, 20_000, 20_000]);
    const quick = Array.from({ length: 5 }, () => ['restart part exit code 1', 'back part 1']);
    const slow = Array.from({ length: 2 }, () => ['down part', 'back part 1']);
    expect(heard.slice(0, 15)).toEqual(['ready part 1', ...[...quick, ...slow].flat()]);
  });

  test('is not started again once it is stopped', async () => {
    const part = child(`${ready}; exit 1`);
    await part.start(signal);
    await expect.poll(() => isAlive(part.pid)).toBe(false);
    await part.stop();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(heard.filter((one) => one.startsWith('back'))).toEqual([]);
  });

  test('for good, as it says itself, is not started again', async () => {
    const last = `echo '{"ended":true,"reason":"WORKER_RETIRED"}'; exit 0`;
    const part = child(`${ready}; ${last}`);
    await part.start(signal);
    await expect.poll(() => heard, { timeout: 5_000 }).toEqual(['ready part 1', 'ended part WORKER_RETIRED']);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(heard).toHaveLength(2);
  });

  test('for good when it was started again is told so too', async () => {
    const script = `[ -e once ] || { touch once; ${ready}; exit 1; }; echo '{"ended":true,"reason":"GONE"}'; exit 1`;
    const part = child(script);
    await part.start(signal);
    await expect
      .poll(() => heard, { timeout: 5_000 })
      .toEqual(['ready part 1', 'restart part exit code 1', 'ended part GONE']);
  });

  test('and does not come up again is never there twice', async () => {
    // Ready at first; from then on it stays silent.
    const script = `[ -e pids ]; again=$?; echo $$ >> pids; [ $again = 0 ] || ${ready}; ${stay}`;
    const part = child(script, { readyWithinMs: 150 });
    await part.start(signal);
    process.kill(part.pid ?? 0, 'SIGKILL');
    const pids = async () => (await readFile(join(folder, 'pids'), 'utf8')).trim().split('\n').map(Number);
    await expect.poll(async () => (await pids()).length, { timeout: 5_000 }).toBeGreaterThanOrEqual(3);
    expect((await pids()).slice(0, -1).filter(isAlive)).toEqual([]);
  });
});

describe('stopping', () => {
  test('asks first', async () => {
    const part = child(`trap 'echo asked; exit 0' INT; ${ready}; while :; do ${stay}; done`, { stopSignal: 'SIGINT' });
    await part.start(signal);
    await part.stop();
    expect(isAlive(part.pid)).toBe(false);
    await expect.poll(log).toContain('asked');
    expect(heard).toEqual(['ready part 1']);
  });

  test('kills what does not heed', async () => {
    const part = child(`trap '' TERM; ${ready}; while :; do sleep 1; done`);
    await part.start(signal);
    const { pid } = part;
    await part.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test('is quiet about last words that come after the log was closed', async () => {
    const part = child(
      `trap 'i=0; while [ $i -lt 2000 ]; do echo "a last word, and another one, and one more: $i"; i=$((i+1)); done; exit 0' TERM; ${ready}; while :; do ${stay}; done`,
      { stopWithinMs: 5_000 },
    );
    await part.start(signal);
    await part.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(part.pid)).toBe(false);
  });

  test('may be asked for twice, or before it was started', async () => {
    const part = child(`${ready}; ${stay}`);
    await part.stop();
    const other = child(`${ready}; ${stay}`);
    await other.start(signal);
    await Promise.all([other.stop(), other.stop()]);
    expect(isAlive(other.pid)).toBe(false);
  });

  test('a log that can not be written ends nothing', async () => {
    const part = child(`${ready}; ${stay}`, { logFile: '/dev/full' });
    await part.start(signal);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(part.pid)).toBe(true);
  });
});

describe('readyLine', () => {
  const fake = () => {
    const stdout = new EventEmitter();
    return { stdout, process: { stdout } as unknown as ChildProcess };
  };

  test('is put together from pieces, among other lines', async () => {
    const { stdout, process: one } = fake();
    const waiting = readyLine(one, signal);
    for (const piece of ['starting…\n{"rea', 'dy":fa', 'lse}\n[1]\nnull\n{"ready"', ':true,"port":', '7}\nmore'])
      stdout.emit('data', Buffer.from(piece));
    expect(await waiting).toEqual({ ready: true, port: 7 });
    expect(stdout.listenerCount('data')).toBe(0);
  });

  test('does not come from half a line, or from the word alone', async () => {
    const { stdout, process: one } = fake();
    const leaving = new AbortController();
    const waiting = readyLine(one, leaving.signal);
    for (const piece of ['{"ready":"true"}\n', '{"ready":1}\n', 'ready\n', '{"ready":true}'])
      stdout.emit('data', Buffer.from(piece));
    const state = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20, 'waiting'))]);
    expect(state).toBe('waiting');
    leaving.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
