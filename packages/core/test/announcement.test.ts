import {
  announcementFromJson,
  announcementToJson,
  type Json,
  type LogRequest,
  logRequestDigest,
  logsPath,
  reservedPath,
  type WorkerAnnouncement,
} from '@cloister/core';
import { hashTypedData } from 'viem';
import { describe, expect, test } from 'vitest';
import { addr, b32, domain } from './helpers.ts';

const key = {
  config: '0x20' as const,
  notBefore: 1n,
  notAfter: (1n << 64n) - 1n,
  signature: `0x${'ab'.repeat(65)}` as const,
};
const announcement: WorkerAnnouncement = {
  format: 'cloister-worker-1',
  workerId: b32(1),
  operator: addr(2),
  receiptSigner: addr(3),
  attestedBlock: 4n,
  kinds: ['function'],
  evidence: { format: 'any', deep: { er: [1, 'two', null] } },
  keyConfigs: [key],
  quote: {
    perCall: 1n,
    perCpuMs: 2n,
    perGiBSecond: 3n,
    perOutputKiB: (1n << 96n) - 1n,
    perInputToken: 5n,
    perOutputToken: 6n,
    notAfter: (1n << 64n) - 1n,
    signature: key.signature,
  },
};
const json = announcementToJson(announcement) as { readonly [name: string]: Json };
const keyJson = (json.keyConfigs as readonly { readonly [name: string]: Json }[])[0] ?? {};
const quoteJson = json.quote as { readonly [name: string]: Json };

describe('an announcement', () => {
  test('survives its JSON', () => {
    expect(announcementFromJson(JSON.parse(JSON.stringify(json)))).toEqual(announcement);
    expect(JSON.stringify(json)).toContain('"18446744073709551615"');
    const without = { ...announcement, quote: null };
    expect(announcementFromJson(JSON.parse(JSON.stringify(announcementToJson(without))))).toEqual(without);
  });

  test.each<[string, object]>([
    ['a field more', { more: 1 }],
    ['another format', { format: 'cloister-worker-2' }],
    ['an id in upper case', { workerId: b32(0xab).toUpperCase() }],
    ['an id that is too short', { workerId: '0x01' }],
    ['a number in place of its decimal form', { attestedBlock: 4 }],
    ['a block beyond uint64', { attestedBlock: (1n << 64n).toString() }],
    ['a negative block', { attestedBlock: '-1' }],
    ['a block with a leading zero', { attestedBlock: '04' }],
    ['a block in hexadecimal', { attestedBlock: '0x4' }],
    ['no kind', { kinds: [] }],
    ['too many kinds', { kinds: ['function', 'wasm', 'model', 'container', 'function'] }],
    ['an unknown kind', { kinds: ['quantum'] }],
    ['evidence that is no object', { evidence: [] }],
    ['evidence with a name without end', { evidence: { ['x'.repeat(257)]: 1 } }],
    ['a quote with a price missing', { quote: { perCall: '1' } }],
    ['a quote beyond what a channel holds', { quote: { ...quoteJson, perCall: (1n << 96n).toString() } }],
    ['a quote with a negative price', { quote: { ...quoteJson, perCpuMs: '-1' } }],
    ['a quote with a field more', { quote: { ...quoteJson, more: 1 } }],
    ['no key', { keyConfigs: [] }],
    ['five keys', { keyConfigs: Array.from({ length: 5 }, () => keyJson) }],
    ['a key with a field more', { keyConfigs: [{ ...keyJson, more: 1 }] }],
    ['an empty key', { keyConfigs: [{ ...keyJson, config: '0x' }] }],
    ['half a byte of a key', { keyConfigs: [{ ...keyJson, config: '0x123' }] }],
    ['a key of 513 bytes', { keyConfigs: [{ ...keyJson, config: `0x${'00'.repeat(513)}` }] }],
    ['a signature that is too short', { keyConfigs: [{ ...keyJson, signature: `0x${'00'.repeat(64)}` }] }],
    ['a time that is none', { keyConfigs: [{ ...keyJson, notAfter: 'soon' }] }],
  ])('with %s is refused', (_, changes) => {
    expect(() => announcementFromJson({ ...json, ...changes })).toThrow(
      expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
    );
  });

  test.each(Object.keys(json))('without "%s" is refused', (name) => {
    const { [name]: _, ...rest } = json;
    expect(() => announcementFromJson(rest)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });

  test('with the largest key there may be is read', () => {
    const large = { ...keyJson, config: `0x${'00'.repeat(512)}` };
    expect(announcementFromJson({ ...json, keyConfigs: [large] }).keyConfigs[0]?.config).toHaveLength(2 + 1_024);
  });
});

describe('a log request', () => {
  const request: LogRequest = { app: b32(1), workerId: b32(2), notAfter: 1_790_000_000n, nonce: b32(3) };

  test('has the digest of an independent EIP-712 implementation', () => {
    const expected = hashTypedData({
      domain: { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry },
      types: {
        LogRequest: [
          { name: 'app', type: 'bytes32' },
          { name: 'workerId', type: 'bytes32' },
          { name: 'notAfter', type: 'uint64' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'LogRequest',
      message: request,
    });
    expect(logRequestDigest(domain, request)).toBe(expected);
  });

  test('is another one for another app, worker, time, nonce, chain or registry', () => {
    const digests = [
      logRequestDigest(domain, request),
      logRequestDigest(domain, { ...request, app: b32(9) }),
      logRequestDigest(domain, { ...request, workerId: b32(9) }),
      logRequestDigest(domain, { ...request, notAfter: 1n }),
      logRequestDigest(domain, { ...request, nonce: b32(9) }),
      logRequestDigest({ ...domain, chainId: 1 }, request),
      logRequestDigest({ ...domain, registry: addr(9) }, request),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('goes to a path that no app can have', () => {
    expect(logsPath.startsWith(reservedPath)).toBe(true);
  });
});
