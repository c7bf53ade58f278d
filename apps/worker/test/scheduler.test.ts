import type { Bytes32 } from '@cloister/core';
import { StateError } from '@cloister/state';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { b32 } from '../../../packages/state/test/helpers.ts';
import { Scheduler } from '../src/schedules/scheduler.ts';
import type { SchedulerComponents } from '../src/schedules/schedulerComponents.ts';
import { app, Host, HostsTown } from './hostsTown.ts';

const at = (text: string) => Date.parse(text) / 1_000;
const begin = at('2026-11-26T12:00:30Z');
const noon = (minute: number) => at(`2026-11-26T12:${String(minute).padStart(2, '0')}:00Z`) * 1_000;
const schedules = [{ cron: '* * * * *' }];

let town: HostsTown;
const make = (names: string, crons = schedules) => {
  town = new HostsTown(begin, [...names], { schedules: crons });
};
const times = () => town.runs.map(({ scheduled }) => scheduled.scheduledTime);
afterEach(() => town.stop());

test('of several hosts one runs each that is due, and the next ones all the same', async () => {
  make('abc');
  await town.pass(155);
  expect(times()).toEqual([noon(1), noon(2), noon(3)]);
  expect(town.runs.every(({ scheduled }) => scheduled.attempt === 1)).toBe(true);
  expect(new Set(town.runs.map(({ scheduled }) => scheduled.id)).size).toBe(3);
  expect(town.runs.map(({ host }) => host)).toEqual(['a', 'a', 'a']);
  expect(town.warnings).toEqual([]);
});

test('hosts that find it due in the same moment do not both run it', async () => {
  // Without the order among them: as where all were away when it was due.
  make('abcde');
  await town.pass(2);
  town.now = begin + 3_000;
  await town.pass(1);
  expect(times()).toEqual([noon(50)]);
});

test('a copy of a host, with its keys and its name, runs nothing a second time', async () => {
  make('a');
  town.hosts.push(new Host(town, 'a'));
  await town.pass(155);
  expect(times()).toEqual([noon(1), noon(2), noon(3)]);
});

describe('where a host is lost', () => {
  test('before it is due, the next one runs it a few seconds later', async () => {
    make('ab');
    await town.pass(2);
    town.hosts[0]?.kill();
    await town.pass(70);
    expect(town.runs.map(({ host }) => host)).toEqual(['b']);
    expect(times()).toEqual([noon(1)]);
  });

  test('in the middle of a run, another begins it again once its time is over, under the same id', async () => {
    make('ab');
    const never = new Promise<void>(() => {});
    town.during = (host) => (host.name === 'a' ? never : Promise.resolve());
    await town.pass(35, { waits: false });
    expect(town.runs).toHaveLength(1);
    town.hosts[0]?.kill();
    // 10 s for the call and 30 s beyond.
    await town.pass(30, { waits: false });
    expect(town.runs).toHaveLength(1);
    await town.pass(40, { waits: false });
    const [first, second] = town.runs;
    expect(second).toEqual({ host: 'b', scheduled: { ...first?.scheduled, attempt: 2 } });
    await town.pass(60, { waits: false });
    expect(times()).toEqual([noon(1), noon(1), noon(2), noon(3)]);
  });

  test('and comes back after another has taken over, it ends nothing but its own', async () => {
    make('ab', [{ cron: '1 12 * * *' }]);
    const ends: (() => void)[] = [];
    town.during = () => new Promise<void>((resolve) => ends.push(resolve));
    await town.pass(90, { waits: false });
    expect(town.runs.map(({ host, scheduled }) => `${host}${scheduled.attempt}`)).toEqual(['a1', 'b2']);
    // The first one ends now: that the second runs still stands in the book, so that nobody begins a third time.
    ends[0]?.();
    await town.pass(10, { waits: false });
    ends[1]?.();
    await town.pass(120, { waits: false });
    expect(town.runs).toHaveLength(2);
  });

  test('again and again in the middle, it is left at three attempts', async () => {
    make('ab', [{ cron: '1 12 * * *' }]);
    town.during = () => Promise.reject(new Error('the worker failed'));
    await town.pass(300, { waits: false });
    expect(town.runs.map(({ scheduled }) => scheduled.attempt)).toEqual([1, 2, 3]);
  });

  test('while it writes down that it ran, it finds out whether that holds', async () => {
    make('a');
    await town.pass(20);
    for (const signs of [true, false]) {
      town.during = async () => {
        town.committee.fails = { error: new StateError('STATE_HEAD_UNAVAILABLE', 'too few answered'), signs };
      };
      await town.pass(60);
    }
    expect(times()).toEqual([noon(1), noon(2)]);
  });
});

