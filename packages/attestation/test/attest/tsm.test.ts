import { expect, test } from 'vitest';
import {
  type AttestationDriver,
  collateralSource,
  type SystemFiles,
  type TsmDriverInit,
  tsmDriver,
} from '../../src/attest/index.ts';
import { quoteOf } from '../../src/verify/index.ts';
import { fixture, hasFixtures } from '../fixtures.ts';
import { codeOf, collateralAt, countingFetcher, gate, never, now, padded, quoteOver, root } from './attestWorld.ts';
import { deviceCompliance, tdxClaims } from './compliance.ts';
import { FakeKernel, type FakeProvider, reportFolder, systemError } from './fakeKernel.ts';

const roots = [root.trustRoot];
const collateral = collateralSource({ fetchers: [countingFetcher(() => collateralAt())], roots, now: () => now });
const reportData = Uint8Array.from({ length: 64 }, (_, index) => index);

/** Linux refuses other lengths for a TD (`drivers/virt/coco/tdx-guest`), and hosts pad the quote with zeros. */
function tdxProvider(report: (inblob: Uint8Array) => Uint8Array | Promise<Uint8Array>): FakeProvider {
  return {
    name: 'tdx_guest',
    report: async ({ inblob }) => {
      if (inblob.length !== 64) throw systemError('EINVAL');
      return { outblob: await report(inblob) };
    },
  };
}

const goodProvider = tdxProvider((inblob) => padded(quoteOver(inblob), 8000));

function driverOn(kernel: FakeKernel, init: Partial<TsmDriverInit> = {}): AttestationDriver {
  return tsmDriver({ files: kernel.files, collateral, pauseMs: 0, ...init });
}

async function quoteOn(kernel: FakeKernel, init: Partial<TsmDriverInit> = {}): Promise<Uint8Array> {
  return quoteOf(
    (await (await driverOn(kernel, init).open({ signal: never })).quote(reportData, { signal: never })) as never,
  );
}

/** Calls back at the first access of a kind once the device is open. */
function atAccess(
  kernel: FakeKernel,
  operation: keyof SystemFiles,
  attribute: string,
  work: (path: string) => void,
): void {
  let done = false;
  kernel.onAccess = (seen, path) => {
    if (done || seen !== operation || !path.endsWith(`/${attribute}`)) return;
    done = true;
    work(path);
  };
}

deviceCompliance({
  name: 'configfs-tsm on a TDX guest',
  kind: 'tdx',
  simulated: false,
  async setup() {
    let until = Promise.resolve();
    let asked = 0;
    const kernel = new FakeKernel(
      tdxProvider(async (inblob) => {
        asked += 1;
        await until;
        return padded(quoteOver(inblob), 8000);
      }),
    );
    return {
      driver: driverOn(kernel),
      verify: tdxClaims(roots),
      elsewhere: driverOn(new FakeKernel()),
      asked: () => asked,
      traces: () => [...kernel.entries.keys()],
      hold: (promise) => {
        until = promise;
      },
      teardown: async () => undefined,
    };
  },
});

test('a request has an entry of its own, whose name no other has', async () => {
  const kernel = new FakeKernel(goodProvider);
  const device = await driverOn(kernel).open({ signal: never });
  await Promise.all([1, 2, 3].map(() => device.quote(reportData, { signal: never })));
  expect(new Set(kernel.made).size).toBe(4);
  expect(kernel.made.every((name) => /^cloister-[0-9]+-[0-9a-f]{16}$/.test(name))).toBe(true);
});

test('the zeros behind a quote are cut, and a quote without any stays whole', async () => {
  const whole = quoteOver(reportData);
  for (const length of [whole.length, whole.length + 1, 8000])
    expect(await quoteOn(new FakeKernel(tdxProvider(() => padded(whole, length))))).toEqual(whole);
});

test.runIf(hasFixtures)("real evidence: a host's padded quote is cut, and bound to what was asked", async () => {
  const real = fixture('dcap/quotes-only/tdx-v4-gcp-cos113.dat');
  const kernel = new FakeKernel(tdxProvider(() => real));
  // Nobody here has collateral of that machine.
  const anyCollateral = { collateralFor: async () => collateralAt() };
  const device = await driverOn(kernel, { collateral: anyCollateral }).open({ signal: never });
  const asked = fixture('eventlog/gcp-cos113/nonce.dat');
  const quote = quoteOf(await device.quote(asked, { signal: never }));
  expect(real).toHaveLength(8000);
  expect(quote.length).toBeLessThan(6000);
  expect(padded(quote, 8000)).toEqual(real);
  expect(await codeOf(device.quote(reportData, { signal: never }))).toBe('REPORT_DATA_NOT_BOUND');
});

