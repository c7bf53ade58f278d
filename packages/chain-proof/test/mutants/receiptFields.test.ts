import type { Hex } from '@cloister/core';
import { concatBytes, fromHex, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { type Header, listTrieRoot, provenLogs } from '../../src/index.ts';
import { encodeRlp, integerBytes, type RlpItem } from '../../src/rlp.ts';

type Json = Record<string, unknown>;
const address: Hex = `0x${'ab'.repeat(20)}`;
const topic: Hex = `0x${'cd'.repeat(32)}`;
const bloom: Hex = `0x${'00'.repeat(256)}`;
const log = (changes: Json = {}): Json => ({ address, topics: [topic], data: '0x1234', ...changes });
const receipt = (changes: Json = {}): Json => ({
  type: '0x2',
  status: '0x1',
  cumulativeGasUsed: '0x5208',
  logsBloom: bloom,
  logs: [log()],
  ...changes,
});

/** Written here by the Yellow Paper, and by nothing of what is tested. */
function encoded(type: number, logs: readonly RlpItem[], more: readonly Uint8Array[] = []): Uint8Array {
  const body = encodeRlp([integerBytes(1n), integerBytes(0x5208n), fromHex(bloom), logs, ...more]);
  return type === 0 ? body : concatBytes(Uint8Array.of(type), body);
}
const logItem = (topics: readonly Hex[] = [topic]): RlpItem => [
  fromHex(address),
  topics.map(fromHex),
  fromHex('0x1234'),
];
const headerOf = (...receipts: readonly Uint8Array[]) =>
  ({ number: 7n, hash: topic, receiptsRoot: toHex(listTrieRoot(receipts)) }) as Header;
const plain = headerOf(encoded(2, [logItem()]));

const refusal = (why: string) =>
  expect.objectContaining({
    code: 'CHAIN_RECEIPTS_INVALID',
    message: `The receipts told of block "7" are not its own: ${why}`,
  });

describe('receipts', () => {
  test('give their events where their root is the header’s', () => {
    expect(provenLogs([receipt()], plain)).toEqual([{ address, topics: [topic], data: '0x1234' }]);
    expect(provenLogs([receipt({ type: '0x0' })], headerOf(encoded(0, [logItem()])))).toHaveLength(1);
    expect(provenLogs([receipt({ type: '0x7f' })], headerOf(encoded(0x7f, [logItem()])))).toHaveLength(1);
    expect(provenLogs([], headerOf())).toEqual([]);
    const four = [topic, topic, topic, topic];
    expect(
      provenLogs([receipt({ logs: [log({ topics: four })] })], headerOf(encoded(2, [logItem(four)]))),
    ).toHaveLength(1);
  });

  test('of deposits end in two more fields where they say so, and no others do', () => {
    const more = { depositNonce: '0x9', depositReceiptVersion: '0x1' };
    const fields = [integerBytes(9n), integerBytes(1n)];
    const deposit = headerOf(encoded(0x7e, [logItem()], fields));
    expect(provenLogs([receipt({ type: '0x7e', ...more })], deposit)).toHaveLength(1);
    expect(provenLogs([receipt({ type: '0x7e' })], headerOf(encoded(0x7e, [logItem()])))).toHaveLength(1);
    expect(provenLogs([receipt({ ...more })], plain)).toHaveLength(1);
    const named = refusal('"depositNonce" of one is no number');
    expect(() => provenLogs([receipt({ type: '0x7e', depositReceiptVersion: '0x1' })], deposit)).toThrow(named);
  });

  test.each<[string, unknown, string]>([
    ['that are no list', {}, 'there is no list of them'],
    ['that are more than a block has', Array(65_537).fill(null), 'there is no list of them'],
    ['as many as one may have, for what is in them', Array(65_536).fill(null), 'one is no object'],
    ['one of which is nothing', [null], 'one is no object'],
    ['one of which is a word', ['receipt'], 'one is no object'],
    ['without events', [receipt({ logs: undefined })], 'one has no events'],
    ['with events that are no list', [receipt({ logs: {} })], 'one has no events'],
    ['with an event that is nothing', [receipt({ logs: [null] })], 'one is no object'],
    ['with an event that has no topics', [receipt({ logs: [log({ topics: undefined })] })], 'an event has no topics'],
    [
      'with an event of five topics',
      [receipt({ logs: [log({ topics: Array(5).fill(topic) })] })],
      'an event has no topics',
    ],
    ['of a type that is none', [receipt({ type: '0x80' })], 'one has the type "128"'],
    ['of a type that is no text', [receipt({ type: 2 })], '"type" of one is no number'],
    ['of a type that is a text in a list', [receipt({ type: ['0x2'] })], '"type" of one is no number'],
    [
      'with data that is a text in a list',
      [receipt({ logs: [log({ data: ['0x1234'] })] })],
      'a field of one is malformed',
    ],
    ['with a number that is no number', [receipt({ status: '1' })], '"status" of one is no number'],
    ['with a number too long', [receipt({ status: `0x${'1'.repeat(17)}` })], '"status" of one is no number'],
    [
      'with an address a byte short',
      [receipt({ logs: [log({ address: `0x${'ab'.repeat(19)}` })] })],
      'a field of one is malformed',
    ],
    ['with an address that is no text', [receipt({ logs: [log({ address: 7 })] })], 'a field of one is malformed'],
    [
      'with an address of other letters',
      [receipt({ logs: [log({ address: `0x${'zz'.repeat(20)}` })] })],
      'a field of one is malformed',
    ],
    ['with a topic a byte long', [receipt({ logs: [log({ topics: [`${topic}00`] })] })], 'a field of one is malformed'],
    ['with data of half a byte', [receipt({ logs: [log({ data: '0x123' })] })], 'a field of one is malformed'],
    ['with a bloom too short', [receipt({ logsBloom: '0x00' })], 'a field of one is malformed'],
    ['that are another block’s', [receipt({ status: '0x0' })], 'they do not give its receipts root'],
    ['one too many', [receipt(), receipt()], 'they do not give its receipts root'],
  ])('%s are refused for that', (_, told, why) => {
    expect(() => provenLogs(told, plain)).toThrow(refusal(why));
  });
});
