/** Numbers that look random and are the same for the same seed, everywhere: xoshiro128** over 32-bit integers. */
export type Random = {
  /** 0 to 2^32 − 1. */
  readonly next: () => number;
  /** True in so many ten-thousandths of all calls. */
  readonly chance: (bps: number) => boolean;
  /** 0 to `count` − 1. */
  readonly below: (count: number) => number;
};

/** @param seed 0 to 2^32 − 1 */
export function seededRandom(seed: number): Random {
  // splitmix32 spreads the seed over the state, which must not be all zero.
  let spread = seed | 0;
  const word = () => {
    spread = (spread + 0x9e3779b9) | 0;
    let mixed = spread ^ (spread >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  let [a, b, c, d] = [word(), word(), word(), word() | 1];
  const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  const next = () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  return {
    next,
    chance: (bps) => (next() / 2 ** 32) * 10_000 < bps,
    below: (count) => Math.floor((next() / 2 ** 32) * count),
  };
}
