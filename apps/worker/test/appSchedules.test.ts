import { type Bytes32, functionManifest } from '@cloister/core';
import { expect, test, vi } from 'vitest';
import { b32 } from '../../../packages/state/test/helpers.ts';
import { AppSchedules } from '../src/schedules/appSchedules.ts';
import type { SchedulerComponents } from '../src/schedules/schedulerComponents.ts';

const begin = Date.parse('2026-11-26T12:00:30Z') / 1_000;
const noon = begin + 30;
const signal = AbortSignal.timeout(10_000);

/** Apps with a schedule for each minute, whose runs last until they are ended. */
function startSchedules() {
  const books = new Map<Bytes32, Uint8Array>();
  const ends: (() => void)[] = [];
  const ran: Bytes32[] = [];
  const clock = { now: begin };
  const manifest = functionManifest({
    ...{ name: 'scheduled', code: { sha256: b32(3), bytes: 1 }, schedules: [{ cron: '* * * * *' }] },
  });
  const invoke = (app: Bytes32) => async () => {
    ran.push(app);
    const finished = new Promise<void>((resolve) => ends.push(resolve));
    return { body: (async function* () {})(), finished };
  };
  const components = {
    serving: async (app: Bytes32) => ({ app, manifestId: b32(2), keyVersion: 1, manifest }),
    hosts: async () => [b32(9)],
    workerId: b32(9),
    states: {
      async ask(
        { app }: { app: Bytes32 },
        _partition: number,
        asked: { type: string; changes?: { value: Uint8Array }[] },
      ) {
        if (asked.type === 'get') return { type: 'get', value: books.get(app), tag: '' };
        for (const { value } of asked.changes ?? []) books.set(app, value);
        return { type: 'commit' };
      },
    },
    apps: { load: async (app: Bytes32) => ({ tenant: { invoke: invoke(app) } }) },
    services: { of: () => undefined },
    now: () => clock.now,
    log: { info() {}, warn() {} },
  } as unknown as SchedulerComponents;
  return { schedules: new AppSchedules(components), ends, ran, clock };
}

test('runs of one publisher that take long leave room for those of others, and what waits longest stays due', async () => {
  const { schedules, ends, ran, clock } = startSchedules();
  const greedy = [...Array(20).keys()].map((index) => ({ app: b32(0x20 + index), publisher: 'greedy' }));
  const honest = { app: b32(1), publisher: 'honest' };
  for (const app of [...greedy, honest]) await schedules.attend(app, signal);
  clock.now = noon + 5;
  const next = [];
  for (const app of greedy) next.push(await schedules.attend(app, signal));
  await vi.waitFor(() => expect(ran).toHaveLength(4));
  expect(next.slice(4)).toEqual(Array(16).fill(noon));
  await schedules.attend(honest, signal);
  await vi.waitFor(() => expect(ran.at(-1)).toBe(honest.app));
  // One is over: the next of the same publisher begins.
  ends.shift()?.();
  await vi.waitFor(async () => {
    for (const app of greedy.slice(4)) await schedules.attend(app, signal);
    expect(ran).toHaveLength(6);
  });
  while (ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await schedules.settled();
});
