import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import { createSimulatedPlatform, makeSimulatedRoot, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import { type Bytes32, zeroBytes32 } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nextReleaseHead, type Release, ReleaseLog } from '../src/keys/releaseLog.ts';
import { openReleases } from '../src/keys/sealedReleases.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signer = `0x${'5e'.repeat(20)}` as const;
const now = 1_790_000_000;
const root = makeSimulatedRoot(now);

function release(app: number, platform: number, epoch = 7n): Release {
  const identity = { app: b32(app), keyVersion: 1, class: 'secrets', context: zeroBytes32 } as const;
  return { ...identity, workerId: b32(3), platformId: b32(platform), epoch, request: b32(9) };
}

function sealingOf(measured = 0xa1): RestSealing {
  const register = (byte: number) => new Uint8Array(48).fill(byte);
  const image = { mrtd: register(measured), rtmr0: register(1), rtmr1: register(2), rtmr2: register(3) };
  const device = new SimulatedTdxDevice({ platform, image, configId: b32(1) });
  if (device.atRest === undefined) throw new Error('The simulated device seals');
  return device.atRest;
}

let platform: ReturnType<typeof createSimulatedPlatform>;
let folder: string;
let file: string;
beforeEach(async () => {
  platform = createSimulatedPlatform(root, { now });
  folder = await mkdtemp(join(tmpdir(), 'cloister-releases-'));
  file = join(folder, 'sealed-releases.bin');
});
afterEach(() => rm(folder, { recursive: true }));

describe('over a restart', () => {
  test('the log goes on: its head, its count, and what each platform was given in this epoch', async () => {
    const before = await openReleases(folder, sealingOf(), signer);
    for (const one of [release(1, 4), release(2, 4), release(1, 5)]) before.releases.add(one);
    await before.keep();
    const { releases, keep } = await openReleases(folder, sealingOf(), signer);
    expect(releases.head).toEqual(before.releases.head);
    expect(releases.head.count).toBe(3n);
    expect([4, 5, 6].map((id) => releases.appsOf(b32(id), b32(9), 7n))).toEqual([2, 1, 0]);
    expect(releases.appsOf(b32(4), b32(2), 7n)).toBe(1);
    const next = release(8, 4);
    releases.add(next);
    expect(releases.head.head).toBe(nextReleaseHead(before.releases.head.head, next));
    await keep();
    const again = await openReleases(folder, sealingOf(), signer);
    expect([again.releases.head.count, again.releases.appsOf(b32(4), b32(9), 7n)]).toEqual([4n, 3]);
  });

  test('an epoch that is over while it is away counts no more', async () => {
    const before = await openReleases(folder, sealingOf(), signer);
    before.releases.add(release(1, 4));
    await before.keep();
    const { releases } = await openReleases(folder, sealingOf(), signer);
    expect(releases.appsOf(b32(4), b32(9), 8n)).toBe(0);
  });

  test('what was kept shows no app to whoever reads the disk, and nothing else lies beside it', async () => {
    const { releases, keep } = await openReleases(folder, sealingOf(), signer);
    releases.add(release(0xab, 4));
    await keep();
    expect((await readFile(file, 'latin1')).includes('abababab')).toBe(false);
    expect(await readdir(folder)).toEqual(['sealed-releases.bin']);
  });

  test('a device that can’t seal keeps nothing: the log starts anew', async () => {
    const { releases, keep } = await openReleases(folder, undefined, signer);
    releases.add(release(1, 4));
    await keep();
    expect(await readdir(folder)).toEqual([]);
    expect((await openReleases(folder, undefined, signer)).releases.head).toEqual({ head: zeroBytes32, count: 0n });
  });

  test('an older file put back gives an older log: nothing on the disk can tell', async () => {
    const { releases, keep } = await openReleases(folder, sealingOf(), signer);
    releases.add(release(1, 4));
    await keep();
    const old = await readFile(file);
    releases.add(release(2, 4));
    await keep();
    await writeFile(file, old);
    const { releases: restored } = await openReleases(folder, sealingOf(), signer);
    expect([restored.head.count, restored.appsOf(b32(4), b32(9), 7n)]).toEqual([1n, 1]);
  });
});

