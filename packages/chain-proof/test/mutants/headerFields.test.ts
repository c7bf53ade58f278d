import type { Hex } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { provenHeader } from '../../src/index.ts';
import { encodeRlp, integerBytes } from '../../src/rlp.ts';

const word = (byte: string): Hex => `0x${byte.repeat(32)}`;
/** In the header's order (Yellow Paper 4.4.3), numbers as bigint. */
const london = {
  parentHash: word('01'),
  sha3Uncles: word('02'),
  miner: `0x${'03'.repeat(20)}`,
  stateRoot: word('04'),
  transactionsRoot: word('05'),
  receiptsRoot: word('06'),
  logsBloom: `0x${'07'.repeat(256)}`,
  difficulty: 0n,
  number: 300n,
  gasLimit: 30_000_000n,
  gasUsed: 21_000n,
  timestamp: 1_700_000_000n,
  extraData: '0x',
  mixHash: word('08'),
  nonce: '0x0000000000000000',
  baseFeePerGas: 7n,
};
const shanghai = { withdrawalsRoot: word('09') };
const cancun = { blobGasUsed: 1n, excessBlobGas: 2n, parentBeaconBlockRoot: word('0a') };
const prague = { requestsHash: word('0b') };

type Fields = Readonly<Record<string, string | bigint>>;
function block(fields: Fields): { readonly json: Record<string, unknown>; readonly hash: Hex } {
  const bytes = Object.values(fields).map((value) =>
    typeof value === 'bigint' ? integerBytes(value) : fromHex(value as Hex),
  );
  const json = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
    ]),
  );
  return { json, hash: toHex(keccak256(encodeRlp(bytes))) };
}
const full = block({ ...london, ...shanghai, ...cancun, ...prague });
const refusal = (why: string, hash = full.hash) =>
  expect.objectContaining({
    code: 'CHAIN_HEADER_INVALID',
    message: `The header told of block "${hash}" is not its own: ${why}`,
  });
const refused = (changes: Record<string, unknown>, why: string) =>
  expect(() => provenHeader({ ...full.json, ...changes }, full.hash)).toThrow(refusal(why));

describe('a header', () => {
  test.each([
    ['london', {}],
    ['shanghai', shanghai],
    ['cancun', { ...shanghai, ...cancun }],
    ['prague', { ...shanghai, ...cancun, ...prague }],
  ] as const)('of %s has its fields and no more; null is none', (fork, more) => {
    const { json, hash } = block({ ...london, ...more });
    const nothing = { withdrawalsRoot: null, blobGasUsed: null, requestsHash: null };
    expect(provenHeader({ ...nothing, ...json }, hash)).toEqual({
      hash,
      parentHash: london.parentHash,
      number: 300n,
      timestamp: 1_700_000_000n,
      stateRoot: london.stateRoot,
      receiptsRoot: london.receiptsRoot,
      logsBloom: london.logsBloom,
      coinbase: london.miner,
      prevRandao: london.mixHash,
      difficulty: 0n,
      gasLimit: 30_000_000n,
      baseFeePerGas: 7n,
      fork,
    });
  });

  test('of a fork whose fields are there in part is refused for the one that is missing', () => {
    for (const name of ['blobGasUsed', 'excessBlobGas', 'parentBeaconBlockRoot'])
      refused({ [name]: undefined }, `"${name}" is missing`);
    // The fork after one that is not there is not read.
    const { json, hash } = block({ ...london, ...shanghai, ...prague });
    expect(() => provenHeader(json, hash)).toThrow(/is not its own: its fields give/);
  });

  test('that is nothing, or a word, is no object', () => {
    for (const told of [null, undefined, 'header', 7])
      expect(() => provenHeader(told, full.hash)).toThrow(refusal('it is no object'));
  });

  test('is refused for the field that has another form', () => {
    refused({ number: 300 }, '"number" is missing');
    refused({ number: '300' }, '"number" is no number');
    refused({ number: `0x${'1'.repeat(65)}` }, '"number" is no number');
    refused({ stateRoot: `${word('04')}00` }, '"stateRoot" has another length');
    refused({ stateRoot: `0x${'zz'.repeat(32)}` }, '"stateRoot" has another length');
    refused({ extraData: '0x1' }, '"extraData" has another length');
    refused({ extraData: `0x${'00'.repeat(32_769)}` }, '"extraData" has another length');
    const found = toHex(keccak256(fromHex(word('04'))));
    expect(() => provenHeader({ ...full.json, stateRoot: found }, full.hash)).toThrow(/its fields give "0x/);
  });

  test('may have as much extra data as a chain of authorities writes', () => {
    const { json, hash } = block({ ...london, extraData: `0x${'5a'.repeat(32_768)}` });
    expect(provenHeader(json, hash).number).toBe(300n);
  });

  test('of a fork that is not known is refused by that name, and by the field that tells', () => {
    for (const [changes, field] of [
      [{ baseFeePerGas: undefined }, 'baseFeePerGas'],
      [{ baseFeePerGas: null }, 'baseFeePerGas'],
      [{ slotNumber: '0x1' }, 'slotNumber'],
      [{ balHash: word('0c') }, 'balHash'],
    ] as const)
      expect(() => provenHeader({ ...full.json, ...changes }, full.hash)).toThrow(
        expect.objectContaining({ code: 'CHAIN_FORK_UNKNOWN', meta: { hash: full.hash, field } }),
      );
    expect(provenHeader({ ...full.json, slotNumber: null }, full.hash).fork).toBe('prague');
  });
});
