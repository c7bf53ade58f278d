import { fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  type Bytes32,
  dstackImageId,
  dstackMrConfigId,
  mrConfigIdOf,
  nitroImageId,
  readMrConfigId,
  sgxImageId,
  snpImageId,
  tdxImageId,
} from '../src/index.ts';

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

test('the image of a dstack CVM is told by its registers and by what runs in it', () => {
  const registers = { mrtd: one, rtmr0: two, rtmr1: three, rtmr2: four };
  const composeHash: Bytes32 = `0x${'c5'.repeat(32)}`;
  const image = dstackImageId(registers, composeHash);
  const bytes = [
    ...keccak256(utf8('cloister/dstack-image: v1')),
    ...new Uint8Array(31),
    2,
    ...[one, two, three, four].flatMap((register) => [...register]),
    ...fromHex(composeHash),
  ];
  expect(image).toBe(toHex(keccak256(Uint8Array.from(bytes))));
  const others = [
    tdxImageId(registers),
    dstackImageId(registers, `0x${'c5'.repeat(31)}c6`),
    ...(['mrtd', 'rtmr0', 'rtmr1', 'rtmr2'] as const).map((name) =>
      dstackImageId({ ...registers, [name]: new Uint8Array(48) }, composeHash),
    ),
  ];
  expect(new Set([image, ...others]).size).toBe(7);
});

describe('MRCONFIGID', () => {
  const ids: readonly Bytes32[] = [`0x${'ab'.repeat(32)}`, `0x01${'ab'.repeat(31)}`, `0x${'00'.repeat(31)}01`];

  test.each(ids)('of a network file and of a dstack app with the hash %s', (id) => {
    expect(readMrConfigId(mrConfigIdOf(id))).toEqual({ configId: id, composeHash: null });
    expect(readMrConfigId(dstackMrConfigId(id))).toEqual({ configId: id, composeHash: id });
  });

  test('a compose hash that ends in a zero byte reads as a network file that is none, never as the hash', () => {
    const hash: Bytes32 = `0x${'ab'.repeat(31)}00`;
    const read = { configId: `0x01${'ab'.repeat(31)}`, composeHash: null };
    expect(readMrConfigId(dstackMrConfigId(hash))).toEqual(read);
    expect(dstackMrConfigId(hash)).toEqual(mrConfigIdOf(`0x01${'ab'.repeat(31)}`));
  });

  test('of other lengths is none', () => {
    for (const length of [0, 32, 47, 49]) expect(readMrConfigId(new Uint8Array(length))).toBeUndefined();
  });
});
