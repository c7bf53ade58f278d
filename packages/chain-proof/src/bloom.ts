import { keccak256 } from '@cloister/crypto';

const bloomBytes = 256;

/**
 * Whether a block's log bloom lets an address or a topic be in it (Yellow Paper 4.4.1). Where it does not, no receipt of the block has
 * it: the bloom follows from the receipts, and stands in the header.
 */
export function bloomMayHold(bloom: Uint8Array, item: Uint8Array): boolean {
  const hash = keccak256(item);
  return [0, 2, 4].every((at) => {
    const bit = (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) % (bloomBytes * 8);
    return (((bloom[bloomBytes - 1 - (bit >> 3)] ?? 0) >> (bit & 7)) & 1) === 1;
  });
}
