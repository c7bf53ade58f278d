import { keccak256, toHex, utf8 } from '@cloister/crypto';
import { expect, test } from 'vitest';
import { nitroImageId, sgxImageId, snpImageId, tdxImageId } from '../src/index.ts';

/** keccak256("cloister/image: v1") ‖ uint256(type) ‖ measurements, written out. */
function expected(type: number, ...measurements: readonly Uint8Array[]): string {
  const word = new Uint8Array(32);
  word[31] = type;
  return toHex(
    keccak256(
      Uint8Array.from([
        ...keccak256(utf8('cloister/image: v1')),
        ...word,
        ...measurements.flatMap((bytes) => [...bytes]),
      ]),
    ),
  );
}

const [one, two, three, four] = [1, 2, 3, 4].map((byte) => new Uint8Array(48).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

test('the image of each type of TEE is a hash of its measurements and its type', () => {
  expect(sgxImageId(one.subarray(16))).toBe(expected(1, one.subarray(16)));
  expect(tdxImageId({ mrtd: one, rtmr0: two, rtmr1: three, rtmr2: four })).toBe(expected(2, one, two, three, four));
  expect(snpImageId(one)).toBe(expected(3, one));
  expect(nitroImageId(one, two, three)).toBe(expected(4, one, two, three));
});
