import { abiEncodeWords, type Bytes32 } from '@cloister/core';
import { keccak256, toHex } from '@cloister/crypto';

const fractionBits = 64n;
/** The mantissa's bits behind the point while it is squared. */
const mantissaBits = 127n;

/**
 * A worker's place in line for an app, the smallest first: −log2((uint(H(seed, app, workerId)) + 1) / 2^256) / weight, where H is
 * keccak256(abi.encode(seed, app, workerId)). Over many seeds a worker is first in proportion to its weight, and one that leaves
 * changes nobody else's place (weighted rendezvous hashing).
 *
 * In whole numbers: the logarithm with 64 bits behind the point, truncated (bit by bit, from squarings of a 128-bit mantissa,
 * each truncated); times 2^64, divided by the weight, truncated.
 * @param weight at least 1
 */
export function rendezvousScore(seed: Bytes32, app: Bytes32, workerId: Bytes32, weight: bigint): bigint {
  if (weight < 1n) throw new RangeError(`Expected a weight of at least 1, got "${weight}"`);
  const drawn = BigInt(toHex(keccak256(abiEncodeWords(seed, app, workerId)))) + 1n;
  return (((256n << fractionBits) - log2(drawn)) << fractionBits) / weight;
}

/** log2 of 1 to 2^256 with 64 bits behind the point, truncated. */
export function log2(value: bigint): bigint {
  const whole = BigInt(value.toString(2).length - 1);
  let mantissa = whole > mantissaBits ? value >> (whole - mantissaBits) : value << (mantissaBits - whole);
  let fraction = 0n;
  for (let bit = 0n; bit < fractionBits; bit++) {
    mantissa = (mantissa * mantissa) >> mantissaBits;
    fraction <<= 1n;
    if (mantissa >> (mantissaBits + 1n) === 1n) {
      mantissa >>= 1n;
      fraction |= 1n;
    }
  }
  return (whole << fractionBits) | fraction;
}