describe('the time', () => {
  test('of a host whose clock is ahead makes nothing due early', async () => {
    make('a');
    const { now } = Date;
    try {
      Date.now = () => now() + 86_400_000;
      await town.pass(29);
      expect(times()).toEqual([]);
      await town.pass(1);
      expect(times()).toEqual([noon(1)]);
    } finally {
      Date.now = now;
    }
  });

  test('of a host that is shown a chain of another time counts for nothing: the committee signs no claim for it', async () => {
    make('ab');
    await town.pass(2);
    const [liar] = town.hosts;
    if (liar === undefined) throw new Error('No host');
    // As members answer who names another epoch than theirs.
    liar.now = () => town.now + 3_600;
    town.committee.of = ((of) => (name: string) => ({
      ...of(name),
      take: async () => {
        throw new StateError('STATE_REFUSED', 'KEY_REQUEST_STALE');
      },
    }))(town.committee.of.bind(town.committee));
    const shown = new Host(town, 'a');
    shown.now = liar.now;
    liar.kill();
    await shown.tick();
    await shown.scheduler.settled();
    expect(times()).toEqual([]);
    expect(town.warnings).toEqual([expect.stringContaining('KEY_REQUEST_STALE')]);
    await shown.states.close();
  });
});

describe('what nobody ran', () => {
  test('while no host was there is run once, by its latest time', async () => {
    make('a');
    await town.pass(35);
    town.now = begin + 3_600;
    await town.pass(1);
    expect(times()).toEqual([noon(1), at('2026-11-26T13:00:00Z') * 1_000]);
  });

  test('for more than a day is left out', async () => {
    make('a', [{ cron: '0 13 26 11 *' }]);
    await town.pass(2);
    town.now = at('2026-11-27T13:00:00Z');
    await town.pass(5);
    expect(times()).toEqual([]);
  });

  test('before a host had looked at the app at all is not made up for', async () => {
    make('a', [{ cron: '0 12 * * *' }]);
    await town.pass(5);
    expect(times()).toEqual([]);
  });
});

test('a run that takes longer than until the next is due leaves out what comes meanwhile, and delays no other schedule', async () => {
  make('ab', [{ cron: '* * * * *' }, { cron: '2 12 * * *' }]);
  let isOver = (): void => {};
  town.during = () =>
    town.runs.length === 1
      ? new Promise((resolve) => {
          isOver = resolve;
        })
      : Promise.resolve();
  await town.pass(31, { waits: false });
  expect(times()).toEqual([noon(1)]);
  isOver();
  await town.pass(65, { waits: false });
  expect(times()).toEqual([noon(1), noon(2), noon(2)]);
});

test('a new version goes on where the one before was, and forgets schedules that it has not', async () => {
  make('ab', [{ cron: '* * * * *' }, { cron: '0 0 1 1 *' }]);
  await town.pass(40);
  const { manifest } = town.version;
  town.version = { ...town.version, manifestId: b32(7), manifest: { ...manifest, schedules } };
  await town.pass(60);
  expect(times()).toEqual([noon(1), noon(2)]);
  town.version = { ...town.version, manifestId: b32(8), manifest: { ...manifest, schedules: [] } };
  await town.pass(120);
  expect(times()).toHaveLength(2);
  expect(town.hosts.map(({ wakes }) => wakes)).toEqual([undefined, undefined]);
});

test('apps of one publisher that take long, and manifests that do not come, hold up no other app', async () => {
  const asked: string[] = [];
  const told: (number | undefined)[] = [];
  const never = new Promise<never>(() => {});
  const due = [...Array(100).keys()].map((index) => ({ app: b32(index + 2), publisher: 'greedy' }));
  const scheduler = new Scheduler(
    {
      scheduled: {
        follow: () => never,
        read: () => {},
        settled: async () => {},
        due: () => [...due, { app: b32(1), publisher: 'honest' }],
        next: (_app: Bytes32, at: number | undefined) => void told.push(at),
      },
      serving: async (one: Bytes32) => {
        asked.push(one);
        return one === b32(1) ? { ...new HostsTown(begin, [], {}).version, app: b32(1) } : never;
      },
      now: () => begin,
      log: { info() {}, warn() {} },
    } as unknown as SchedulerComponents,
    { tickMs: 1, followMs: 60_000 },
  );
  const signal = AbortSignal.timeout(5_000);
  scheduler.tick(signal).catch(() => {});
  await vi.waitFor(() => expect(told).toEqual([undefined]));
  expect(asked.filter((one) => one !== b32(1))).toHaveLength(4);
});

test('the id of a run is of the app, the schedule and the time', async () => {
  make('a', [{ cron: '1 12 * * *' }, { cron: '1 * * * *' }]);
  await town.pass(40);
  const ids = town.runs.map(({ scheduled }) => scheduled.id);
  expect(new Set(ids).size).toBe(2);
  for (const id of ids) expect(id).toMatch(/^0x[0-9a-f]{64}$/);
  expect(app).toBe(town.version.app);
});
