import { type SandboxDriver, SandboxError } from '@cloister/sandbox';
import { describe, expect, test } from 'vitest';
import { isOffered, startOptional } from '../src/startOptional.ts';

const signal = new AbortController().signal;

function driver(start: () => Promise<void>): SandboxDriver {
  return { kind: 'container', start } as unknown as SandboxDriver;
}

function logger() {
  const lines: unknown[] = [];
  return { lines, log: { info: (...line: unknown[]) => lines.push(line) } as never };
}

describe('a kind that not every machine can offer', () => {
  test('is offered where its sandbox starts', async () => {
    const { lines, log } = logger();
    const one = driver(async () => undefined);
    const started = await startOptional(one, log, signal);
    expect(started).toBe(one);
    expect(isOffered(started)).toBe(true);
    expect(lines).toEqual([]);
  });

  test('is not offered where something is missing, and one line says what, and what to do', async () => {
    const { lines, log } = logger();
    const reason = 'No engine for containers: podman is not installed. Install it';
    const missing = new SandboxError({
      code: 'START_FAILED',
      message: 'No engine for containers: podman is not installed',
      hint: 'Install it',
    });
    const started = await startOptional(
      driver(() => Promise.reject(missing)),
      log,
      signal,
    );
    expect(isOffered(started)).toBe(false);
    expect(started).toEqual({ kind: 'container', reason });
    expect(lines).toEqual([['kind not offered', { kind: 'container', reason }]]);
  });

  test('fails as its sandbox does where something is wrong', async () => {
    const { log } = logger();
    for (const error of [new TypeError('a mistake'), new SandboxError({ code: 'SANDBOX_FULL', message: 'full' })])
      await expect(
        startOptional(
          driver(() => Promise.reject(error)),
          log,
          signal,
        ),
      ).rejects.toBe(error);
  });
});