test('quotes of version 5 are cut by their own lengths', async () => {
  const whole = quoteOver(reportData, { version: 5, tdVersion: '1.5' });
  expect(await quoteOn(new FakeKernel(tdxProvider(() => padded(whole, 9000))))).toEqual(whole);
});

test('a commit that the kernel lost without a word is noticed and repeated', async () => {
  const kernel = new FakeKernel(goodProvider);
  kernel.lostCommits = 1;
  expect(await quoteOn(kernel)).toHaveLength(quoteOver(reportData).length);
  kernel.lostCommits = 1_000;
  expect(await codeOf(quoteOn(kernel))).toBe('DEVICE_BUSY');
  expect(kernel.entries.size).toBe(0);
});

test('a kernel that takes no more writes until somebody reads is said to be busy', async () => {
  const kernel = new FakeKernel(goodProvider);
  kernel.generationBits = 0;
  expect(await codeOf(quoteOn(kernel))).toBe('DEVICE_BUSY');
});

test.each(['write', 'read'] as const)(
  'another writer before the %s is noticed, and its evidence never taken',
  async (when) => {
    const kernel = new FakeKernel(goodProvider);
    const other = new Uint8Array(64).fill(0xee);
    atAccess(kernel, when, when === 'write' ? 'inblob' : 'outblob', (path) =>
      kernel.write(path.replace(/[^/]+$/, 'inblob'), other),
    );
    const quote = await quoteOn(kernel);
    expect(quote.subarray(48 + 520, 48 + 584)).toEqual(reportData);
  },
);

test('another writer after the report was read is noticed', async () => {
  const kernel = new FakeKernel(goodProvider);
  let generations = 0;
  kernel.onAccess = (operation, path) => {
    if (operation !== 'read' || !path.endsWith('/generation')) return;
    generations += 1;
    if (generations === 3) kernel.write(path.replace('generation', 'inblob'), new Uint8Array(64));
  };
  await quoteOn(kernel);
  expect(generations).toBe(6);
});

test('a writer that never stops is given up on', async () => {
  const kernel = new FakeKernel(goodProvider);
  kernel.onAccess = (operation, path) => {
    if (operation === 'read' && path.endsWith('/outblob'))
      kernel.write(path.replace('outblob', 'inblob'), new Uint8Array(64));
  };
  expect(await codeOf(quoteOn(kernel))).toBe('DEVICE_BUSY');
  expect(kernel.entries.size).toBe(0);
});

test('evidence over other report data is refused by name', async () => {
  expect(await codeOf(quoteOn(new FakeKernel(tdxProvider(() => quoteOver(new Uint8Array(64))))))).toBe(
    'REPORT_DATA_NOT_BOUND',
  );
});

test.each([
  ['nothing', () => new Uint8Array(0)],
  ['noise', () => new Uint8Array(5000).fill(0x5a)],
  ['a quote cut short', (inblob: Uint8Array) => quoteOver(inblob).subarray(0, 1000)],
  ['a quote with more than zeros behind it', (inblob: Uint8Array) => padded(quoteOver(inblob), 8000).fill(1, 7990)],
  ['more than any quote', () => new Uint8Array(100_000)],
])('an outblob that is %s is refused by name', async (_, report) => {
  expect(await codeOf(quoteOn(new FakeKernel(tdxProvider(report))))).toBe('DEVICE_REPLY_MALFORMED');
});

test('an outblob without end is not read to its end', async () => {
  expect(await codeOf(quoteOn(new FakeKernel(tdxProvider(() => new Uint8Array(300_000)))))).toBe(
    'DEVICE_REPLY_TOO_LARGE',
  );
});

