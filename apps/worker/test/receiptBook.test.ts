import { receiptDigest, zeroBytes32 } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, recoverAddress, signDigest } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { ReceiptBook, type ReceiptDraft } from '../src/receiptBook.ts';

const domain = { chainId: 31337, registry: `0x${'44'.repeat(20)}` } as const;
const workerId = `0x${'11'.repeat(32)}` as const;
const hash = `0x${'22'.repeat(32)}` as const;
const secret = generateSecp256k1();
const draft: ReceiptDraft = {
  app: hash,
  manifest: hash,
  keyVersion: 1n,
  epoch: 2n,
  context: hash,
  requestHash: hash,
  inputCommitment: hash,
  outputCommitment: hash,
  status: 0,
  blockNumber: 3n,
  blockHash: hash,
  time: 4n,
  detailsHash: hash,
};

const book = () => new ReceiptBook({ domain, workerId, sign: (digest) => signDigest(secret, digest) });

describe('ReceiptBook', () => {
  test('counts from one, signs what it counts, and takes no fee', () => {
    const made = book();
    for (const expected of [1n, 2n, 3n]) {
      const signed = made.signFree(draft, { kind: 'function' });
      expect(signed).toMatchObject({ ...domain, workerId, details: { kind: 'function' } });
      expect(signed.receipt).toEqual({
        ...draft,
        channel: zeroBytes32,
        sequence: expected,
        fee: 0n,
        cumulativeFee: 0n,
      });
      const digest = receiptDigest(domain, signed.receipt);
      expect(recoverAddress(fromHex(digest), fromHex(signed.signature))).toBe(addressOf(secret));
    }
  });

  test('calls that end at once never share a sequence', async () => {
    const made = book();
    const receipts = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index % 3));
        return made.signFree({ ...draft, time: BigInt(index) }, {}).receipt.sequence;
      }),
    );
    expect([...new Set(receipts)].sort((left, right) => Number(left - right))).toEqual(
      Array.from({ length: 200 }, (_, index) => BigInt(index + 1)),
    );
  });

  test('a signature that fails uses its sequence up: it may have left the enclave', () => {
    let fails = true;
    const made = new ReceiptBook({
      domain,
      workerId,
      sign: (digest) => {
        if (fails) throw new Error('no signature');
        return signDigest(secret, digest);
      },
    });
    expect(() => made.signFree(draft, {})).toThrow('no signature');
    fails = false;
    expect(made.signFree(draft, {}).receipt.sequence).toBe(2n);
  });
});
