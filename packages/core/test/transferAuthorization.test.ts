import { describe, expect, test } from 'vitest';
import { exactPaymentTag, type TransferAuthorization, transferAuthorizationDigest } from '../src/index.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const b32 = (byte: string) => `0x${byte.repeat(32)}` as const;

describe('a transfer that is authorized', () => {
  const domain = { chainId: 31_337, token: address('a1'), name: 'Phala', version: '1' };
  const authorization: TransferAuthorization = {
    from: address('b1'),
    to: address('c1'),
    value: 12_345n,
    validAfter: 1n,
    validBefore: (1n << 200n) + 7n,
    nonce: b32('d1'),
  };

  test('has the digest that wallets sign', async () => {
    const { hashTypedData } = await import('viem');
    expect(transferAuthorizationDigest(domain, authorization)).toBe(
      hashTypedData({
        domain: { name: 'Phala', version: '1', chainId: 31_337, verifyingContract: address('a1') },
        types: {
          TransferWithAuthorization: [
            { name: 'from', type: 'address' },
            { name: 'to', type: 'address' },
            { name: 'value', type: 'uint256' },
            { name: 'validAfter', type: 'uint256' },
            { name: 'validBefore', type: 'uint256' },
            { name: 'nonce', type: 'bytes32' },
          ],
        },
        primaryType: 'TransferWithAuthorization',
        message: authorization,
      }),
    );
  });

  test('is another one with any other field', () => {
    const digests = [
      transferAuthorizationDigest(domain, authorization),
      ...[{ chainId: 1 }, { token: address('a2') }, { name: 'phala' }, { version: '2' }].map((change) =>
        transferAuthorizationDigest({ ...domain, ...change }, authorization),
      ),
      ...[
        { from: address('b2') },
        { to: address('c2') },
        { value: 12_346n },
        { validAfter: 2n },
        { validBefore: 7n },
        { nonce: b32('d2') },
      ].map((change) => transferAuthorizationDigest(domain, { ...authorization, ...change })),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('is settled under a tag of its own for each signer and call', () => {
    const tags = [
      exactPaymentTag(address('01'), b32('01')),
      exactPaymentTag(address('02'), b32('01')),
      exactPaymentTag(address('01'), b32('02')),
    ];
    expect(new Set(tags).size).toBe(3);
  });
});
