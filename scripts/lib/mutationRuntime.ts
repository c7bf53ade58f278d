// In Vitest's workers: what the instrumented code asks, and which mutant is awake.

let awake: ReadonlySet<number> = new Set();
let hits: Set<number> | undefined;
let ticks = 0;
let maxTicks = Number.POSITIVE_INFINITY;
let ranAway = false;

/** Thrown out of a loop that a mutant made endless. */
export class RanAway extends Error {
  override readonly name = 'RanAway';
}

/**
 * Wakes these mutants and no other, and counts turns of loops anew.
 * @param limit more turns than this are taken for an endless loop
 */
export function wake(ids: readonly number[], limit = Number.POSITIVE_INFINITY): void {
  awake = new Set(ids);
  maxTicks = limit;
  ticks = 0;
  ranAway = false;
}

/** Whether what is awake ran into an endless loop, though something may have caught the error. */
export function hasRunAway(): boolean {
  return ranAway;
}

/** Turns of loops since the last {@link wake}. */
export function countedTicks(): number {
  return ticks;
}

/** Collects from now on which mutants are reached. */
export function collectHits(into: Set<number>): void {
  hits = into;
}

function mutant(id: number): boolean {
  hits?.add(id);
  return awake.has(id);
}

function bound(id: number, operator: string, left: number, right: number): boolean {
  const moved = mutant(id);
  if (operator === '<') return moved ? left <= right : left < right;
  if (operator === '<=') return moved ? left < right : left <= right;
  if (operator === '>') return moved ? left >= right : left > right;
  return moved ? left > right : left >= right;
}

function tick(): void {
  ticks += 1;
  if (ticks <= maxTicks) return;
  ranAway = true;
  throw new RanAway('Expected the loop to end');
}

/** Makes the names that instrumented code uses known. */
export function installMutants(): void {
  Object.assign(globalThis, { __mutant: mutant, __mutantBound: bound, __mutantTick: tick });
}
