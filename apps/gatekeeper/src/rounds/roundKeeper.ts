import {
  type Address,
  CloisterError,
  type RecordDomain,
  roundStatementMessage,
  type SignedRoundStatement,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import type { Peers } from '../peers/peers.ts';
import type { BeaconSigner } from '../signing/beaconSigner.ts';
import type { MemberPartial } from '../signing/memberPartial.ts';
import type { RoundFacts } from './roundFacts.ts';

export type RoundComponents = {
  readonly signer: BeaconSigner;
  readonly peers: Pick<Peers, 'roundPartial'>;
  /** The network's round at the newest block; undefined before one was read. */
  readonly round: () => bigint | undefined;
  readonly facts: (round: bigint, signal: AbortSignal) => Promise<RoundFacts>;
  /** Throws CHAIN_UNWITNESSED where enough others do not see the chain that this member sees. */
  readonly assertWitnessed: () => void;
  readonly onWrongPartial: (index: number, round: bigint) => void;
};

/** A signed statement, and the signers that its root stands for. */
export type MadeStatement = { readonly statement: SignedRoundStatement; readonly evicted: readonly Address[] };

/** Rounds that can be asked for: a client takes no statement that is older than 5 minutes. */
const keptRounds = 32;

/**
 * The committee's word for the chain of a round. A member signs one statement for each round, and none for the rounds in which it may have
 * signed another before it was restarted; so two statements of one round need 2t − n members that lie.
 */
export class RoundKeeper {
  readonly #components: RoundComponents;
  readonly #domain: RecordDomain;
  readonly #own = new Map<bigint, Promise<RoundFacts>>();
  readonly #made = new Map<bigint, Promise<MadeStatement>>();
  #startedIn: bigint | undefined;
  #newest: MadeStatement | undefined;

  constructor(components: RoundComponents, init: { readonly domain: RecordDomain }) {
    this.#components = components;
    this.#domain = init.domain;
  }

  /** The newest statement that was made here. Throws ROUND_UNAVAILABLE before the first. */
  newest(): MadeStatement {
    if (this.#newest === undefined)
      throw new RoundError('ROUND_UNAVAILABLE', 'This member has no statement of any round yet', undefined);
    return this.#newest;
  }

  /** This member's part of the statement that it makes. Throws RoundError, CHAIN_UNWITNESSED, ROUND_AHEAD, ChainError. */
  async partial(round: bigint, signal: AbortSignal): Promise<MemberPartial> {
    const startedIn = this.#assertAskable(round);
    if (round <= startedIn)
      throw new RoundError('ROUND_NOT_SIGNED', `This member was not there when round "${round}" began`, round);
    const { statement } = await this.#facts(round, signal);
    const part = this.#components.signer.partial(this.#message(statement));
    if (part === undefined)
      throw new RoundError('ROUND_NOT_SIGNED', 'This member holds no shares of the committee that is', round);
    return part;
  }

  /** The round's statement. Throws ROUND_UNAVAILABLE while too few members say the same, and as {@link partial}. */
  statement(round: bigint, signal: AbortSignal): Promise<MadeStatement> {
    this.#assertAskable(round);
    return remembered(this.#made, round, () => this.#make(round, signal));
  }

  async #make(round: bigint, signal: AbortSignal): Promise<MadeStatement> {
    const { signer, peers, onWrongPartial } = this.#components;
    const { statement, evicted } = await this.#facts(round, signal);
    const gathered = await signer.gather(
      {
        message: this.#message(statement),
        own: await this.partial(round, signal).catch(() => undefined),
        ask: (member, inner) => peers.roundPartial(member, round, inner),
        onWrong: (index) => onWrongPartial(index, round),
      },
      signal,
    );
    if ('have' in gathered)
      throw new RoundError(
        'ROUND_UNAVAILABLE',
        `Of "${gathered.need}" members needed, "${gathered.have}" gave their part of what is to be said of round "${round}"`,
        round,
      );
    const made = { statement: { ...statement, signature: gathered.signature }, evicted };
    if (this.#newest === undefined || this.#newest.statement.round < round) this.#newest = made;
    return made;
  }

  /** What this member says of a round, once and for all. */
  #facts(round: bigint, signal: AbortSignal): Promise<RoundFacts> {
    return remembered(this.#own, round, () => {
      this.#components.assertWitnessed();
      return this.#components.facts(round, signal);
    });
  }

  #message(statement: RoundFacts['statement']): Uint8Array {
    return fromHex(roundStatementMessage(this.#domain, statement));
  }

  /** Answers in which round this member began. */
  #assertAskable(round: bigint): bigint {
    const now = this.#components.round();
    if (now === undefined || round > now)
      throw new RoundError('ROUND_NOT_BEGUN', `Round "${round}" has not begun`, round);
    if (round <= now - BigInt(keptRounds))
      throw new RoundError('ROUND_OVER', `Round "${round}" is long over; now is "${now}"`, round);
    this.#startedIn ??= now;
    return this.#startedIn;
  }
}

/** The first answer that there was; what failed is asked anew. */
function remembered<T>(map: Map<bigint, Promise<T>>, round: bigint, make: () => Promise<T>): Promise<T> {
  const known = map.get(round);
  if (known !== undefined) return known;
  const made = (async () => make())();
  map.set(round, made);
  made.catch(() => map.delete(round));
  while (map.size > 2 * keptRounds) map.delete(map.keys().next().value as bigint);
  return made;
}

export type RoundErrorCode = 'ROUND_NOT_BEGUN' | 'ROUND_OVER' | 'ROUND_NOT_SIGNED' | 'ROUND_UNAVAILABLE';

export class RoundError extends CloisterError<RoundErrorCode> {
  override readonly name = 'RoundError';
  constructor(code: RoundErrorCode, message: string, round: bigint | undefined) {
    super({ code, message, meta: { round }, retry: code !== 'ROUND_OVER' });
  }
}
