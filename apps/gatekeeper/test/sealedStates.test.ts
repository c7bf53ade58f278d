import { mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import { createSimulatedPlatform, makeSimulatedRoot, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import type { Bytes32 } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HeldState } from '../src/state/heldState.ts';
import { openStates } from '../src/state/sealedStates.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signer = `0x${'5e'.repeat(20)}` as const;
const now = 1_790_000_000;
const root = makeSimulatedRoot(now);

function state(partition: number, fence: bigint): HeldState {
  const place = { version: 9n, fence, root: b32(0xab) };
  const of = { app: b32(0xcd), partition };
  return {
    ...of,
    fence,
    holder: signer,
    signed: place,
    certified: { ...of, ...place, signature: `0x${'ef'.repeat(96)}` },
  };
}

let platform: ReturnType<typeof createSimulatedPlatform>;
let folder: string;
beforeEach(async () => {
  platform = createSimulatedPlatform(root, { now });
  folder = await mkdtemp(join(tmpdir(), 'cloister-state-'));
});
afterEach(() => rm(folder, { recursive: true }));

function sealingOf(measured = 0xa1): RestSealing {
  const register = (byte: number) => new Uint8Array(48).fill(byte);
  const image = { mrtd: register(measured), rtmr0: register(1), rtmr1: register(2), rtmr2: register(3) };
  const device = new SimulatedTdxDevice({ platform, image, configId: b32(1) });
  if (device.atRest === undefined) throw new Error('The simulated device seals');
  return device.atRest;
}

const files = async () => (await readdir(join(folder, 'state'))).sort();
const pathOf = async (at: number) => join(folder, 'state', (await files())[at] as string);

describe('over a restart', () => {
  test('every partition is as it was kept last, and the generation', async () => {
    const { disk } = await openStates(folder, sealingOf(), signer);
    await disk.keep(state(1, 4n));
    await disk.keep({ ...state(2, 5n), signed: null, certified: null });
    await disk.keep(state(1, 6n));
    await disk.keepGeneration(7n);
    const { states, generation } = await openStates(folder, sealingOf(), signer);
    expect(generation).toBe(7n);
    expect([...states].sort((left, right) => left.partition - right.partition)).toEqual([
      state(1, 6n),
      { ...state(2, 5n), signed: null, certified: null },
    ]);
  });

  test('what a write left behind that was cut off is taken away', async () => {
    const { disk } = await openStates(folder, sealingOf(), signer);
    await disk.keep(state(1, 4n));
    await writeFile(join(folder, 'state', '.half.tmp'), 'half');
    expect((await openStates(folder, sealingOf(), signer)).states).toEqual([state(1, 4n)]);
    expect(await files()).toHaveLength(1);
  });

  test('the disk shows no root', async () => {
    const { disk } = await openStates(folder, sealingOf(), signer);
    await disk.keep(state(1, 4n));
    expect((await readFile(await pathOf(0), 'latin1')).includes('abababab')).toBe(false);
  });

  test('a device that can’t seal keeps nothing', async () => {
    const { disk } = await openStates(folder, undefined, signer);
    await disk.keep(state(1, 4n));
    await disk.keepGeneration(7n);
    expect(await readdir(folder)).toEqual([]);
    expect(await openStates(folder, undefined, signer)).toMatchObject({ states: [], generation: undefined });
  });
});

describe('a file is refused', () => {
  beforeEach(async () => {
    const { disk } = await openStates(folder, sealingOf(), signer);
    await disk.keep(state(1, 4n));
    await disk.keep(state(2, 4n));
    await disk.keepGeneration(7n);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['cut short', async () => truncate(await pathOf(0), 40)],
    ['empty', async () => truncate(await pathOf(0), 0)],
    ['too large', async () => writeFile(await pathOf(0), new Uint8Array(20_000))],
    ['that is another’s partition', async () => rename(await pathOf(0), await pathOf(1))],
    ['that is the generation', async () => rename(join(folder, 'state', 'generation.bin'), await pathOf(0))],
    [
      'with a bit turned',
      async () => {
        const file = await pathOf(1);
        const bytes = await readFile(file);
        bytes[30] = (bytes[30] ?? 0) ^ 1;
        await writeFile(file, bytes);
      },
    ],
  ])('%s', async (_, spoil) => {
    await spoil();
    await expect(openStates(folder, sealingOf(), signer)).rejects.toMatchObject({ code: 'SEALED_STATE_UNREADABLE' });
  });

  test('of another image, or of another member', async () => {
    await expect(openStates(folder, sealingOf(0xa2), signer)).rejects.toMatchObject({
      code: 'SEALED_STATE_UNREADABLE',
    });
    const other = `0x${'5f'.repeat(20)}` as const;
    await expect(openStates(folder, sealingOf(), other)).rejects.toMatchObject({ code: 'SEALED_STATE_UNREADABLE' });
  });
});
