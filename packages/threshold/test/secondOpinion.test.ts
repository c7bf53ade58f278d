import { utf8 } from '@cloister/crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import * as mcl from 'mcl-wasm';
import { beforeAll, describe, expect, test } from 'vitest';
import { combinePartials, verifySignature } from '../src/combine/index.ts';
import { publicShareAt } from '../src/dkg/index.ts';
import { signWithShare } from '../src/native/index.ts';
import { makeKey } from './keyCeremony.ts';

// mcl: a third implementation of the curve, beside noble and blst, in its Ethereum mode.
beforeAll(async () => {
  await mcl.init(mcl.BLS12_381);
  mcl.setETHserialization(true);
  mcl.setMapToMode(5);
});

describe('mcl agrees', () => {
  const sharing = makeKey(3, 4);
  const message = utf8('second opinion');
  const partials = [1, 2, 3].map((index) => ({
    index,
    signature: signWithShare(sharing.shares[index - 1] as never, message),
  }));

  test('on the combination of partials at zero', () => {
    const points = partials.map(({ signature }) => {
      const point = new mcl.G2();
      point.deserialize(signature);
      return point;
    });
    const place = (index: number) => {
      const number = new mcl.Fr();
      number.setInt(index);
      return number;
    };
    const weights = partials.map(({ index }) =>
      partials
        .filter((other) => other.index !== index)
        .map((other) => mcl.div(place(other.index), mcl.sub(place(other.index), place(index))))
        .reduce((left, right) => mcl.mul(left, right)),
    );
    const combined = points
      .map((point, position) => mcl.mul(point, weights[position] as never))
      .reduce((left, right) => mcl.add(left, right)) as InstanceType<typeof mcl.G2>;
    expect(new Uint8Array(combined.serialize())).toEqual(combinePartials(partials));
  });

  test('on the signature and on the public key by its own pairing', () => {
    const publicKey = publicShareAt(sharing.commitments, 0);
    const signature = combinePartials(partials);
    expect(verifySignature(publicKey, message, signature)).toBe(true);
    const [key, generator] = [new mcl.G1(), new mcl.G1()];
    key.deserialize(publicKey);
    generator.deserialize(bls12_381.G1.Point.BASE.toBytes(true));
    const point = new mcl.G2();
    point.deserialize(signature);
    const hashed = new mcl.G2();
    hashed.deserialize(
      (
        bls12_381.G2.hashToCurve(message, { DST: 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_' }) as unknown as {
          toBytes(compressed: boolean): Uint8Array;
        }
      ).toBytes(true),
    );
    expect(mcl.pairing(key, hashed).isEqual(mcl.pairing(generator, point))).toBe(true);
  });

  test('on the coefficients of a pairing, which sealed values derive their mask from', () => {
    const noble = bls12_381.fields.Fp12.toBytes(bls12_381.pairing(bls12_381.G1.Point.BASE, bls12_381.G2.Point.BASE));
    const [left, right] = [new mcl.G1(), new mcl.G2()];
    left.deserialize(bls12_381.G1.Point.BASE.toBytes(true));
    right.deserialize(bls12_381.G2.Point.BASE.toBytes(true));
    const theirs = mcl.pairing(left, right).serialize();
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const coefficients = (bytes: Uint8Array) =>
      Array.from({ length: 12 }, (_, index) => hex(bytes.subarray(index * 48, index * 48 + 48)));
    // The same twelve in the same order of the tower, but that mcl, as Ethereum does, writes c1 of a pair before c0.
    const swapped = coefficients(theirs).map((_, index, all) => all[index ^ 1]);
    expect(swapped).toEqual(coefficients(noble));
  });
});
