import { describe, expect, test } from 'vitest';
import { eventTypeName } from '../src/verify/eventLog/eventTypes.ts';
import { AttestationError, type Registers, verifyCcel } from '../src/verify/index.ts';
import {
  ascii,
  boot,
  ccel,
  event,
  hash,
  header,
  type LoggedEvent,
  refusal,
  registersOfBoot,
  sha256,
  sha384,
  table,
  u16,
  u32,
} from './eventLogWorld.ts';

const registers = registersOfBoot(boot);
const log = ccel(boot);
const verify = (bytes: Uint8Array, expected: Registers = registers) => refusal(() => verifyCcel(bytes, expected));
const withEvent = (...parts: readonly Uint8Array[]) => Buffer.concat([header(), ...parts]);
const headerEnd = header().length;

describe('a log that gives the registers', () => {
  test('is a list of events, each with its register, type and digest', () => {
    const events = verifyCcel(log, registers);
    expect(events.map(({ index, register, typeName }) => [index, register, typeName])).toEqual([
      [0, 'rtmr0', 'EV_EFI_HANDOFF_TABLES2'],
      [2, 'rtmr0', 'EV_SEPARATOR'],
      [3, 'rtmr1', 'EV_EFI_BOOT_SERVICES_APPLICATION'],
      [4, 'rtmr2', 'EV_IPL'],
      [5, 'rtmr1', 'EV_EFI_ACTION'],
      [6, 'rtmr3', null],
    ]);
    expect(events[4]).toEqual({
      index: 5,
      register: 'rtmr1',
      type: 0x80000007,
      typeName: 'EV_EFI_ACTION',
      digest: `0x${hash(ascii('Exit Boot Services Invocation')).toString('hex')}`,
      data: Uint8Array.from(ascii('Exit Boot Services Invocation')),
      dataIsMeasured: true,
    });
  });

  test('tells data that was measured from data that is a remark', () => {
    const remarks = verifyCcel(log, registers).filter(({ dataIsMeasured }) => !dataIsMeasured);
    expect(remarks.map(({ index }) => index)).toEqual([3]);
  });

  test('may have digests of more algorithms, vendor information, no padding', () => {
    const options = { algorithms: [sha256, sha384, { id: 4, length: 20 }], vendor: Buffer.of(1, 2, 3) };
    expect(verify(ccel(boot, options))).toBe('ok');
    expect(verify(ccel(boot, options, 0))).toBe('ok');
    expect(verify(ccel(boot, options, 3))).toBe('ok');
  });

  test('may have registers in capital hexadecimal', () => {
    expect(verify(log, { ...registers, rtmr0: `0x${registers.rtmr0.slice(2).toUpperCase()}` })).toBe('ok');
  });

  test('without an event gives registers of zeros', () => {
    const zero = `0x${'00'.repeat(48)}` as const;
    expect(verify(header(), { rtmr0: zero, rtmr1: zero, rtmr2: zero, rtmr3: zero })).toBe('ok');
  });

  test('may leave a register to another log, if asked to', () => {
    const early = boot.slice(0, -1);
    expect(verify(ccel(early))).toBe('EVENT_LOG_MISMATCH at rtmr3');
    expect(refusal(() => verifyCcel(ccel(early), registers, { registers: ['rtmr0', 'rtmr1', 'rtmr2'] }))).toBe('ok');
    expect(refusal(() => verifyCcel(ccel(early), registers, { registers: ['rtmr3'] }))).toBe(
      'EVENT_LOG_MISMATCH at rtmr3',
    );
  });
});

