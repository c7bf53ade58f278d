import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import { createSimulatedPlatform, makeSimulatedRoot, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import type { Address, Bytes32, EpochIndex } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEpochArchive } from '../src/epochs/epochArchive.ts';
import { type KeptEpoch, openEpochKeep } from '../src/epochs/sealedEpoch.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signer: Address = `0x${'5e'.repeat(20)}`;
const member: Address = `0x${'01'.repeat(20)}`;
const now = 1_790_000_000;
const root = makeSimulatedRoot(now);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-epochs-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('what a member is bound to', () => {
  const committed: KeptEpoch = {
    vector: {
      format: 'cloister-measurements-1',
      epoch: 7n,
      member,
      releaseLogHead: b32(1),
      workers: [{ workerId: b32(0xab), asked: 60, answered: 59, latencyMs: 20, work: 1_000n }],
    },
    salt: b32(2),
    publication: undefined,
  };
  const published: KeptEpoch = {
    ...committed,
    publication: {
      epoch: 7n,
      member,
      vectorId: b32(3),
      salt: b32(2),
      seen: [{ member, commitment: b32(4) }],
      signature: `0x${'cd'.repeat(65)}`,
    },
  };
  let platform: ReturnType<typeof createSimulatedPlatform>;
  let file: string;
  beforeEach(() => {
    platform = createSimulatedPlatform(root, { now });
    file = join(folder, 'sealed-epoch.bin');
  });

  function sealingOf(measured = 0xa1): RestSealing {
    const register = (byte: number) => new Uint8Array(48).fill(byte);
    const image = { mrtd: register(measured), rtmr0: register(1), rtmr1: register(2), rtmr2: register(3) };
    const device = new SimulatedTdxDevice({ platform, image, configId: b32(1) });
    if (device.atRest === undefined) throw new Error('The simulated device seals');
    return device.atRest;
  }

  test('is there again after a restart, before and after it published', async () => {
    const first = await openEpochKeep(folder, sealingOf(), signer);
    expect(first.kept).toBeUndefined();
    for (const epoch of [committed, published]) {
      await first.keep(epoch);
      expect((await openEpochKeep(folder, sealingOf(), signer)).kept).toEqual(epoch);
    }
  });

  test('shows nothing to whoever reads the disk', async () => {
    const { keep } = await openEpochKeep(folder, sealingOf(), signer);
    await keep(committed);
    expect((await readFile(file, 'latin1')).includes('abababab')).toBe(false);
    expect(await readdir(folder)).toEqual(['sealed-epoch.bin']);
  });

  test('is kept by no device that can’t seal', async () => {
    const { keep } = await openEpochKeep(folder, undefined, signer);
    await keep(committed);
    expect(await readdir(folder)).toEqual([]);
    expect((await openEpochKeep(folder, undefined, signer)).kept).toBeUndefined();
  });

  test('is not read of another member, image or platform, nor from a damaged file', async () => {
    const unreadable = expect.objectContaining({ code: 'EPOCH_STATE_UNREADABLE' });
    await (await openEpochKeep(folder, sealingOf(), signer)).keep(published);
    await expect(openEpochKeep(folder, sealingOf(), member)).rejects.toEqual(unreadable);
    await expect(openEpochKeep(folder, sealingOf(0xa2), signer)).rejects.toEqual(unreadable);
    const sealed = await readFile(file);
    const here = platform;
    platform = createSimulatedPlatform(root, { now });
    await expect(openEpochKeep(folder, sealingOf(), signer)).rejects.toEqual(unreadable);
    platform = here;
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
    await writeFile(file, sealed);
    await expect(openEpochKeep(folder, sealingOf(), signer)).rejects.toEqual(unreadable);
    await truncate(file, 10);
    await expect(openEpochKeep(folder, sealingOf(), signer)).rejects.toEqual(unreadable);
    await truncate(file, 30 * 1024 * 1024);
    await expect(openEpochKeep(folder, sealingOf(), signer)).rejects.toEqual(unreadable);
  });
});

describe('what was published', () => {
  const bytesOf = (epoch: bigint) => utf8(`{"epoch":"${epoch}"}`);
  const idOf = (epoch: bigint) => toHex(sha256(bytesOf(epoch)));
  const digestOf = (epoch: bigint) => b32(Number(epoch) + 0x40);
  const indexOf = (epoch: bigint): EpochIndex => ({
    epoch,
    commitments: [],
    publications: [{ epoch, member, vectorId: idOf(epoch), salt: b32(2), seen: [], signature: `0x${'cd'.repeat(65)}` }],
    candidates: [],
  });
  const leaves = {
    measurementsRoot: [{ leaf: b32(9), says: { work: 1n } }],
    directoryRoot: [],
    rewardsRoot: [],
    evictionRoot: [],
    releaseLogRoot: [],
  };
  const archived = (epoch: bigint) => ({
    index: indexOf(epoch),
    vectors: new Map([[idOf(epoch), bytesOf(epoch)]]),
    leaves: new Map([[digestOf(epoch), leaves]]),
  });

  test('is there after a restart', async () => {
    await (await openEpochArchive(folder)).add(archived(7n));
    const { index, vector, leaves: leavesOf } = await openEpochArchive(folder);
    expect(await index(7n)).toEqual(indexOf(7n));
    expect(await vector(idOf(7n))).toEqual(bytesOf(7n));
    expect(await leavesOf(digestOf(7n))).toEqual({
      ...leaves,
      measurementsRoot: [{ leaf: b32(9), says: { work: '1' } }],
    });
    expect(await index(8n)).toBeUndefined();
    expect(await vector(b32(1))).toBeUndefined();
    expect(await leavesOf(b32(1))).toBeUndefined();
  });

  test('is kept of the last 24 epochs, whole, and nothing of those before', async () => {
    const { add, index, vector } = await openEpochArchive(folder);
    for (let epoch = 1n; epoch <= 26n; epoch += 1n) await add(archived(epoch));
    expect(await readdir(join(folder, 'epochs'))).toHaveLength(3 * 24);
    expect(await index(2n)).toBeUndefined();
    expect(await vector(idOf(2n))).toBeUndefined();
    expect(await index(3n)).toEqual(indexOf(3n));
    expect(await vector(idOf(26n))).toEqual(bytesOf(26n));
  });

  test('that the disk has changed is as good as lost', async () => {
    const { add, index, vector, leaves: leavesOf } = await openEpochArchive(folder);
    await add(archived(7n));
    for (const name of await readdir(join(folder, 'epochs'))) await writeFile(join(folder, 'epochs', name), '{"x":');
    expect(await index(7n)).toBeUndefined();
    expect(await vector(idOf(7n))).toBeUndefined();
    expect(await leavesOf(digestOf(7n))).toBeUndefined();
    await writeFile(join(folder, 'epochs', `vector-${idOf(7n)}.json`), bytesOf(8n));
    expect(await vector(idOf(7n))).toBeUndefined();
    await add(archived(7n));
    expect(await index(7n)).toEqual(indexOf(7n));
  });
});