test.each([
  ['makeFolder', '', 'EACCES', 'DEVICE_FORBIDDEN'],
  ['makeFolder', '', 'EROFS', 'DEVICE_FORBIDDEN'],
  ['makeFolder', '', 'EPERM', 'DEVICE_FORBIDDEN'],
  ['makeFolder', '', 'ENXIO', 'DEVICE_GONE'],
  ['makeFolder', '', 'EEXIST', 'DEVICE_BUSY'],
  ['makeFolder', '', 'ENOMEM', 'DEVICE_FAILED'],
  ['write', 'inblob', 'EACCES', 'DEVICE_FORBIDDEN'],
  ['read', 'provider', 'ENXIO', 'DEVICE_GONE'],
  ['read', 'outblob', 'EBUSY', 'DEVICE_BUSY'],
  ['read', 'outblob', 'EINTR', 'DEVICE_BUSY'],
  ['read', 'outblob', 'EINVAL', 'DEVICE_REFUSED'],
  ['read', 'outblob', 'EFBIG', 'DEVICE_REPLY_TOO_LARGE'],
  ['read', 'outblob', 'ENXIO', 'DEVICE_GONE'],
  ['read', 'outblob', 'ENOTTY', 'DEVICE_GONE'],
  ['read', 'outblob', 'ETIMEDOUT', 'DEVICE_TIMEOUT'],
  ['read', 'outblob', 'EIO', 'DEVICE_FAILED'],
  ['read', 'auxblob', 'EIO', 'DEVICE_FAILED'],
  ['removeFolder', '', 'EBUSY', 'DEVICE_BUSY'],
] as const)('%s %s failing with %s is %s, and nothing is left', async (operation, attribute, system, code) => {
  const kernel = new FakeKernel({ ...goodProvider, hasAuxblob: true });
  const device = await driverOn(kernel).open({ signal: never });
  kernel.onAccess = (seen, path) => {
    if (seen === operation && path.endsWith(attribute === '' ? '' : `/${attribute}`)) throw systemError(system);
  };
  await expect(device.quote(reportData, { signal: never })).rejects.toMatchObject({
    code,
    meta: { systemError: system },
    retry: code === 'DEVICE_BUSY' || code === 'DEVICE_TIMEOUT',
  });
  if (operation !== 'removeFolder') expect(kernel.entries.size).toBe(0);
});

test('an entry that somebody else removed is no reason to drop good evidence', async () => {
  const kernel = new FakeKernel(goodProvider);
  atAccess(kernel, 'removeFolder', '', () => undefined);
  const device = await driverOn(kernel).open({ signal: never });
  kernel.onAccess = (operation) => {
    if (operation === 'removeFolder') kernel.entries.clear();
  };
  await expect(device.quote(reportData, { signal: never })).resolves.toBeDefined();
});

test('a host that gives no quote in time is given up on, and the entry removed when it does', async () => {
  const held = gate();
  const kernel = new FakeKernel(tdxProvider((inblob) => held.opened.then(() => quoteOver(inblob))));
  const device = await driverOn(kernel, { timeoutMs: 5 }).open({ signal: never });
  await expect(device.quote(reportData, { signal: never })).rejects.toMatchObject({
    code: 'DEVICE_TIMEOUT',
    retry: true,
  });
  expect(kernel.entries.size).toBe(1);
  held.open();
  await expect.poll(() => kernel.entries.size).toBe(0);
});

test('requests wait for each other, and no more than 16 of them', async () => {
  let running = 0;
  let most = 0;
  const kernel = new FakeKernel(
    tdxProvider(async (inblob) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return quoteOver(inblob);
    }),
  );
  const device = await driverOn(kernel).open({ signal: never });
  const codes = await Promise.all(
    Array.from({ length: 20 }, () => codeOf(device.quote(reportData, { signal: never }))),
  );
  expect(most).toBe(1);
  expect(codes.filter((code) => code === 'no error')).toHaveLength(16);
  expect(codes.filter((code) => code === 'DEVICE_BUSY')).toHaveLength(4);
});

test('a provider that changed since the device was opened is refused', async () => {
  const kernel = new FakeKernel(goodProvider);
  const device = await driverOn(kernel).open({ signal: never });
  kernel.provider = { ...goodProvider, name: 'sev_guest' };
  expect(await codeOf(device.quote(reportData, { signal: never }))).toBe('DEVICE_GONE');
  kernel.provider = { ...goodProvider, name: 'arm_cca_guest' };
  expect(await codeOf(device.quote(reportData, { signal: never }))).toBe('DEVICE_UNSUPPORTED');
});