describe('a log that gives other registers is refused at the first that differs', () => {
  const changed = (index: number, change: Partial<LoggedEvent>) =>
    ccel(boot.map((logged, at) => (at === index ? { ...logged, ...change } : logged)));
  test.each([
    ['a flipped digest', changed(3, { digest: hash(ascii('another file')) }), 'rtmr1'],
    ['a dropped event', ccel(boot.toSpliced(4, 1)), 'rtmr2'],
    ['an added event', ccel([...boot, { register: 1, type: 4, data: ascii('more') }]), 'rtmr0'],
    ['an event moved to another register', changed(6, { register: 3 }), 'rtmr2'],
    [
      'two events of one register in another order',
      ccel([...boot.slice(2, 3), ...boot.slice(1, 2), ...boot.slice(0, 1), ...boot.slice(3)]),
      'rtmr0',
    ],
    ['an event that says it informs only', changed(6, { type: 3 }), 'rtmr3'],
    ['no event', ccel([]), 'rtmr0'],
  ])('%s', (_, bytes, register) => {
    expect(verify(bytes)).toBe(`EVENT_LOG_MISMATCH at ${register}`);
  });

  test('with what it gives, and what was expected', () => {
    const caught = catchError(() => verifyCcel(ccel([]), registers));
    expect(caught.value).toBe(`0x${'00'.repeat(48)}`);
    expect(caught.message).toContain(registers.rtmr0);
  });

  test('data may change where it is a remark, and shows as one where it was measured', () => {
    const events = verifyCcel(
      changed(4, { data: ascii('kernel_cmdline: debug'), digest: hash(ascii('kernel_cmdline: quiet')) }),
      registers,
    );
    expect(events[3]?.dataIsMeasured).toBe(false);
  });
});

describe('what is no log', () => {
  const good = event({ register: 1, type: 4, data: Buffer.alloc(4) });
  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'ccel @ 0'],
    ['padding only', Buffer.alloc(64, 0xff), 'ccel.header'],
    ['no Spec ID event', withEvent(good).subarray(headerEnd), 'ccel.header'],
    ['a Spec ID event of another type', ccel(boot, { type: 4 }), 'ccel.header'],
    ['a Spec ID event with a digest', ccel(boot, { digest: Buffer.alloc(20, 1) }), 'ccel.header'],
    ['a Spec ID event of an older form', ccel(boot, { signature: 'Spec ID Event02\0' }), 'ccel.header'],
    ['no algorithm', ccel([], { algorithms: [] }), 'ccel @ 60'],
    ['a count of algorithms beyond the bound', ccel([], { count: 9 }), 'ccel @ 60'],
    ['a count of algorithms that lies', ccel([], { count: 2 }), 'ccel @ 64'],
    ['a count of 4 billion algorithms', ccel([], { count: 0xffffffff }), 'ccel @ 60'],
    ['an algorithm twice', ccel([], { algorithms: [sha384, sha384] }), 'ccel @ 64'],
    ['SHA-384 with digests of 32 bytes', ccel([], { algorithms: [{ id: 12, length: 32 }] }), 'ccel @ 60'],
    ['bytes behind the vendor information', ccel([], { behind: Buffer.of(0) }), 'ccel @ 65'],
    ['a header longer than the file', Buffer.concat([header().subarray(0, 28), u32(0xffffffff)]), 'ccel @ 32'],
    ['zeros as padding', Buffer.concat([header(), Buffer.alloc(64)]), `ccel @ ${headerEnd}`],
    ['padding with a byte in it', Buffer.concat([log, Buffer.of(0)]), `ccel @ ${log.length - 64}`],
    ['an event that is cut', withEvent(good.subarray(0, -1)), `ccel @ ${headerEnd + good.length - 4}`],
    ['an event of MRTD', withEvent(event({ register: 0, type: 4, data: ascii('x') })), `ccel @ ${headerEnd}`],
    [
      'an event of a fifth register',
      withEvent(event({ register: 5, type: 4, data: ascii('x') })),
      `ccel @ ${headerEnd}`,
    ],
    [
      'an informing event of a fifth register',
      withEvent(event({ register: 5, type: 3, data: ascii('x') })),
      `ccel @ ${headerEnd}`,
    ],
    ['an event without digest', withEvent(u32(1), u32(4), u32(0), u32(0)), `ccel @ ${headerEnd + 8}`],
    ['a count of digests that lies', withEvent(u32(1), u32(4), u32(2), good.subarray(12)), `ccel @ ${headerEnd + 8}`],
    [
      'a count of 4 billion digests',
      withEvent(u32(1), u32(4), u32(0xffffffff), good.subarray(12)),
      `ccel @ ${headerEnd + 8}`,
    ],
    [
      'a digest of an algorithm that the header does not list',
      withEvent(u32(1), u32(4), u32(1), u16(11), Buffer.alloc(32), u32(0)),
      `ccel @ ${headerEnd + 12}`,
    ],
    [
      'a digest of another length',
      withEvent(u32(1), u32(4), u32(1), u16(12), Buffer.alloc(32), u32(0)),
      `ccel @ ${headerEnd + 14}`,
    ],
    [
      'a length beyond the file',
      withEvent(u32(1), u32(4), u32(1), u16(12), Buffer.alloc(48), u32(0x7fffffff)),
      `ccel @ ${headerEnd + 66}`,
    ],
  ])('%s', (_, bytes, place) => {
    expect(verify(bytes)).toBe(`MALFORMED_EVENT_LOG at ${place}`);
  });

  test('two digests of one algorithm', () => {
    const algorithms = [sha256, sha384];
    const twice = Buffer.concat([u32(1), u32(4), u32(2), u16(12), Buffer.alloc(48), u16(12), Buffer.alloc(48), u32(0)]);
    const start = header({ algorithms });
    expect(verify(Buffer.concat([start, twice]))).toBe(`MALFORMED_EVENT_LOG at ccel @ ${start.length + 62}`);
  });

  test('algorithms that are unknown, or without SHA-384', () => {
    expect(verify(ccel([], { algorithms: [sha384, { id: 99, length: 48 }] }))).toBe(
      'UNSUPPORTED_EVENT_LOG at ccel @ 64',
    );
    expect(verify(ccel([], { algorithms: [sha256] }))).toBe('UNSUPPORTED_EVENT_LOG at ccel.header');
  });

  test('eight algorithms are the most', () => {
    const all = [
      [4, 20],
      [11, 32],
      [12, 48],
      [13, 64],
      [18, 32],
      [39, 32],
      [40, 48],
      [41, 64],
    ].map(([id = 0, length = 0]) => ({ id, length }));
    expect(verify(ccel(boot, { algorithms: all }))).toBe('ok');
  });

  test('more than 4 MB, or more than 16384 events', () => {
    expect(verify(new Uint8Array(4 * 1024 * 1024 + 1))).toBe('TOO_LARGE at ccel');
    const one = event({ register: 1, type: 3, data: Buffer.alloc(0) });
    const many = (count: number) => Buffer.concat([header(), ...Array.from({ length: count }, () => one)]);
    expect(verify(many(16_384))).toBe('EVENT_LOG_MISMATCH at rtmr0');
    expect(verify(many(16_385))).toBe(`TOO_LARGE at ccel @ ${headerEnd + 16_384 * one.length}`);
    const padded = Buffer.concat([log, Buffer.alloc(4 * 1024 * 1024 - log.length, 0xff)]);
    expect(verify(padded)).toBe('ok');
  });
});

