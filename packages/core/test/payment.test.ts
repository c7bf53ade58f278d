import { readFileSync } from 'node:fs';
import {
  anchoredLeaf,
  channelId,
  depositsNonce,
  holdsLeaf,
  packTotals,
  pairsHash,
  settlementStatementDigest,
  voucherDigest,
  voucherDomainSeparator,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { hashTypedData } from 'viem';
import { describe, expect, test } from 'vitest';
import { b32, domain } from './helpers.ts';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/payments.json', import.meta.url), 'utf8'));

describe('vectors/payments.json', () => {
  test('channels, vouchers as viem hashes them, and who signed', () => {
    for (const { channel, id } of vectors.channels) expect(channelId(vectors.domain, channel)).toBe(id);
    expect(voucherDomainSeparator(vectors.domain)).toBe(vectors.voucherDomainSeparator);
    const { voucher, digest, signature } = vectors.voucher;
    const message = { ...voucher, maxClaimableAmount: BigInt(voucher.maxClaimableAmount) };
    expect(voucherDigest(vectors.domain, message)).toBe(digest);
    const { chainId, payments } = vectors.domain;
    expect(
      hashTypedData({
        domain: { name: 'x402 Batch Settlement', version: '1', chainId, verifyingContract: payments },
        types: {
          Voucher: [
            { name: 'channelId', type: 'bytes32' },
            { name: 'maxClaimableAmount', type: 'uint128' },
          ],
        },
        primaryType: 'Voucher',
        message,
      }),
    ).toBe(digest);
    expect(recoverAddress(fromHex(digest), fromHex(signature))).toBe(vectors.channels[0].channel.payerKey);
  });

  test('statements, anchored leaves, deposits', () => {
    const { pairs, block, digest, signature, signer, ...statement } = vectors.statement;
    const read = pairs.map((pair: { channel: `0x${string}`; cumulative: string }) => ({
      ...pair,
      cumulative: BigInt(pair.cumulative),
    }));
    expect(pairsHash(read)).toBe(statement.pairsHash);
    expect(packTotals(read.map(({ cumulative }: { cumulative: bigint }) => cumulative))).toBe(statement.packedTotals);
    const record = { pairsHash: statement.pairsHash, block: BigInt(block) };
    expect(settlementStatementDigest(statement.domain, record)).toBe(digest);
    expect(recoverAddress(fromHex(digest), fromHex(signature))).toBe(signer);
    for (const { digest: of, leaf, proof } of vectors.anchored.leaves) {
      expect(anchoredLeaf(of)).toBe(leaf);
      expect(holdsLeaf(vectors.anchored.root, leaf, proof)).toBe(true);
    }
    const { salt, deposits, nonce } = vectors.deposits;
    expect(
      depositsNonce(
        deposits.map((deposit: { amount: string }) => ({ ...deposit, amount: BigInt(deposit.amount) })),
        salt,
      ),
    ).toBe(nonce);
  });
});

describe('what is refused', () => {
  test('pairs out of order, repeated, of nothing, or none', () => {
    const pair = (byte: number, cumulative = 1n) => ({ channel: b32(byte), cumulative });
    const refusal = expect.objectContaining({ code: 'PAYMENT_PAIRS_MALFORMED' });
    for (const pairs of [[], [pair(2), pair(1)], [pair(1), pair(1)], [pair(1, 0n)]])
      expect(() => pairsHash(pairs)).toThrow(refusal);
  });

  test('amounts beyond 128 bits and blocks beyond 64', () => {
    const refusal = expect.objectContaining({ code: 'PAYMENT_AMOUNT_OUT_OF_RANGE' });
    const voucher = (maxClaimableAmount: bigint) => ({ channelId: b32(1), maxClaimableAmount });
    expect(() => voucherDigest(vectors.domain, voucher(1n << 128n))).toThrow(refusal);
    expect(() => voucherDigest(vectors.domain, voucher(-1n))).toThrow(refusal);
    expect(() => packTotals([1n, 1n << 128n])).toThrow(refusal);
    const statement = { pairsHash: b32(1), block: 1n << 64n };
    expect(() => settlementStatementDigest(domain, statement)).toThrow(refusal);
  });
});
