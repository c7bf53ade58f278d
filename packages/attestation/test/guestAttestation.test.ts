import {
  type Bytes32,
  type GuestAttestation,
  type GuestInstance,
  guestInstanceId,
  guestLogDigest,
  guestReportData,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import {
  EvidenceVerifier,
  type ExpectedGuest,
  evidenceDocument,
  replay,
  runtimeDigest,
  runtimeEventType,
  verifyGuestAttestation,
} from '../src/verify/index.ts';
import { laterMessageOf } from './mutants/messageOf.ts';
import { makeWorld, measurements, now } from './synthetic.ts';

const world = makeWorld();
const verifier = new EvidenceVerifier({ roots: [world.root.trustRoot] });
const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const domain = { chainId: 31_337, registry: `0x${'0e'.repeat(20)}` as const };
const key = generateSecp256k1();
const app = b32(0xa9);
const manifest = b32(0x3a);
const chosen = utf8('nonce');
const expected: ExpectedGuest = { ...domain, app, reportData: chosen };
const padded = (bytes: Uint8Array): Uint8Array => {
  const filled = new Uint8Array(64);
  filled.set(bytes);
  return filled;
};

type Event = readonly [name: string, payload: Uint8Array];
const beginning: readonly Event[] = [
  ['app-id', fromHex(app)],
  ['compose-hash', fromHex(manifest)],
];
const ready: Event = ['system-ready', new Uint8Array()];
const emitted: Event = ['emitted', utf8('by the app')];

type Changes = {
  readonly instance?: Partial<GuestInstance>;
  readonly chosen?: Uint8Array;
  readonly events?: readonly Event[];
  /** How many events the worker signs, where that is not how many there are. */
  readonly count?: number;
  readonly signer?: SecretBytes;
  /** What the evidence is bound to. */
  readonly bound?: (reportData: Uint8Array) => Uint8Array;
  readonly edit?: (good: GuestAttestation) => GuestAttestation;
};

/** What a worker answers to a guest that chose 64 bytes: good but for the changes, and then signed by it. */
function attestation(changes: Changes = {}): GuestAttestation {
  const { events = [...beginning, ready, emitted], bound = (same) => same, edit = (same) => same } = changes;
  const instance = { receiptSigner: addressOf(key), app, manifest, keyVersion: 1, nonce: b32(9), ...changes.instance };
  const digests = events.map(([name, payload]) => runtimeDigest({ name, payload, version: 1 }));
  const register = replay(digests.map((digest) => ({ register: 'rtmr3', digest }))).rtmr3;
  const id = guestInstanceId(instance);
  const count = changes.count ?? events.length;
  const said = { instance: id, events: count, register: fromHex(register) };
  const signature = toHex(signDigest(changes.signer ?? key, fromHex(guestLogDigest(domain, said))));
  const x = padded(changes.chosen ?? chosen);
  const reportData = bound(guestReportData({ ...domain, app: instance.app, instance: id }, x));
  const quote = mintQuote(world.platform, { ...measurements, reportData });
  return edit({
    format: 'cloister-guest-attestation-1',
    reportData: toHex(x),
    statement: { format: 'cloister-guest-1', ...domain, ...instance, log: { events: count, register, signature } },
    eventLog: JSON.stringify(
      events.map(([name, payload], index) => ({
        imr: 3,
        event_type: runtimeEventType,
        digest: toHex(digests[index] as Uint8Array).slice(2),
        event: name,
        event_payload: toHex(payload).slice(2),
      })),
    ),
    evidence: { ...evidenceDocument(quote, world.collateral) } as unknown as GuestAttestation['evidence'],
  });
}

const verify = (changes: Changes = {}, other: Partial<ExpectedGuest> = {}) =>
  verifyGuestAttestation(verifier, attestation(changes), { ...expected, ...other }, now);
/** `ok`, or `CODE at place: message`. */
const verdict = (changes: Changes = {}, other: Partial<ExpectedGuest> = {}) =>
  laterMessageOf(() => verify(changes, other));

describe('an attestation of a guest', () => {
  test('says which instance it is, on which machine, and what the app emitted after its beginning', async () => {
    const again: Event = ['app-id', utf8('a name that the beginning has too')];
    const { claims, statement, events } = await verify({ events: [...beginning, ready, emitted, again, ready] });
    expect(claims).toMatchObject({ simulated: true, teeType: 'tdx' });
    expect(statement).toMatchObject({ app, manifest, keyVersion: 1, nonce: b32(9), receiptSigner: addressOf(key) });
    expect(events).toEqual([emitted, again, ready].map(([name, payload]) => ({ name, payload })));
  });

  test('may have emitted nothing, and events before it was ready are none of its', async () => {
    expect((await verify({ events: [...beginning, ready] })).events).toEqual([]);
    const early: Event = ['boot-mr-done', Uint8Array.of(1)];
    expect((await verify({ events: [...beginning, early, ready, emitted] })).events).toEqual([
      { name: 'emitted', payload: utf8('by the app') },
    ]);
  });

  test('is of all 64 bytes that the app chose, or of fewer and zeros', async () => {
    const whole = new Uint8Array(64).fill(7);
    expect(await verdict({ chosen: whole }, { reportData: whole })).toBe('ok');
    expect(await verdict({}, { reportData: padded(chosen) })).toBe('ok');
    expect(await verdict({ chosen: new Uint8Array() }, { reportData: new Uint8Array() })).toBe('ok');
  });

  test('with what was asked in 65 bytes, of which the first 64 were chosen, is refused', async () => {
    const whole = new Uint8Array(64).fill(7);
    expect(await verdict({ chosen: whole }, { reportData: Uint8Array.of(...whole, 7) })).toContain(
      'REPORT_DATA_MISMATCH at reportData: ',
    );
  });

  test.each<[string, Partial<ExpectedGuest>, string]>([
    ['another chain', { chainId: 5 }, 'Expected "5" at "statement.chainId", got "31337"'],
    ['another registry', { registry: `0x${'0f'.repeat(20)}` }, '"statement.registry"'],
    ['another app', { app: b32(1) }, `Expected "${b32(1)}" at "statement.app", got "${app}"`],
    ['another question', { reportData: utf8('other') }, `Expected "${toHex(utf8('other'))}" at "reportData"`],
  ])('for %s is refused', async (_, other, message) => {
    expect(await verdict({}, other)).toContain('REPORT_DATA_MISMATCH');
    expect(await verdict({}, other)).toContain(message);
  });

  test('whose evidence is bound to something else, or is none, is refused', async () => {
    expect(await verdict({ bound: (good) => good.with(63, 1) })).toContain(
      'REPORT_DATA_MISMATCH at claims.reportData: ',
    );
    expect(await verdict({ edit: (good) => ({ ...good, evidence: {} }) })).toContain('at evidence');
  });

  const statement =
    (change: Partial<GuestAttestation['statement']>) =>
    (good: GuestAttestation): GuestAttestation => ({ ...good, statement: { ...good.statement, ...change } });
  test.each<[string, Partial<GuestAttestation['statement']>]>([
    ['manifest', { manifest: b32(7) }],
    ['receipt signer', { receiptSigner: `0x${'33'.repeat(20)}` }],
    ['version of its key', { keyVersion: 2 }],
    ['nonce', { nonce: b32(8) }],
  ])('of an instance with another %s is refused by its evidence', async (_, change) => {
    expect(await verdict({ edit: statement(change) })).toContain('REPORT_DATA_MISMATCH at claims.reportData: ');
  });

  test('with a log that another signed is refused, and the message names both', async () => {
    const stranger = generateSecp256k1();
    expect(await verdict({ signer: stranger })).toBe(
      `SIGNATURE_INVALID at statement.log.signature: Expected the log to be signed by "${addressOf(key)}", got "${addressOf(stranger)}"`,
    );
  });
});

describe('the log of a guest', () => {
  const editLog = (change: (events: Record<string, unknown>[]) => unknown[]): Changes => ({
    edit: (good) => ({ ...good, eventLog: JSON.stringify(change(JSON.parse(good.eventLog))) }),
  });

  test("with an event of the firmware's is refused", async () => {
    const foreign = editLog((events) => events.map((event, at) => (at === 3 ? { ...event, event_type: 1 } : event)));
    expect(await verdict(foreign)).toContain("MALFORMED_EVENT_LOG at eventLog[3].event_type: Expected a guest's event");
  });

  test.each<[string, Changes]>([
    ['without its last event', editLog((events) => events.slice(0, -1))],
    ['with one more', editLog((events) => [...events, events.at(-1)])],
    ['of which the worker signed another count', { count: 3 }],
    ['of which the worker signed a larger count', { count: 5 }],
  ])('%s is refused', async (_, changes) => {
    expect(await verdict(changes)).toContain('EVENT_LOG_MISMATCH at eventLog: ');
  });

  test('with another payload than was measured is refused by that event', async () => {
    const changed = editLog((events) =>
      events.map((event, at) => (at === 3 ? { ...event, event_payload: 'ff' } : event)),
    );
    expect(await verdict(changed)).toContain('EVENT_DIGEST_MISMATCH at eventLog[3].digest');
  });

  test('with another event in the place of one, by its own digest, is refused', async () => {
    const digest = toHex(runtimeDigest({ name: 'emitted', payload: Uint8Array.of(1), version: 1 })).slice(2);
    const replaced = editLog((events) =>
      events.map((event, at) => (at === 3 ? { ...event, digest, event_payload: '01' } : event)),
    );
    expect(await verdict(replaced)).toContain('EVENT_LOG_MISMATCH at eventLog: ');
  });

  const missing = (index: number, name: string) =>
    `EVENT_MISSING at eventLog[${index}]: Expected event "${name}" of this app`;
  test.each<[string, readonly Event[], string]>([
    ['is empty', [], missing(0, 'app-id')],
    ['begins later', [ready], missing(0, 'app-id')],
    ['names another app', [['app-id', fromHex(b32(1))], ...beginning.slice(1), ready], missing(0, 'app-id')],
    ['says that of another name', [['app', fromHex(app)], ...beginning.slice(1), ready], missing(0, 'app-id')],
    ['ends after the app', beginning.slice(0, 1), missing(1, 'compose-hash')],
    [
      'names another manifest',
      [...beginning.slice(0, 1), ['compose-hash', fromHex(b32(1))], ready],
      missing(1, 'compose-hash'),
    ],
    ['is never ready', [...beginning, emitted], 'EVENT_MISSING at eventLog: Expected event "system-ready"'],
  ])('that %s is refused, though signed', async (_, events, message) => {
    expect(await verdict({ events })).toContain(message);
  });
});
