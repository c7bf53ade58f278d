import {
  type AbsenceProof,
  type Address,
  CloisterError,
  describeError,
  type NetworkFile,
  parseAbsenceProof,
  parseSignedRoundStatement,
  provesAbsence,
  type RoundStatement,
  roundStatementMessage,
  type SignedRoundStatement,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { verifySignature } from '@cloister/threshold/combine';
import type { Gateways } from './gateways.ts';

export type RoundStatementsComponents = {
  readonly network: NetworkFile;
  readonly gateways: Gateways;
  /** Unix milliseconds. Default: this machine's clock. */
  readonly clockMs?: (() => number) | undefined;
};

/** The oldest statement that proves anything, by this machine's clock, in seconds. */
const maxAgeSeconds = 300n;
/** How far a chain's clock may be ahead of this machine's, in seconds. */
const maxAheadSeconds = 60n;
const keptVerdicts = 64;

/**
 * The committee's word that a worker is not evicted, where no RPC can be asked: a statement of the newest round, signed by the key that
 * the network file pins, and a proof that its list of evicted signers does not name this one. Gateways pass it on; they can't make one.
 */
export class RoundStatements {
  readonly #components: RoundStatementsComponents;
  readonly #verdicts = new Map<string, boolean>();

  constructor(components: RoundStatementsComponents) {
    this.#components = components;
  }

  /**
   * A statement not older than 5 minutes under which the signer is not evicted. Throws STATEMENT_ABSENT where the network has no
   * committee, STATEMENT_UNAVAILABLE where no gateway gives one that holds; of an evicted signer there is none.
   */
  async proofFor(signer: Address, signal?: AbortSignal): Promise<RoundStatement> {
    const { network, gateways } = this.#components;
    if (network.networkKeys === null)
      throw new RoundStatementError(
        'STATEMENT_ABSENT',
        'The network file names no keys: this network has no committee',
      );
    const reasons: string[] = [];
    for (const url of gateways.urls) {
      try {
        const { statement, absence } = readStatement(await gateways.statement(url, signer, signal));
        this.#assertHolds(statement, network.networkKeys.beacon);
        if (absence === null) throw new Error('it says that the signer is evicted');
        if (!provesAbsence(statement.evictionRoot, signer, absence))
          throw new Error('its proof that the signer is not evicted does not hold');
        return statement;
      } catch (error) {
        signal?.throwIfAborted();
        reasons.push(`${url}: ${describeError(error)}`);
      }
    }
    throw new RoundStatementError(
      'STATEMENT_UNAVAILABLE',
      `No gateway gives a statement that holds (${reasons.join('; ')})`,
    );
  }

  #assertHolds(statement: SignedRoundStatement, key: `0x${string}`): void {
    const now = BigInt(Math.floor((this.#components.clockMs?.() ?? Date.now()) / 1000));
    const age = now - statement.time;
    if (age > maxAgeSeconds || age < -maxAheadSeconds)
      throw new Error(`its statement is "${age}" s old by this machine's clock`);
    const { network } = this.#components;
    const message = roundStatementMessage(
      { chainId: network.chainId, registry: network.contracts.workerRegistry },
      statement,
    );
    const id = `${message}${statement.signature}`;
    const known = this.#verdicts.get(id);
    const holds = known ?? verifySignature(fromHex(key), fromHex(message), fromHex(statement.signature));
    this.#verdicts.set(id, holds);
    if (this.#verdicts.size > keptVerdicts) this.#verdicts.delete(this.#verdicts.keys().next().value as string);
    if (!holds) throw new Error("its statement is not signed by the network's key");
  }
}

function readStatement(json: unknown): {
  readonly statement: SignedRoundStatement;
  readonly absence: AbsenceProof | null;
} {
  const { statement, absence } = (json ?? {}) as { readonly statement?: unknown; readonly absence?: unknown };
  return {
    statement: parseSignedRoundStatement(statement),
    absence: absence === null ? null : parseAbsenceProof(absence),
  };
}

export type RoundStatementErrorCode = 'STATEMENT_ABSENT' | 'STATEMENT_UNAVAILABLE';

export class RoundStatementError extends CloisterError<RoundStatementErrorCode> {
  override readonly name = 'RoundStatementError';
  constructor(code: RoundStatementErrorCode, message: string) {
    super({ code, message, retry: code === 'STATEMENT_UNAVAILABLE' });
  }
}
