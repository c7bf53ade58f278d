import { expect, test } from 'vitest';
import { collateralFetchers, type EndorsementFetcher, machineDrivers, selectDevice } from '../../src/attest/index.ts';
import { codeOf, collateralAt, countingFetcher, never, now, quoteOver, root } from './attestWorld.ts';
import { FakeKernel } from './fakeKernel.ts';

const roots = [root.trustRoot];

test('has every driver of a real device, the agent of a CVM before the kernel', () => {
  const drivers = machineDrivers({ roots, fetchers: [] });
  expect(drivers.map(({ name, simulated }) => [name, simulated])).toEqual([
    ['dstack', false],
    ['configfs-tsm', false],
  ]);
});

test('takes what the machine is, with collateral up to the roots', async () => {
  const kernel = new FakeKernel({
    name: 'tdx_guest',
    report: async ({ inblob }) => ({ outblob: quoteOver(inblob) }),
  });
  const fetchers = [countingFetcher(() => collateralAt())];
  const drivers = machineDrivers({ roots, fetchers, files: kernel.files, now: () => now });
  const device = await selectDevice(drivers, { signal: never });
  expect(device).toMatchObject({ name: 'configfs-tsm', kind: 'tdx', provider: 'tdx_guest' });
  expect((await device.quote(new Uint8Array(64), { signal: never })).teeType).toBe('tdx');
});

test('an SNP report is verified with its endorsements before it is evidence', async () => {
  const report = (inblob: Uint8Array) => {
    const bytes = new Uint8Array(1184);
    bytes[0] = 3;
    bytes.set(inblob, 0x50);
    bytes.set([0x19, 0x01], 0x188);
    bytes.fill(0xc1, 0x1a0, 0x1e0);
    return bytes;
  };
  const kernel = new FakeKernel({
    name: 'sev_guest',
    report: async ({ inblob }) => ({ outblob: report(inblob) }),
  });
  const noise = new Uint8Array(100).fill(0x30);
  const endorsementFetchers: EndorsementFetcher[] = [
    {
      name: 'test',
      fetch: async () => ({ product: 'Milan', leaf: noise, intermediate: noise, root: noise, crl: noise }),
    },
  ];
  const init = { roots, fetchers: [], endorsementFetchers, files: kernel.files, now: () => now };
  const device = await selectDevice(machineDrivers(init), { signal: never });
  expect(device).toMatchObject({ kind: 'sev-snp', provider: 'sev_guest' });
  expect(await codeOf(device.quote(new Uint8Array(64), { signal: never }))).toBe('MALFORMED_DER');
});

test('a configuration names a file, a service, both or neither', () => {
  const names = (places: Parameters<typeof collateralFetchers>[0]) =>
    collateralFetchers(places).map(({ name }) => name);
  expect(names({})).toEqual([]);
  expect(names({ service: 'https://pccs.example/' })).toEqual(['https://pccs.example']);
  expect(names({ service: 'https://pccs.example', path: 'collateral.json' })).toEqual([
    'collateral.json',
    'https://pccs.example',
  ]);
});
