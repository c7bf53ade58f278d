import {
  anchoredLeaf,
  type Channel,
  channelId,
  depositsNonce,
  merkleProof,
  merkleTree,
  packTotals,
  pairsHash,
  receiptDigest,
  settlementStatementDigest,
  voucherDigest,
  voucherDomainSeparator,
  zeroAddress,
} from '@cloister/core';
import { addressOf, fromHex, SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { addr, b32, domain, receipt } from '../../packages/core/test/helpers.ts';

/** The records of payments over fixed inputs. */
export function paymentVectors(): object {
  const payments = { chainId: domain.chainId, payments: addr(0x70) };
  const payerKey = new SecretBytes(fromHex(b32(0x21)));
  const signer = new SecretBytes(fromHex(b32(0x11)));
  const channel: Channel = {
    payer: addr(0x71),
    payerKey: addressOf(payerKey),
    operator: addr(0x22),
    gateway: addr(0x72),
    salt: b32(0x73),
  };
  const channels = [channel, { ...channel, gateway: zeroAddress }].map((parties) => ({
    channel: parties,
    id: channelId(payments, parties),
  }));
  const voucher = { channelId: channelId(payments, channel), maxClaimableAmount: 12_345_678_901_234_567_890n };
  const voucherHash = voucherDigest(payments, voucher);
  const pairs = channels
    .map(({ id }, index) => ({ channel: id, cumulative: 10n ** 18n + BigInt(index) }))
    .sort((a, b) => (a.channel < b.channel ? -1 : 1));
  const statement = { pairsHash: pairsHash(pairs), block: 1234n };
  const statementHash = settlementStatementDigest(domain, statement);
  const digests = [receiptDigest(domain, receipt), statementHash, voucherHash];
  const tree = merkleTree(digests.map(anchoredLeaf));
  const deposits = channels.map((one, index) => ({ channel: one.channel, amount: 5n * 10n ** 18n + BigInt(index) }));
  return {
    comment: 'Records of payments, version 1. Vouchers: EIP-712 as x402 has them, with our contract in the domain.',
    domain: payments,
    voucherDomainSeparator: voucherDomainSeparator(payments),
    channels,
    voucher: { voucher, digest: voucherHash, signature: toHex(signDigest(payerKey, fromHex(voucherHash))) },
    statement: {
      domain,
      pairs,
      packedTotals: packTotals(pairs.map(({ cumulative }) => cumulative)),
      pairsHash: statement.pairsHash,
      block: statement.block,
      digest: statementHash,
      signer: addressOf(signer),
      signature: toHex(signDigest(signer, fromHex(statementHash))),
    },
    anchored: {
      root: tree.root,
      leaves: digests.map((digest, index) => ({ digest, leaf: anchoredLeaf(digest), proof: merkleProof(tree, index) })),
    },
    deposits: { salt: b32(0x74), deposits, nonce: depositsNonce(deposits, b32(0x74)) },
  };
}
