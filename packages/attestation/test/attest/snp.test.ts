import { concatBytes, equalBytes, fromHex, sha256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  CollateralError,
  type EndorsementFetcher,
  type EndorsementSourceInit,
  endorsementSource,
  type SnpEndorsements,
  tsmDriver,
} from '../../src/attest/index.ts';
import { readTsmReport } from '../../src/attest/tsm/tsmReport.ts';
import { AttestationError, snpPartsOf } from '../../src/verify/index.ts';
import { codeOf, gate, never, now } from './attestWorld.ts';
import { deviceCompliance } from './compliance.ts';
import { FakeKernel, type FakeProvider, reportFolder, systemError } from './fakeKernel.ts';

// Plumbing only: a hash stands for the chip's signature. What a real one must be is the verifier's to test.
const chip = new Uint8Array(64).fill(0xc1);
const signatureAt = 0x2a0;

function report(reportData: Uint8Array, level = 0, of = chip): Uint8Array {
  const bytes = new Uint8Array(1184);
  bytes[0] = 3;
  bytes[0x30] = level;
  bytes.set(reportData, 0x50);
  bytes.set([3, 0, 0, 0, 0, 0, 20, 209], 0x180);
  bytes.set([0x19, 0x01], 0x188);
  bytes.set(of, 0x1a0);
  bytes.set(sha256(concatBytes(of, bytes.subarray(0, signatureAt))), signatureAt);
  return bytes;
}

const endorsements: SnpEndorsements = {
  product: 'Milan',
  leaf: chip,
  intermediate: Uint8Array.of(2),
  root: Uint8Array.of(3),
  crl: Uint8Array.of(4),
};
const day = 86_400;

async function verify(bytes: Uint8Array, { leaf, crl }: SnpEndorsements, at: number): Promise<{ notAfter: number }> {
  const signature = sha256(concatBytes(leaf, bytes.subarray(0, signatureAt)));
  if (!equalBytes(signature, bytes.subarray(signatureAt, signatureAt + 32)))
    throw new AttestationError({ code: 'SIGNATURE_INVALID', place: 'report', message: 'Not signed by that chip' });
  const notAfter = now + (crl[0] ?? 0) * day;
  if (at > notAfter) throw new AttestationError({ code: 'EXPIRED', place: 'crl', message: 'The list ended' });
  return { notAfter };
}

function counting(answer: () => Promise<SnpEndorsements>): EndorsementFetcher & { asked: number; hosts: unknown[] } {
  const fetcher = {
    name: 'test',
    asked: 0,
    hosts: [] as unknown[],
    fetch: async (_: unknown, { host }: { readonly host?: unknown }) => {
      fetcher.asked += 1;
      fetcher.hosts.push(host);
      return answer();
    },
  };
  return fetcher;
}

const good = () => Promise.resolve(endorsements);
const source = (init: Partial<EndorsementSourceInit> = {}) =>
  endorsementSource({ fetchers: [counting(good)], verify, now: () => now, ...init });

function snpProvider(edit: Partial<FakeProvider> = {}): FakeProvider {
  return {
    name: 'sev_guest',
    privilegeFloor: 0,
    hasAuxblob: true,
    hasServices: true,
    report: async ({ inblob, privilegeLevel }) => ({ outblob: report(inblob, privilegeLevel) }),
    ...edit,
  };
}

const driverOn = (kernel: FakeKernel, init: object = {}) =>
  tsmDriver({
    files: kernel.files,
    collateral: { collateralFor: () => Promise.reject(new Error('no quote here')) },
    endorsements: source(),
    pauseMs: 0,
    ...init,
  });
const reportData = Uint8Array.from({ length: 64 }, (_, index) => index);

