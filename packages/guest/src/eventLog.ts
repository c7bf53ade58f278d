import { runtimeDigest, runtimeEventType } from '@cloister/attestation/verify';
import { type Bytes32, type GuestInstance, guestInstanceId } from '@cloister/core';
import { concatBytes, fromHex, sha384, toHex, utf8 } from '@cloister/crypto';
import { GuestError } from './guestError.ts';

/** Bounds of one instance's log, in events and bytes; those of its beginning do not count. */
export const guestLogBounds = { events: 256, nameBytes: 64, payloadBytes: 1_024 } as const;

/** One event in dstack's form: byte strings in hexadecimal without 0x. */
export type GuestEvent = {
  readonly imr: 3;
  readonly event_type: number;
  readonly digest: string;
  readonly event: string;
  readonly event_payload: string;
};

const register3 = 3;
/** Visible ASCII without a colon, which would make two events of one digest. */
const eventName = /^[\x21-\x39\x3b-\x7e](?:[\x20-\x39\x3b-\x7e]*[\x21-\x39\x3b-\x7e])?$/;

/**
 * What one instance says of itself, in dstack's form and by its rule: register = SHA-384(register ‖ digest). It begins with whose log
 * it is and `system-ready`; what follows is the app's own. Nothing is ever taken out. No register of the hardware stands behind it: the
 * worker keeps it and signs for it.
 */
export class GuestEventLog {
  readonly #events: GuestEvent[] = [];
  readonly #ownEvents: number;
  #register: Uint8Array = new Uint8Array(48);

  constructor(instance: GuestInstance) {
    const { app, manifest, keyVersion } = instance;
    this.#add('app-id', fromHex(app));
    this.#add('compose-hash', fromHex(manifest));
    this.#add('key-version', utf8(String(keyVersion)));
    this.#add('instance-id', fromHex(guestInstanceId(instance) as Bytes32));
    this.#add('system-ready', new Uint8Array());
    this.#ownEvents = this.#events.length;
  }

  /** Throws GUEST_EVENT_REFUSED, GUEST_LOG_FULL; the log is then as before. */
  emit(name: string, payload: Uint8Array): void {
    if (name.length > guestLogBounds.nameBytes || !eventName.test(name))
      throw new GuestError(
        'GUEST_EVENT_REFUSED',
        `An event's name has 1 to "${guestLogBounds.nameBytes}" visible ASCII characters and no ":", got "${name.slice(0, 80)}"`,
      );
    if (payload.length > guestLogBounds.payloadBytes)
      throw new GuestError(
        'GUEST_EVENT_REFUSED',
        `An event carries at most "${guestLogBounds.payloadBytes}" bytes, got "${payload.length}"`,
        'Emit its hash',
      );
    if (this.#events.length - this.#ownEvents >= guestLogBounds.events)
      throw new GuestError('GUEST_LOG_FULL', `An instance emits at most "${guestLogBounds.events}" events`);
    this.#add(name, payload);
  }

  /** All events so far, oldest first. */
  get events(): readonly GuestEvent[] {
    return [...this.#events];
  }

  /** 48 bytes, a copy. */
  get register(): Uint8Array {
    return this.#register.slice();
  }

  #add(name: string, payload: Uint8Array): void {
    const digest = runtimeDigest({ name, payload, version: 1 });
    this.#register = sha384(concatBytes(this.#register, digest));
    this.#events.push({
      imr: register3,
      event_type: runtimeEventType,
      digest: toHex(digest).slice(2),
      event: name,
      event_payload: toHex(payload).slice(2),
    });
  }
}
