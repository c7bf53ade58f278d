import { describe, expect, test } from 'vitest';
import {
  type AttestationDriver,
  DeviceError,
  selectDevice,
  surveyDevices,
  type Unavailable,
} from '../../src/attest/index.ts';
import { simulatedTdxDriver, simulatedTdxDriverName } from '../../src/unsafe-simulated/index.ts';
import { now, platform, registers, never as signal } from './attestWorld.ts';

const simulated = simulatedTdxDriver({ platform, image: registers, configId: `0x${'c0'.repeat(32)}`, now: () => now });
const noConfigfs: Unavailable = { code: 'NOT_MOUNTED', reason: 'no configfs' };

function real(problem?: Unavailable, name = 'tdx'): AttestationDriver {
  return {
    name,
    simulated: false,
    about: 'a device of this test',
    unavailable: async () => problem,
    open: async () => ({
      name,
      kind: 'tdx',
      simulated: false,
      provider: 'test',
      sealsAtRest: false,
      sealing: 'No: it is a test',
      quote: () => Promise.reject(new Error('not here')),
    }),
  };
}

describe('selectDevice', () => {
  test('takes the first real device that is here', async () => {
    expect((await selectDevice([simulated, real()], { signal })).name).toBe('tdx');
    const drivers = [real(noConfigfs, 'first'), real(undefined, 'second'), real(undefined, 'third')];
    expect((await selectDevice(drivers, { signal })).name).toBe('second');
    expect((await selectDevice(drivers, { signal, wanted: 'third' })).name).toBe('third');
  });

  test('takes the simulated one by name only, and never beside a real one', async () => {
    const named = { signal, wanted: simulatedTdxDriverName };
    expect((await selectDevice([real(noConfigfs), simulated], named)).simulated).toBe(true);
    await expect(selectDevice([simulated], { signal })).rejects.toMatchObject({
      code: 'DEVICE_NOT_FOUND',
      message: 'Found no TEE on this machine (unsafe-simulated-tdx: only by name)',
    });
    await expect(selectDevice([simulated, real()], named)).rejects.toMatchObject({ code: 'SIMULATED_BESIDE_REAL' });
  });

  test('a named device that is not here is never replaced by another', async () => {
    const drivers = [real(noConfigfs, 'first'), real(undefined, 'second')];
    await expect(selectDevice(drivers, { signal, wanted: 'first' })).rejects.toMatchObject({
      code: 'DEVICE_NOT_FOUND',
      message: 'Found no TEE on this machine (first: no configfs)',
    });
  });

  test('says why there is none, and what to do', async () => {
    await expect(selectDevice([real(noConfigfs)], { signal })).rejects.toMatchObject({
      code: 'DEVICE_NOT_FOUND',
      message: 'Found no TEE on this machine (tdx: no configfs)',
      hint: expect.stringMatching(/^Run on a TEE machine/),
    });
    await expect(selectDevice([real({ ...noConfigfs, hint: 'Mount it' })], { signal })).rejects.toMatchObject({
      hint: 'Mount it',
    });
    await expect(selectDevice([], { signal })).rejects.toBeInstanceOf(DeviceError);
    await expect(selectDevice([real()], { signal, wanted: 'sev' })).rejects.toMatchObject({
      code: 'DEVICE_UNKNOWN',
      message: 'Expected a device named "tdx", got "sev"',
    });
  });

  test('asks nothing where the name is unknown', async () => {
    const driver = { ...real(), unavailable: () => Promise.reject(new Error('asked')) };
    await expect(selectDevice([driver], { signal, wanted: 'sev' })).rejects.toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });
});

test('surveyDevices tells of every driver, in order', async () => {
  const drivers = [real(noConfigfs, 'first'), real(undefined, 'second'), simulated];
  expect(await surveyDevices(drivers, { signal })).toEqual([
    { driver: drivers[0], unavailable: noConfigfs },
    { driver: drivers[1], unavailable: undefined },
    { driver: simulated, unavailable: undefined },
  ]);
});
