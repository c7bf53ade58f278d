import type { ChainLog, EventQuery } from '@cloister/chain';
import { type Bytes32, functionManifest, type Manifest, SchemaError, workloadKinds } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { b32, signal } from '../../../packages/state/test/helpers.ts';
import { PublishedVersions } from '../src/schedules/publishedVersions.ts';
import { ScheduledApps } from '../src/schedules/scheduledApps.ts';

const registry = `0x${'77'.repeat(20)}` as const;
const published = (
  blockNumber: bigint,
  app: Bytes32,
  manifestId: Bytes32,
  { effectiveAt = 0, version = 1, kind = workloadKinds.function as number } = {},
): ChainLog => ({
  eventName: 'VersionPublished',
  args: { app, version, manifestId, fields: { kind }, effectiveAt: BigInt(effectiveAt) },
  blockNumber,
});
const created = (app: Bytes32, owner: string, blockNumber = 1n): ChainLog => ({
  eventName: 'AppCreated',
  args: { app, owner, salt: b32(0) },
  blockNumber,
});

let logs: ChainLog[];
let [headNumber, finalNumber] = [0n, 0n];
let asked: bigint[];
let manifests: Map<Bytes32, Manifest | Error>;
/** What a store does in place of its answer. */
let store: (id: Bytes32, signal: AbortSignal) => Promise<void>;
let warnings: number;
let reads: Bytes32[];
let versions: PublishedVersions;
let apps: ScheduledApps;
beforeEach(() => {
  [logs, asked, reads, warnings] = [[], [], [], 0];
  store = async () => {};
  [headNumber, finalNumber] = [10n, 5n];
  const block = (number: bigint) => ({ number, hash: b32(0), timestamp: 0n });
  versions = new PublishedVersions(
    {
      head: async () => block(headNumber),
      finalized: async () => block(finalNumber),
      async logsUpTo({ fromBlock }: EventQuery, { number }) {
        asked.push(fromBlock);
        return logs.filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= number);
      },
    },
    registry,
  );
  const form = functionManifest({ name: 'x', code: { sha256: b32(3), bytes: 1 } });
  manifests = new Map<Bytes32, Manifest | Error>([
    [b32(0x50), { ...form, schedules: [{ cron: '* * * * *' }] }],
    [b32(0x51), { ...form, schedules: [{ cron: '0 0 * * *' }] }],
    [b32(0x60), form],
    [b32(0x70), new SchemaError('manifest', '$', 'none')],
    [b32(0x71), new Error('no store has it')],
  ]);
  apps = new ScheduledApps({
    versions,
    log: {
      warn() {
        warnings += 1;
      },
    },
    async manifest(id, inner) {
      reads.push(id);
      await store(id, inner);
      const found = manifests.get(id);
      if (found === undefined || found instanceof Error) throw found;
      return found;
    },
  });
});

const look = async (now: number) => {
  await apps.follow(now, signal);
  apps.read(now, signal);
  await apps.settled();
};
const due = (now: number) => apps.due(now).map(({ app }) => app);

test('versions are told once, and those in blocks that may be taken back are looked for again', async () => {
  logs = [published(3n, b32(1), b32(0x50)), published(7n, b32(2), b32(0x60))];
  expect((await versions.next(signal)).map(({ app }) => app)).toEqual([b32(1), b32(2)]);
  // Another branch: the one is gone, another has come into an earlier block.
  logs = [published(3n, b32(1), b32(0x50)), published(6n, b32(3), b32(0x60))];
  expect((await versions.next(signal)).map(({ app }) => app)).toEqual([b32(3)]);
  [headNumber, finalNumber] = [12n, 12n];
  expect(await versions.next(signal)).toEqual([]);
  expect(await versions.next(signal)).toEqual([]);
  expect(asked).toEqual([0n, 6n, 6n, 13n]);
});

test('of all that is published, apps with schedules are looked after, each manifest read once', async () => {
  logs = [published(1n, b32(1), b32(0x50)), published(2n, b32(2), b32(0x60)), published(3n, b32(3), b32(0x70))];
  await look(100);
  await look(10_000);
  expect(due(100)).toEqual([b32(1)]);
  expect(reads).toEqual([b32(0x50), b32(0x60), b32(0x70)]);
});