test.each([
  ['generation', 'many'],
  ['generation', ''],
  ['generation', '-1'],
  ['provider', 'tdx_guest\u0007'],
])('%s that reads %j is refused by name', async (attribute, value) => {
  const kernel = new FakeKernel(goodProvider);
  const files: SystemFiles = {
    ...kernel.files,
    read: async (path, maxBytes) =>
      path.endsWith(`/${attribute}`) ? Buffer.from(`${value}\n`) : kernel.files.read(path, maxBytes),
  };
  expect(await codeOf(quoteOn(kernel, { files }))).toBe('DEVICE_REPLY_MALFORMED');
});

const release = (text: string) => ['/proc/sys/kernel/osrelease', `${text}\n`] as const;
const tdxGuest = ['/dev/tdx_guest', ''] as const;
const configfs = ['/sys/kernel/config/usb_gadget/x', ''] as const;
const processor = (flags: string) =>
  ['/proc/cpuinfo', `processor\t: 0\nflags\t\t: fpu ${flags} sse\nbugs\t: x\n`] as const;

test.each([
  [
    'no TEE',
    'NOT_THIS_MACHINE',
    [release('6.12.1'), configfs, processor('avx')],
    'the kernel knows no TEE here: no /dev/tdx_guest, no /dev/sev-guest',
  ],
  [
    'no TEE, nothing known',
    'NOT_THIS_MACHINE',
    [],
    'the kernel knows no TEE here: no /dev/tdx_guest, no /dev/sev-guest',
  ],
  [
    'an old kernel',
    'KERNEL_TOO_OLD',
    [release('6.6.30-generic'), tdxGuest],
    '/dev/tdx_guest is here, but Linux 6.6.30-generic gives reports only to native code',
  ],
  [
    'a much older kernel',
    'KERNEL_TOO_OLD',
    [release('5.15.0'), ['/dev/sev-guest', ''] as const],
    '/dev/sev-guest is here, but Linux 5.15.0 gives reports only to native code',
  ],
  [
    'no configfs',
    'NOT_MOUNTED',
    [release('6.12.1'), tdxGuest],
    '/dev/tdx_guest is here, but nothing at /sys/kernel/config',
  ],
  [
    'a TD whose driver is not loaded',
    'MODULE_MISSING',
    [release('6.12.1'), configfs, processor('tdx_guest')],
    'a TD is here, but no /sys/kernel/config/tsm/report',
  ],
  [
    'a kernel without reports, of unknown version',
    'MODULE_MISSING',
    [release('next'), configfs, tdxGuest],
    '/dev/tdx_guest is here, but no /sys/kernel/config/tsm/report',
  ],
] as const)('without a report folder it tells %s', async (_, code, plain, reason) => {
  const kernel = new FakeKernel();
  kernel.hasReportFolder = false;
  for (const [path, text] of plain) kernel.plain.set(path, Buffer.from(text));
  const why = await driverOn(kernel).unavailable({ signal: never });
  expect(why).toEqual({ code, reason, hint: expect.stringMatching(/[^.]$/) });
});

test.each([
  ['EACCES', 'NO_PERMISSION'],
  ['EROFS', 'NO_PERMISSION'],
  ['ENXIO', 'MODULE_MISSING'],
  ['EBUSY', 'NOT_ANSWERING'],
  ['EIO', 'NOT_ANSWERING'],
])('an entry that cannot be made (%s) is told as %s', async (system, code) => {
  const kernel = new FakeKernel(goodProvider);
  kernel.onAccess = (operation) => {
    if (operation === 'makeFolder') throw systemError(system);
  };
  expect(await driverOn(kernel).unavailable({ signal: never })).toMatchObject({ code });
});

test('a TEE of another kind is told as not this machine', async () => {
  const kernel = new FakeKernel({ ...goodProvider, name: 'arm_cca_guest' });
  expect(await driverOn(kernel).unavailable({ signal: never })).toMatchObject({
    code: 'NOT_THIS_MACHINE',
    reason: 'Expected the provider "tdx_guest" or "sev_guest", got "arm_cca_guest"',
  });
  expect(kernel.entries.size).toBe(0);
  expect(kernel.made.every((name) => name.startsWith('cloister-'))).toBe(true);
  expect(reportFolder).toBe('/sys/kernel/config/tsm/report');
});
