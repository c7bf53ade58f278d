import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { parseCcelTable } from '../src/verify/eventLog/ccelTable.ts';
import { AttestationError, verifyCcel, verifyDstackLog } from '../src/verify/index.ts';
import { boot, ccel, dstackLog, guestEvents, registersOfBoot, sha256, sha384, table } from './eventLogWorld.ts';

const long = process.env.CLOISTER_LONG === '1';
const numRuns = long ? 20_000 : 400;
vi.setConfig({ testTimeout: long ? 900_000 : 120_000 });

const registers = registersOfBoot(boot);
const guest = dstackLog(guestEvents());
const log = ccel(boot, { algorithms: [sha256, sha384] });

/** Runs a verifier; anything but our error is a defect and escapes. */
function survives(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    expect(error.place).not.toBe('');
    expect(error.message).not.toMatch(/\.$/);
    return error.code;
  }
}

function mutated(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat({ max: good.length }),
    remove: fc.nat({ max: 4 }),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let bytes = [...good];
    for (const { at, remove, insert } of edits) bytes = [...bytes.slice(0, at), ...insert, ...bytes.slice(at + remove)];
    return Uint8Array.from(bytes);
  });
}

const verifiers: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ['a firmware log', log, (bytes) => verifyCcel(bytes, registers)],
  ['an ACPI table', table(), parseCcelTable],
  ['a dstack log', Buffer.from(guest.log), (bytes) => verifyDstackLog(bytes, guest.registers)],
];

describe('event logs are refused by our errors only', () => {
  test.each(verifiers)('%s, mutated', (_, good, verify) => {
    expect(survives(() => verify(good))).toBe('ok');
    fc.assert(
      fc.property(mutated(good), (bytes) => {
        survives(() => verify(bytes));
      }),
      { numRuns },
    );
  });

  test.each(verifiers)('%s, made of anything', (_, _good, verify) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => {
        survives(() => verify(bytes));
      }),
      { numRuns },
    );
  });

  test.each(verifiers)('%s, cut at every length', (_, good, verify) => {
    for (let length = 0; length < good.length; length += long ? 1 : 3) survives(() => verify(good.subarray(0, length)));
  });

  test('a dstack log with any JSON in any place', () => {
    const entries = JSON.parse(guest.log) as Record<string, unknown>[];
    const place = fc.record({
      index: fc.nat({ max: entries.length - 1 }),
      key: fc.constantFrom(...Object.keys(entries[0] ?? {})),
    });
    fc.assert(
      fc.property(place, fc.jsonValue({ maxDepth: 3 }), ({ index, key }, value) => {
        const changed = entries.map((entry, at) => (at === index ? { ...entry, [key]: value } : entry));
        survives(() => verifyDstackLog(JSON.stringify(changed), guest.registers));
      }),
      { numRuns },
    );
  });
});

test('every measured bit of a firmware log counts', () => {
  const measured = ccel(boot);
  const digests = new Set<number>();
  for (const { digest } of verifyCcel(measured, registers)) {
    const at = Buffer.from(measured).indexOf(Buffer.from(digest.slice(2), 'hex'));
    for (let offset = 0; offset < 48; offset++) digests.add(at + offset);
  }
  expect(digests.size).toBe(6 * 48);
  for (const at of digests) {
    const flipped = Uint8Array.from(measured);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    expect(survives(() => verifyCcel(flipped, registers))).toBe('EVENT_LOG_MISMATCH');
  }
});