test('a manifest that no store has is asked for again, later each time', async () => {
  logs = [published(1n, b32(1), b32(0x71))];
  for (let now = 100; now < 200; now += 5) await look(now);
  expect(reads).toHaveLength(4);
  manifests.set(b32(0x71), manifests.get(b32(0x50)) as Manifest);
  await look(300);
  expect(due(300)).toEqual([b32(1)]);
});

test('an app is due when it said, and when its next version begins to serve', async () => {
  logs = [published(1n, b32(1), b32(0x51))];
  await look(100);
  apps.next(b32(1), 5_000, 100);
  expect([due(4_999), due(5_000)]).toEqual([[], [b32(1)]]);
  logs.push(published(8n, b32(1), b32(0x50), { effectiveAt: 900, version: 2 }));
  await look(200);
  expect([due(899), due(900)]).toEqual([[], [b32(1)]]);
  // Looked after in between, it is not forgotten.
  apps.next(b32(1), 5_000, 200);
  expect(due(900)).toEqual([b32(1)]);
  apps.next(b32(1), undefined, 200);
  expect(due(900)).toEqual([b32(1)]);
  apps.next(b32(1), undefined, 901);
  expect(due(Number.MAX_SAFE_INTEGER)).toEqual([]);
});

test('what is no function is not read at all', async () => {
  logs = [published(1n, b32(1), b32(0x50), { kind: workloadKinds.container })];
  await look(100);
  expect(reads).toEqual([]);
});

describe('one publisher who', () => {
  afterEach(() => vi.useRealTimers());
  const many = (count: number, owner: (index: number) => string, from = 1) =>
    Array.from({ length: count }, (_, index) => {
      const app = `0x${(from * 1_000_000 + index).toString(16).padStart(64, '0')}` as Bytes32;
      return [created(app, owner(index)), published(2n, app, app)];
    }).flat();
  const honest = [created(b32(1), '0xhonest', 7n), published(7n, b32(1), b32(0x50))];
  const never = (_: Bytes32, inner: AbortSignal) =>
    new Promise<void>((_resolve, reject) => inner.addEventListener('abort', () => reject(inner.reason)));

  test('publishes thousands of versions that no store serves to the end keeps nobody from his schedules', async () => {
    logs = [...many(3_000, () => '0xgreedy'), ...honest];
    store = (id, inner) => (id === b32(0x50) ? Promise.resolve() : never(id, inner));
    await apps.follow(100, signal);
    apps.read(100, signal);
    await vi.waitFor(() => expect(due(100)).toEqual([b32(1)]));
    expect(reads.length).toBeLessThanOrEqual(5);
  });

  test('has many names waits in turn with all others, and what failed goes after what is new', async () => {
    logs = many(3_000, (index) => `0xgreedy${index % 30}`);
    for (let now = 100; now < 200; now++) await look(now);
    [logs, reads] = [[...logs, ...honest], []];
    await look(200);
    await look(201);
    // Of 16 at once, with thirty names before.
    expect(reads.slice(0, 32)).toContain(b32(0x50));
    expect(due(201)).toEqual([b32(1)]);
  });

  test('is over his share is left out, with a warning, and nobody else is', async () => {
    logs = [...many(5_000, () => '0xgreedy'), ...many(20, () => '0xother', 2), ...honest];
    await apps.follow(100, signal);
    expect(warnings).toBe(1);
    store = async (id) => {
      manifests.set(id, manifests.get(b32(0x50)) as Manifest);
    };
    for (let now = 100; now < 1_300; now++) {
      apps.read(now, signal);
      await apps.settled();
    }
    expect(due(2_000)).toHaveLength(4_096 + 20 + 1);
  });

  test('makes a store wait is left after a while, and tried again later', async () => {
    vi.useFakeTimers();
    logs = many(1, () => '0xgreedy');
    store = never;
    await apps.follow(100, signal);
    apps.read(100, signal);
    await vi.advanceTimersByTimeAsync(20_000);
    await apps.settled();
    apps.read(109, signal);
    expect(reads).toHaveLength(1);
    apps.read(110, signal);
    expect(reads).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(20_000);
  });
});
