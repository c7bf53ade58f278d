import { engine } from '@cloister/crypto';
import { describe, expect, test, vi } from 'vitest';
import { sealRequest } from '../src/client/sealRequest.ts';
import { parseKeyConfig } from '../src/shared/keyConfiguration.ts';
import { KeyRing } from '../src/worker/keyRing.ts';
import { problemOf } from '../src/worker/problemOf.ts';
import { ReplayCache } from '../src/worker/replayCache.ts';
import { leaseEnd, now, someCall, someRequest } from './sealedCall.ts';

const seal = async (keyConfig: Uint8Array) =>
  (await sealRequest({ keyConfig, call: someCall(), request: someRequest() })).encapsulated;
const sixHours = 21_600;
const grace = 600;

describe('KeyRing', () => {
  test('announces a key for 6 hours, within the lease', async () => {
    const ring = new KeyRing();
    expect(ring.current(now)).toBeUndefined();
    expect(ring.needsRotation(now)).toBe(true);
    expect(await ring.rotate(now, leaseEnd)).toMatchObject({ notBefore: now, notAfter: now + sixHours });
    expect(await ring.rotate(now, now + 100)).toMatchObject({ notBefore: now, notAfter: now + 100 });
    for (const end of [now, now - 1, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(ring.rotate(now, end)).rejects.toMatchObject({ code: 'KEY_LIFETIME_REFUSED' });
    await expect(ring.rotate(Number.NaN, leaseEnd)).rejects.toMatchObject({ code: 'KEY_LIFETIME_REFUSED' });
  });

  test('asks for rotation in the last third', async () => {
    const ring = new KeyRing();
    await ring.rotate(now, leaseEnd);
    expect(ring.needsRotation(now + sixHours * 0.6)).toBe(false);
    expect(ring.needsRotation(now + sixHours * 0.67)).toBe(true);
    expect(ring.current(now + sixHours - 1)).toBeDefined();
    expect(ring.current(now + sixHours)).toBeUndefined();
  });

  test('accepts a key until 10 minutes after its end, then the request gets the key problem', async () => {
    const ring = new KeyRing();
    const { config, notAfter } = await ring.rotate(now, leaseEnd);
    const [inTime, late] = [await seal(config), await seal(config)];
    await ring.rotate(now + 20_000, leaseEnd);
    await ring.open(inTime, notAfter + grace);
    const error = await ring.open(late, notAfter + grace + 1).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'KEY_UNKNOWN' });
    expect(new TextDecoder().decode(problemOf(error)?.body)).toContain('#ohttp-key');
    // Gone for good: a chain that runs backwards does not bring it back.
    await expect(ring.open(late, now)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('a time that is no time opens nothing', async () => {
    const ring = new KeyRing();
    const { config } = await ring.rotate(now, leaseEnd);
    await expect(ring.open(await seal(config), Number.NaN)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('keeps the old key beside the new one', async () => {
    const ring = new KeyRing();
    const first = await ring.rotate(now, leaseEnd);
    const second = await ring.rotate(now + 10, leaseEnd);
    expect(parseKeyConfig(first.config).keyId).not.toBe(parseKeyConfig(second.config).keyId);
    expect(ring.current(now + 10)).toEqual(second);
    await ring.open(await seal(first.config), now + 10);
    await ring.open(await seal(second.config), now + 10);
  });

  test('a full replay cache retires its key', async () => {
    const ring = new KeyRing({ maxRequestsPerKey: 3 });
    const { config } = await ring.rotate(now, leaseEnd);
    const requests = await Promise.all([seal(config), seal(config), seal(config), seal(config)]);
    const [first, ...rest] = requests as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    await ring.open(first, now);
    await expect(ring.open(first, now)).rejects.toMatchObject({ code: 'REQUEST_REPLAYED' });
    await ring.open(rest[0] as Uint8Array, now);
    expect(ring.current(now)).toBeDefined();
    await ring.open(rest[1] as Uint8Array, now);
    expect(ring.current(now)).toBeUndefined();
    expect(ring.needsRotation(now)).toBe(true);
    await expect(ring.open(rest[2] as Uint8Array, now)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
    await expect(ring.open(first, now)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('requests side by side never exceed the cache', async () => {
    const ring = new KeyRing({ maxRequestsPerKey: 3 });
    const { config } = await ring.rotate(now, leaseEnd);
    const requests = await Promise.all(Array.from({ length: 8 }, () => seal(config)));
    const results = await Promise.allSettled(requests.map((request) => ring.open(request, now)));
    expect(results.filter((result) => result.status === 'fulfilled').length).toBe(3);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('a key retired while a request is being opened does not open it', async () => {
    const ring = new KeyRing();
    const { config } = await ring.rotate(now, leaseEnd);
    const opening = ring.open(await seal(config), now);
    ring.wipe();
    await expect(opening).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('wipe ends every key', async () => {
    const ring = new KeyRing();
    const keys = [await ring.rotate(now, leaseEnd), await ring.rotate(now, leaseEnd)];
    ring.wipe();
    expect(ring.current(now)).toBeUndefined();
    for (const { config } of keys)
      await expect(ring.open(await seal(config), now)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  test('overwrites the secret of a key that ends: by its time, by a full cache, by wipe', async () => {
    const generate = vi.spyOn(engine, 'generateX25519');
    try {
      const ends: readonly ((ring: KeyRing, config: Uint8Array) => unknown)[] = [
        (ring) => ring.current(now + sixHours + grace + 1),
        async (ring, config) => ring.open(await seal(config), now),
        (ring) => ring.wipe(),
      ];
      for (const end of ends) {
        const ring = new KeyRing({ maxRequestsPerKey: 1 });
        const { config } = await ring.rotate(now, leaseEnd);
        const made = generate.mock.results.at(-1);
        if (made?.type !== 'return') return expect.unreachable();
        const { secretKey } = await made.value;
        const bytes = secretKey.reveal();
        await end(ring, config);
        expect(bytes.every((byte) => byte === 0)).toBe(true);
        expect(() => secretKey.reveal()).toThrow(expect.objectContaining({ code: 'SECRET_WIPED' }));
      }
    } finally {
      generate.mockRestore();
    }
  });

  test('holds at most 8 keys, however often it is rotated, with ids that go round', async () => {
    const ring = new KeyRing();
    const configs: Uint8Array[] = [];
    for (let i = 0; i < 300; i++) configs.push((await ring.rotate(now, leaseEnd)).config);
    const ids = configs.map((config) => parseKeyConfig(config).keyId);
    expect(new Set(ids.slice(0, 256)).size).toBe(256);
    await ring.open(await seal(configs.at(-8) as Uint8Array), now);
    await expect(ring.open(await seal(configs.at(-9) as Uint8Array), now)).rejects.toMatchObject({
      code: 'KEY_UNKNOWN',
    });
  });

  test('limits out of bounds are refused', () => {
    for (const init of [
      { announceSeconds: 21_601 },
      { announceSeconds: 0 },
      { graceSeconds: 601 },
      { graceSeconds: -1 },
      { maxRequestsPerKey: 0 },
      { maxRequestsPerKey: 1.5 },
    ])
      expect(() => new KeyRing(init)).toThrow(expect.objectContaining({ code: 'KEY_LIFETIME_REFUSED' }));
  });
});

describe('ReplayCache', () => {
  test('knows what it has seen, up to its size, until it is closed', () => {
    const cache = new ReplayCache(2);
    const key = (byte: number) => new Uint8Array(32).fill(byte);
    expect([cache.add(key(1)), cache.add(key(1)), cache.add(key(255)), cache.add(key(3))]).toEqual([
      'added',
      'known',
      'added',
      'closed',
    ]);
    expect([cache.has(key(1)), cache.has(key(3)), cache.isFull]).toEqual([true, false, true]);
    cache.close();
    expect([cache.has(key(1)), cache.add(key(4))]).toEqual([false, 'closed']);
  });
});
