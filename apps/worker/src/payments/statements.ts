import {
  type Address,
  type Bytes32,
  type ChannelTotal,
  type Hex,
  pairsHash,
  type RecordDomain,
  settlementStatementDigest,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { SignDigest } from '../receiptBook.ts';

/** A receipt signer's word on what it earned in some channels, ready to be claimed by. */
export type SignedStatement = {
  readonly signer: Address;
  readonly block: bigint;
  /** Strictly ascending by channel, none of zero. */
  readonly pairs: readonly ChannelTotal[];
  readonly signature: Hex;
};

/** As many channels as one claim takes. */
export const maxStatementPairs = 128;

/** Statements over all totals, each of at most {@link maxStatementPairs} channels. */
export function signStatements(
  { domain, signer, sign }: { readonly domain: RecordDomain; readonly signer: Address; readonly sign: SignDigest },
  totals: Iterable<ChannelTotal>,
  block: bigint,
): SignedStatement[] {
  const pairs = [...totals].filter(({ cumulative }) => cumulative > 0n).sort(byChannel);
  const statements: SignedStatement[] = [];
  for (let from = 0; from < pairs.length; from += maxStatementPairs) {
    const part = pairs.slice(from, from + maxStatementPairs);
    const digest = statementDigest(domain, { block, pairs: part });
    statements.push({ signer, block, pairs: part, signature: toHex(sign(fromHex(digest))) });
  }
  return statements;
}

/** What a statement's signer signs. */
export function statementDigest(
  domain: RecordDomain,
  { block, pairs }: Pick<SignedStatement, 'block' | 'pairs'>,
): Bytes32 {
  return settlementStatementDigest(domain, { pairsHash: pairsHash(pairs), block });
}

function byChannel(left: ChannelTotal, right: ChannelTotal): number {
  return left.channel < right.channel ? -1 : left.channel > right.channel ? 1 : 0;
}
