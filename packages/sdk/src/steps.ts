/** One thing that was checked, in plain words. */
export type ProofStep = {
  /** Stable name, for programs. */
  readonly id: string;
  /** What was asked, as a statement that holds when `ok`. */
  readonly title: string;
  readonly ok: boolean;
  /** The values behind it. */
  readonly detail: string;
};

/** Collects steps in the order of trust and stops at the first that does not hold. */
export class StepList {
  readonly steps: ProofStep[] = [];

  pass(id: string, title: string, detail: string): void {
    this.steps.push({ id, title, ok: true, detail });
  }

  /** Records the step, and throws what `refuse` makes of it where it does not hold. */
  check(
    id: string,
    title: string,
    ok: boolean,
    detail: string,
    refuse: (step: ProofStep, steps: readonly ProofStep[]) => Error,
  ): void {
    const step: ProofStep = { id, title, ok, detail };
    this.steps.push(step);
    if (!ok) throw refuse(step, this.steps);
  }
}