deviceCompliance({
  name: 'configfs-tsm on an SEV-SNP guest',
  kind: 'sev-snp',
  simulated: false,
  async setup() {
    let until = Promise.resolve();
    let asked = 0;
    const kernel = new FakeKernel(
      snpProvider({
        report: async ({ inblob }) => {
          asked += 1;
          await until;
          return { outblob: report(inblob) };
        },
      }),
    );
    return {
      driver: driverOn(kernel),
      verify: async (document) => {
        if (document.teeType !== 'sev-snp') throw new RangeError(`got ${document.teeType}`);
        const { report: bytes, ...parts } = snpPartsOf(document);
        await verify(bytes, { product: 'Milan', ...parts }, now);
        return { reportData: toHex(bytes.subarray(0x50, 0x90)), debug: false };
      },
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

describe('an SEV-SNP guest', () => {
  const levelOf = async (kernel: FakeKernel, init: object = {}) => {
    const document = await (await driverOn(kernel, init).open({ signal: never })).quote(reportData, { signal: never });
    if (document.teeType !== 'sev-snp') throw new RangeError(`got ${document.teeType}`);
    return snpPartsOf(document).report[0x30];
  };

  test('asks at the level that is configured, else at the floor above 0', async () => {
    expect(await levelOf(new FakeKernel(snpProvider()))).toBe(0);
    expect(await levelOf(new FakeKernel(snpProvider({ privilegeFloor: 2 })))).toBe(2);
    expect(await levelOf(new FakeKernel(snpProvider()), { privilegeLevel: 3 })).toBe(3);
    expect(await levelOf(new FakeKernel(snpProvider({ privilegeFloor: 2 })), { privilegeLevel: 2 })).toBe(2);
  });

  test.each([
    [-1, 0],
    [1, 2],
    [4, 0],
    [1.5, 0],
    [Number.NaN, 0],
  ])('level %d with floor %d is refused before it is written', async (privilegeLevel, privilegeFloor) => {
    const kernel = new FakeKernel(snpProvider({ privilegeFloor }));
    const written: string[] = [];
    kernel.onAccess = (operation, path) => {
      if (operation === 'write') written.push(path);
    };
    expect(await codeOf(levelOf(kernel, { privilegeLevel }))).toBe('DEVICE_REFUSED');
    expect(written).toEqual([]);
    expect(kernel.entries.size).toBe(0);
  });

  test('a kernel without levels refuses one', async () => {
    const { privilegeFloor: _, ...without } = snpProvider();
    expect(await codeOf(levelOf(new FakeKernel(without), { privilegeLevel: 1 }))).toBe('DEVICE_REFUSED');
    expect(await levelOf(new FakeKernel(without))).toBe(0);
  });

  test('a level that the kernel is too busy to take is repeated, then given up on', async () => {
    const kernel = new FakeKernel(snpProvider());
    let times = 0;
    kernel.onAccess = (operation, path) => {
      if (operation === 'write' && path.endsWith('/privlevel') && ++times < 3) throw systemError('EBUSY');
    };
    expect(await levelOf(kernel, { privilegeLevel: 1 })).toBe(1);
    kernel.onAccess = (operation, path) => {
      if (operation === 'write' && path.endsWith('/privlevel')) throw systemError('EBUSY');
    };
    expect(await codeOf(levelOf(kernel, { privilegeLevel: 1 }))).toBe('DEVICE_BUSY');
  });

  test('a service below the kernel is asked where the request says so', async () => {
    const seen: unknown[] = [];
    const kernel = new FakeKernel(
      snpProvider({
        report: async ({ inblob, serviceProvider, privilegeLevel }) => {
          seen.push(serviceProvider, privilegeLevel);
          return { outblob: report(inblob), manifestblob: Uint8Array.of(1) };
        },
      }),
    );
    const options = {
      files: kernel.files,
      reportFolder,
      uniqueName: () => 'one',
      pause: async () => undefined,
    };
    const request = { reportData, serviceProvider: 'svsm', privilegeLevel: 2 } as const;
    const given = await readTsmReport(request, options);
    expect(seen).toEqual(['svsm', 2]);
    expect(given).toMatchObject({ provider: 'sev_guest', manifestblob: Uint8Array.of(1), auxblob: new Uint8Array(0) });
    kernel.provider = snpProvider({ hasServices: false });
    expect(await codeOf(readTsmReport(request, options))).toBe('DEVICE_UNSUPPORTED');
    expect(kernel.entries.size).toBe(0);
  });

  test("hands on the host's certificates, and does without them", async () => {
    const u32 = (value: number) => Uint8Array.of(value, 0, 0, 0);
    const vcek = fromHex('63da758de6644564adc5f4b93be8accd');
    const auxblob = concatBytes(vcek, u32(48), u32(2), new Uint8Array(24), Uint8Array.of(8, 9));
    for (const [blob, host] of [
      [auxblob, { vcek: Uint8Array.of(8, 9) }],
      [new Uint8Array(0), {}],
    ] as const) {
      const fetcher = counting(good);
      const kernel = new FakeKernel(
        snpProvider({ report: async ({ inblob }) => ({ outblob: report(inblob), auxblob: blob }) }),
      );
      await levelOf(kernel, { endorsements: source({ fetchers: [fetcher] }) });
      expect(fetcher.hosts).toEqual([host]);
    }
    const none = new FakeKernel(snpProvider({ hasAuxblob: false }));
    expect(await levelOf(none)).toBe(0);
  });

  test.each([
    ['a report cut short', () => report(reportData).subarray(1), 'DEVICE_REPLY_MALFORMED'],
    ['a quote', () => new Uint8Array(5000), 'DEVICE_REPLY_MALFORMED'],
    ['a report over other report data', () => report(new Uint8Array(64)), 'REPORT_DATA_NOT_BOUND'],
    ['a report of another chip', () => report(reportData, 0, new Uint8Array(64).fill(9)), 'SIGNATURE_INVALID'],
  ])('%s is refused by name', async (_, outblob, code) => {
    const kernel = new FakeKernel(snpProvider({ report: async () => ({ outblob: outblob() }) }));
    expect(await codeOf(levelOf(kernel))).toBe(code);
  });

  test('without a source of endorsements is told so', async () => {
    const driver = driverOn(new FakeKernel(snpProvider()), { endorsements: undefined });
    expect(await driver.unavailable({ signal: never })).toMatchObject({ code: 'NOT_THIS_MACHINE' });
    expect(await codeOf(driver.open({ signal: never }))).toBe('DEVICE_UNSUPPORTED');
  });
});

describe('endorsements', () => {
  const bytes = report(reportData);
  const away = new CollateralError({ code: 'COLLATERAL_UNAVAILABLE', message: 'The service is away' });
  function world() {
    const state = { time: now, answer: good };
    const fetcher = counting(() => state.answer());
    const from = source({ fetchers: [fetcher], now: () => state.time });
    return { state, fetcher, get: (of = bytes) => from.endorsementsFor(of, { signal: never }) };
  }

  test('are fetched once while they are fresh, for every report of that chip and those versions', async () => {
    const { state, fetcher, get } = world();
    await get();
    state.time += day - 1;
    expect(await get(report(new Uint8Array(64).fill(7)))).toEqual(endorsements);
    expect(fetcher.asked).toBe(1);
    state.time += 1;
    await get();
    expect(fetcher.asked).toBe(2);
  });

  test('are used while the service is away, as long as they hold', async () => {
    const { state, get } = world();
    await get();
    state.answer = () => Promise.reject(away);
    state.time = now + 4 * day;
    expect(await get()).toEqual(endorsements);
    state.time += 1;
    expect(await codeOf(get())).toBe('COLLATERAL_UNAVAILABLE');
  });

  test('under which the report does not verify are never remembered', async () => {
    const { state, fetcher, get } = world();
    state.answer = () => Promise.resolve({ ...endorsements, leaf: Uint8Array.of(1) });
    expect(await codeOf(get())).toBe('SIGNATURE_INVALID');
    state.answer = good;
    expect(await get()).toEqual(endorsements);
    expect(fetcher.asked).toBe(2);
  });

  test('come from the next where the first fails or lies; all reasons are told where none helps', async () => {
    const lying = counting(() => Promise.resolve({ ...endorsements, leaf: Uint8Array.of(1) }));
    const missing = counting(() => Promise.reject(away));
    const from = (...fetchers: EndorsementFetcher[]) => source({ fetchers }).endorsementsFor(bytes, { signal: never });
    expect(await from(missing, lying, counting(good))).toEqual(endorsements);
    await expect(from(missing, lying)).rejects.toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      cause: { errors: [away, expect.objectContaining({ code: 'SIGNATURE_INVALID' })] },
    });
    expect(await codeOf(from())).toBe('COLLATERAL_UNAVAILABLE');
  });

  test('a service that never answers is given up on, and an abort ends the wait', async () => {
    const silent = counting(() => new Promise<never>(() => undefined));
    const from = source({ fetchers: [silent], timeoutMs: 5 });
    expect(await codeOf(from.endorsementsFor(bytes, { signal: never }))).toBe('DEVICE_TIMEOUT');
    const started = gate();
    const waiting = counting(() => {
      started.open();
      return new Promise<never>(() => undefined);
    });
    const controller = new AbortController();
    const reason = new Error('enough');
    const asked = source({ fetchers: [waiting] }).endorsementsFor(bytes, { signal: controller.signal });
    await started.opened;
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });
});
