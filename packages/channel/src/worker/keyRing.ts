import { engine, keyScheduleContext, randomBytes, type SecretBytes } from '@cloister/crypto';
import { ChannelError } from '../shared/channelError.ts';
import { encodeKeyConfig } from '../shared/keyConfiguration.ts';
import {
  defaultMessageLimits,
  hardMaxBodyBytes,
  type MessageLimits,
  maxMethodLength,
  maxPathLength,
} from '../shared/limits.ts';
import { paddedRequestLength } from '../shared/padding.ts';
import { requestHeader, requestHeaderLength, requestInfo, requestOverhead } from '../shared/requestContext.ts';
import { type OpenedRequest, openRequest, type RecipientKey } from './openRequest.ts';
import { ReplayCache } from './replayCache.ts';

export type KeyRingInit = {
  /** How long a key is announced, at most. Seconds. @default 21_600 */
  readonly announceSeconds?: number;
  /** How long a key is accepted after its `notAfter`. Seconds. @default 600 */
  readonly graceSeconds?: number;
  /** Requests that one key opens before it is retired: the size of its replay cache, about 100 bytes each. @default 250_000 */
  readonly maxRequestsPerKey?: number;
  /** @default defaultMessageLimits */
  readonly limits?: MessageLimits;
};

/** A key as it is announced; the receipt signer signs `config`'s hash with the two times. */
export type AnnouncedKey = {
  /** The RFC 9458 key configuration. */
  readonly config: Uint8Array;
  /** Unix seconds, block time. */
  readonly notBefore: number;
  /** Unix seconds, block time. */
  readonly notAfter: number;
};

type HeldKey = RecipientKey & AnnouncedKey & { readonly keyId: number; readonly secretKey: SecretBytes };

const maxAnnounceSeconds = 21_600;
const maxGraceSeconds = 600;
/** More only where keys are rotated without need; then the oldest goes. */
const maxHeldKeys = 8;

/**
 * A worker's HPKE keys: made here, held in memory only, one announced at a time, old ones accepted for a while. It has no
 * clock: every time is that of the latest block known to the caller.
 * A key ends when its time is over or its replay cache is full, whichever comes first; then its secret is overwritten, and
 * with its cache goes nothing that could still be replayed.
 */
export class KeyRing {
  readonly #announceSeconds: number;
  readonly #graceSeconds: number;
  readonly #maxRequestsPerKey: number;
  readonly #limits: MessageLimits;
  readonly #maxEncapsulated: number;
  /** Oldest first. */
  readonly #keys = new Map<number, HeldKey>();
  #current: HeldKey | undefined;
  #nextKeyId = randomBytes(1)[0] as number;

