import {
  type Address,
  type BridgeLink,
  type Bytes32,
  bridgeStatementDigest,
  CloisterError,
  type Hex,
  type NetworkFile,
  parseBridgeStatement,
} from '@cloister/core';
import { type Counter, type Logger, TokenBuckets } from '@cloister/service';
import { judgeBridgeStatement, type LinkFacts, refused } from './bridgeRules.ts';

export type BridgeServiceComponents = {
  readonly me: { readonly signer: Address; readonly sign: (digest: Bytes32) => Hex };
  readonly network: Pick<NetworkFile, 'chainId' | 'contracts' | 'bridges'>;
  /** What can't be taken back any more on both chains of a link. Throws ChainError where one can't be read or is split: then nothing is signed. */
  readonly facts: (link: BridgeLink, signal: AbortSignal) => Promise<LinkFacts>;
  readonly answered: Counter;
  readonly log: Logger;
  /** Monotonic, ms. */
  readonly clockMs?: () => number;
};

/** A carrier asks about each of its messages every few seconds, and about many at once after a pause. */
const requestBurst = 64;
const requestsPerSecond = 8;
/** What was signed is signed again without a look at the chains: it holds for ever. */
const maxSigned = 4_096;

/**
 * Signs what this member read of the links to other chains, for whoever carries it: that a message was sent and is final, that it is void
 * at its destination, that the committee's signers are others now. Enough members' signatures are the proof; whoever wants one asks them.
 *
 * The digest is always made here, from a message's own fields: another chain's contract says which messages it sent, and never what a
 * member signs.
 */
export class BridgeService {
  readonly #components: BridgeServiceComponents;
  readonly #rate: TokenBuckets;
  readonly #signed = new Map<Bytes32, Hex>();
  #lastRefusal = '';

  constructor(components: BridgeServiceComponents) {
    this.#components = components;
    const now = components.clockMs === undefined ? {} : { now: components.clockMs };
    this.#rate = new TokenBuckets({ burst: requestBurst, perSecond: requestsPerSecond, ...now });
  }

  /** Throws BRIDGE_RATE_LIMITED. A body is read only after it. @param client whoever counts as one, by address */
  admit(client: string): void {
    const waitMs = this.#rate.take(client);
    if (waitMs > 0)
      throw refused('BRIDGE_RATE_LIMITED', `Too many statements for this address; wait ${Math.ceil(waitMs / 1000)} s`);
  }

  /** This member's signature over a statement, as JSON. Throws SchemaError, BridgeRefusedError, ChainError. */
  async answer(json: unknown, signal: AbortSignal): Promise<Record<string, string>> {
    const { me, network, answered } = this.#components;
    const statement = parseBridgeStatement(json);
    const link = network.bridges?.find(({ chainId }) => chainId === statement.link);
    if (link === undefined)
      throw refused('BRIDGE_LINK_UNKNOWN', `This network has no link to chain "${statement.link}"`);
    const digest = bridgeStatementDigest(network, link, statement);
    const known = statement.statement === 'handover' ? undefined : this.#signed.get(digest);
    if (known !== undefined) return { signer: me.signer, signature: known };
    try {
      const facts = await this.#components.facts(link, signal);
      await judgeBridgeStatement(network, link, statement, facts, signal);
    } catch (error) {
      if (error instanceof CloisterError) this.#note(link, error);
      throw error;
    }
    const signature = me.sign(digest);
    this.#remember(digest, signature);
    answered.add(1, { outcome: `${statement.statement} signed` });
    this.#components.log.info('bridge: signed', { chain: link.chainId, statement: statement.statement, digest });
    return { signer: me.signer, signature };
  }

  #remember(digest: Bytes32, signature: Hex): void {
    this.#signed.set(digest, signature);
    const [oldest] = this.#signed.keys();
    if (this.#signed.size > maxSigned && oldest !== undefined) this.#signed.delete(oldest);
  }

  /** What is not final yet is asked for again and again: no news. */
  #note({ chainId }: BridgeLink, error: CloisterError): void {
    const { answered, log } = this.#components;
    answered.add(1, { outcome: error.code });
    if (error.retry || error.message === this.#lastRefusal) return;
    this.#lastRefusal = error.message;
    log.warn('bridge: not signed', { chain: chainId, code: error.code, reason: error.message });
  }
}
