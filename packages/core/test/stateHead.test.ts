import {
  isLaterStateHead,
  maxLyingMembers,
  maxStateAnswerBytes,
  maxStatePartitions,
  maxStateRequestBytes,
  parseCertifiedStateHead,
  parseSignedStateFenceRequest,
  parseStateFenceAnswer,
  parseStateKept,
  parseStateWriteAnswer,
  parseStateWriteRequest,
  statePlace,
  stateRecordToJson,
  zeroBytes32,
} from '@cloister/core';
import { describe, expect, test } from 'vitest';
import { b32 } from './helpers.ts';

test('how many may lie: 2t − n − 1', () => {
  expect([maxLyingMembers(4, 3), maxLyingMembers(7, 5), maxLyingMembers(3, 2), maxLyingMembers(4, 2)]).toEqual([
    1, 2, 0, -1,
  ]);
});

test('a head is later by its fence, then by its version', () => {
  const head = (version: bigint, fence: bigint) => ({ version, fence });
  expect(isLaterStateHead(head(1n, 2n), head(9n, 1n))).toBe(true);
  expect(isLaterStateHead(head(2n, 1n), head(1n, 1n))).toBe(true);
  expect(isLaterStateHead(head(1n, 1n), head(1n, 1n))).toBe(false);
  expect(isLaterStateHead(head(9n, 1n), head(1n, 2n))).toBe(false);
});

test('where there is no head, its place is zero', () => {
  expect(statePlace(null)).toEqual({ version: 0n, fence: 0n, root: zeroBytes32 });
});

const partition = { app: b32(0x51), partition: 7 };
const ask = { ...partition, manifest: b32(0x52), keyVersion: 3, epoch: 12n, block: 345n };
const place = { version: 41n, fence: 5n, root: b32(0x56) };
const [hex65, hex96]: readonly `0x${string}`[] = [`0x${'1b'.repeat(65)}`, `0x${'aa'.repeat(96)}`];
const fence = { ...ask, fence: 5n, nonce: b32(0x53), signature: hex65 };
const promise = { request: b32(1), generation: 4n, certified: place, signature: hex65 };
const certified = { ...partition, ...place, signature: hex96 };
const request = { write: { ...ask, ...place, signature: hex65 }, promises: [promise], certified };
const fenceAnswer = { generation: 4n, certified, signature: hex65 };

describe('the forms', () => {
  test.each<[string, object, (json: unknown) => unknown]>([
    ['certified head', certified, parseCertifiedStateHead],
    ['word that it is kept', { generation: 4n, signature: hex65 }, parseStateKept],
    ['fence request', fence, parseSignedStateFenceRequest],
    ['write', request, parseStateWriteRequest],
    ['first write', { ...request, certified: null }, parseStateWriteRequest],
    ['fence answer', fenceAnswer, parseStateFenceAnswer],
    ['first fence answer', { ...fenceAnswer, certified: null }, parseStateFenceAnswer],
    ['write answer', { generation: 4n, index: 2, partial: hex96 }, parseStateWriteAnswer],
  ])('%s comes back from JSON as it was, and with nothing more or less', (_, record, parse) => {
    const json = stateRecordToJson(record);
    expect(parse(json)).toEqual(record);
    expect(() => parse({ ...json, more: 1 })).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
    for (const key of Object.keys(json)) {
      const { [key]: _left, ...rest } = json;
      expect(() => parse(rest)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
    }
  });

  const fenceJson = stateRecordToJson(fence);
  const requestJson = stateRecordToJson(request);
  test.each<[string, (json: unknown) => unknown, object]>([
    ['a partition beyond the last', parseSignedStateFenceRequest, { ...fenceJson, partition: maxStatePartitions }],
    ['a fraction of a partition', parseSignedStateFenceRequest, { ...fenceJson, partition: 0.5 }],
    ['a fence of 65 bits', parseSignedStateFenceRequest, { ...fenceJson, fence: (1n << 64n).toString() }],
    ['a fence as a number', parseSignedStateFenceRequest, { ...fenceJson, fence: 5 }],
    ['a short signature', parseSignedStateFenceRequest, { ...fenceJson, signature: `0x${'1b'.repeat(64)}` }],
    ['no promise', parseStateWriteRequest, { ...requestJson, promises: [] }],
    [
      'more promises than members',
      parseStateWriteRequest,
      stateRecordToJson({ ...request, promises: Array(33).fill(promise) }),
    ],
    ['index 0', parseStateWriteAnswer, { generation: '4', index: 0, partial: hex96 }],
    ['a partial of another length', parseStateWriteAnswer, { generation: '4', index: 1, partial: hex65 }],
  ])('%s is refused', (_, parse, json) => {
    expect(() => parse(json)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });

  test('the largest of them fit', () => {
    const most = (1n << 64n) - 1n;
    const largest = { version: most, fence: most, root: b32(1) };
    const write = { ...request.write, ...largest, keyVersion: 0xffff_ffff, epoch: most, block: most };
    const promises = Array(32).fill({ ...promise, generation: most, certified: largest });
    const head = { ...certified, ...largest, partition: maxStatePartitions - 1 };
    const size = (record: object) => JSON.stringify(stateRecordToJson(record)).length;
    expect(size({ write, promises, certified: head })).toBeLessThanOrEqual(maxStateRequestBytes);
    expect(size({ generation: most, certified: head, signature: hex65 })).toBeLessThanOrEqual(maxStateAnswerBytes);
  });
});
