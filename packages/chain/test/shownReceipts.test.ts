import { type Receipt, receiptDigest } from '@cloister/core';
import { encodeFunctionData, type Hex, numberToHex, recoverAddress } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { paymentsAbi } from '../src/generated/index.ts';
import { receiptsInCalldata } from '../src/shownReceipts.ts';

const word = (value: number): Hex => numberToHex(value, { size: 32 });
const address = (byte: number): Hex => numberToHex(byte, { size: 20 });
const registry = '0xabcdefabcdefabcdefabcdefabcdefabcdefabcd';
const domain = { chainId: 31337, registry } as const;
const receiptAt = (sequence: bigint): Receipt => ({
  ...{ app: word(1), manifest: word(2), keyVersion: 1n, epoch: 5n, channel: word(3), sequence },
  ...{ context: word(0), requestHash: word(3), inputCommitment: word(4), outputCommitment: word(5) },
  ...{ status: 2, fee: 9n, cumulativeFee: 99n, blockNumber: 2n, blockHash: word(6), time: 7n, detailsHash: word(7) },
});
const enclave = privateKeyToAccount(generatePrivateKey());
const signed = async (receipt: Receipt) => ({
  receipt,
  signature: await enclave.sign({ hash: receiptDigest(domain, receipt) }),
});

describe('the receipts in what was sent to Payments', () => {
  test('are that of an opening', async () => {
    const { receipt, signature } = await signed(receiptAt(1n));
    const args = [registry, receipt, signature, { root: word(8), siblings: [word(9)] }] as const;
    const data = encodeFunctionData({ abi: paymentsAbi, functionName: 'openReceipt', args });
    expect(receiptsInCalldata(data)).toEqual([{ registry, bare: { receipt, signature } }]);
  });

  test.each(['claimByReceipts', 'claimByAnchoredReceipts'] as const)(
    'are all of %s, signed by whom they were',
    async (name) => {
      // Either v among them.
      const shown = await Promise.all(Array.from({ length: 16 }, (_, sequence) => signed(receiptAt(BigInt(sequence)))));
      const claims = shown.map(({ receipt, signature }) => {
        const high = signature.endsWith('1c') ? 1n << 255n : 0n;
        const vs = numberToHex(BigInt(`0x${signature.slice(66, 130)}`) | high, { size: 32 });
        return { channelIndex: 0n, registry, r: signature.slice(0, 66) as Hex, vs, receipt } as const;
      });
      const args = name === 'claimByReceipts' ? [address(1), [], claims] : [address(1), [], claims, []];
      const data = encodeFunctionData({ abi: paymentsAbi, functionName: name, args } as Parameters<
        typeof encodeFunctionData
      >[0]);
      const found = receiptsInCalldata(data);
      expect(found.map(({ bare }) => bare)).toEqual(shown);
      for (const { bare } of found)
        expect(await recoverAddress({ hash: receiptDigest(domain, bare.receipt), signature: bare.signature })).toBe(
          enclave.address,
        );
    },
  );

  test('are none of anything else', () => {
    const anchor = encodeFunctionData({ abi: paymentsAbi, functionName: 'anchor', args: [word(1)] });
    for (const data of [anchor, '0x', '0x12345678', `${anchor.slice(0, 20)}`] as Hex[])
      expect(receiptsInCalldata(data)).toEqual([]);
  });
});