describe('the ACPI table', () => {
  const withTable = (bytes: Uint8Array, area = log) => refusal(() => verifyCcel(area, registers, { table: bytes }));

  test('of a TD, with a log within its area', () => {
    expect(withTable(table())).toBe('ok');
    expect(withTable(table({ area: BigInt(log.length) }))).toBe('ok');
  });

  test.each([
    ['of another length', table().subarray(1), 'MALFORMED_EVENT_LOG at ccelTable'],
    ['with another signature', table({ signature: 'APIC' }), 'MALFORMED_EVENT_LOG at ccelTable.signature'],
    ['that states another length', table({ length: 57 }), 'MALFORMED_EVENT_LOG at ccelTable.length'],
    ['with a wrong checksum', table({ checksum: 1 }), 'MALFORMED_EVENT_LOG at ccelTable.checksum'],
    ['of another kind of guest', table({ type: 1 }), 'UNSUPPORTED_EVENT_LOG at ccelTable.type'],
    ['whose area is shorter than the log', table({ area: BigInt(log.length - 1) }), 'MALFORMED_EVENT_LOG at ccel'],
    ['whose area is shorter in its lower half only', table({ area: 1n << 32n }), 'ok'],
  ])('%s', (_, bytes, expected) => {
    expect(withTable(bytes)).toBe(expected);
  });
});

test('event types have the names of TCG', () => {
  expect([0, 3, 19, 20, 0x80000000, 0x80000001, 0x8000000b, 0x800000e4].map(eventTypeName)).toEqual([
    'EV_PREBOOT_CERT',
    'EV_NO_ACTION',
    'EV_POST_CODE2',
    null,
    null,
    'EV_EFI_VARIABLE_DRIVER_CONFIG',
    'EV_EFI_HANDOFF_TABLES2',
    'EV_EFI_SPDM_DEVICE_AUTHORITY',
  ]);
});

function catchError(action: () => unknown): AttestationError {
  try {
    action();
  } catch (error) {
    if (error instanceof AttestationError) return error;
  }
  throw new Error('Expected an AttestationError');
}
