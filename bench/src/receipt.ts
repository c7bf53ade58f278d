import { type Receipt, type RecordDomain, receiptDigest } from '@cloister/core';
import { fromHex, randomBytes, SecretBytes, toHex } from '@cloister/crypto';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { signDigest } from '@cloister/crypto/native-secp256k1';
import { privateKeyToAccount } from 'viem/accounts';
import { type BenchLine, interleaved } from './measure.ts';

const domain: RecordDomain = { chainId: 31337, registry: `0x${'77'.repeat(20)}` };
const bytes32 = () => toHex(randomBytes(32));

const uint64 = 'uint64';
const types = {
  Receipt: [
    ['app', 'bytes32'],
    ['manifest', 'bytes32'],
    ['keyVersion', uint64],
    ['epoch', uint64],
    ['channel', 'bytes32'],
    ['sequence', uint64],
    ['context', 'bytes32'],
    ['requestHash', 'bytes32'],
    ['inputCommitment', 'bytes32'],
    ['outputCommitment', 'bytes32'],
    ['status', 'uint8'],
    ['fee', 'uint128'],
    ['cumulativeFee', 'uint128'],
    ['blockNumber', uint64],
    ['blockHash', 'bytes32'],
    ['time', uint64],
    ['detailsHash', 'bytes32'],
  ].map(([name = '', type = '']) => ({ name, type })),
};

/** receipt-sign: one receipt hashed by EIP-712 and signed, against viem's signTypedData over the same fields. */
export async function benchReceiptSign(): Promise<BenchLine> {
  const key = randomBytes(32);
  const secret = new SecretBytes(key);
  const account = privateKeyToAccount(toHex(key));
  const receipt: Receipt = {
    app: bytes32(),
    manifest: bytes32(),
    keyVersion: 1n,
    epoch: 20n,
    channel: bytes32(),
    sequence: 0n,
    context: bytes32(),
    requestHash: bytes32(),
    inputCommitment: bytes32(),
    outputCommitment: bytes32(),
    status: 0,
    fee: 10n ** 15n,
    cumulativeFee: 10n ** 18n,
    blockNumber: 20_000_000n,
    blockHash: bytes32(),
    time: 1_790_000_000n,
    detailsHash: bytes32(),
  };
  let sequence = 0n;
  // Every receipt is another: nothing may be answered from a cache.
  const next = () => {
    sequence += 1n;
    return { ...receipt, sequence };
  };
  const ours = () => signDigest(secret, fromHex(receiptDigest(domain, next(), keccak256)));
  const eip712 = { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry };
  const peer = () => account.signTypedData({ domain: eip712, types, primaryType: 'Receipt', message: next() });
  sequence = 7n;
  const same = toHex(ours());
  sequence = 7n;
  if (same !== (await peer())) throw new Error('Expected both sides to make the same signature');
  return interleaved({ id: 'receipt-sign', ours, peer, runs: 40, callsPerRun: 100, warmUps: 10 });
}
