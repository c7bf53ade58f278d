import { concatBytes, equalBytes, sha384, toHex, utf8 } from '@cloister/crypto';
import { type DstackEvent, runtimeEventType } from './dstackLog.ts';
import { eventLogError } from './eventLogError.ts';

const colon = Uint8Array.of(0x3a);
/** The event type, little-endian. */
const typeBytes = Uint8Array.of(0x01, 0x00, 0x00, 0x08);

/**
 * What dstack extends for an event of its own (`cc-eventlog/src/runtime_events.rs`): version 1 is
 * SHA-384(type ‖ ":" ‖ name ‖ ":" ‖ payload), version 2 is SHA-384 of the canonical JSON (RFC 8785) of name, payload and type.
 * Version 1 does not say where a name ends: `a` with payload `b:c` and `a:b` with payload `c` have one digest, so a name with a
 * colon is refused by {@link measuredDigest}.
 */
export function runtimeDigest(event: Pick<DstackEvent, 'name' | 'payload' | 'version'>): Uint8Array {
  const { name, payload, version } = event;
  if (version === 1) return sha384(concatBytes(typeBytes, colon, utf8(name), colon, payload));
  const json = { name, payload: toHex(payload).slice(2), type: runtimeEventType };
  return sha384(utf8(JSON.stringify(json)));
}

/**
 * The digest that an entry stands for: made anew for dstack's own events, so that name and payload are what was measured; as
 * stated for the firmware's. Throws EVENT_DIGEST_MISMATCH, MALFORMED_EVENT_LOG.
 */
export function measuredDigest(event: DstackEvent): Uint8Array {
  const place = `eventLog[${event.index}]`;
  if (event.type !== runtimeEventType) {
    if (event.digest === undefined) throw eventLogError('MALFORMED_EVENT_LOG', `${place}.digest`, 'Expected a digest');
    return event.digest;
  }
  if (event.version === 1 && event.name.includes(':'))
    throw eventLogError('MALFORMED_EVENT_LOG', `${place}.event`, 'Expected a name without ":"', event.name);
  const digest = runtimeDigest(event);
  if (event.digest !== undefined && !equalBytes(event.digest, digest))
    throw eventLogError(
      'EVENT_DIGEST_MISMATCH',
      `${place}.digest`,
      `Expected "${toHex(digest)}", the digest of event "${event.name}"`,
      toHex(event.digest),
      'Name or payload of the event were changed',
    );
  return digest;
}
