import { type ChainAccount, paymentsAbi } from '@cloister/chain';
import {
  type Address,
  anchoredLeaf,
  type BareReceipt,
  type Bytes32,
  type Hex,
  merkleProof,
  merkleTree,
  packTotals,
  type RecordDomain,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { AnchoredStatements, ClaimableChannel } from './settlementJournal.ts';
import { type SignedStatement, statementDigest } from './statements.ts';

export type ClaimsComponents = {
  readonly domain: RecordDomain;
  readonly payments: Address;
  readonly operator: ChainAccount;
};

const noSignature = `0x${'00'.repeat(32)}` as const;

/** Claims on the chain in the operator's name: vouchers with what shows that they were earned. */
export class Claims {
  readonly #components: ClaimsComponents;

  constructor(components: ClaimsComponents) {
    this.#components = components;
  }

  /** By statements, each over some of these channels. Throws TransactionError. */
  async byStatements(
    channels: readonly ClaimableChannel[],
    statements: readonly SignedStatement[],
    signal: AbortSignal,
  ): Promise<void> {
    const sorted = ascending(channels);
    const { operator } = this.#components;
    const shown = statements.map((statement) => this.#statementClaim(sorted, statement));
    await operator.write(
      { ...this.#contract(), functionName: 'claim', args: [operator.address, sorted.map(channelClaim), shown] },
      signal,
    );
  }

  /** By statements of a signer that was evicted since they were anchored. */
  async byAnchored(
    channels: readonly ClaimableChannel[],
    { root, statements }: AnchoredStatements,
    signal: AbortSignal,
  ): Promise<void> {
    const sorted = ascending(channels);
    const { operator } = this.#components;
    const tree = this.anchorTree(statements);
    const shown = statements.map((statement) => this.#statementClaim(sorted, statement));
    const proofs = statements.map((_, index) => ({ root, siblings: merkleProof(tree, index) }));
    const args = [operator.address, sorted.map(channelClaim), shown, proofs] as const;
    await operator.write({ ...this.#contract(), functionName: 'claimAnchored', args }, signal);
  }

  /** By the last receipts of signers whose statements are lost. */
  async byReceipts(
    channels: readonly ClaimableChannel[],
    receipts: readonly BareReceipt[],
    signal: AbortSignal,
  ): Promise<void> {
    const sorted = ascending(channels);
    const { operator, domain } = this.#components;
    const shown = receipts.map(({ receipt, signature }) => ({
      channelIndex: BigInt(sorted.findIndex(({ id }) => id === receipt.channel)),
      registry: domain.registry,
      ...compact(signature),
      receipt: { ...receipt },
    }));
    const args = [operator.address, sorted.map(channelClaim), shown] as const;
    await operator.write({ ...this.#contract(), functionName: 'claimByReceipts', args }, signal);
  }

  /** Puts on the chain that these statements exist now. Answers the root. */
  async anchor(statements: readonly SignedStatement[], signal: AbortSignal): Promise<Bytes32> {
    const { root } = this.anchorTree(statements);
    await this.#components.operator.write({ ...this.#contract(), functionName: 'anchor', args: [root] }, signal);
    return root;
  }

  /** Splits what was claimed by way of a gateway among the parties. */
  async distribute(gateway: Address, signal: AbortSignal): Promise<void> {
    const { operator } = this.#components;
    await operator.write(
      { ...this.#contract(), functionName: 'distribute', args: [operator.address, gateway] },
      signal,
    );
  }

  /** Hands the operator's part over, to its pool where it has one. */
  async collect(signal: AbortSignal): Promise<void> {
    const { operator } = this.#components;
    await operator.write({ ...this.#contract(), functionName: 'collectForOperator', args: [operator.address] }, signal);
  }

  anchorTree(statements: readonly SignedStatement[]) {
    return merkleTree(statements.map((statement) => anchoredLeaf(statementDigest(this.#components.domain, statement))));
  }

  #statementClaim(channels: readonly ClaimableChannel[], { block, pairs, signature }: SignedStatement) {
    const totals = new Map(pairs.map(({ channel, cumulative }) => [channel, cumulative]));
    return {
      registry: this.#components.domain.registry,
      blockNumber: block,
      ...compact(signature),
      totals: packTotals(channels.map(({ id }) => totals.get(id) ?? 0n)),
    };
  }

  #contract() {
    return { address: this.#components.payments, abi: paymentsAbi } as const;
  }
}

function channelClaim({ parties, voucher }: ClaimableChannel) {
  const { payer, payerKey, gateway, salt } = parties;
  const { maxClaimableAmount, signature } = voucher;
  const signed = maxClaimableAmount === 0n ? { r: noSignature, vs: noSignature } : compact(signature);
  return { channel: { payer, payerKey, gateway, salt }, maxClaimableAmount, ...signed } as const;
}

/** The form of ERC-2098: the parity in the highest bit of s. */
function compact(signature: Hex): { readonly r: Bytes32; readonly vs: Bytes32 } {
  const bytes = fromHex(signature);
  const vs = bytes.slice(32, 64);
  if (bytes[64] === 28) vs[0] = (vs[0] as number) | 0x80;
  return { r: toHex(bytes.subarray(0, 32)), vs: toHex(vs) };
}

function ascending(channels: readonly ClaimableChannel[]): ClaimableChannel[] {
  return [...channels].sort(({ id: left }, { id: right }) => (left < right ? -1 : left > right ? 1 : 0));
}
