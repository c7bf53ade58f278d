/** The square root, rounded down. Throws RangeError below 0. */
export function squareRootDown(value: bigint): bigint {
  if (value < 0n) throw new RangeError(`Expected no negative number, got "${value}"`);
  if (value < 2n) return value;
  // Newton from above: falls until it stands.
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** The square root, rounded up. Throws RangeError below 0. */
export function squareRootUp(value: bigint): bigint {
  const root = squareRootDown(value);
  return root * root === value ? root : root + 1n;
}
