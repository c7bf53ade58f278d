import { tagHash } from './abi.ts';
import type { Address, Bytes32 } from './hex.ts';

/** workerId = H("cloister/worker-id: v1", chainId, registry, operator, index); the registry gives the index. */
export function workerId(chainId: number, registry: Address, operator: Address, index: bigint): Bytes32 {
  return tagHash('cloister/worker-id: v1', chainId, registry, operator, index);
}

/** app = H("cloister/app-id: v1", owner, salt). */
export function appId(owner: Address, salt: Bytes32): Bytes32 {
  return tagHash('cloister/app-id: v1', owner, salt);
}

/** The context of a receipt meant for one contract, one subject, one purpose, one use. */
export type ReceiptContext = {
  readonly chainId: number;
  /** The contract that will consume the receipt. */
  readonly consumer: Address;
  /** Whom it is about: an address left-padded to 32 bytes, or any 32-byte id. */
  readonly subject: Bytes32;
  readonly purpose: Bytes32;
  readonly nonce: bigint;
};

/** context = H("cloister/context: v1", chainId, consumer, subject, purpose, nonce). */
export function contextHash(context: ReceiptContext): Bytes32 {
  return tagHash(
    'cloister/context: v1',
    context.chainId,
    context.consumer,
    context.subject,
    context.purpose,
    context.nonce,
  );
}

/** An address as a 32-byte subject. */
export function subjectOf(address: Address): Bytes32 {
  return `0x${'0'.repeat(24)}${address.slice(2).toLowerCase()}`;
}

/** The network's clock: epoch or round number at a block's timestamp. Both arguments in unix seconds, length in seconds. */
export function tickAt(blockTimestamp: bigint, genesis: bigint, length: bigint): bigint {
  return blockTimestamp <= genesis ? 0n : (blockTimestamp - genesis) / length;
}
