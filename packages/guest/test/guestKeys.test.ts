import { readFileSync } from 'node:fs';
import { guestAppKeyDigest, guestBindingHash, guestInstanceId, guestLogDigest } from '@cloister/core';
import { concatBytes, fromHex, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { expand } from '@noble/hashes/hkdf';
import { sha256 } from '@noble/hashes/sha2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GuestEventLog } from '../src/eventLog.ts';
import { GuestKeys, type GuestKeyUse, maxKeyNameBytes } from '../src/guestKeys.ts';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/guest.json', import.meta.url), 'utf8'));
const { root } = vectors;
const keysOf = (rootHex: string) => GuestKeys.from(new SecretBytes(fromHex(rootHex)));
const given = { use: 'given', algorithm: 'secp256k1', purpose: 'p', path: 'a' } as const;

describe('vectors/guest.json', () => {
  test('keys, which another HKDF derives as well', async () => {
    const keys = await keysOf(root);
    expect(toHex(keys.appPublicKey)).toBe(vectors.appPublicKey);
    for (const { key, ...use } of vectors.keys as (GuestKeyUse & { key: string })[]) {
      expect(toHex((await keys.derive(use)).reveal()), JSON.stringify(use)).toBe(key);
      const fields = [use.use, use.algorithm, use.purpose, use.path].map(utf8);
      const info = concatBytes(...fields.flatMap((field) => [Uint8Array.of(0, field.length), field]), Uint8Array.of(0));
      expect(toHex(expand(sha256, fromHex(root), info, 32))).toBe(key);
    }
  });

  test('what a quote is bound to, and what the worker signs', () => {
    const { domain, instance, instanceId, chosen, bindingHash, log, appKeyDigest } = vectors.statement;
    expect(guestInstanceId(instance)).toBe(instanceId);
    expect(guestBindingHash({ ...domain, app: instance.app, instance: instanceId }, fromHex(chosen))).toBe(bindingHash);
    const said = { ...instance, publicKey: fromHex(vectors.appPublicKey) };
    expect(guestAppKeyDigest(domain, said)).toBe(appKeyDigest);
    const events = new GuestEventLog(instance);
    events.emit('model-loaded', fromHex(log.payload));
    expect(toHex(events.register)).toBe(log.register);
    const of = { instance: instanceId, events: events.events.length, register: events.register };
    expect(guestLogDigest(domain, of)).toBe(log.digest);
  });
});

describe('keys', () => {
  test('differ in every field, and by root', async () => {
    const keys = await keysOf(root);
    const uses: GuestKeyUse[] = [
      given,
      { ...given, path: 'b' },
      { ...given, purpose: 'q' },
      { ...given, purpose: 'pa', path: '' },
      { ...given, purpose: '', path: 'pa' },
      { ...given, algorithm: 'ed25519' },
      { ...given, algorithm: 'p256' },
      { ...given, use: 'signing' },
      { ...given, use: 'tls-given' },
      { ...given, use: 'tls-ca' },
      { ...given, use: 'app' },
    ];
    const others = await keysOf(`0x${'07'.repeat(32)}`);
    const all = [...(await Promise.all(uses.map((use) => keys.derive(use)))), await others.derive(given)];
    expect(new Set(all.map((secret) => toHex(secret.reveal()))).size).toBe(uses.length + 1);
  });

  test('no two names share one', async () => {
    const keys = await keysOf(root);
    const name = fc.string({ unit: 'binary', maxLength: 12 });
    const of = async (purpose: string, path: string) =>
      toHex((await keys.derive({ ...given, purpose, path })).reveal());
    await fc.assert(
      fc.asyncProperty(name, name, name, name, async (a, b, c, d) => {
        expect((await of(a, b)) === (await of(c, d))).toBe(a === c && b === d);
      }),
      { numRuns: 25 },
    );
  });

  test('names that are too long, or no Unicode, are refused', async () => {
    const keys = await keysOf(root);
    await keys.derive({ ...given, path: 'x'.repeat(maxKeyNameBytes) });
    for (const path of ['x'.repeat(maxKeyNameBytes + 1), 'ü'.repeat(maxKeyNameBytes / 2 + 1), '\ud800'])
      await expect(keys.derive({ ...given, path })).rejects.toMatchObject({ code: 'GUEST_REQUEST_INVALID' });
  });

  test('are gone with the root, and print nothing of themselves', async () => {
    const keys = await keysOf(root);
    expect(JSON.stringify(keys)).not.toContain('0x');
    keys.wipe();
    await expect(keys.derive(given)).rejects.toMatchObject({ code: 'SECRET_WIPED' });
    expect(() => keys.appPublicKey).toThrow();
  });
});

describe('the event log', () => {
  const { instance } = vectors.statement;

  test('begins with whose it is, and what follows changes nothing before it', () => {
    const log = new GuestEventLog(instance);
    const begun = log.events;
    expect(begun.map(({ event }) => event)).toEqual([
      'app-id',
      'compose-hash',
      'key-version',
      'instance-id',
      'system-ready',
    ]);
    const before = log.register;
    log.emit('app-id', fromHex('0x01'));
    expect(log.events.slice(0, begun.length)).toEqual(begun);
    expect(log.register).not.toEqual(before);
    log.register.fill(0);
    expect(toHex(log.register)).not.toBe(`0x${'00'.repeat(48)}`);
  });

  test('is bounded in number, names and bytes; a refused event leaves it as it was', () => {
    const log = new GuestEventLog(instance);
    const before = log.register;
    for (const name of ['', 'a:b', ' a', 'a ', 'ü', 'a\n', 'x'.repeat(65)])
      expect(() => log.emit(name, new Uint8Array()), name).toThrow(
        expect.objectContaining({ code: 'GUEST_EVENT_REFUSED' }),
      );
    expect(() => log.emit('a', new Uint8Array(1_025))).toThrow(
      expect.objectContaining({ code: 'GUEST_EVENT_REFUSED' }),
    );
    expect(log.register).toEqual(before);
    for (let count = 0; count < 256; count += 1) log.emit('a', new Uint8Array(1_024));
    const full = log.register;
    expect(() => log.emit('a', new Uint8Array())).toThrow(expect.objectContaining({ code: 'GUEST_LOG_FULL' }));
    expect(log.register).toEqual(full);
  });
});
