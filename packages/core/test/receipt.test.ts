import {
  receiptDigest,
  receiptStatusName,
  type SignedReceipt,
  signedReceiptFromJson,
  signedReceiptToJson,
} from '@cloister/core';
import { hashTypedData } from 'viem';
import { describe, expect, test } from 'vitest';
import { addr, b32, domain, receipt } from './helpers.ts';

const types = {
  Receipt: [
    ['app', 'bytes32'],
    ['manifest', 'bytes32'],
    ['keyVersion', 'uint64'],
    ['epoch', 'uint64'],
    ['channel', 'bytes32'],
    ['sequence', 'uint64'],
    ['context', 'bytes32'],
    ['requestHash', 'bytes32'],
    ['inputCommitment', 'bytes32'],
    ['outputCommitment', 'bytes32'],
    ['status', 'uint8'],
    ['fee', 'uint128'],
    ['cumulativeFee', 'uint128'],
    ['blockNumber', 'uint64'],
    ['blockHash', 'bytes32'],
    ['time', 'uint64'],
    ['detailsHash', 'bytes32'],
  ].map(([name, type]) => ({ name: name ?? '', type: type ?? '' })),
};

describe('receiptDigest', () => {
  test('equals an independent EIP-712 implementation', () => {
    const expected = hashTypedData({
      domain: { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry },
      types,
      primaryType: 'Receipt',
      message: receipt,
    });
    expect(receiptDigest(domain, receipt)).toBe(expected);
  });

  test('changes with every single field', () => {
    const digests = new Set([receiptDigest(domain, receipt)]);
    for (const [key, value] of Object.entries(receipt)) {
      const changed = typeof value === 'bigint' ? value + 1n : typeof value === 'number' ? value + 1 : b32(0xee);
      digests.add(receiptDigest(domain, { ...receipt, [key]: changed }));
    }
    digests.add(receiptDigest({ ...domain, chainId: 1 }, receipt));
    digests.add(receiptDigest({ ...domain, registry: addr(0x78) }, receipt));
    expect(digests.size).toBe(Object.keys(receipt).length + 3);
  });

  test('refuses a value beyond its type', () => {
    expect(() => receiptDigest(domain, { ...receipt, sequence: 1n << 64n })).toThrow(/"sequence" to fit uint64/);
    expect(() => receiptDigest(domain, { ...receipt, status: -1 })).toThrow(/"status" to fit uint8/);
  });
});

describe('signed receipt', () => {
  const signed: SignedReceipt = {
    format: 'cloister-receipt-1',
    chainId: domain.chainId,
    registry: domain.registry,
    workerId: b32(1),
    receipt,
    signature: `0x${'ab'.repeat(65)}`,
    details: { kind: 'function' },
  };

  test('survives its JSON form', () => {
    expect(signedReceiptFromJson(JSON.parse(JSON.stringify(signedReceiptToJson(signed))))).toEqual(signed);
  });

  test.each([
    ['an unknown field', { extra: 1 }, /unknown field "extra"/],
    ['another format', { format: 'cloister-receipt-2' }, /\$\.format/],
    ['a short signature', { signature: '0xab' }, /\$\.signature/],
  ])('refuses %s', (_, change, message) => {
    const json = { ...(signedReceiptToJson(signed) as object), ...change };
    expect(() => signedReceiptFromJson(json)).toThrow(message);
  });

  test.each(['-1', '01', '1e3', '0x10', String(1n << 64n), ''])('refuses the sequence "%s"', (sequence) => {
    const json = signedReceiptToJson(signed) as { receipt: object };
    expect(() => signedReceiptFromJson({ ...json, receipt: { ...json.receipt, sequence } })).toThrow(
      /\$\.receipt\.sequence/,
    );
  });

  test('names its statuses', () => {
    expect([0, 1, 2, 3, 4].map(receiptStatusName)).toEqual(['ok', 'app-error', 'limit', 'refused', undefined]);
  });
});
