import { describe, expect, test } from 'vitest';
import { runtimeDigest as digestUnderTest } from '../src/verify/eventLog/runtimeEvent.ts';
import { verifyDstackLog } from '../src/verify/index.ts';
import {
  ascii,
  type DstackEntry,
  dstackLog,
  firmwareEntries,
  guestEvents,
  hash,
  keyProvider,
  refusal,
  registersOf,
  runtimeDigest,
  runtimeEntry,
} from './eventLogWorld.ts';

const good = dstackLog(guestEvents());
/** A log over these events that replays, whatever they are. */
const outcome = (runtime: readonly DstackEntry[]) => {
  const { log, registers } = dstackLog(runtime);
  return refusal(() => verifyDstackLog(log, registers));
};
/** The good log with one runtime entry edited, against the registers of the good one. */
const edited = (name: string, change: Partial<DstackEntry>) => {
  const log = JSON.parse(good.log) as DstackEntry[];
  Object.assign(log.find(({ event }) => event === name) ?? {}, change);
  return refusal(() => verifyDstackLog(JSON.stringify(log), good.registers));
};
const replaced = (name: string, payload: Uint8Array) =>
  outcome(guestEvents().map((entry) => (entry.event === name ? runtimeEntry(name, payload) : entry)));
const without = (...names: readonly string[]) => guestEvents().filter(({ event }) => !names.includes(event));
const place = (name: string) => `eventLog[${3 + guestEvents().findIndex(({ event }) => event === name)}]`;

describe('a log that gives the registers', () => {
  test('becomes claims', () => {
    const { claims, otherEvents, events } = verifyDstackLog(good.log, good.registers);
    expect(claims).toEqual({
      appId: `0x${'a1'.repeat(20)}`,
      composeHash: `0x${'c0'.repeat(32)}`,
      instanceId: `0x${'1d'.repeat(20)}`,
      keyProvider: { name: 'kms', id: '3059' },
      osImageHash: `0x${'05'.repeat(32)}`,
      storageFs: 'zfs',
      initScriptHashes: [`0x${'51'.repeat(32)}`, `0x${'52'.repeat(32)}`],
    });
    expect(otherEvents).toEqual([{ index: 16, name: 'of-the-app', payload: Uint8Array.from(ascii('anything')) }]);
    expect(events).toHaveLength(17);
  });

  test('may be bytes, and may leave out digests that follow from name and payload', () => {
    const bytes = Uint8Array.from(Buffer.from(good.log));
    expect(verifyDstackLog(bytes, good.registers).claims.storageFs).toBe('zfs');
    expect(edited('app-id', { digest: '' })).toBe('ok');
    const log = (JSON.parse(good.log) as DstackEntry[]).map(({ digest, ...entry }) =>
      entry.imr === 3 ? entry : { ...entry, digest },
    );
    expect(refusal(() => verifyDstackLog(JSON.stringify(log), good.registers))).toBe('ok');
  });

  test('may lack what a guest need not have', () => {
    const { log, registers } = dstackLog(
      without(
        'init-script-hash',
        'gpu-policy-hash',
        'gpu-attestation',
        'instance-id',
        'os-image-hash',
        'storage-fs',
        'of-the-app',
      ),
    );
    const { claims, otherEvents } = verifyDstackLog(log, registers);
    expect(claims).toMatchObject({ instanceId: null, osImageHash: null, storageFs: null, initScriptHashes: [] });
    expect(otherEvents).toEqual([]);
  });

  test('may have an empty instance id, as a guest that wants none', () => {
    expect(replaced('instance-id', new Uint8Array(0))).toBe('ok');
  });

  test('names the digest of version 2 by canonical JSON', () => {
    const json = '{"name":"a \\"name\\"","payload":"abcd","type":134217729}';
    expect(digestUnderTest({ name: 'a "name"', payload: Uint8Array.of(0xab, 0xcd), version: 2 })).toEqual(
      Uint8Array.from(hash(ascii(json))),
    );
    const second = hash(ascii('{"name":"app:id","payload":"","type":134217729}')).toString('hex');
    const entry = { ...runtimeEntry('app:id'), digest: second, version: 2 };
    expect(outcome([...guestEvents(), entry])).toBe('ok');
    expect(outcome([...guestEvents(), { ...entry, digest: runtimeEntry('app:id').digest ?? '' }])).toBe(
      'EVENT_DIGEST_MISMATCH at eventLog[17].digest',
    );
    expect(outcome([...guestEvents(), { ...runtimeEntry('said'), version: 1 }])).toBe('ok');
  });
});

