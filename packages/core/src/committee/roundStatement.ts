import { tagHash } from '../abi.ts';
import type { RecordDomain } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';

/**
 * What the committee says of the chain in a round: the last block before the round began, and who was evicted by then. Whoever holds one
 * knows that the chain was there at that time, without asking any RPC.
 */
export type RoundStatement = {
  readonly round: bigint;
  /** Timestamp of the block, unix seconds. */
  readonly time: bigint;
  readonly block: bigint;
  readonly blockHash: Bytes32;
  /** Over the signers that were evicted for cause and whose leases would still run. */
  readonly evictionRoot: Bytes32;
};

/** With the beacon key's signature over its message, 96 bytes. */
export type SignedRoundStatement = RoundStatement & { readonly signature: Hex };

/** What the beacon key signs: H("cloister/round statement: v1", chainId, registry, round, time, block, blockHash, evictionRoot). */
export function roundStatementMessage(domain: RecordDomain, statement: RoundStatement): Bytes32 {
  const { round, time, block, blockHash, evictionRoot } = statement;
  return tagHash(
    'cloister/round statement: v1',
    domain.chainId,
    domain.registry,
    round,
    time,
    block,
    blockHash,
    evictionRoot,
  );
}

const signedJson = z.strictObject({
  round: z.uintString(64),
  time: z.uintString(64),
  block: z.uintString(64),
  blockHash: z.bytes32,
  evictionRoot: z.bytes32,
  signature: z.hexOf(96),
});

/** Reads a signed statement; whether the signature holds is another question. Throws SchemaError. */
export function parseSignedRoundStatement(json: unknown): SignedRoundStatement {
  return z.parseWith(signedJson, json, 'round statement') as SignedRoundStatement;
}

/** The signed statement as JSON has it. */
export function roundStatementToJson(statement: SignedRoundStatement): Record<string, string> {
  const { round, time, block } = statement;
  return { ...statement, round: `${round}`, time: `${time}`, block: `${block}` };
}
