import type { Partial } from './combinePartials.ts';

const maxChoices = 64;

/**
 * Every choice of `size` partials of distinct members that has the last one in it, at most 64 of them: where nobody knows the members' public
 * shares, and so which partial is wrong, another choice may still make the signature.
 */
export function* choicesWithLast(partials: readonly Partial[], size: number): Generator<Partial[]> {
  const last = partials.at(-1);
  if (last === undefined || partials.length < size) return;
  const others = partials.slice(0, -1).filter(({ index }) => index !== last.index);
  let made = 0;
  const chosen: Partial[] = [];
  function* pick(from: number): Generator<Partial[]> {
    if (chosen.length === size - 1) {
      if (made++ < maxChoices) yield [...chosen, last as Partial];
      return;
    }
    for (let at = from; at < others.length; at++) {
      const next = others[at] as Partial;
      if (chosen.some(({ index }) => index === next.index)) continue;
      chosen.push(next);
      yield* pick(at + 1);
      chosen.pop();
    }
  }
  yield* pick(0);
}