describe('a log that was changed', () => {
  test('a payload with its digest kept', () => {
    expect(edited('compose-hash', { event_payload: 'c1'.repeat(32) })).toBe(
      `EVENT_DIGEST_MISMATCH at ${place('compose-hash')}.digest`,
    );
  });

  test('a name with its digest kept', () => {
    expect(edited('of-the-app', { event: 'of-another-app' })).toBe(
      `EVENT_DIGEST_MISMATCH at ${place('of-the-app')}.digest`,
    );
  });

  test('a payload with its digest left out, or made anew', () => {
    const payload = Buffer.alloc(32, 0xc1);
    expect(edited('compose-hash', { event_payload: payload.toString('hex'), digest: '' })).toBe(
      'EVENT_LOG_MISMATCH at rtmr3',
    );
    expect(edited('compose-hash', runtimeEntry('compose-hash', payload))).toBe('EVENT_LOG_MISMATCH at rtmr3');
  });

  test('a payload moved across the colon into the name', () => {
    const entry = runtimeEntry('note', ascii('one:two'));
    const { registers } = dstackLog([...guestEvents(), entry]);
    const moved: DstackEntry = { ...entry, event: 'note:one', event_payload: ascii('two').toString('hex') };
    expect(runtimeDigest(moved.event, ascii('two'))).toEqual(runtimeDigest('note', ascii('one:two')));
    const { log } = dstackLog([...guestEvents(), moved]);
    expect(refusal(() => verifyDstackLog(log, registers))).toBe('MALFORMED_EVENT_LOG at eventLog[17].event');
  });

  test('events dropped, added, or in another order', () => {
    const against = (runtime: readonly DstackEntry[]) =>
      refusal(() => verifyDstackLog(dstackLog(runtime).log, good.registers));
    expect(against(without('of-the-app'))).toBe('EVENT_LOG_MISMATCH at rtmr3');
    expect(against([...guestEvents(), runtimeEntry('more')])).toBe('EVENT_LOG_MISMATCH at rtmr3');
    expect(against(guestEvents().toReversed())).toBe('EVENT_LOG_MISMATCH at rtmr3');
  });

  test.each([0, 1, 2])('a digest of the firmware in RTMR%i', (imr) => {
    const log = JSON.parse(good.log) as DstackEntry[];
    Object.assign(log[imr] ?? {}, { digest: '00'.repeat(48) });
    expect(refusal(() => verifyDstackLog(JSON.stringify(log), good.registers))).toBe(
      `EVENT_LOG_MISMATCH at rtmr${imr}`,
    );
  });
});

