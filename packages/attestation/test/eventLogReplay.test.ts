import { describe, expect, test } from 'vitest';
import { readTdReport } from '../src/verify/dcap/tdReport.ts';
import { parseQuote, replayCcel, replayDstackLog, verifyCcel, verifyDstackLog } from '../src/verify/index.ts';
import { boot, ccel, dstackLog, guestEvents, refusal, registersOfBoot } from './eventLogWorld.ts';
import { fixture, fixtureJson, hasFixtures } from './fixtures.ts';

describe('reference values from a log', () => {
  test("a firmware's gives the registers that its verification asks for", () => {
    const log = ccel(boot);
    expect(replayCcel(log)).toEqual(registersOfBoot(boot));
    expect(() => verifyCcel(log, replayCcel(log))).not.toThrow();
  });

  test("a dstack guest's, with what it says of the app", () => {
    const { log, registers } = dstackLog(guestEvents());
    const replayed = replayDstackLog(log);
    expect(replayed.registers).toEqual(registers);
    expect(replayed.claims).toEqual(verifyDstackLog(log, registers).claims);
  });

  test('one other event gives another register, and only that', () => {
    const [first, ...rest] = boot;
    const changed = replayCcel(
      ccel([{ ...(first ?? boot[0]), data: Buffer.from('other') } as (typeof boot)[0], ...rest]),
    );
    const { rtmr0, ...others } = registersOfBoot(boot);
    expect(changed).toMatchObject(others);
    expect(changed.rtmr0).not.toBe(rtmr0);
  });

  test('what is no log is refused as it is by verification', () => {
    expect(refusal(() => replayCcel(Uint8Array.of(1, 2, 3)))).toContain('MALFORMED_EVENT_LOG');
    expect(refusal(() => replayDstackLog('{}'))).toContain('MALFORMED_EVENT_LOG');
    expect(refusal(() => replayDstackLog(dstackLog(guestEvents().slice(1)).log))).toContain('EVENT_MISSING');
  });
});

describe.skipIf(!hasFixtures)('reference values from real logs', () => {
  const registersIn = (quote: Uint8Array) => {
    const { body } = parseQuote(quote);
    if (body.kind !== 'tdx') throw new Error('Expected a TDX quote');
    const report = readTdReport(body);
    return Object.fromEntries(
      (['rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const).map((name) => [
        name,
        `0x${Buffer.from(report[name]).toString('hex')}`,
      ]),
    );
  };

  test('a machine of Google: the registers of its quote', () => {
    const quote = fixture('dcap/quotes-only/tdx-v4-gcp-cos113.dat');
    expect(replayCcel(fixture('eventlog/gcp-cos113/ccel_data.dat'))).toEqual(registersIn(quote));
  });

  test.each(['dstack/quote-report.json', 'dstack/tdx-lite-getquote.json'])('%s: the registers of its quote', (path) => {
    const { quote, event_log: log } = fixtureJson<{ readonly quote: string; readonly event_log: string }>(path);
    expect(replayDstackLog(log).registers).toEqual(registersIn(Uint8Array.from(Buffer.from(quote, 'hex'))));
  });
});
