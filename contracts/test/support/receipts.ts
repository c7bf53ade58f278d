import {
  type Address,
  encodeAbiParameters,
  type Hex,
  hashTypedData,
  keccak256,
  type PrivateKeyAccount,
  padHex,
  toHex,
  zeroHash,
} from 'viem';

export type Receipt = {
  readonly app: Hex;
  readonly manifest: Hex;
  readonly keyVersion: bigint;
  readonly epoch: bigint;
  readonly channel: Hex;
  readonly sequence: bigint;
  readonly context: Hex;
  readonly requestHash: Hex;
  readonly inputCommitment: Hex;
  readonly outputCommitment: Hex;
  readonly status: number;
  readonly fee: bigint;
  readonly cumulativeFee: bigint;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly time: bigint;
  readonly detailsHash: Hex;
};

export const receiptTypes = {
  Receipt: [
    { name: 'app', type: 'bytes32' },
    { name: 'manifest', type: 'bytes32' },
    { name: 'keyVersion', type: 'uint64' },
    { name: 'epoch', type: 'uint64' },
    { name: 'channel', type: 'bytes32' },
    { name: 'sequence', type: 'uint64' },
    { name: 'context', type: 'bytes32' },
    { name: 'requestHash', type: 'bytes32' },
    { name: 'inputCommitment', type: 'bytes32' },
    { name: 'outputCommitment', type: 'bytes32' },
    { name: 'status', type: 'uint8' },
    { name: 'fee', type: 'uint128' },
    { name: 'cumulativeFee', type: 'uint128' },
    { name: 'blockNumber', type: 'uint64' },
    { name: 'blockHash', type: 'bytes32' },
    { name: 'time', type: 'uint64' },
    { name: 'detailsHash', type: 'bytes32' },
  ],
} as const;

export type RecordDomain = { readonly chainId: number; readonly registry: Address };

export function receiptDigest(receipt: Receipt, domain: RecordDomain): Hex {
  return hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId: domain.chainId, verifyingContract: domain.registry },
    types: receiptTypes,
    primaryType: 'Receipt',
    message: receipt,
  });
}

/** r ‖ s ‖ v as the enclave signs it. */
export function signReceipt(receipt: Receipt, domain: RecordDomain, signer: PrivateKeyAccount): Promise<Hex> {
  return signer.sign({ hash: receiptDigest(receipt, domain) });
}

export function contextOf(chainId: number, consumer: Address, subject: Hex, purpose: Hex, nonce: bigint): Hex {
  return keccak256(
    encodeAbiParameters(
      [
        { type: 'string' },
        { type: 'uint256' },
        { type: 'address' },
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'uint256' },
      ],
      ['cloister/context: v1', BigInt(chainId), consumer, subject, purpose, nonce],
    ),
  );
}

export function commitment(salt: Hex, body: Hex): Hex {
  return keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'bytes32' }], [salt, keccak256(body)]));
}

/** The body that the credit line's app answers with. */
export function decisionBody(applicant: Hex, approved: bigint, limit: bigint): Hex {
  return encodeAbiParameters(
    [{ type: 'uint256' }, { type: 'uint256' }, { type: 'uint256' }],
    [BigInt(applicant), approved, limit],
  );
}

/** A free call's receipt; the rest by the changes. */
export function receiptWith(changes: Partial<Receipt>): Receipt {
  return {
    app: zeroHash,
    manifest: zeroHash,
    keyVersion: 1n,
    epoch: 0n,
    channel: zeroHash,
    sequence: 1n,
    context: zeroHash,
    requestHash: toHex(0x4e9, { size: 32 }),
    inputCommitment: toHex(0x17, { size: 32 }),
    outputCommitment: zeroHash,
    status: 0,
    fee: 0n,
    cumulativeFee: 0n,
    blockNumber: 0n,
    blockHash: zeroHash,
    time: 1_790_000_000n,
    detailsHash: toHex(0xde7, { size: 32 }),
    ...changes,
  };
}

export function subjectOf(account: Address): Hex {
  return padHex(account, { size: 32 });
}
