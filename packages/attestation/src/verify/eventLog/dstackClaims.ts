import type { Hex } from '@cloister/core';
import { fromUtf8, toHex } from '@cloister/crypto';
import { JsonValue } from '../json.ts';
import { type DstackEvent, runtimeEventType } from './dstackLog.ts';
import { eventLogError } from './eventLogError.ts';

/** What a dstack guest measured of itself at boot, in RTMR3. Byte strings are lower-case hexadecimal with 0x. */
export type DstackClaims = {
  /** 20 bytes. */
  readonly appId: Hex;
  /** 32 bytes: SHA-256 of the app's compose file, which names its containers. */
  readonly composeHash: Hex;
  /** 20 bytes; null where the app asked for none. */
  readonly instanceId: Hex | null;
  /** Who gave the guest its disk and app keys. */
  readonly keyProvider: { readonly name: string; readonly id: string };
  /** 32 bytes, as the key provider stated it; null without one. The image is proven by MRTD and RTMR0 to 2, not by this. */
  readonly osImageHash: Hex | null;
  readonly storageFs: string | null;
  /** 32 bytes each. */
  readonly initScriptHashes: readonly Hex[];
};

/** An event that is none of those above: of another dstack version, or emitted by the app. */
export type OtherDstackEvent = { readonly index: number; readonly name: string; readonly payload: Uint8Array };

/** Boot events in their order, and how often each may stand (dstack, `dstack-util/src/system_setup.rs`). */
const bootEvents = [
  { name: 'system-preparing', max: 1 },
  { name: 'app-id', max: 1 },
  { name: 'compose-hash', max: 1 },
  { name: 'init-script-hash', max: 5 },
  { name: 'gpu-policy-hash', max: 1 },
  { name: 'gpu-attestation', max: 1 },
  { name: 'instance-id', max: 1 },
  { name: 'boot-mr-done', max: 1 },
  { name: 'os-image-hash', max: 1 },
  { name: 'key-provider', max: 1 },
  { name: 'storage-fs', max: 1 },
  { name: 'system-ready', max: 1 },
] as const;

/** Events that mark a step and carry nothing. */
const steps = ['system-preparing', 'boot-mr-done', 'system-ready'] as const;

type BootEventName = (typeof bootEvents)[number]['name'];
type BootEvents = ReadonlyMap<string, readonly DstackEvent[]>;

/**
 * Reads the boot events out of a log whose replay has given the registers. A boot event has its place: one that comes twice, in
 * another order or after `system-ready` is refused, because after that the app itself may extend RTMR3 with any name.
 * Throws EVENT_MISSING, EVENT_DUPLICATE, EVENT_MISPLACED, MALFORMED_EVENT_LOG, MALFORMED_JSON.
 */
export function readDstackClaims(events: readonly DstackEvent[]): {
  readonly claims: DstackClaims;
  readonly otherEvents: readonly OtherDstackEvent[];
} {
  const runtime = events.filter(({ type }) => type === runtimeEventType);
  const boot = collectBootEvents(runtime);
  for (const step of steps) required(boot, step);
  const instanceId = boot.get('instance-id')?.[0];
  const osImageHash = boot.get('os-image-hash')?.[0];
  const storageFs = boot.get('storage-fs')?.[0];
  return {
    claims: {
      appId: bytesOf(required(boot, 'app-id'), 20),
      composeHash: bytesOf(required(boot, 'compose-hash'), 32),
      instanceId: instanceId === undefined || instanceId.payload.length === 0 ? null : bytesOf(instanceId, 20),
      keyProvider: keyProviderOf(required(boot, 'key-provider')),
      osImageHash: osImageHash === undefined ? null : bytesOf(osImageHash, 32),
      storageFs: storageFs === undefined ? null : textOf(storageFs),
      initScriptHashes: (boot.get('init-script-hash') ?? []).map((event) => bytesOf(event, 32)),
    },
    otherEvents: runtime
      .filter(({ name }) => rankOf(name) < 0)
      .map(({ index, name, payload }) => ({ index, name, payload })),
  };
}

function collectBootEvents(events: readonly DstackEvent[]): BootEvents {
  const found = new Map<string, DstackEvent[]>();
  let reached = 0;
  for (const event of events) {
    const rank = rankOf(event.name);
    const kind = bootEvents[rank];
    if (kind === undefined) continue;
    const before = found.get(event.name) ?? [];
    if (before.length === kind.max)
      throw eventLogError('EVENT_DUPLICATE', placeOf(event), `Expected at most ${kind.max} of this event`, event.name);
    if (rank < reached)
      throw eventLogError('EVENT_MISPLACED', placeOf(event), 'Expected this event earlier', event.name);
    reached = rank;
    found.set(event.name, [...before, event]);
  }
  return found;
}

function rankOf(name: string): number {
  return bootEvents.findIndex((event) => event.name === name);
}

function placeOf(event: DstackEvent): string {
  return `eventLog[${event.index}]`;
}

function required(boot: BootEvents, name: BootEventName): DstackEvent {
  const event = boot.get(name)?.[0];
  if (event === undefined) throw eventLogError('EVENT_MISSING', 'eventLog', `Expected the event "${name}"`);
  return event;
}

function bytesOf(event: DstackEvent, length: number): Hex {
  if (event.payload.length !== length)
    throw eventLogError(
      'MALFORMED_EVENT_LOG',
      `${placeOf(event)}.event_payload`,
      `Expected ${length} bytes for "${event.name}"`,
      event.payload.length,
    );
  return toHex(event.payload);
}

function textOf(event: DstackEvent): string {
  try {
    return fromUtf8(event.payload);
  } catch {
    throw eventLogError('MALFORMED_EVENT_LOG', `${placeOf(event)}.event_payload`, 'Expected UTF-8');
  }
}

/** JSON `{"name": …, "id": …}`: the id is a key in hexadecimal, or empty. */
function keyProviderOf(event: DstackEvent): DstackClaims['keyProvider'] {
  const json = JsonValue.parse(textOf(event), `${placeOf(event)}.event_payload`, 'MALFORMED_EVENT_LOG');
  json.onlyMembers(['name', 'id']);
  return { name: json.member('name').text(64), id: json.member('id').text(4096) };
}
