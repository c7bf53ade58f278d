import { fromHex, fromUtf8 } from '@cloister/crypto';
import { assertAtMost } from '../bounds.ts';
import { JsonValue } from '../json.ts';
import { eventLogError } from './eventLogError.ts';
import { type RegisterName, registerNames } from './registers.ts';

/** Bounds of a log: real ones have 5 to 17 kB and 30 events. */
export const dstackLogBounds = { bytes: 2 * 1024 * 1024, events: 4096, name: 256 } as const;

/** dstack's own event type, of everything that its guest measures at run time; the rest comes from the firmware's log. */
export const runtimeEventType = 0x08000001;

/** One entry of the log, its form checked only. */
export type DstackEvent = {
  /** Its number in the log. */
  readonly index: number;
  readonly register: RegisterName;
  readonly type: number;
  /** 48 bytes, or undefined where the log leaves it out. */
  readonly digest: Uint8Array | undefined;
  readonly name: string;
  readonly payload: Uint8Array;
  /** How the digest of a runtime event is made. */
  readonly version: 1 | 2;
};

/**
 * Reads the event log of a dstack guest, as its agent's GetQuote answers it: a JSON list of
 * `{imr, event_type, digest, event, event_payload}`, byte strings in hexadecimal, `version` where it is not 1 (Dstack-TEE/dstack,
 * `cc-eventlog`). Throws MALFORMED_EVENT_LOG, MALFORMED_JSON, TOO_LARGE.
 * @param log the text, or its UTF-8 bytes
 */
export function parseDstackLog(log: string | Uint8Array): readonly DstackEvent[] {
  assertAtMost(log.length, dstackLogBounds.bytes, 'eventLog');
  const json = JsonValue.parse(typeof log === 'string' ? log : textOf(log), 'eventLog', 'MALFORMED_EVENT_LOG');
  return json.items(dstackLogBounds.events).map(readEvent);
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw eventLogError('MALFORMED_EVENT_LOG', 'eventLog', 'Expected UTF-8');
  }
}

function readEvent(json: JsonValue, index: number): DstackEvent {
  json.onlyMembers(['imr', 'event_type', 'digest', 'event', 'event_payload', 'version']);
  const type = json.member('event_type').integer(0xffffffff);
  const register = registerNames[json.member('imr').integer(0xffffffff)];
  if (register === undefined || (type === runtimeEventType && register !== 'rtmr3'))
    throw json.member('imr').fail('Expected 0 to 3, and 3 for a runtime event');
  return {
    index,
    register,
    type,
    digest: readDigest(json.member('digest')),
    name: readName(json.member('event')),
    payload: readHex(json.member('event_payload')),
    version: readVersion(json.member('version')),
  };
}

/** Small logs leave out the digests of runtime events, which follow from their names and payloads. */
function readDigest(json: JsonValue): Uint8Array | undefined {
  return json.absent || json.raw === '' ? undefined : json.bytes(48);
}

function readName(json: JsonValue): string {
  const name = json.text(dstackLogBounds.name);
  if (!name.isWellFormed()) throw json.fail('Expected text without lone surrogates');
  return name;
}

function readHex(json: JsonValue): Uint8Array {
  const text = json.text(dstackLogBounds.bytes);
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw json.fail('Expected bytes in hexadecimal');
  return fromHex(text);
}

function readVersion(json: JsonValue): 1 | 2 {
  const version = json.absent ? 1 : json.raw;
  if (version !== 1 && version !== 2) throw json.fail('Expected version 1 or 2');
  return version;
}