describe('boot events have their number and place, though the registers hold', () => {
  test.each(['system-preparing', 'app-id', 'compose-hash', 'boot-mr-done', 'key-provider', 'system-ready'])(
    'without %s',
    (name) => {
      expect(outcome(without(name))).toBe('EVENT_MISSING at eventLog');
    },
  );

  test.each(guestEvents().filter(({ event }) => !['init-script-hash', 'of-the-app'].includes(event)))(
    'a second $event by the app, after the system was ready',
    (entry) => {
      expect(outcome([...guestEvents(), entry])).toBe('EVENT_DUPLICATE at eventLog[17]');
    },
  );

  test('a second compose-hash beside the first', () => {
    expect(outcome(guestEvents().toSpliced(3, 0, runtimeEntry('compose-hash', Buffer.alloc(32, 1))))).toBe(
      'EVENT_DUPLICATE at eventLog[6]',
    );
  });

  test('a sixth init script', () => {
    const scripts = (count: number) =>
      guestEvents().toSpliced(
        3,
        2,
        ...Array.from({ length: count }, () => runtimeEntry('init-script-hash', Buffer.alloc(32))),
      );
    expect(outcome(scripts(5))).toBe('ok');
    expect(outcome(scripts(6))).toBe('EVENT_DUPLICATE at eventLog[11]');
  });

  test.each(['os-image-hash', 'storage-fs', 'instance-id'])(
    'the only %s comes from the app, after the system was ready',
    (name) => {
      const entry = guestEvents().find(({ event }) => event === name) ?? runtimeEntry(name);
      expect(outcome([...without(name), entry])).toBe('EVENT_MISPLACED at eventLog[16]');
    },
  );

  test('boot events in another order', () => {
    const events = guestEvents();
    const [appId, composeHash] = [events[1], events[2]];
    if (appId === undefined || composeHash === undefined) throw new Error('no events');
    expect(outcome(events.with(1, composeHash).with(2, appId))).toBe('EVENT_MISPLACED at eventLog[5]');
  });

  test('events of other names may stand anywhere, as those of other versions do', () => {
    expect(outcome(guestEvents().toSpliced(2, 0, runtimeEntry('rootfs-hash', Buffer.alloc(32))))).toBe('ok');
  });

  test('an event of the firmware is no boot event, whatever its name', () => {
    const named = { ...(firmwareEntries()[0] as DstackEntry), event: 'compose-hash' };
    expect(outcome([named, ...guestEvents()])).toBe('ok');
    const inRtmr3 = { ...named, imr: 3 };
    expect(outcome([...without('compose-hash').toSpliced(2, 0, inRtmr3)])).toBe('EVENT_MISSING at eventLog');
  });
});

describe('payloads have their form', () => {
  test.each([
    ['app-id', Buffer.alloc(19)],
    ['app-id', Buffer.alloc(21)],
    ['compose-hash', Buffer.alloc(31)],
    ['compose-hash', Buffer.alloc(0)],
    ['instance-id', Buffer.alloc(1)],
    ['os-image-hash', Buffer.alloc(33)],
    ['init-script-hash', Buffer.alloc(48)],
    ['storage-fs', Buffer.of(0xff)],
    ['key-provider', Buffer.of(0xff)],
    ['key-provider', ascii('[]')],
  ])('%s of %o', (name, payload) => {
    expect(replaced(name, payload)).toBe(`MALFORMED_EVENT_LOG at ${place(name)}.event_payload`);
  });

  test.each([
    ['{"name":"kms"}', 'MALFORMED_EVENT_LOG', '.id'],
    ['{"id":"00"}', 'MALFORMED_EVENT_LOG', '.name'],
    ['{"name":"kms","id":1}', 'MALFORMED_EVENT_LOG', '.id'],
    [`{"name":"${'k'.repeat(65)}","id":""}`, 'MALFORMED_EVENT_LOG', '.name'],
    [`{"name":"kms","id":"${'0'.repeat(4097)}"}`, 'MALFORMED_EVENT_LOG', '.id'],
    ['{"name":"kms","id":"","more":1}', 'MALFORMED_EVENT_LOG', ''],
    ['{', 'MALFORMED_JSON', ''],
  ])('a key provider %s', (json, code, member) => {
    expect(replaced('key-provider', ascii(json))).toBe(`${code} at ${place('key-provider')}.event_payload${member}`);
  });

  test('the longest key provider', () => {
    expect(replaced('key-provider', ascii(`{"name":"${'k'.repeat(64)}","id":"${'0'.repeat(4096)}"}`))).toBe('ok');
    expect(keyProvider.length).toBeLessThan(64);
  });
});