describe('what is added while the file is written', () => {
  /** A device that seals when the test lets it. */
  function slowly(): { readonly sealing: RestSealing; readonly let: (result?: Error) => void; readonly begun: number } {
    const { seal, open } = sealingOf();
    const waiting: ((result?: Error) => void)[] = [];
    let begun = 0;
    const sealing: RestSealing = {
      open,
      seal: async (purpose, plaintext) => {
        begun += 1;
        await new Promise<void>((resolve, reject) => {
          waiting.push((error) => (error === undefined ? resolve() : reject(error)));
        });
        return seal(purpose, plaintext);
      },
    };
    return {
      sealing,
      let: (result) => waiting.shift()?.(result),
      get begun() {
        return begun;
      },
    };
  }

  test('is waited for, in one more writing for all', async () => {
    const device = slowly();
    const { releases, keep } = await openReleases(folder, device.sealing, signer);
    const done: number[] = [];
    releases.add(release(1, 4));
    const first = keep().then(() => done.push(1));
    await expect.poll(() => device.begun).toBe(1);
    releases.add(release(4, 4));
    const second = keep().then(() => done.push(2));
    releases.add(release(5, 4));
    const third = keep().then(() => done.push(3));
    device.let();
    await first;
    await expect.poll(() => device.begun).toBe(2);
    expect(done).toEqual([1]);
    device.let();
    await Promise.all([second, third]);
    expect(device.begun).toBe(2);
    const again = await openReleases(folder, sealingOf(), signer);
    expect(again.releases.head).toEqual(releases.head);
  });

  test('is written though the writing before failed; that one says so', async () => {
    const device = slowly();
    const { releases, keep } = await openReleases(folder, device.sealing, signer);
    releases.add(release(1, 4));
    const first = keep();
    await expect.poll(() => device.begun).toBe(1);
    const second = keep();
    device.let(new Error('no space'));
    await expect(first).rejects.toThrow('no space');
    await expect.poll(() => device.begun).toBe(2);
    device.let();
    await second;
    expect((await openReleases(folder, sealingOf(), signer)).releases.head.count).toBe(1n);
  });
});

describe('a file is refused by its name', () => {
  const unreadable = () => expect.objectContaining({ code: 'RELEASE_LOG_UNREADABLE', meta: { file } });

  beforeEach(async () => {
    const { releases, keep } = await openReleases(folder, sealingOf(), signer);
    releases.add(release(1, 4));
    await keep();
    await openReleases(folder, sealingOf(), signer);
  });

  test('that was changed, cut short, emptied or is far too long', async () => {
    const whole = await readFile(file);
    const changed = Uint8Array.from(whole);
    changed[20] = (changed[20] ?? 0) ^ 1;
    for (const bytes of [changed, whole.subarray(0, -1), new Uint8Array(0)]) {
      await writeFile(file, bytes);
      await expect(openReleases(folder, sealingOf(), signer)).rejects.toEqual(unreadable());
    }
    await truncate(file, 16 * 1024 * 1024 + 1);
    await expect(openReleases(folder, sealingOf(), signer)).rejects.toMatchObject({
      code: 'RELEASE_LOG_UNREADABLE',
      cause: { message: expect.stringContaining('larger') },
    });
  });

  test('of another image, another platform, or another member on the same ones', async () => {
    await expect(openReleases(folder, sealingOf(0xa2), signer)).rejects.toEqual(unreadable());
    await expect(openReleases(folder, sealingOf(), `0x${'5f'.repeat(20)}`)).rejects.toEqual(unreadable());
    platform = createSimulatedPlatform(root, { now });
    await expect(openReleases(folder, sealingOf(), signer)).rejects.toEqual(unreadable());
  });

  test('that this image sealed for something else, or in another form', async () => {
    const sealing = sealingOf();
    const purpose = 'cloister/gatekeeper-releases: v1';
    const put = async (format: string, sealedFor = purpose) => {
      const text = JSON.stringify({ format, signer, head: b32(1), count: '1', epoch: '7', platforms: [] });
      await writeFile(file, await sealing.seal(sealedFor, new TextEncoder().encode(text)));
    };
    await put('cloister-gatekeeper-releases-1');
    expect((await openReleases(folder, sealing, signer)).releases.head).toEqual({ head: b32(1), count: 1n });
    await put('cloister-gatekeeper-releases-2');
    await expect(openReleases(folder, sealing, signer)).rejects.toEqual(unreadable());
    await put('cloister-gatekeeper-releases-1', 'cloister/gatekeeper: v1');
    await expect(openReleases(folder, sealing, signer)).rejects.toEqual(unreadable());
  });
});

test('the log of one epoch has an end: no more apps, those that are in it still', () => {
  const log = new ReleaseLog(undefined, { maxAppsOfEpoch: 2 });
  for (const one of [release(1, 4), release(2, 5)]) log.add(one);
  expect(log.hasRoom(b32(4), b32(3), 7n)).toBe(false);
  expect(log.hasRoom(b32(4), b32(2), 7n)).toBe(false);
  expect(log.hasRoom(b32(4), b32(1), 7n)).toBe(true);
  expect(log.hasRoom(b32(4), b32(3), 8n)).toBe(true);
});