  constructor(init: KeyRingInit = {}) {
    this.#announceSeconds = bounded(
      'announceSeconds',
      init.announceSeconds ?? maxAnnounceSeconds,
      1,
      maxAnnounceSeconds,
    );
    this.#graceSeconds = bounded('graceSeconds', init.graceSeconds ?? maxGraceSeconds, 0, maxGraceSeconds);
    this.#maxRequestsPerKey = bounded('maxRequestsPerKey', init.maxRequestsPerKey ?? 250_000, 1, 16_000_000);
    this.#limits = init.limits ?? defaultMessageLimits;
    this.#maxEncapsulated = maxEncapsulatedLength(this.#limits);
  }

  /** Bytes of the largest request that can be opened: a relay needs to carry no more. */
  get maxEncapsulatedBytes(): number {
    return this.#maxEncapsulated;
  }

  /**
   * Makes a new key and announces it in place of the current one, from `now` for at most 6 hours and not beyond the lease.
   * Throws KEY_LIFETIME_REFUSED where the lease is over.
   */
  async rotate(nowSeconds: number, leaseEndSeconds: number): Promise<AnnouncedKey> {
    const notAfter = Math.min(nowSeconds + this.#announceSeconds, leaseEndSeconds);
    if (!Number.isSafeInteger(nowSeconds) || !Number.isSafeInteger(leaseEndSeconds) || notAfter <= nowSeconds)
      throw new ChannelError({
        code: 'KEY_LIFETIME_REFUSED',
        message: `A key can't be announced at "${nowSeconds}" under a lease that ends at "${leaseEndSeconds}"`,
        meta: { nowSeconds, leaseEndSeconds },
        hint: 'Renew the lease first',
      });
    const { publicKey, secretKey } = await engine.generateX25519();
    const keyId = this.#takeKeyId();
    const scheduleContext = await keyScheduleContext(requestInfo(requestHeader(keyId)));
    const key: HeldKey = {
      keyId,
      publicKey,
      secretKey,
      scheduleContext,
      replays: new ReplayCache(this.#maxRequestsPerKey),
      config: encodeKeyConfig({ keyId, publicKey }),
      notBefore: nowSeconds,
      notAfter,
    };
    this.#sweep(nowSeconds);
    const [oldest] = this.#keys.values();
    if (this.#keys.size >= maxHeldKeys && oldest !== undefined) this.#retire(oldest);
    this.#keys.set(keyId, key);
    this.#current = key;
    return announced(key);
  }

  /** The key to announce; undefined where there is none, or its time is over: rotate then. */
  current(nowSeconds: number): AnnouncedKey | undefined {
    this.#sweep(nowSeconds);
    const key = this.#current;
    return key === undefined || nowSeconds >= key.notAfter ? undefined : announced(key);
  }

  /** Whether it is time to rotate: no key to announce, or at most a third of the announced time is left. */
  needsRotation(nowSeconds: number): boolean {
    const key = this.current(nowSeconds);
    return key === undefined || key.notAfter - nowSeconds <= (key.notAfter - key.notBefore) / 3;
  }

  /**
   * Opens an encapsulated request. Throws ChannelError: REQUEST_TOO_LARGE, REQUEST_MALFORMED, KEY_UNKNOWN,
   * REQUEST_NOT_OPENED, REQUEST_REPLAYED, PADDING_WRONG, HEADER_REFUSED, CALL_HEADER_REFUSED; `problemOf` says what to
   * answer to each. The bytes must not change before it has settled.
   */
  async open(encapsulated: Uint8Array, nowSeconds: number): Promise<OpenedRequest> {
    this.#sweep(nowSeconds);
    if (encapsulated.length > this.#maxEncapsulated)
      throw new ChannelError({
        code: 'REQUEST_TOO_LARGE',
        message: `The request has "${encapsulated.length}" bytes, more than "${this.#maxEncapsulated}"`,
        meta: { length: encapsulated.length, max: this.#maxEncapsulated },
        hint: 'Send less, or in several calls',
      });
    if (encapsulated.length < requestOverhead + paddedRequestLength(1))
      throw new ChannelError({
        code: 'REQUEST_MALFORMED',
        message: `The request has only "${encapsulated.length}" bytes`,
      });
    const key = this.#keyOf(encapsulated);
    try {
      return await openRequest(encapsulated, key, this.#limits);
    } finally {
      if (key.replays.isFull) this.#retire(key);
    }
  }

  /** Ends all keys at once: requests to them are refused from now on. */
  wipe(): void {
    for (const key of [...this.#keys.values()]) this.#retire(key);
  }

  #keyOf(encapsulated: Uint8Array): HeldKey {
    const keyId = encapsulated[0] as number;
    const key = this.#keys.get(keyId);
    const suite = requestHeader(keyId);
    for (let i = 1; i < requestHeaderLength; i++)
      if (encapsulated[i] !== suite[i])
        throw new ChannelError({
          code: 'KEY_UNKNOWN',
          message: 'The request names another suite than X25519, HKDF-SHA256, AES-256-GCM',
        });
    if (key === undefined)
      throw new ChannelError({
        code: 'KEY_UNKNOWN',
        message: `The key "${keyId}" is not held, or no longer`,
        meta: { keyId },
        hint: 'Fetch the key configuration anew, verify it, and retry once',
      });
    return key;
  }

  #takeKeyId(): number {
    // At most 8 of 256 are taken. Ids go round, so that a stale one is seldom met by another key.
    while (this.#keys.has(this.#nextKeyId)) this.#nextKeyId = (this.#nextKeyId + 1) % 256;
    const keyId = this.#nextKeyId;
    this.#nextKeyId = (keyId + 1) % 256;
    return keyId;
  }

  #sweep(nowSeconds: number): void {
    for (const key of [...this.#keys.values()])
      if (!(nowSeconds <= key.notAfter + this.#graceSeconds)) this.#retire(key);
  }

  #retire(key: HeldKey): void {
    this.#keys.delete(key.keyId);
    if (this.#current === key) this.#current = undefined;
    key.secretKey.wipe();
    key.replays.close();
  }
}

function announced(key: HeldKey): AnnouncedKey {
  return { config: key.config.slice(), notBefore: key.notBefore, notAfter: key.notAfter };
}

/** Everything at its largest: framing and four lengths, method, scheme, path, fields, body, trailers. */
function maxEncapsulatedLength(limits: MessageLimits): number {
  const body = Math.min(limits.maxBodyBytes, hardMaxBodyBytes - 1);
  return requestOverhead + paddedRequestLength(32 + maxMethodLength + maxPathLength + limits.maxHeaderBytes + body);
}

function bounded(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ChannelError({
    code: 'KEY_LIFETIME_REFUSED',
    message: `Expected ${name} to be ${min} to ${max}, got "${value}"`,
    meta: { name, value },
  });
}
