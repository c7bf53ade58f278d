import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { type AbiWord, abiEncodeWords, tagHash } from './abi.ts';
import { hashStruct, namedDomainSeparator, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import { CloisterError } from './errors.ts';
import type { Address, Bytes32, Hex } from './hex.ts';

/** The chain and its Payments contract: the verifying contract of vouchers. */
export type PaymentsDomain = { readonly chainId: number; readonly payments: Address };

/** Who pays whom by which key. Its hash is the channel's id. */
export type Channel = {
  /** To whom what is left goes back. */
  readonly payer: Address;
  /** Signs the vouchers; each client process has its own. */
  readonly payerKey: Address;
  readonly operator: Address;
  /** Zero where no gateway carries the calls. */
  readonly gateway: Address;
  readonly salt: Bytes32;
};

/** channel = H("cloister/channel: v1", chainId, payments, payer, payerKey, operator, gateway, salt). */
export function channelId({ chainId, payments }: PaymentsDomain, channel: Channel): Bytes32 {
  return tagHash('cloister/channel: v1', chainId, payments, ...channelWords(channel));
}

/** The payer's promise of up to so much of a channel, in all; amounts in the token's smallest unit. In x402's shape. */
export type Voucher = {
  readonly channelId: Bytes32;
  readonly maxClaimableAmount: bigint;
};

const voucherType = structType('Voucher(bytes32 channelId,uint128 maxClaimableAmount)');

/** The EIP-712 domain separator of vouchers: name and version are those of x402's batch settlement, the contract ours. */
export function voucherDomainSeparator({ chainId, payments }: PaymentsDomain): Bytes32 {
  return namedDomainSeparator({ name: 'x402 Batch Settlement', version: '1', chainId, verifyingContract: payments });
}

/** The EIP-712 digest that the payer key signs. Throws PAYMENT_AMOUNT_OUT_OF_RANGE. */
export function voucherDigest(domain: PaymentsDomain, voucher: Voucher): Bytes32 {
  const structHash = hashStruct(voucherType, voucher.channelId, amount(voucher.maxClaimableAmount));
  const prefix = new Uint8Array([0x19, 0x01]);
  return toHex(keccak256(concatBytes(prefix, fromHex(voucherDomainSeparator(domain)), fromHex(structHash))));
}

/** What a signer's receipts of a channel come to in all; more than zero. */
export type ChannelTotal = {
  readonly channel: Bytes32;
  readonly cumulative: bigint;
};

/** A receipt signer's word on the totals of many channels; `block` is the latest that the enclave knew. */
export type SettlementStatement = {
  readonly pairsHash: Bytes32;
  readonly block: bigint;
};

const settlementStatementType = structType('SettlementStatement(bytes32 pairsHash,uint64 block)');

/** The EIP-712 digest that the receipt signer signs, in the domain of the network's records. */
export function settlementStatementDigest(domain: RecordDomain, statement: SettlementStatement): Bytes32 {
  const { pairsHash, block } = statement;
  if (block < 0n || block >> 64n !== 0n) throw new PaymentAmountError('block', block, 64n);
  return typedDataDigest(domain, hashStruct(settlementStatementType, pairsHash, block));
}

/**
 * keccak256 of the pairs one behind the other, each the channel's id and the total as two words of 32 bytes, strictly
 * ascending by channel. Throws PAYMENT_PAIRS_MALFORMED for another order, a total of zero, or no pair;
 * PAYMENT_AMOUNT_OUT_OF_RANGE.
 */
export function pairsHash(pairs: readonly ChannelTotal[]): Bytes32 {
  if (pairs.length === 0) throw new PaymentPairsError('at least one pair');
  const words = pairs.flatMap(({ channel, cumulative }, index): AbiWord[] => {
    const before = pairs[index - 1];
    if (before !== undefined && BigInt(before.channel) >= BigInt(channel))
      throw new PaymentPairsError(`channels strictly ascending, not "${channel}" after "${before.channel}"`);
    if (cumulative === 0n) throw new PaymentPairsError(`a total above zero for "${channel}"`);
    return [channel, amount(cumulative)];
  });
  return toHex(keccak256(abiEncodeWords(...words)));
}

/** A statement's totals as a claim shows them: 16 bytes, big-endian, for each channel of the claim, in its order; zero for a channel that the statement does not name. Throws PAYMENT_AMOUNT_OUT_OF_RANGE. */
export function packTotals(totals: readonly bigint[]): Hex {
  return `0x${totals.map((total) => amount(total).toString(16).padStart(32, '0')).join('')}`;
}

/** The leaf of a receipt or a statement in an anchored tree: H("cloister/anchored: v1", digest). */
export function anchoredLeaf(digest: Bytes32): Bytes32 {
  return tagHash('cloister/anchored: v1', digest);
}

export type ChannelDeposit = { readonly channel: Channel; readonly amount: bigint };

/**
 * The nonce of an ERC-3009 authorization that pays for these deposits and no others:
 * H("cloister/deposits: v1", salt, keccak256(abi.encode(deposits))).
 */
export function depositsNonce(deposits: readonly ChannelDeposit[], salt: Bytes32): Bytes32 {
  const words = deposits.flatMap((deposit) => [...channelWords(deposit.channel), amount(deposit.amount)]);
  return tagHash('cloister/deposits: v1', salt, toHex(keccak256(abiEncodeWords(32, deposits.length, ...words))));
}

function channelWords({ payer, payerKey, operator, gateway, salt }: Channel): AbiWord[] {
  return [payer, payerKey, operator, gateway, salt];
}

function amount(value: bigint): bigint {
  if (value < 0n || value >> 128n !== 0n) throw new PaymentAmountError('amount', value, 128n);
  return value;
}

export type PaymentErrorCode = 'PAYMENT_AMOUNT_OUT_OF_RANGE' | 'PAYMENT_PAIRS_MALFORMED';

export class PaymentAmountError extends CloisterError<'PAYMENT_AMOUNT_OUT_OF_RANGE'> {
  override readonly name = 'PaymentAmountError';
  constructor(field: string, value: bigint, bits: bigint) {
    super({
      code: 'PAYMENT_AMOUNT_OUT_OF_RANGE',
      message: `Expected ${field} to fit uint${bits}, got "${value}"`,
      meta: { field },
    });
  }
}

export class PaymentPairsError extends CloisterError<'PAYMENT_PAIRS_MALFORMED'> {
  override readonly name = 'PaymentPairsError';
  constructor(expected: string) {
    super({ code: 'PAYMENT_PAIRS_MALFORMED', message: `Expected ${expected}` });
  }
}