describe('what is no log', () => {
  const entry = firmwareEntries()[0] as DstackEntry;
  const runtime = runtimeEntry('app-id');
  const one = (change: object, base: object = entry) => JSON.stringify([{ ...base, ...change }]);
  test.each<[string, string | Uint8Array, string]>([
    ['nothing', '', 'MALFORMED_JSON at eventLog'],
    ['no list', '{}', 'MALFORMED_EVENT_LOG at eventLog'],
    ['no UTF-8', Uint8Array.of(0x5b, 0xff, 0x5d), 'MALFORMED_EVENT_LOG at eventLog'],
    ['an entry that is no object', '[1]', 'MALFORMED_EVENT_LOG at eventLog[0]'],
    ['another field', one({ more: 1 }), 'MALFORMED_EVENT_LOG at eventLog[0]'],
    ['a fifth register', one({ imr: 4 }), 'MALFORMED_EVENT_LOG at eventLog[0].imr'],
    ['a register that is text', one({ imr: '0' }), 'MALFORMED_EVENT_LOG at eventLog[0].imr'],
    ['a runtime event in RTMR2', one({ imr: 2 }, runtime), 'MALFORMED_EVENT_LOG at eventLog[0].imr'],
    ['a type beyond 32 bits', one({ event_type: 2 ** 32 }), 'MALFORMED_EVENT_LOG at eventLog[0].event_type'],
    ['a digest of 32 bytes', one({ digest: '00'.repeat(32) }), 'MALFORMED_EVENT_LOG at eventLog[0].digest'],
    ['a digest that is no hexadecimal', one({ digest: 'zz'.repeat(48) }), 'MALFORMED_EVENT_LOG at eventLog[0].digest'],
    ['an event of the firmware without digest', one({ digest: '' }), 'MALFORMED_EVENT_LOG at eventLog[0].digest'],
    [
      'an event of the firmware that lacks the field',
      one({ digest: undefined }),
      'MALFORMED_EVENT_LOG at eventLog[0].digest',
    ],
    ['a runtime digest of 1 byte', one({ digest: '00' }, runtime), 'MALFORMED_EVENT_LOG at eventLog[0].digest'],
    ['a name that is no text', one({ event: 1 }), 'MALFORMED_EVENT_LOG at eventLog[0].event'],
    ['a name of 257 characters', one({ event: 'n'.repeat(257) }), 'MALFORMED_EVENT_LOG at eventLog[0].event'],
    [
      'a name with half a character',
      '[{"imr":3,"event_type":134217729,"event":"\\ud800","event_payload":""}]',
      'MALFORMED_EVENT_LOG at eventLog[0].event',
    ],
    ['a payload of odd length', one({ event_payload: '0' }), 'MALFORMED_EVENT_LOG at eventLog[0].event_payload'],
    ['a payload with 0x', one({ event_payload: '0x00' }), 'MALFORMED_EVENT_LOG at eventLog[0].event_payload'],
    ['a payload with a line break', one({ event_payload: '00\n' }), 'MALFORMED_EVENT_LOG at eventLog[0].event_payload'],
    ['no payload', one({ event_payload: undefined }), 'MALFORMED_EVENT_LOG at eventLog[0].event_payload'],
    ['version 0', one({ version: 0 }), 'MALFORMED_EVENT_LOG at eventLog[0].version'],
    ['version 3', one({ version: 3 }), 'MALFORMED_EVENT_LOG at eventLog[0].version'],
    ['version as text', one({ version: '2' }), 'MALFORMED_EVENT_LOG at eventLog[0].version'],
    ['more than 4096 events', JSON.stringify(Array(4097).fill(entry)), 'MALFORMED_EVENT_LOG at eventLog'],
    ['more than 2 MB', ' '.repeat(2 * 1024 * 1024 + 1), 'TOO_LARGE at eventLog'],
    ['brackets without end', '['.repeat(10_000), 'MALFORMED_JSON at eventLog'],
  ])('%s', (_, log, expected) => {
    expect(refusal(() => verifyDstackLog(log, good.registers))).toBe(expected);
  });

  test('4096 events and the longest name are read', () => {
    const entries: DstackEntry[] = Array.from({ length: 4096 }, () => ({ ...entry, event: 'n'.repeat(256) }));
    const registers = registersOf(
      entries.map(({ imr, digest }) => ({ rtmr: imr, digest: Buffer.from(digest ?? '', 'hex') })),
    );
    expect(refusal(() => verifyDstackLog(JSON.stringify(entries), registers))).toBe('EVENT_MISSING at eventLog');
  });
});
