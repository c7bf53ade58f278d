import type { ChainLog, EventQuery } from '@cloister/chain';
import { type Bytes32, functionManifest, type Manifest, SchemaError } from '@cloister/core';
import { beforeEach, expect, test } from 'vitest';
import { b32, signal } from '../../../packages/state/test/helpers.ts';
import { PublishedVersions } from '../src/schedules/publishedVersions.ts';
import { ScheduledApps } from '../src/schedules/scheduledApps.ts';

const registry = `0x${'77'.repeat(20)}` as const;
const published = (block: bigint, app: Bytes32, manifestId: Bytes32, effectiveAt = 0, version = 1): ChainLog => ({
  eventName: 'VersionPublished',
  args: { app, version, manifestId, effectiveAt: BigInt(effectiveAt) },
  blockNumber: block,
});

let logs: ChainLog[];
let [headNumber, finalNumber] = [0n, 0n];
let asked: bigint[];
let manifests: Map<Bytes32, Manifest | Error>;
let reads: Bytes32[];
let versions: PublishedVersions;
let apps: ScheduledApps;
beforeEach(() => {
  [logs, asked, reads] = [[], [], []];
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
    async manifest(id) {
      reads.push(id);
      const found = manifests.get(id);
      if (found === undefined || found instanceof Error) throw found;
      return found;
    },
  });
});

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
  await apps.follow(100, signal);
  await apps.follow(10_000, signal);
  expect(apps.due(100)).toEqual([b32(1)]);
  expect(reads).toEqual([b32(0x50), b32(0x60), b32(0x70)]);
});

test('a manifest that no store has is asked for again, later each time', async () => {
  logs = [published(1n, b32(1), b32(0x71))];
  for (let now = 100; now < 200; now += 5) await apps.follow(now, signal);
  expect(reads).toHaveLength(4);
  manifests.set(b32(0x71), manifests.get(b32(0x50)) as Manifest);
  await apps.follow(300, signal);
  expect(apps.due(300)).toEqual([b32(1)]);
});

test('an app is due when it said, and when its next version begins to serve', async () => {
  logs = [published(1n, b32(1), b32(0x51))];
  await apps.follow(100, signal);
  apps.next(b32(1), 5_000, 100);
  expect([apps.due(4_999), apps.due(5_000)]).toEqual([[], [b32(1)]]);
  logs.push(published(8n, b32(1), b32(0x50), 900, 2));
  await apps.follow(200, signal);
  expect([apps.due(899), apps.due(900)]).toEqual([[], [b32(1)]]);
  // Looked after in between, it is not forgotten.
  apps.next(b32(1), 5_000, 200);
  expect(apps.due(900)).toEqual([b32(1)]);
  apps.next(b32(1), undefined, 200);
  expect(apps.due(900)).toEqual([b32(1)]);
  apps.next(b32(1), undefined, 901);
  expect(apps.due(Number.MAX_SAFE_INTEGER)).toEqual([]);
});
