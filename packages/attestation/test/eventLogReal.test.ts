import { describe, expect, test } from 'vitest';
import { readTdReport } from '../src/verify/dcap/tdReport.ts';
import { parseCcel } from '../src/verify/eventLog/ccel.ts';
import { parseQuote, type Registers, verifyCcel, verifyDstackLog } from '../src/verify/index.ts';
import { refusal } from './eventLogWorld.ts';
import { fixture, fixtureJson, hasFixtures } from './fixtures.ts';

type GetQuote = { readonly quote: string; readonly event_log: string };

/** The registers of a quote, taken unverified: these machines' collateral is not at hand. */
function registersOf(quote: Uint8Array): Registers {
  const { body } = parseQuote(quote);
  if (body.kind !== 'tdx') throw new Error('Expected a TDX quote');
  const { rtmr0, rtmr1, rtmr2, rtmr3 } = readTdReport(body);
  const hex = (bytes: Uint8Array) => `0x${Buffer.from(bytes).toString('hex')}` as const;
  return { rtmr0: hex(rtmr0), rtmr1: hex(rtmr1), rtmr2: hex(rtmr2), rtmr3: hex(rtmr3) };
}

const count = (names: readonly (string | null)[]) =>
  Object.fromEntries([...new Set(names)].map((name) => [name, names.filter((other) => other === name).length]));

describe.skipIf(!hasFixtures)('the firmware log of a machine of Google', () => {
  const log = () => fixture('eventlog/gcp-cos113/ccel_data.dat');
  const table = () => fixture('eventlog/gcp-cos113/ccel_table.dat');
  const registers = () => registersOf(fixture('dcap/quotes-only/tdx-v4-gcp-cos113.dat'));

  test('gives the registers of its quote', () => {
    const events = verifyCcel(log(), registers(), { table: table() });
    expect(events).toHaveLength(43);
    expect(count(events.map(({ register }) => register))).toEqual({ rtmr0: 16, rtmr1: 7, rtmr2: 20 });
    expect(count(events.map(({ typeName }) => typeName))).toMatchObject({ EV_EFI_VARIABLE_AUTHORITY: 2, EV_IPL: 20 });
    expect(events.at(-1)).toMatchObject({ typeName: 'EV_EFI_ACTION', dataIsMeasured: true });
  });

  test('is refused with one bit of a digest flipped, with the register of that event', () => {
    const [first] = parseCcel(log());
    const flipped = log();
    const at = (first?.digest.byteOffset ?? 0) + 5;
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(refusal(() => verifyCcel(flipped, registers()))).toBe('EVENT_LOG_MISMATCH at rtmr0');
  });

  test('is refused for the quote of another machine', () => {
    const { quote } = fixtureJson<GetQuote>('dstack/quote-report.json');
    const other = registersOf(Uint8Array.from(Buffer.from(quote, 'hex')));
    expect(refusal(() => verifyCcel(log(), other))).toBe('EVENT_LOG_MISMATCH at rtmr0');
  });
});

describe.skipIf(!hasFixtures)('logs of dstack guests', () => {
  test('the firmware log of one is read', () => {
    expect(parseCcel(fixture('eventlog/dstack/ccel.bin'))).toHaveLength(18);
  });

  test('the log of a TPM is no log of a TD', () => {
    expect(refusal(() => parseCcel(fixture('eventlog/dstack/tpm_eventlog.bin')))).toBe(
      'MALFORMED_EVENT_LOG at ccel @ 765',
    );
  });

  test.each([
    ['dstack/quote-report.json', 'local-sgx', 1],
    ['dstack/tdx-lite-getquote.json', 'kms', 0],
  ])('%s gives the registers of its quote', (path, keyProvider, ofTheApp) => {
    const { quote, event_log: log } = fixtureJson<GetQuote>(path);
    const { claims, otherEvents } = verifyDstackLog(log, registersOf(Uint8Array.from(Buffer.from(quote, 'hex'))));
    expect(claims.keyProvider.name).toBe(keyProvider);
    expect(claims.composeHash.startsWith(claims.appId)).toBe(true);
    expect(otherEvents).toHaveLength(ofTheApp);
  });

  test('the attestation of the simulator gives the registers of its quote', () => {
    const { quote, log } = readSimulatorAttestation(fixture('dstack/simulator-attestation.bin'));
    expect(verifyDstackLog(log, registersOf(quote)).claims).toMatchObject({
      appId: '0x5bb4ff9a3837357f19dc176407a5709c62eb6c56',
      keyProvider: { name: 'kms' },
      storageFs: 'zfs',
    });
  });

  test('a payload changed with its digest kept', () => {
    const { quote, event_log: log } = fixtureJson<GetQuote>('dstack/quote-report.json');
    const changed = log.replace(
      '3763bc34552cf3a27ff71ad5f7a90471562a1a2df552',
      '3763bc34552cf3a27ff71ad5f7a90471562a1a2df553',
    );
    expect(changed).not.toBe(log);
    expect(refusal(() => verifyDstackLog(changed, registersOf(Uint8Array.from(Buffer.from(quote, 'hex')))))).toBe(
      'EVENT_DIGEST_MISMATCH at eventLog[22].digest',
    );
  });
});

/** Quote and log of a SCALE-encoded attestation, the log as the JSON that GetQuote answers. */
function readSimulatorAttestation(bytes: Uint8Array): { readonly quote: Uint8Array; readonly log: string } {
  const view = Buffer.from(bytes);
  let at = 2;
  const compact = (): number => {
    const mode = (view[at] ?? 0) & 3;
    const length = mode === 0 ? 1 : mode === 1 ? 2 : 4;
    at += length;
    return view.readUIntLE(at - length, length) >>> 2;
  };
  const sized = (): Buffer => {
    const length = compact();
    at += length;
    return view.subarray(at - length, at);
  };
  const u32 = (): number => {
    at += 4;
    return view.readUInt32LE(at - 4);
  };
  const quote = Uint8Array.from(sized());
  const entries = Array.from({ length: compact() }, () => ({
    imr: u32(),
    event_type: u32(),
    digest: sized().toString('hex'),
    event: sized().toString('utf8'),
    event_payload: sized().toString('hex'),
  }));
  return { quote, log: JSON.stringify(entries) };
}
