import { CloisterError } from '@cloister/core';
import { phaUnit } from '../units.ts';

/** What is ever issued is at most a billion PHA, as `PhaToken` has it. */
export const issueCap = 1_000_000_000n * phaUnit;

/** Who holds how much PHA, in its smallest unit. Nothing moves but by {@link Books.move}, {@link Books.issue} and {@link Books.burn}. */
export class Books {
  readonly #held = new Map<string, bigint>();
  #issued = 0n;
  #burnt = 0n;

  get issued(): bigint {
    return this.#issued;
  }

  get burnt(): bigint {
    return this.#burnt;
  }

  balanceOf(account: string): bigint {
    return this.#held.get(account) ?? 0n;
  }

  /** Throws BOOKS_OVERDRAWN, BOOKS_NEGATIVE. */
  move(from: string, to: string, amount: bigint): void {
    this.#take(from, amount);
    this.#held.set(to, this.balanceOf(to) + amount);
  }

  /** Throws BOOKS_CAP_EXCEEDED, BOOKS_NEGATIVE. */
  issue(to: string, amount: bigint): void {
    if (amount < 0n) throw new BooksError('BOOKS_NEGATIVE', to, amount, 0n);
    if (this.#issued + amount > issueCap)
      throw new BooksError('BOOKS_CAP_EXCEEDED', to, amount, issueCap - this.#issued);
    this.#issued += amount;
    this.#held.set(to, this.balanceOf(to) + amount);
  }

  /** Throws BOOKS_OVERDRAWN, BOOKS_NEGATIVE. */
  burn(from: string, amount: bigint): void {
    this.#take(from, amount);
    this.#burnt += amount;
  }

  /**
   * Throws CONSERVATION_BROKEN unless all that was issued and not burnt is held by somebody, and each account in custody holds what it
   * owes.
   * @param owed by the custody's account
   */
  assertConserved(owed: Iterable<readonly [account: string, amount: bigint]>): void {
    let sum = 0n;
    for (const amount of this.#held.values()) sum += amount;
    if (sum !== this.#issued - this.#burnt)
      throw new ConservationError('all holdings', sum, this.#issued - this.#burnt);
    for (const [account, amount] of owed)
      if (this.balanceOf(account) !== amount) throw new ConservationError(account, this.balanceOf(account), amount);
  }

  #take(from: string, amount: bigint): void {
    const has = this.balanceOf(from);
    if (amount < 0n) throw new BooksError('BOOKS_NEGATIVE', from, amount, has);
    if (amount > has) throw new BooksError('BOOKS_OVERDRAWN', from, amount, has);
    this.#held.set(from, has - amount);
  }
}

/** A defect of the simulator: it paid what was not there. */
export class BooksError extends CloisterError<'BOOKS_OVERDRAWN' | 'BOOKS_NEGATIVE' | 'BOOKS_CAP_EXCEEDED'> {
  override readonly name = 'BooksError';
  constructor(code: BooksError['code'], account: string, amount: bigint, has: bigint) {
    super({
      code,
      message: `Expected "${account}" to have room for "${amount}" of "${has}" units`,
      meta: { account, amount, has },
      hint: 'This is a defect of the simulator: report it with the scenario and its seed',
    });
  }
}

/** A defect of the simulator: PHA came from nowhere, or went there. */
export class ConservationError extends CloisterError<'CONSERVATION_BROKEN'> {
  override readonly name = 'ConservationError';
  constructor(what: string, held: bigint, expected: bigint) {
    super({
      code: 'CONSERVATION_BROKEN',
      message: `Expected "${what}" to be "${expected}" units, got "${held}"`,
      meta: { what, held, expected },
      hint: 'This is a defect of the simulator: report it with the scenario and its seed',
    });
  }
}
