import {
  type AbsenceProof,
  type Address,
  absenceProof,
  describeError,
  type EvictionTree,
  evictionTreeOf,
  isHexOf,
  maxEvictedSigners,
  parseBoundedJson,
  parseSignedRoundStatement,
  readBounded,
  type SignedRoundStatement,
  withDeadline,
} from '@cloister/core';
import type { Logger } from '@cloister/service';
import { ProblemError } from './problem.ts';

export type RoundStatementsComponents = {
  /** URLs of the gatekeepers, in any order. */
  readonly members: (signal: AbortSignal) => Promise<readonly string[]>;
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds of a clock that only goes forward. */
  readonly clockMs?: () => number;
  readonly log: Logger;
};

/** A statement, and that it does not name a signer as evicted; `absence` null where it does. */
export type StatementFor = { readonly statement: SignedRoundStatement; readonly absence: AbsenceProof | null };

type Told = { readonly url: string; readonly statement: SignedRoundStatement };

/** How long one is served before a newer one is asked for. */
const renewAfterMs = 5_000;
/** How long a list of gatekeepers serves before it is read again. */
const membersAgeMs = 60_000;
const memberTimeoutMs = 3_000;
const maxStatementBytes = 4_096;
const maxEvictedBytes = 48 * maxEvictedSigners;

/**
 * The committee's newest round statement, and for each signer the proof that it is not among the evicted ones. All gatekeepers are asked,
 * and what most of them give is served, as no single one is to be believed; the signature is for clients to check, who need not believe
 * this gateway either.
 */
export class RoundStatements {
  readonly #components: RoundStatementsComponents;
  #held: { readonly statement: SignedRoundStatement; readonly tree: EvictionTree } | undefined;
  #renewing: Promise<void> | undefined;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #members: readonly string[] = [];
  #membersReadAtMs = Number.NEGATIVE_INFINITY;
  #membersReading: Promise<void> | undefined;

  constructor(components: RoundStatementsComponents) {
    this.#components = components;
  }

  /** Throws ProblemError: statement-unavailable. */
  async for(signer: Address): Promise<StatementFor> {
    if (this.#now() - this.#renewedAtMs >= renewAfterMs) {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewedAtMs = this.#now();
        this.#renewing = undefined;
      });
      await this.#renewing;
    }
    if (this.#held === undefined)
      throw new ProblemError('statement-unavailable', 'No gatekeeper gives a statement of a round');
    const { statement, tree } = this.#held;
    return { statement, absence: absenceProof(tree, signer) ?? null };
  }

  async #renew(): Promise<void> {
    const told = await Promise.all((await this.#urls()).map((url) => this.#ask(url)));
    const groups = new Map<string, Told[]>();
    for (const one of told) {
      if (one === undefined) continue;
      const same = JSON.stringify(one.statement, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
      groups.set(same, [...(groups.get(same) ?? []), one]);
    }
    const ranked = [...groups.values()].sort(
      (left, right) => right.length - left.length || Number(roundOf(right) - roundOf(left)),
    );
    for (const [first, ...others] of ranked) {
      if (first === undefined) continue;
      const tree = await this.#tree(first.statement, [first, ...others]);
      if (tree === undefined) continue;
      this.#held = { statement: first.statement, tree };
      return;
    }
  }

  /** Those read last can be asked while the chain can't. */
  async #urls(): Promise<readonly string[]> {
    if (this.#now() - this.#membersReadAtMs >= membersAgeMs) {
      this.#membersReading ??= withDeadline({ timeoutMs: memberTimeoutMs, what: 'The list of gatekeepers' }, (signal) =>
        this.#components.members(signal),
      )
        .then(
          (urls) => {
            this.#members = urls;
            this.#membersReadAtMs = this.#now();
          },
          (error: unknown) => this.#components.log.debug('statements: no list of gatekeepers', { error }),
        )
        .finally(() => {
          this.#membersReading = undefined;
        });
      if (this.#members.length === 0) await this.#membersReading;
    }
    return this.#members;
  }

  async #ask(url: string): Promise<Told | undefined> {
    try {
      return {
        url,
        statement: parseSignedRoundStatement(await this.#get(`${url}/v1/rounds/latest`, maxStatementBytes)),
      };
    } catch (error) {
      this.#components.log.debug('statements: a gatekeeper gives none', { url, reason: describeError(error) });
      return undefined;
    }
  }

  async #tree({ round, evictionRoot }: SignedRoundStatement, by: readonly Told[]): Promise<EvictionTree | undefined> {
    if (this.#held?.tree.root === evictionRoot) return this.#held.tree;
    for (const { url } of by) {
      try {
        const tree = evictionTreeOf(addressesOf(await this.#get(`${url}/v1/rounds/${round}/evicted`, maxEvictedBytes)));
        if (tree.root === evictionRoot) return tree;
      } catch (error) {
        this.#components.log.debug('statements: no list of evicted signers', { url, reason: describeError(error) });
      }
    }
    return undefined;
  }

  #get(url: string, maxBytes: number): Promise<unknown> {
    return withDeadline({ timeoutMs: memberTimeoutMs, what: 'A gatekeeper' }, async (signal) => {
      const response = await (this.#components.fetch ?? globalThis.fetch)(url, { signal, redirect: 'error' });
      const bytes = await readBounded(response, maxBytes);
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      return parseBoundedJson(bytes, maxBytes, 'answer of a gatekeeper');
    });
  }

  #now(): number {
    return this.#components.clockMs?.() ?? performance.now();
  }
}

function roundOf([first]: readonly Told[]): bigint {
  return first?.statement.round ?? 0n;
}

function addressesOf(json: unknown): readonly Address[] {
  if (Array.isArray(json) && json.every((entry) => isHexOf(entry, 20))) return json as readonly Address[];
  throw new Error('it gave no list of signers');
}
