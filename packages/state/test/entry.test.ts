import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SecretBytes, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { maxEntryBytes } from '../src/limits.ts';
import { type EntryHeader, openEntry, readEntryHeader, sealEntry } from '../src/log/entry.ts';
import { b32, bytes, code, keyOf, subject } from './helpers.ts';

const header: EntryHeader = {
  kind: 'changes',
  app: subject.app,
  partition: 3,
  keyVersion: 1,
  version: 7n,
  fence: 2n,
  previous: b32(0xbe),
};
const plaintext = bytes('what is kept');

describe('an entry', () => {
  test('says where it belongs, and opens under the key of its version alone', async () => {
    const { bytes: sealed } = await sealEntry(await keyOf(1), header, plaintext);
    expect(readEntryHeader(sealed)).toEqual(header);
    expect(await openEntry(await keyOf(1), sealed)).toEqual(plaintext);
    await expect(openEntry(await keyOf(2), sealed)).rejects.toThrow(code('STATE_LOG_INVALID'));
  });

  test('has a key of its own by version, fence and content: two of one place share nothing', async () => {
    const key = await keyOf(1);
    const sealed = await Promise.all([
      sealEntry(key, header, plaintext),
      sealEntry(key, { ...header, fence: 3n }, plaintext),
      sealEntry(key, { ...header, version: 8n }, plaintext),
      sealEntry(key, header, bytes('what is lost')),
    ]);
    const [first, ...others] = sealed.map(({ bytes: all }) => all.subarray(93));
    for (const other of others) {
      expect(other.subarray(0, 32)).not.toEqual(first?.subarray(0, 32));
      // Under one key and nonce the first bytes, which are the same text, would be equal.
      expect(other.subarray(32, 40)).not.toEqual(first?.subarray(32, 40));
    }
    expect((await sealEntry(key, header, plaintext)).root).toBe(sealed[0]?.root);
  });

  test('with any byte changed does not open', async () => {
    const key = await keyOf(1);
    const { bytes: sealed } = await sealEntry(key, header, plaintext);
    for (let at = 0; at < sealed.length; at++) {
      const wrong = sealed.with(at, (sealed[at] as number) ^ 1);
      await expect(openEntry(key, wrong), `byte ${at}`).rejects.toThrow(code('STATE_LOG_INVALID'));
    }
  });

  test.each<[string, (sealed: Uint8Array) => Uint8Array]>([
    ['cut short', (sealed) => sealed.subarray(0, 140)],
    ['empty', () => new Uint8Array()],
    ['too large', () => new Uint8Array(maxEntryBytes + 1)],
    ['of another form', (sealed) => sealed.with(3, 0x32)],
    ['of another kind', (sealed) => sealed.with(4, 2)],
  ])('%s is not read', async (_, spoil) => {
    const { bytes: sealed } = await sealEntry(await keyOf(1), header, plaintext);
    expect(() => readEntryHeader(spoil(sealed))).toThrow(code('STATE_LOG_INVALID'));
  });

  test('under a key that was wiped is not made', async () => {
    const key = new SecretBytes(new Uint8Array(32));
    key.wipe();
    await expect(sealEntry(key, header, plaintext)).rejects.toThrow(code('SECRET_WIPED'));
  });
});

// Computed a second time by Node.js: what both say stands in the vectors for ever.
test('vectors/state.json', async () => {
  const { entry } = JSON.parse(readFileSync(new URL('../../../vectors/state.json', import.meta.url), 'utf8'));
  const fromHex = (value: string) => Buffer.from(value.slice(2), 'hex');
  const { app, partition, keyVersion, version, fence, previous } = entry.header;
  const content = fromHex(entry.plaintext);
  const of = { ...entry.header, version: BigInt(version), fence: BigInt(fence) };
  const { root, bytes: sealed } = await sealEntry(new SecretBytes(fromHex(entry.partitionKey)), of, content);
  expect([root, toHex(sealed)]).toEqual([entry.root, entry.sealed]);

  const number = (value: string, bytesOf: number) =>
    Buffer.from(
      BigInt(value)
        .toString(16)
        .padStart(2 * bytesOf, '0'),
      'hex',
    );
  const head = Buffer.concat([
    ...[Buffer.from('CSL1'), number('0', 1), number(keyVersion, 4), fromHex(app), number(partition, 4)],
    ...[number(version, 8), number(fence, 8), fromHex(previous)],
  ]);
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
    parts.reduce((mac, part) => mac.update(part), createHmac('sha256', key)).digest();
  // HKDF-Expand of one block is one HMAC over info and 1.
  const expanded = (info: string) => hmac(fromHex(entry.partitionKey), Buffer.from(info), Uint8Array.of(1));
  const salt = hmac(expanded('cloister/state-salt: v1'), head, content);
  const key = hmac(expanded('cloister/state-entry: v1'), head, salt);
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(Buffer.concat([head, salt]));
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  const all = Buffer.concat([head, salt, ciphertext]);
  expect(toHex(all)).toBe(entry.sealed);
  expect(createHash('sha256').update(all).digest('hex')).toBe(entry.root.slice(2));
});
