import { concatBytes, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { ccelPaths, readCcel } from '../../src/attest/index.ts';
import { fixture, hasFixtures } from '../fixtures.ts';
import { codeOf } from './attestWorld.ts';
import { FakeKernel, systemError } from './fakeKernel.ts';

const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8);
const u32 = (value: number) =>
  Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);

const sha384Id = 0x0c;
function table(edit: (bytes: Uint8Array) => void = () => undefined, logLength = 65_536): Uint8Array {
  const bytes = new Uint8Array(56);
  bytes.set(utf8('CCEL'));
  bytes.set(u32(56), 4);
  bytes[36] = 2;
  bytes.set(u32(logLength), 40);
  edit(bytes);
  // ACPI 6.5 §5.2.6: all bytes add up to 0.
  bytes[9] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}
/** "Spec ID Event03": signature 16, u32 class, four bytes of versions, u32 count, {u16 algorithm, u16 length}, vendor. */
function first(name = 'Spec ID Event03', count = 1): Uint8Array {
  const data = concatBytes(
    utf8(`${name}\0`),
    u32(0),
    Uint8Array.of(0, 2, 0, 2),
    u32(count),
    u16(sha384Id),
    u16(48),
    Uint8Array.of(0),
  );
  return concatBytes(u32(1), u32(3), new Uint8Array(20), u32(data.length), data);
}
function event(register: number, data: Uint8Array, algorithm = sha384Id): Uint8Array {
  return concatBytes(
    u32(register),
    u32(0x80000001),
    u32(1),
    u16(algorithm),
    new Uint8Array(48).fill(register),
    u32(data.length),
    data,
  );
}
const events = concatBytes(
  first(),
  event(1, utf8('boot')),
  event(2, new Uint8Array(40).fill(0xff)),
  event(3, utf8('')),
);
const padding = (length: number) => new Uint8Array(length).fill(0xff);

function machine(log: Uint8Array | undefined, head: Uint8Array | undefined = table()): FakeKernel {
  const kernel = new FakeKernel();
  if (head !== undefined) kernel.plain.set(ccelPaths.table, head);
  if (log !== undefined) kernel.plain.set(ccelPaths.log, log);
  return kernel;
}

const read = (log: Uint8Array | undefined, head?: Uint8Array) => readCcel(machine(log, head).files);

describe('the event log of the firmware', () => {
  test.each([0, 1, 3, 4, 1000])('is cut where %d bytes of padding begin', async (length) => {
    expect(await read(concatBytes(events, padding(length)))).toEqual(events);
  });

  test('keeps an event that ends like padding', async () => {
    const log = concatBytes(first(), event(1, padding(64)));
    expect(await read(concatBytes(log, padding(512)))).toEqual(log);
  });

  test('is none where the machine has none', async () => {
    expect(await read(undefined)).toBeUndefined();
    expect(await readCcel(new FakeKernel().files)).toBeUndefined();
  });

  test.each([
    ['a table of another kind', table((bytes) => bytes.set(utf8('FACP')))],
    ['a table of another length', table().subarray(0, 55)],
    ['a table that states another length', table((bytes) => bytes.set(u32(60), 4))],
    ['the log of an SEV guest', table((bytes) => bytes.set([1], 36))],
    ['a table that states less than there is', table(undefined, 100)],
    ['a table whose bytes do not add up', table().fill(1, 9, 10)],
  ])('with %s is refused by name', async (_, head) => {
    expect(await codeOf(read(events, head))).toBe('DEVICE_REPLY_MALFORMED');
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['less than a first event', first().subarray(0, 40)],
    ['another first event', first('Spec ID Event02')],
    ['a first event without algorithms', first('Spec ID Event03', 0)],
    ['a first event with more algorithms than it has', first('Spec ID Event03', 3)],
    ['a digest that was not announced', concatBytes(first(), event(1, utf8('x'), 0x0b))],
    ['an event cut short', events.subarray(0, events.length - 30)],
    ['an event that says it is longer than the log', concatBytes(first(), event(1, utf8('x')).fill(0x7f, -5, -1))],
    ['without an event', first()],
    ['an event with many digests', concatBytes(first(), u32(1), u32(1), u32(0x7fffffff))],
    ['zeros', concatBytes(first(), new Uint8Array(11))],
  ])('that is %s is refused by name', async (_, log) => {
    expect(await codeOf(read(log))).toBe('DEVICE_REPLY_MALFORMED');
  });

  test('without end is not walked to its end', async () => {
    const empty = concatBytes(u32(1), u32(1), u32(0), u32(0));
    const log = new Uint8Array(first().length + empty.length * 20_000);
    log.set(first());
    for (let at = first().length; at < log.length; at += empty.length) log.set(empty, at);
    expect(await codeOf(read(log, table(undefined, log.length)))).toBe('DEVICE_REPLY_MALFORMED');
  });

  test.each([
    ['EACCES', 'DEVICE_FORBIDDEN'],
    ['EIO', 'DEVICE_FAILED'],
  ])('that cannot be read (%s) is %s', async (system, code) => {
    const kernel = machine(events);
    kernel.onAccess = (operation) => {
      if (operation === 'read') throw systemError(system);
    };
    expect(await codeOf(readCcel(kernel.files))).toBe(code);
  });

  test.runIf(hasFixtures)('real evidence: a log is cut at its last event', async () => {
    const log = fixture('eventlog/gcp-cos113/ccel_data.dat');
    const cut = await read(log, fixture('eventlog/gcp-cos113/ccel_table.dat'));
    expect(cut?.length).toBeGreaterThan(5_000);
    expect(cut?.length).toBeLessThan(65_536);
    expect(log.subarray(0, cut?.length)).toEqual(cut);
    expect(log.subarray(cut?.length).every((byte) => byte === 0xff)).toBe(true);
  });
});
